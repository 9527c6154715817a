"""What a child process does that is killed: a run that ends itself at a chosen moment."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

import napari_tilewise as tw
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 32
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""What ends a process at once, on Windows too."""


def die(told: Path | None = None) -> None:
    """End this process as `kill -9` does; tell before which processes work for it."""
    if told is not None:
        told.write_text(" ".join(str(one.pid) for one in psutil.Process().children()))
    os.kill(os.getpid(), KILL)


class Source:
    """An image that a child reads; the process is killed at one of the reads."""

    def __init__(self, path: Path, fatal: int | None) -> None:
        self._array = np.load(path, mmap_mode="r")
        self._left = fatal
        self.shape, self.dtype, self.chunks = self._array.shape, self._array.dtype, (CHUNK, CHUNK)
        self.filename = str(path)

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        """Read a box, or die."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                die()
        return np.asarray(self._array[region])


def run(
    recipe: Any, source: Path, destination: Path, log: Path, fatal: dict[str, int], **options: Any
) -> None:
    """Run a recipe, dying at the n-th read, event, note or half-written note, as `fatal` says."""
    left = dict(fatal)

    def counted(what: str) -> bool:
        if what in left:
            left[what] -= 1
            return left[what] < 0
        return False

    def listen(event: Any) -> None:
        if counted("event"):
            die(log.with_suffix(".pids"))

    note, append = Checkpoint.mark_done, Checkpoint._append

    def logged(self: Checkpoint, what: str, position: tuple[int, ...]) -> None:
        note(self, what, position)
        with log.open("a") as file:
            file.write(f"{what} {position}\n")
        if counted("note"):
            die()

    def torn(self: Checkpoint, entry: dict[str, Any]) -> int:
        if counted("torn"):
            self._journal._file.write(b'{"pass": "ti')
            die()
        return append(self, entry)

    Checkpoint.mark_done, Checkpoint._append = logged, torn  # type: ignore[method-assign]
    tw.run(recipe, Source(source, fatal.get("read")), destination, progress=listen, **options)
    log.open("a").write("complete\n")


def run_small(*args: Any, **options: Any) -> None:
    """Run with many small tiles."""
    from napari_tilewise.runs import planner

    planner.default_chunks = lambda shape, axes, looped: (CHUNK,) * len(shape)  # type: ignore[attr-defined]
    planner.LONGEST_TILE = {2: CHUNK}
    run(*args, **options)
