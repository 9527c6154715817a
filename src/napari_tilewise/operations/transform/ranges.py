"""The range to which scikit-image's geometric functions clip their result: the whole image's.

Interpolation overshoots (splines), or exceeds the range by a rounding error (order 1); scikit-image
then clips to the smallest and largest value of the image. A constant border outside that range is
included if the result contains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Grid, LazySequence, Region
from napari_tilewise.operations.shared.global_numbers import extreme
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.operations.spec.passes import Passes


@dataclass(frozen=True)
class Extremes:
    """The smallest and largest value, ignoring NaN, and whether there is a NaN."""

    low: Any
    high: Any
    has_nan: bool

    @classmethod
    def of(cls, values: np.ndarray, *, skip_nan: bool = True) -> Extremes:
        """Return the extremes of an array; without `skip_nan`, they are NaN if any value is."""
        minimum, maximum = (np.fmin, np.fmax) if skip_nan else (np.minimum, np.maximum)
        low, high = extreme(minimum, values), extreme(maximum, values)
        has_nan = values.dtype.kind == "f" and bool(np.isnan(values.min()))
        return cls(low, high, has_nan)

    def join(self, other: Extremes, *, skip_nan: bool = True) -> Extremes:
        """Return the extremes of both."""
        minimum, maximum = (np.fmin, np.fmax) if skip_nan else (np.minimum, np.maximum)
        return Extremes(
            minimum(self.low, other.low),
            maximum(self.high, other.high),
            self.has_nan or other.has_nan,
        )


def clip_limits(
    image: Extremes, cval: float, result: Extremes | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the range to which scikit-image clips.

    Parameters
    ----------
    image
        The extremes of the image that is resampled.
    cval
        The value beyond a constant border.
    result
        The extremes of the result before clipping; None if the border is not constant.
    """
    low, high = image.low, image.high
    if result is not None and not low <= cval <= high and result.low <= cval <= result.high:
        value = np.asarray(low).dtype.type(cval)
        low, high = min(low, value), max(high, value)
    return np.asarray(low), np.asarray(high)


def reject_nan(call: Call, extremes: Extremes, order: int) -> None:
    """Raise `InvalidImage` for NaN and infinity, which a spline spreads over the whole image."""
    if extremes.has_nan or not np.isfinite([extremes.low, extremes.high]).all():
        raise InvalidImage(
            f"{call.operation.name}: the image contains NaN or infinite values, which a spline of "
            f"order {order} spreads over the whole image. Replace them first, for example with "
            "numpy.nan_to_num, or use order=0 or 1."
        )


@dataclass(frozen=True)
class Resampling:
    """How a box of a result is computed from the image, before clipping."""

    convert: Callable[[np.ndarray], np.ndarray]
    """Converts pixels as the function's first step does; preserves their order."""
    sample: Callable[[Block, Region], np.ndarray]
    """Computes a box of the result from a block, the channels last."""
    source: Callable[[Region], Region]
    """Returns the box of the image that a box of the result depends on."""
    result_shape: Sequence[int]
    """The result's spatial shape."""
    spline: int
    """The order of a spline's recursive filter; 0 without one."""


def reduce_limits(call: Call, resampling: Resampling) -> Passes[tuple[np.ndarray, np.ndarray]]:
    """Return the range to which a result is clipped, for a call with `mode` and `cval`."""
    extremes, grid = yield Reduce(
        lambda block: (Extremes.of(block.data), block.grid),
        lambda a, b: (a[0].join(b[0]), a[1]),
        description="smallest and largest value",
    )
    if resampling.spline > 1:
        reject_nan(call, extremes, resampling.spline)
    low, high = resampling.convert(np.array([extremes.low, extremes.high], call.dtype))
    image = Extremes(low, high, extremes.has_nan)
    if call["mode"] != "constant" or low <= call["cval"] <= high:
        return clip_limits(image, call["cval"], None)
    tiles = scaled_grid(grid, resampling.result_shape)
    boxes = tiles.regions()

    def result_extremes(block: Block) -> Extremes:
        pixels = resampling.sample(block, boxes[block.position[0]])
        return Extremes.of(pixels, skip_nan=image.has_nan)

    result = yield Reduce(
        result_extremes,
        lambda a, b: a.join(b, skip_nan=image.has_nan),
        regions=LazySequence(len(boxes), lambda number: resampling.source(boxes[number])),
        description="range of the result",
    )
    return clip_limits(image, call["cval"], result)


def clipped_tiles(call: Call, resampling: Resampling, *, overshoots: bool) -> Passes[Tiles]:
    """Return the tiled pass of a resampling, clipped if the call has `clip` set.

    Parameters
    ----------
    call
        A call with `mode`, `cval` and `clip`.
    resampling
        Computes the result with the channels last.
    overshoots
        Whether pixels of the result can exceed the image's range.
    """
    limits = None
    if resampling.spline > 1 or (call["clip"] and overshoots):
        limits = yield from reduce_limits(call, resampling)

    def compute(block: Block) -> np.ndarray:
        out = resampling.sample(block, block.tile)
        if limits is not None and call["clip"]:
            np.clip(out, *limits, out=out)
        return out if call.channel_axis is None else np.moveaxis(out, -1, call.channel_axis)

    return Tiles(compute, source=resampling.source)


def scaled_grid(grid: Grid, shape: Sequence[int]) -> Grid:
    """Return a grid of the result's shape, whose tiles each correspond to a tile of the image."""
    tile = [
        max(1, min(m, round(length * m / n)))
        for length, m, n in zip(grid.tile, shape, grid.shape, strict=True)
    ]
    return Grid(tuple(shape), tuple(tile))
