"""How many objects a result has: the ids of labels, the rows of a table or of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.grid import Grid
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from napari_tilewise.types import Array, ArrayLike, Value

BLOCK = 2**22
"""Pixels that are read at a time."""
FLAGS = 2**26
"""Highest id that has a flag of its own; images with higher ids are counted from their sets."""
ROWS = (Output.TABLE, Output.POINTS)


def count_rows(value: Value, output: Output) -> int | None:
    """Return the number of rows of a table or of points; None for other results.

    Parameters
    ----------
    value
        A dict of columns, an array with a row per point, or a list of these.
    output
        Its kind.
    """
    if output not in ROWS:
        return None
    return _rows(value)


def _rows(value: Value) -> int:
    if isinstance(value, dict):
        return max((len(np.asarray(column)) for column in value.values()), default=0)
    if isinstance(value, list | tuple):
        return sum(map(_rows, value))
    return len(value)


def count_labels(labels: ArrayLike) -> int | None:
    """Return the number of ids in an image of labels, reading a block at a time.

    Parameters
    ----------
    labels
        Integers; 0 is the background. An image of another type holds no ids: None is returned.
    """
    if labels.dtype.kind not in "iu":
        return None
    shape = tuple(labels.shape)
    if not shape:
        return 0
    seen = _Ids()
    grid = Grid(shape, _block(shape))
    for position in grid.positions():
        seen.add(np.asarray(labels[grid.region(position)]))
    return seen.count


def _block(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of blocks of about `BLOCK` pixels, cut along the first axes."""
    lengths, pixels = list(shape), 1
    for axis in reversed(range(len(shape))):
        lengths[axis] = max(1, min(shape[axis], BLOCK // pixels))
        pixels *= lengths[axis]
    return tuple(lengths)


class _Ids:
    """The ids seen so far: a flag for each while they are small, else a sorted array."""

    def __init__(self) -> None:
        self._flags = np.zeros(1, bool)
        self._ids: Array | None = None

    def add(self, block: Array) -> None:
        """Note the ids of a block."""
        block = _starts(block)
        if not block.size or self._ids is not None or not _is_flagged(block):
            ids = np.flatnonzero(self._flags) if self._ids is None else self._ids
            self._ids = np.union1d(ids.astype(block.dtype), np.unique(block))
            return
        highest = int(block.max())
        if highest >= len(self._flags):
            flags: Any = np.zeros(max(highest + 1, 2 * len(self._flags)), bool)
            flags[: len(self._flags)] = self._flags
            self._flags = flags
        self._flags[block] = True

    @property
    def count(self) -> int:
        """The number of ids other than 0."""
        if self._ids is None:
            return int(np.count_nonzero(self._flags[1:]))
        return int(np.count_nonzero(self._ids))


def _starts(block: Array) -> Array:
    """Return the first pixel of each run of equal ones: few, where the ids are those of objects."""
    pixels = block.ravel()
    return np.concatenate([pixels[:1], pixels[1:][pixels[1:] != pixels[:-1]]])


def _is_flagged(block: Array) -> bool:
    is_signed = block.dtype.kind == "i"
    return int(block.max()) < FLAGS and not (is_signed and int(block.min()) < 0)
