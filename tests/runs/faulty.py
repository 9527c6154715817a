"""What a child process does that meets a fault: the shell's command, while something goes wrong."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CHUNK = 64


class Noon(datetime):
    """A clock that stands still, so that two runs tell the same time."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        """Return the same time always."""
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


def shell(
    argv: Sequence[str],
    said: Path,
    log: Path,
    *,
    fault: Callable[[], None] | None = None,
    at: int = 3,
    largest: int | None = None,
) -> None:
    """Run the command as a shell does, with many small tiles, and end with its exit code.

    What goes to stderr goes to `said`, finished tiles to `log`. The fault happens before block `at`
    is written; no file grows longer than `largest`.
    """
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
    if largest is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    from napari_tilewise.cli import main
    from napari_tilewise.engine import source
    from napari_tilewise.provenance import record
    from napari_tilewise.runs import planner

    record.datetime = Noon  # type: ignore[attr-defined]
    planner.default_chunks = lambda shape, axes, looped: (CHUNK,) * len(shape)  # type: ignore[attr-defined]
    planner.LONGEST_TILE = {2: CHUNK}
    source.VIRTUAL_CHUNK = {2: CHUNK}
    _log_tiles(log)
    if fault is not None:
        _have_happen(fault, at)
    sys.exit(main(list(argv)))


def _log_tiles(log: Path) -> None:
    from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint

    note = Checkpoint.mark_done

    def logged(self: Checkpoint, what: str, position: tuple[int, ...]) -> None:
        note(self, what, position)
        with log.open("a") as file:
            file.write(f"{self.folder.name} {what} {position}\n")

    Checkpoint.mark_done = logged  # type: ignore[method-assign]


def _have_happen(fault: Callable[[], None], at: int) -> None:
    from napari_tilewise.io.writers.staging_zarr import StagingZarr

    write, left, lock = StagingZarr.write, [None] * at, Lock()

    def faulty(self: StagingZarr, *args: Any) -> None:
        with lock:  # no other thread finishes tiles while the fault happens, however long it takes
            if left:
                left.pop()
                if not left:
                    fault()
        write(self, *args)

    StagingZarr.write = faulty  # type: ignore[method-assign]


# -- faults ----------------------------------------------------------------------------------------


def remove(folder: Path, pattern: str) -> None:
    """Remove folders as `rm -rf` does, while others may write to them."""
    (result,) = folder.glob(pattern)
    shutil.rmtree(result, ignore_errors=True)


def remove_file(folder: Path, pattern: str) -> None:
    """Remove the first file that is complete: others may be growing under another name."""
    until, files = monotonic() + 60, []
    while not files and monotonic() < until:
        files = [path for path in folder.glob(pattern) if path.suffix != ".partial"]
    min(files).unlink()


def flip(path: Path, offset: int) -> None:
    """Flip the bits of 16 bytes of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        flipped = bytes(255 - byte for byte in file.read(16))
        file.seek(offset)
        file.write(flipped)


def cut(path: Path, offset: int) -> None:
    """Cut a file short."""
    os.truncate(path, offset)


def wait(started: Any, go: Any) -> None:
    """Say that the run is in the middle, and wait until it may go on."""
    started.set()
    go.wait()


def lock(path: Path) -> None:
    """Leave a file that a user's function stumbles over."""
    path.touch()
