"""A context in which NumPy arrays are also computed tile by tile."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import TileLengths

    TileRule: TypeAlias = TileLengths | Callable[[Operation, tuple[int, ...]], TileLengths]


@dataclass(frozen=True)
class Tiling:
    """The settings of a `tiling` context."""

    tiles: TileRule
    """As in `napari_tilewise.apply`, or a function of the operation and the spatial lengths."""
    callback: Callable[[str, Exception | None], None] | None
    """Called for each operation with the error for which scikit-image computed it, or None."""


TILING: ContextVar[Tiling | None] = ContextVar("tiling", default=None)


@contextmanager
def tiling(
    tiles: TileRule = "auto", *, callback: Callable[[str, Exception | None], None] | None = None
) -> Iterator[None]:
    """Also compute NumPy arrays tile by tile, whatever their size and the operation.

    The results are those of lazy arrays: equal to scikit-image's if the operation is identical,
    otherwise within its tolerance.

    Parameters
    ----------
    tiles
        ``"auto"``, one tile length in pixels, one per spatial axis, or a function that is called
        with the `Operation` and the lengths of the spatial axes and returns one of these.
    callback
        Called with each operation's key and the error for which scikit-image computed it instead,
        or None.
    """
    token = TILING.set(Tiling(tiles, callback))
    try:
        yield
    finally:
        TILING.reset(token)
