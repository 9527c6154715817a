"""`skimage.measure.block_reduce`: one pixel per block, computed from the block's pixels alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter, did_you_mean
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import ADDED_IN_ORDER
from napari_tilewise.operations.spec.keyword_specs import Keywords
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import FunctionSpec, Number
from napari_tilewise.operations.spec.pixel_positions import in_blocks
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from napari_tilewise.grid import Region
    from napari_tilewise.types import Value

FUNCTIONS = {
    "sum": np.sum,
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
    "std": np.std,
    "var": np.var,
    "any": np.any,
    "all": np.all,
}


@dataclass(frozen=True, kw_only=True)
class NumpyFunction(FunctionSpec):
    """A function that takes an axis, or in recipes, the shell and forms the name of NumPy's."""

    names: tuple[str, ...] = tuple(FUNCTIONS)

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str):
            if value not in self.names:
                hint = did_you_mean(value, self.names)
                raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.{hint}")
            return FUNCTIONS[value]
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "one of " + ", ".join(map(repr, self.names)) + " or a function"


def _blocks(call: Call) -> tuple[int, ...]:
    """Return the block's length along each axis."""
    return call.per_axis(call["block_size"])


def _shape(call: Call) -> tuple[int, ...]:
    return tuple(-(-n // b) for n, b in zip(call.shape, _blocks(call), strict=True))


def _probe(call: Call) -> np.ndarray:
    """Return the function's result for one block, which gives its dtype and its shape."""
    blocks = tuple(min(b, 2) for b in _blocks(call))
    with np.errstate(all="ignore"):
        return np.asarray(call.function(np.ones(blocks, call.dtype), block_size=blocks))


def _check(call: Call) -> None:
    try:
        probed = _probe(call)
    except Exception as error:
        raise InvalidParameter(
            f"{call.operation.name}: func cannot be called on blocks of {call.dtype}: {error}. "
            "Expected a function that takes an array and axis=, such as numpy.mean."
        ) from error
    if probed.shape != (1,) * call.ndim:
        raise InvalidParameter(
            f"{call.operation.name}: func returns an array of shape {probed.shape} for one block: "
            f"expected one pixel, {(1,) * call.ndim}."
        )


def _padded(call: Call) -> int:
    """Return the pixels of the smallest region, whole blocks, as the function pads it."""
    return prod(_blocks(call))


def _block_reduce(call: Call) -> Tiles:
    blocks = _blocks(call)
    counts = _shape(call)

    def source(tile: Region) -> Region:
        return tuple(
            slice(start * b, stop * b)
            for (start, stop), b in zip(map(_at_least_two, tile, counts), blocks, strict=True)
        )

    def compute(block: Block) -> np.ndarray:
        # the function pads a region that ends at the image's border, as it pads the whole image
        reduced = np.asarray(call.function(block.data))
        starts = [region.start // b for region, b in zip(block.region, blocks, strict=True)]
        box = tuple(
            slice(s.start - start, s.stop - start)
            for s, start in zip(block.tile, starts, strict=True)
        )
        return reduced[box]

    return Tiles(compute, source=source)


def _at_least_two(span: slice, count: int) -> tuple[int, int]:
    """Return the start and stop of a run of at least two blocks, if the axis has two.

    NumPy adds up a single block along an axis in a different order than one of several.
    """
    if span.stop - span.start > 1:
        return span.start, span.stop
    start = min(span.start, max(0, count - 2))
    return start, min(start + 2, count)


OPERATIONS = (
    Operation(
        name="measure.block_reduce",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        accuracy=Accuracy(deviations=(ADDED_IN_ORDER,)),
        specs={
            "block_size": Number(integer=True, minimum=1, per_axis=True, length=True, usual=(1, 6)),
            "func": NumpyFunction(samples=(np.sum, np.mean, np.median, np.max, np.min)),
            "cval": Number(usual=(0, 1), advanced=True),
            "func_kwargs": Keywords(samples=({"dtype": "float64"}, {}), advanced=True),
        },
        result=ResultSpec(
            output=Output.IMAGE,
            shape=_shape,
            dtype=lambda call: _probe(call).dtype,
        ),
        neighbourhood=Neighbourhood(sampling=lambda call, shape: in_blocks(_blocks(call))),
        plan_of=_block_reduce,
        limits=Limits(check=_check),
        adapter=Adapter(kernels=("skimage.measure.block_reduce",)),
        cost=Cost(
            memory=6.0, largest_region=_padded, at_once=AtOnce(function=IN_MEMORY, kernel=IN_MEMORY)
        ),
    ),
)
