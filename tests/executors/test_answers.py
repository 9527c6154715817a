"""Nobody waits long for workers of a run that is cancelled, and they write nothing more for it."""

import threading
from concurrent.futures import Future
from contextlib import ExitStack

import numpy as np
import pytest

from napari_tilewise.engine.tile_tasks import LONGEST_TASK, MOST_UNTIMED, ReduceTask, task_size
from napari_tilewise.errors import Cancelled
from napari_tilewise.executors import answers as waiting
from napari_tilewise.executors.answers import Answers
from napari_tilewise.executors.assignment import (
    Assignment,
    remove_assignment,
    write_assignment,
)
from napari_tilewise.executors.worker import do
from napari_tilewise.recipe import Recipe


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(waiting, "LOOK", 0.001)


def test_an_answer_within_the_patience_is_not_lost(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 60)
    cancel, future = threading.Event(), Future()
    threading.Timer(0.01, future.set_result, [7]).start()
    cancel.set()
    assert Answers(cancel).of(future) == 7


@pytest.mark.parametrize("ends_by", ["cancel", "stop"])
def test_an_answer_that_never_comes_is_not_waited_for(ends_by, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    cancel = threading.Event()
    answers = Answers(cancel)
    threading.Timer(0.01, cancel.set if ends_by == "cancel" else answers.stop).start()
    with pytest.raises(Cancelled):
        answers.of(Future())


def test_ctrl_c_in_one_thread_ends_the_wait_of_the_others(monkeypatch):
    answers = Answers(None)
    future = Future()
    future.done = lambda: exec("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        answers.of(future)
    with pytest.raises(Cancelled):
        answers.of(Future())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_what_is_opened_is_closed_by_whom_nobody_waits_for(is_cancelled):
    cancel, may_open, closed = threading.Event(), threading.Event(), threading.Event()
    if is_cancelled:
        cancel.set()
    else:
        may_open.set()

    def opening(stack):
        assert may_open.wait(60)
        stack.callback(closed.set)
        return "opened"

    with ExitStack() as stack:
        if not is_cancelled:
            assert Answers(cancel).opened(opening, stack) == "opened"
            assert not closed.is_set()
        else:
            with pytest.raises(Cancelled):
                Answers(cancel).opened(opening, stack)
            may_open.set()
    assert closed.wait(60)


def test_a_worker_does_nothing_for_a_run_that_has_ended(tmp_path):
    assignment = Assignment(
        (), Recipe(["exposure.equalize_hist"]), np.zeros((32, 32), np.uint8), {}, None, None,
        (16, 16), (), str(tmp_path), 2**24, 2**30, 2**28, 1, None, None,
    )  # fmt: skip
    name = write_assignment(assignment)
    task = ReduceTask(((0, 0),), 0, (), 0)
    assert do(str(tmp_path), name, task).pickled
    remove_assignment(str(tmp_path), name)
    with pytest.raises(Cancelled):
        do(str(tmp_path), name, task)


@pytest.mark.parametrize(
    ("seconds", "size"), [(None, MOST_UNTIMED), (1e-6, LONGEST_TASK), (0.5, 4), (1.1, 1), (9, 1)]
)
def test_a_task_takes_no_longer_than_a_tile_may(seconds, size):
    assert task_size(10**6, 2, seconds) == size
