"""A paused batch begins no more items, settles those in work, and goes on."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.batches import ItemDone, backends

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 12
BEFORE = 3


class Ended(threading.Event):
    """A pause that ends, or becomes a cancel, when it was looked at so many times."""

    def __init__(self, done: list[Any], cancel: threading.Event | None = None) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._done, self._cancel = done, cancel

    def is_set(self) -> bool:
        result = super().is_set()
        if result:
            self.seen.append(len(self._done))
        if len(self.seen) == 30:
            self.clear() if self._cancel is None else self._cancel.set()
        return result


class Gated:
    """Does a few items; the others begin once the batch is paused, however late that is."""

    is_paused = threading.Event()

    def __init__(self, run_task: Callable[[Any], Any]) -> None:
        self._run_task, self._calls = run_task, count()
        self.is_paused.clear()

    def __call__(self, task: Any) -> Any:
        if next(self._calls) >= BEFORE:
            assert self.is_paused.wait(60)
        return self._run_task(task)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.001)
    monkeypatch.setattr(backends, "run_task", Gated(backends.run_task))
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        np.save(folder / f"c{number}.npy", np.full((9, 9), number, np.uint8))
    return folder


def paused(files: Path, out: Path, backend: str, *, cancels: bool) -> tuple[Any, Ended]:
    done: list[Any] = []
    cancel = threading.Event()
    pause = Ended(done, cancel if cancels else None)

    def listen(event: Any) -> None:
        if isinstance(event, ItemDone):
            done.append(event)
            if event.done == BEFORE:
                pause.set()
                Gated.is_paused.set()

    report = tw.batch(
        "filters.gaussian", str(files), out, backend=backend, n_jobs=2, progress=listen,
        cancel=cancel, pause=pause,
    )  # fmt: skip
    return report, pause


@pytest.mark.parametrize("backend", ["serial", "threading", "auto"])
def test_it_goes_on(files: Path, tmp_path: Path, backend: str) -> None:
    report, pause = paused(files, tmp_path / "out", backend, cancels=False)
    assert report.done == COUNT
    assert BEFORE <= pause.seen[-1] == pause.seen[-10] < COUNT


def test_it_can_be_cancelled(files: Path, tmp_path: Path) -> None:
    report, pause = paused(files, tmp_path / "out", "threading", cancels=True)
    assert report.cancelled == COUNT - pause.seen[-1]
    assert report.done == pause.seen[-1]
