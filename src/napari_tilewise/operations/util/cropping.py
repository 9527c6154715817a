"""`util.crop`: a box of the image.

scikit-image itself computes the box: its function crops an image of the positions along each axis,
which is broadcast and takes no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    AtOnce,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Numbers
from napari_tilewise.operations.spec.pixel_positions import shifted

if TYPE_CHECKING:
    from napari_tilewise.grid import Region
    from napari_tilewise.types import Value


@dataclass(frozen=True, kw_only=True)
class Pairs(Numbers):
    """A sequence of numbers or of pairs of numbers."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        rows = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
        if any(isinstance(row, Sequence | np.ndarray) for row in rows):
            return tuple(super(Pairs, self)._check(name, row, ndim) for row in rows)
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return f"a sequence of pairs, each {self.item.describe()}"


def _box(call: Call) -> Region:
    """Return the box of the image that `crop` returns."""
    box = []
    for axis, length in enumerate(call.shape):
        positions = np.arange(length).reshape([-1 if i == axis else 1 for i in range(call.ndim)])
        try:
            cropped = call.function(np.broadcast_to(positions, call.shape), copy=False)
        except Exception as error:
            raise InvalidParameter(
                f"{call.operation.name}: {error} (the image has shape {call.shape})"
            ) from error
        start = int(cropped.flat[0]) if cropped.size else 0
        box.append(slice(start, start + cropped.shape[axis]))
    return tuple(box)


def _shape(call: Call) -> tuple[int, ...]:
    return tuple(s.stop - s.start for s in _box(call))


def _check(call: Call) -> None:
    _box(call)


def _tiles(call: Call) -> Tiles:
    offsets = [s.start for s in _box(call)]

    def source(tile: Region) -> Region:
        return tuple(slice(t.start + n, t.stop + n) for t, n in zip(tile, offsets, strict=True))

    return Tiles(lambda block: block.data, source=source)


COPY = Flag(advanced=True)

OPERATIONS = (
    Operation(
        name="util.crop",
        family=families.PIXEL_TYPES,
        kind=Kind.GEOMETRY,
        specs={
            "crop_width": Pairs(item=Number(integer=True, minimum=0, length=True, usual=(0, 2))),
            "copy": COPY,
            "order": ChoiceSpec(choices=("K", "C", "F", "A"), advanced=True),
        },
        result=ResultSpec(shape=_shape),
        neighbourhood=Neighbourhood(
            sampling=lambda call, shape: shifted([s.start for s in _box(call)])
        ),
        plan_of=_tiles,
        limits=Limits(check=_check, dtypes="buifc", takes_alpha=True),
        cost=Cost(memory=3.0, at_once=AtOnce(function=2**26)),
        note="The result is always a copy in C order, because tiles are not views of the image.",
    ),
)
