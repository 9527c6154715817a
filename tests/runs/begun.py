"""What a child process does that leaves a run or a batch unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari_tilewise as tw
from tests.runs.killed import CHUNK, die

if TYPE_CHECKING:
    from collections.abc import Callable


def run_and_die(event: str, at: int, *args: Any, **options: Any) -> None:
    """Run with many small tiles, and die at the n-th event of a kind."""
    _small_tiles()
    tw.run(*args, progress=_counting(event, at, die), **options)


def run_and_wait(begun: Any, continues: Any, *args: Any, **options: Any) -> None:
    """Run with many small tiles; at the third, say so and wait."""
    _small_tiles()

    def wait() -> None:
        begun.set()
        continues.wait()

    tw.run(*args, progress=_counting("TileDone", 3, wait), **options)


def batch_and_die(at: int, *args: Any, **options: Any) -> None:
    """Do a batch, and die when so many items are done."""
    tw.batch(*args, progress=_counting("ItemDone", at, die), **options)


def _small_tiles() -> None:
    from napari_tilewise.runs import planner

    planner.default_chunks = lambda shape, axes, looped: (CHUNK,) * len(shape)  # type: ignore[attr-defined]
    planner.LONGEST_TILE = {2: CHUNK}


def _counting(kind: str, at: int, act: Callable[[], None]) -> Callable[[object], None]:
    left = at

    def listen(event: object) -> None:
        nonlocal left
        if type(event).__name__ == kind:
            left -= 1
            if not left:
                act()

    return listen
