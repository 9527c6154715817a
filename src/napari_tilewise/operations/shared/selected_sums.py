"""Sums over the pixels of a mask, with the bits that NumPy gives to ``image[mask].sum()``.

Which pixels NumPy adds up together depends on how many come before them: the chosen values of all
boxes are strung together in raster order and added up, piece by piece, along NumPy's own tree.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.global_numbers import bands, cuts_of, join_cuts
from napari_tilewise.operations.spec.operation import Block, Call, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.operations.spec.passes import Passes


def selected_sums(
    call: Call,
    of: Callable[[Block], Sequence[np.ndarray]],
    selected: Callable[[Block], np.ndarray],
    count: int,
    *,
    description: str = "sums",
) -> Passes[list[Any]]:
    """Compute ``[array[mask].sum(), ...]``, where `count` pixels of the mask are True.

    `of` and `selected` give the parts of the arrays and of the mask that lie on a block's tile.
    """
    shape = call.spatial_shape
    cuts = cuts_of(prod(shape))
    boxes = bands(shape, cuts)

    def piece(block: Block) -> _Line:
        start, stop = cuts[block.position[0]]
        corner = int(np.ravel_multi_index([s.start for s in block.tile], shape))
        part = slice(start - corner, stop - corner)
        mask = selected(block).reshape(-1)[part]
        return _Line(count, [array.reshape(-1)[part][mask] for array in of(block)])

    # boxes are visited, and joined, in the order given
    sums = yield Reduce(
        piece, _Line.extend, regions=boxes, finish=_Line.sums, description=description
    )
    return list(sums)


class _Line:
    """Values that arrive in order, `count` of them in the end; whole pieces are added up."""

    def __init__(self, count: int, values: list[np.ndarray]) -> None:
        self._cuts = cuts_of(count)
        self._sums: list[list[Any]] = []
        self._waiting = [values]
        self._length = len(values[0])

    def extend(self, other: _Line) -> _Line:
        """Put the values of the next box behind these: a gather's merge."""
        self._waiting.extend(other._waiting)
        self._length += other._length
        self._add_up()
        return self

    def sums(self) -> list[Any]:
        """Return the sums of all values."""
        self._add_up()
        return join_cuts(self._sums, self._cuts)

    def _add_up(self) -> None:
        while len(self._sums) < len(self._cuts):
            start, stop = self._cuts[len(self._sums)]
            if self._length < stop - start:
                return
            joined = [np.concatenate(column) for column in zip(*self._waiting, strict=True)]
            self._sums.append([np.sum(values[: stop - start], axis=0) for values in joined])
            self._waiting = [[values[stop - start :] for values in joined]]
            self._length -= stop - start
