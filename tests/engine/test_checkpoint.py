"""A checkpoint tells what was noted, whatever happened in between."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.engine.checkpoints.checkpoint_contents import read_checkpoint
from napari_tilewise.engine.checkpoints.pass_results import PassResults
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from tests.operations.test_declarations import parameters_for, sample
from tests.strategies import cropped

if TYPE_CHECKING:
    from pathlib import Path


def test_it_tells_what_was_noted(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {"a": 1})
    assert checkpoint.is_new
    assert checkpoint.is_empty
    checkpoint.mark_done("tiles", (0, 1))
    checkpoint.save("pass", {"sum": np.arange(3)})
    checkpoint.add_facts(staging="x")
    checkpoint.close()
    again = Checkpoint(tmp_path / "run", "key", {"a": 2})
    assert not again.is_new
    assert again.done("tiles") == {(0, 1)}
    assert again.facts == {"a": 1, "staging": "x"}
    np.testing.assert_array_equal(again.load("pass")[0]["sum"], np.arange(3))
    again.close()
    other = Checkpoint(tmp_path / "run", "another", {"a": 3})
    assert other.was_another
    assert other.done("tiles") == set()
    assert other.load("pass") is None
    other.remove()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_is_dropped(cut: int, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    for number in range(3):
        checkpoint.mark_done("tiles", (number,))
    checkpoint.close()
    journal = tmp_path / "run" / "journal"
    whole = journal.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    journal.write_bytes(whole[: -min(cut, last)])
    again = Checkpoint(tmp_path / "run", "key", {})
    assert again.done("tiles") == {(0,), (1,)}
    again.mark_done("tiles", (2,))
    again.close()
    third = Checkpoint(tmp_path / "run", "key", {})
    assert third.done("tiles") == {(0,), (1,), (2,)}
    third.close()


def test_a_short_result_is_a_line_of_the_journal(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    checkpoint.use_files(always=False)
    for number in range(50):
        checkpoint.save(f"plane-{number}", {"sum": number})
    checkpoint.save("plane-0", {"sum": "again"})
    checkpoint.save("long", np.random.default_rng(0).random(10_000))
    assert [path.name for path in (tmp_path / "run").glob("*.found")] == ["long.found"]
    assert checkpoint.load("plane-0") == ({"sum": "again"},)
    checkpoint.close()
    again = Checkpoint(tmp_path / "run", "key", {})
    assert not again.is_empty
    assert again.load("plane-7") == ({"sum": 7},)
    assert again.load("plane-0") == ({"sum": "again"},)
    again.use_files(always=True)
    assert PassResults(tmp_path / "run").load("plane-7") == ({"sum": 7},)  # in another process
    again.save("plane-7", {"sum": "in a file"})
    assert again.load("plane-7") == ({"sum": "in a file"},)
    again.forget()
    assert again.is_empty
    assert again.load("plane-8") is None
    again.close()
    third = Checkpoint(tmp_path / "run", "key", {})
    assert third.load("plane-8") is None
    third.close()


def test_a_journal_of_many_tiles_is_no_list_of_them(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    for number in range(20_000):
        checkpoint.mark_done("tiles", divmod(number, 100))
    checkpoint.close()
    tracemalloc.start()
    try:
        read_checkpoint(tmp_path / "run")
        again = Checkpoint(tmp_path / "run", "key", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(again.done("tiles")) == 20_000
    again.close()
    assert peak < 10 * 20_000


def test_a_torn_file_is_not_believed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    checkpoint.save("pass", list(range(100)))
    path = tmp_path / "run" / "pass.found"
    path.write_bytes(path.read_bytes()[:-3] + b"\0\0\0")
    assert checkpoint.load("pass") is None
    checkpoint.close()


class Machine:
    """A clock, and the time at which the machine was started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        self.started = self.now - 5000
        module = "napari_tilewise.engine.checkpoints.checkpoint"
        monkeypatch.setattr(f"{module}.time.time", lambda: self.now)
        monkeypatch.setattr(f"{module}.psutil.boot_time", lambda: self.started)

    def restart(self) -> None:
        self.started = self.now = self.now + 60


def test_after_a_restart_the_last_tiles_are_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    checkpoint.use_files(always=False)
    checkpoint.mark_done("tiles", (0,))
    checkpoint.save("step-0-pass-0", 7)
    machine.now += 500
    checkpoint.mark_done("tiles", (1,))
    checkpoint.save("step-1-pass-0-state", (3, [], {}))
    checkpoint.close()
    machine.restart()
    again = Checkpoint(tmp_path / "run", "key", {})
    assert not again.is_new
    assert again.done("tiles") == {(0,)}
    assert again.load("step-0-pass-0") == (7,)
    assert again.load("step-1-pass-0-state") is None
    again.close()


def test_after_a_restart_and_another_interruption_the_last_tiles_are_still_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    checkpoint = Checkpoint(tmp_path / "run", "key", {})
    checkpoint.mark_done("tiles", (0,))
    machine.now += 500
    checkpoint.mark_done("tiles", (1,))
    checkpoint.close()
    machine.restart()
    again = Checkpoint(tmp_path / "run", "key", {})
    machine.now += 1000
    again.mark_done("tiles", (2,))
    again.close()  # interrupted, before tile 1 is done again
    third = Checkpoint(tmp_path / "run", "key", {})
    assert third.done("tiles") == {(0,), (2,)}
    third.close()
    machine.restart()
    for _ in range(2):  # what was looked at once is not doubted once more
        fourth = Checkpoint(tmp_path / "run", "key", {})
        assert fourth.done("tiles") == {(0,)}
        fourth.close()


GATHERS = [n for n, op in tw.OPERATIONS.items() if op.kind.value in ("statistic", "connected")]


@pytest.mark.parametrize("name", GATHERS)
def test_what_a_pass_found_outlasts_the_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tilewise.engine.passes.stored_pass.IN_MEMORY", 0)
    op = tw.OPERATIONS[name]
    image = cropped(op, sample(name, "uint8"), 96)
    params = parameters_for(op, image)

    def value(checkpoint: Checkpoint) -> tuple[Any, list[str]]:
        told: list[str] = []

        def listen(event: Any) -> None:
            if type(event).__name__ == "PassStarted":
                told.append(event.title)

        session = Session(1, Control(listen), checkpoint=checkpoint)
        stack = build(op, image, params, session, StackLayout(tiles=40, step=0))
        stack.prepare()
        whole = tuple(slice(0, n) for n in stack.shape)
        result = stack.read(whole) if stack.is_image else stack.value()
        return result, told

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checkpoint = Checkpoint(tmp_path / "run", "key", {})
        try:
            first, passes = value(checkpoint)
        except tw.TilewiseError:
            image = image > image.mean()  # what takes nothing but masks
            checkpoint.remove()
            checkpoint = Checkpoint(tmp_path / "run", "key", {})
            first, passes = value(checkpoint)
        checkpoint.close()
        again = Checkpoint(tmp_path / "run", "key", {})
        is_empty = again.is_empty
        second, none = value(again)
        again.close()
    assert is_empty is not bool(passes)
    assert [what for what in none if "sweep" not in what and what in passes] == []
    np.testing.assert_equal(second, first)
