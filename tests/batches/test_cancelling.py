"""A cancel of a batch does not wait for the items that have begun, wherever they are computed."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.batches import backends
from napari_tilewise.batches.item_tasks import recipe_item
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.system import cancelling
from napari_tilewise.engine.system.cancelling import ended_when_cancelled
from napari_tilewise.runs import small_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = 600
"""Seconds that an item takes which nobody waits for."""
COUNT = 5


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that would need ten minutes are not given two seconds."""
    for module in (cancelling, recipe_item):
        monkeypatch.setattr(module, "PATIENCE", 0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(COUNT):
        tifffile.imwrite(folder / f"a{number}.tif", np.full((20, 30), number, np.uint8))
    return folder


@pytest.fixture
def cancel(tmp_path: Path) -> threading.Event:
    """Set as soon as an item notes that it has begun."""
    event = threading.Event()

    def watch() -> None:
        while not (tmp_path / "begun").exists():
            threading.Event().wait(0.01)
        event.set()

    threading.Thread(target=watch, daemon=True).start()
    return event


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """A function of the user's that takes as long as the test."""

    def work(image: np.ndarray) -> np.ndarray:
        (tmp_path / "begun").touch()
        end = time.monotonic() + LONG
        while not (tmp_path / "over").exists() and time.monotonic() < end:
            threading.Event().wait(0.05)
        return image

    yield work
    (tmp_path / "over").touch()


@pytest.mark.parametrize(
    ("backend", "n_jobs"),
    [("serial", 1), ("threading", 1), ("threading", 2), ("auto", 2), ("loky", 1), ("loky", 2),
     ("dask", 2)],
)  # fmt: skip
def test_items_that_have_begun_are_abandoned(
    files: Path, tmp_path: Path, cancel: threading.Event,
    endless: Callable[[np.ndarray], np.ndarray], backend: str, n_jobs: int,
) -> None:  # fmt: skip
    if backend == "dask":
        pytest.importorskip("distributed")
    before = set(psutil.Process().children())
    options: dict[str, Any] = {"backend": backend, "n_jobs": n_jobs, "cancel": cancel}
    report = tw.batch(endless, files, tmp_path / "out", **options)
    assert (report.done, report.failed, report.cancelled) == (0, 0, COUNT)
    assert not list((tmp_path / "out").glob("*.ome.zarr"))
    if backend == "loky":
        computing = [
            process for process in set(psutil.Process().children()) - before
            if "LokyProcess" in " ".join(process.cmdline())
        ]  # fmt: skip
        assert not computing, "processes that go on with an item that nobody waits for"
    again = tw.batch(lambda image: image + 1, files, tmp_path / "out", n_jobs=n_jobs)
    assert again.done == COUNT


class Slow:
    """An image whose pixels take long to come."""

    shape, dtype, ndim, size = (20, 30), np.dtype(np.uint8), 2, 600

    def __init__(self, work: Callable[[np.ndarray], np.ndarray]) -> None:
        self._work = work

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self._work(np.zeros(self.shape, self.dtype)[key]))


@pytest.mark.parametrize("where", ["one call", "pixels", "tiles"])
def test_recipes_are_abandoned_and_write_nothing(
    files: Path, tmp_path: Path, cancel: threading.Event,
    endless: Callable[[np.ndarray], np.ndarray], monkeypatch: pytest.MonkeyPatch, where: str,
) -> None:  # fmt: skip
    recipe = "filters.gaussian"
    items: Any = files
    if where == "one call":
        monkeypatch.setattr(small_run, "computed_in_memory", lambda _, pixels: endless(pixels))
    elif where == "tiles":
        tw.operation(halo=0, dtype="same")(endless)
        (recipe,) = (operation.name for operation in tw.OPERATIONS.users())
    else:
        items = {f"a{number}": Slow(endless) for number in range(COUNT)}
    report = tw.batch(recipe, items, tmp_path / "out", backend="threading", n_jobs=2, cancel=cancel)
    assert (report.done, report.failed, report.cancelled) == (0, 0, COUNT)
    assert not list((tmp_path / "out").glob("*.ome.zarr"))


def test_what_finishes_in_time_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "PATIENCE", LONG)
    cancel, ended = threading.Event(), []
    with ended_when_cancelled(cancel, lambda: ended.append(1)):
        cancel.set()
    watchers = [t for t in threading.enumerate() if t.name == "tilewise-cancel"]
    for thread in watchers:
        thread.join(60)
    assert not ended


def test_a_pool_that_breaks_without_a_cancel_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("no semaphores")
        yield

    monkeypatch.setattr(backends, "_parallel", broken)
    supply = backends.TaskSupply([], Control())
    with pytest.raises(RuntimeError, match="no semaphores"):
        list(backends.outcomes("loky", 2, supply))
