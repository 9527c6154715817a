"""Quick items travel in groups; each still has its own outcome, and none is lost or done twice."""

from __future__ import annotations

import itertools
import pickle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.batches import BatchStarted, ItemDone, ItemStarted, backends, task_groups
from napari_tilewise.batches.items import items_of
from napari_tilewise.batches.task_groups import LONGEST, SECONDS, TaskGroups, run_group_in_worker
from napari_tilewise.batches.tasks import BatchTask, ItemTask, run_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES = [np.full((8, 9), number, np.uint8) for number in range(40)]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's process ignores Ctrl-C and leaves warnings to that of the batch.

    Here it has patience, however slow this machine is.
    """
    monkeypatch.setattr(task_groups, "run_task_in_worker", run_task)
    monkeypatch.setattr(task_groups, "PATIENCE", 10**6)


def outcomes(seconds: float, count: int = 1) -> list[Any]:
    return [SimpleNamespace(row={"seconds": seconds})] * count


def tasks() -> list[ItemTask]:
    batch = BatchTask(tw.Recipe.of("util.invert"))
    return [ItemTask(item, batch, "key", None) for item in items_of(IMAGES)]


def test_groups_are_as_long_as_their_items_are_quick() -> None:
    groups = TaskGroups(iter(tasks()))
    assert len(next(groups)) == 1, "nobody knows yet how long an item takes"
    groups.note(outcomes(SECONDS / 4, 20))
    assert len(next(groups)) == 4
    groups.note(outcomes(0.0, 40))
    assert len(next(groups)) == LONGEST
    groups.note(outcomes(60.0))
    assert len(next(groups)) == 1
    assert sum(map(len, groups)) == len(IMAGES) - 1 - 4 - LONGEST - 1


def test_a_group_is_sent_with_one_recipe() -> None:
    several = tasks()[:LONGEST]
    recipe = len(pickle.dumps(several[0].batch))
    together = len(pickle.dumps(several))
    assert together < sum(len(pickle.dumps(task)) for task in several) - (LONGEST - 2) * recipe


def test_a_process_leaves_the_rest_of_a_group_that_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(run_group_in_worker(tasks()[:5])) == 5
    monkeypatch.setattr(task_groups, "PATIENCE", 0)
    assert [outcome.index for outcome in run_group_in_worker(tasks()[:5])] == [0]


def test_items_that_no_process_came_to_are_scheduled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def parallel(_: Any, groups: Any, **options: Any) -> Iterator[Any]:
        groups.note(outcomes(0.0))
        for group in itertools.islice(groups, 2):  # and the pool is paused
            sizes.append(len(group))
            yield run_group_in_worker(group)

    monkeypatch.setattr(task_groups, "PATIENCE", 0)
    monkeypatch.setattr(backends, "_parallel", parallel)
    events: list[Any] = []
    report = tw.batch("util.invert", IMAGES, n_jobs=2, backend="loky", progress=events.append)
    assert report.done == len(IMAGES)
    np.testing.assert_array_equal(report.stack, 255 - np.stack(IMAGES))
    assert max(sizes) == LONGEST
    done = [event.index for event in events if isinstance(event, ItemDone)]
    assert sorted(done) == list(range(len(IMAGES)))
    assert {event.index for event in events if isinstance(event, ItemStarted)} == set(done)
    assert [event.items for event in events if isinstance(event, BatchStarted)] == [len(IMAGES)]


def test_only_the_groups_in_work_are_done_again_after_the_batch_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes: list[int] = []  # of the second group, by how long the items of the first one took

    def parallel(_: Any, groups: Any, **options: Any) -> Iterator[Any]:
        groups.note(outcomes(0.0))
        for group in groups:
            sizes.append(len(group))
            finished = run_group_in_worker(group)
            if len(sizes) == 2:
                raise KeyboardInterrupt  # before anybody heard of the second group
            yield finished

    monkeypatch.setattr(backends, "_parallel", parallel)
    run = {"recipe": "util.invert", "source": IMAGES, "destination": tmp_path, "n_jobs": 2}
    with pytest.raises(KeyboardInterrupt):
        tw.batch(**run, backend="loky", name="{index}.ome.tif")
    assert sizes[0] == LONGEST
    assert len(list(tmp_path.glob("*.ome.tif"))) == sum(sizes)
    report = tw.batch(**run, backend="serial", name="{index}.ome.tif")
    assert [report.skipped, report.done, report.failed] == [LONGEST, len(IMAGES) - LONGEST, 0]
