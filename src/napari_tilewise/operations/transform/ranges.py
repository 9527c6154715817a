"""The range that scikit-image's geometry clips its result to: the whole image's.

Interpolation overshoots (splines), or rounds a hair beyond (order one); scikit-image then clips to
the smallest and largest value of the image. A constant border outside that range counts too, if the
result holds it anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Grid, Region
from napari_tilewise.operations.shared.global_numbers import extreme
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence


@dataclass(frozen=True)
class Extremes:
    """The smallest and largest value, NaN left out, and whether there is any."""

    low: Any
    high: Any
    has_nan: bool

    @classmethod
    def of(cls, values: np.ndarray, *, skip_nan: bool = True) -> Extremes:
        """Return those of an array; where NaN is not skipped, it is what it spreads to."""
        least, most = (np.fmin, np.fmax) if skip_nan else (np.minimum, np.maximum)
        low, high = extreme(least, values), extreme(most, values)
        nan = values.dtype.kind == "f" and bool(np.isnan(values.min()))
        return cls(low, high, nan)

    def join(self, other: Extremes, *, skip_nan: bool = True) -> Extremes:
        """Return those of both."""
        least, most = (np.fmin, np.fmax) if skip_nan else (np.minimum, np.maximum)
        return Extremes(
            least(self.low, other.low), most(self.high, other.high), self.has_nan or other.has_nan
        )


def clip_limits(
    image: Extremes, cval: float, result: Extremes | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what scikit-image clips to.

    Parameters
    ----------
    image
        Of the image that was sampled.
    cval
        The value beyond a constant border.
    result
        Of the result before it is clipped; None where the border is not constant.
    """
    low, high = image.low, image.high
    if result is not None and not low <= cval <= high and result.low <= cval <= result.high:
        value = np.asarray(low).dtype.type(cval)
        low, high = min(low, value), max(high, value)
    return np.asarray(low), np.asarray(high)


def refuse_nan(call: Call, found: Extremes, order: int) -> None:
    """Raise where a spline would spread NaN or infinity over all of the image."""
    if found.has_nan or not np.isfinite([found.low, found.high]).all():
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values, which a spline of "
            f"order {order} spreads over all of it. Replace them first, for example with "
            "numpy.nan_to_num, or use order=0 or 1."
        )


def gather_limits(
    call: Call,
    convert: Callable[[np.ndarray], np.ndarray],
    sample: Callable[[Block, Region], np.ndarray],
    source: Callable[[Region], Region],
    result_shape: Sequence[int],
    *,
    spline: int = 0,
) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    """Find what a result is clipped to.

    Parameters
    ----------
    call
        The operation with `mode` and `cval`.
    convert
        Converts pixels as the function does first; keeps their order.
    sample, source
        Make a box of the result, not clipped, from a block; name the block's box.
    result_shape
        The result's spatial shape.
    spline
        The spline's order, where one makes NaN impossible.
    """
    found, grid = yield Reduce(
        lambda block: (Extremes.of(block.data), block.grid),
        lambda a, b: (a[0].join(b[0]), a[1]),
        description="smallest and largest value",
    )
    if spline > 1:
        refuse_nan(call, found, spline)
    low, high = convert(np.array([found.low, found.high], call.dtype))
    image = Extremes(low, high, found.has_nan)
    if call["mode"] != "constant" or low <= call["cval"] <= high:
        return clip_limits(image, call["cval"], None)
    tiles = scaled(grid, result_shape)
    parts = [tiles.region(position) for position in tiles.positions()]
    reached = yield Reduce(
        lambda block: Extremes.of(sample(block, parts[block.position[0]]), skip_nan=image.has_nan),
        lambda a, b: a.join(b, skip_nan=image.has_nan),
        regions=[source(part) for part in parts],
        description="range of the result",
    )
    return clip_limits(image, call["cval"], reached)


def clipped_tiles(
    call: Call,
    convert: Callable[[np.ndarray], np.ndarray],
    sample: Callable[[Block, Region], np.ndarray],
    source: Callable[[Region], Region],
    result_shape: Sequence[int],
    *,
    spline: int,
    overshoots: bool,
) -> Generator[Reduce, Any, Tiles]:
    """Return tiles of a result, channels last before, that are clipped where the call asks for it.

    See `gather_limits` for the parameters; `overshoots` is whether anything can be out of range.
    """
    limits = None
    if spline > 1 or (call["clip"] and overshoots):
        limits = yield from gather_limits(
            call, convert, sample, source, result_shape, spline=spline
        )

    def compute(block: Block) -> np.ndarray:
        out = sample(block, block.tile)
        if limits is not None and call["clip"]:
            np.clip(out, *limits, out=out)
        return out if call.channel_axis is None else np.moveaxis(out, -1, call.channel_axis)

    return Tiles(compute, source=source)


def scaled(grid: Grid, shape: Sequence[int]) -> Grid:
    """Return tiles of a result of this shape, each of which comes from about one of the image."""
    tile = [
        max(1, min(m, round(length * m / n)))
        for length, m, n in zip(grid.tile, shape, grid.shape, strict=True)
    ]
    return Grid(tuple(shape), tuple(tile))
