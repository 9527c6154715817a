"""A context in which NumPy arrays are computed tile by tile as well."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Tiling:
    """How NumPy arrays are computed in a `tiling` context."""

    tiles: Any
    """As in `napari_tilewise.apply`, or called with the operation and the spatial axes' lengths."""
    told: Callable[[str, Exception | None], None] | None
    """Called for each operation with why scikit-image was called instead, or None."""


TILING: ContextVar[Tiling | None] = ContextVar("tiling", default=None)


@contextmanager
def tiling(
    tiles: Any = "auto", *, told: Callable[[str, Exception | None], None] | None = None
) -> Iterator[None]:
    """Compute NumPy arrays tile by tile as well, whatever their size and the operation.

    Results then are what the engine makes of lazy arrays: equal where an operation is identical,
    within its tolerance elsewhere.

    Parameters
    ----------
    tiles
        ``"auto"``, one tile length in pixels, one per spatial axis, or a function that is called
        with the `Operation` and the lengths of the spatial axes and returns one of these.
    told
        Called with each operation's key and with the error for which scikit-image computed it
        after all, or None.
    """
    token = TILING.set(Tiling(tiles, told))
    try:
        yield
    finally:
        TILING.reset(token)
