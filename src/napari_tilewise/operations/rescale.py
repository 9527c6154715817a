"""`skimage.transform.rescale`: each tile of the result reads the box of the image it comes from.

The function smooths, samples at ``(k + 0.5) * n / m - 0.5`` and clips to the image's range. The
samples' coordinates are computed for the whole image and moved by whole pixels, which is exact in
floating point; the range is gathered. Splines of order two and more are recursive filters whose
memory fades by their pole: the box holds enough pixels for it to fade below the last bit.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.common import CHANNEL, CVAL, as_float, gaussian_radius
from napari_tilewise.operations.grid import Grid, Region, within
from napari_tilewise.operations.model import (
    Block,
    Call,
    Exactness,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Plan,
    Tiles,
)
from napari_tilewise.operations.parameters import Choice, Flag, Number
from napari_tilewise.operations.private import reach

if TYPE_CHECKING:
    from collections.abc import Generator

MODES = {
    "constant": "grid-constant",
    "edge": "nearest",
    "symmetric": "reflect",
    "reflect": "mirror",
    "wrap": "grid-wrap",
}
"""ndimage's names of NumPy's border modes."""

FADING = {0: 0, 1: 0, 2: 32, 3: 40, 4: 52, 5: 64}
"""Pixels after which a spline's recursive filter has forgotten (its pole to this power is < 2**-75;
the poles are 0.172, 0.268, 0.361 and 0.431)."""

PREPAD = 12
"""Pixels that ndimage pads splines by where the border is constant or the edge."""

SLAB = 2**16
"""Samples at once, for their coordinates take more memory than they do."""


def _order(call: Call) -> int:
    if call["order"] is None:
        return 0 if call.dtype == bool else 1
    return int(call["order"])


def _result_shape(call: Call) -> tuple[int, ...]:
    scale = np.atleast_1d(call["scale"])
    lengths = np.maximum(np.round(scale * np.asarray(call.spatial_shape)), 1)
    return call.with_channel(
        [int(n) for n in lengths],
        None if call.channel_axis is None else call.shape[call.channel_axis],
    )


def _lengths(call: Call) -> list[tuple[int, int]]:
    """Return each spatial axis's length before and after."""
    after = _result_shape(call)
    return [(call.shape[axis], after[axis]) for axis in call.spatial_axes]


def _smooths(call: Call) -> bool:
    """Return whether the image is smoothed before sampling."""
    wanted = call["anti_aliasing"]
    if wanted is not None:
        return bool(wanted)
    nearest_of_integers = call.dtype.kind in "ui" and call["order"] == 0
    shrinks = any(m < n for n, m in _lengths(call))
    return bool(call.dtype != bool and not nearest_of_integers and shrinks)


def _smoothing(call: Call) -> tuple[float, ...] | None:
    """Return the widths of the Gaussian, the channel axis last; None where there is none."""
    if not _smooths(call):
        return None
    factors = [n / m for n, m in _lengths(call)] + [1.0] * (call.channel_axis is not None)
    given = call["anti_aliasing_sigma"]
    if given is None:
        return tuple(max(0.0, (factor - 1) / 2) for factor in factors)
    return tuple(np.atleast_1d(given) * np.ones(len(factors)))


def _check(call: Call) -> None:
    if call.dtype == bool:
        for name in ("order", "anti_aliasing"):
            if call[name]:
                raise InvalidParameter(
                    f"{call.operation.name}: {name}={call[name]!r} on an image of type bool: "
                    f"expected {name}={0 if name == 'order' else False}, or convert the image to "
                    "float first."
                )
    given = call["anti_aliasing_sigma"]
    if np.size(given) > 1 and call.channel_axis is not None and _smooths(call):
        raise InvalidParameter(
            f"{call.operation.name}: anti_aliasing_sigma={given!r} together with channel_axis: "
            "expected one number, which scikit-image applies to the channels too, or None."
        )


def _reach(call: Call) -> tuple[int, ...]:
    """Return how far from its coordinate a sample looks, per spatial axis."""
    order = _order(call)
    smoothing = _smoothing(call) or (0.0,) * call.ndim
    near = (order + 1) // 2 + 1 + FADING[order]
    return tuple(near + gaussian_radius(sigma) for sigma in smoothing[: call.ndim])


def _coordinates(n: int, m: int, part: slice) -> np.ndarray:
    """Return where in the image the samples of a part of an axis lie, as ndimage computes it."""
    samples = np.arange(part.start, part.stop, dtype=float)
    samples += 0.5
    samples *= n / m
    samples -= 0.5
    return samples


def _source(call: Call, tile: Region) -> Region:
    """Return the box of the image that a tile of the result is made from, not clipped."""
    box = []
    for (n, m), part, near in zip(_lengths(call), tile, _reach(call), strict=True):
        first, last = _coordinates(n, m, part)[[0, -1]]
        span = slice(floor(first) - near, ceil(last) + near + 1)
        # A period that is all there needs no copies of itself.
        box.append(slice(0, n) if call.wraps and span.stop - span.start >= n else span)
    return tuple(box)


def _plan(call: Call) -> Plan:
    bounds = None
    if _order(call) > 1 or (call["clip"] and (_order(call) == 1 or _smoothing(call) is not None)):
        # The nearest pixel alone is never out of range.
        bounds = yield from _bounds(call)

    def compute(block: Block) -> np.ndarray:
        out = _sampled(call, block.tile, block.region, block.data)
        if bounds is not None and call["clip"]:
            np.clip(out, *bounds, out=out)
        return out if call.channel_axis is None else np.moveaxis(out, -1, call.channel_axis)

    return Tiles(compute, source=lambda tile: _source(call, tile))


# -- sampling --------------------------------------------------------------------------------------


def _converted(call: Call, data: np.ndarray) -> np.ndarray:
    if call.dtype == np.float16:
        return data.astype(np.float32)
    if _order(call) == 0:
        return data
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(data, call["preserve_range"]))


def _sampled(call: Call, tile: Region, region: Region, data: np.ndarray) -> np.ndarray:
    """Return a tile of the result, not clipped, from its box of the image; channels last."""
    if call.channel_axis is not None:
        data = np.ascontiguousarray(np.moveaxis(data, call.channel_axis, -1))
    image = _converted(call, data)
    mode = MODES[call["mode"]]
    smoothing = _smoothing(call)
    if smoothing is not None:
        image = ndi.gaussian_filter(image, smoothing, cval=call["cval"], mode=mode)
    if all(n == m for n, m in _lengths(call)):
        return np.ascontiguousarray(image[within(tile, region)])
    along = []
    for axis, ((n, m), part, box) in enumerate(zip(_lengths(call), tile, region, strict=True)):
        samples, first = _coordinates(n, m, part), box.start
        if mode == "grid-wrap":
            # ndimage folds what lies before the first pixel to the far end, which rounds it.
            samples = np.where(samples < 0, (samples + n) - n, samples)
            if first < 0:
                # Adding to a coordinate would round it too: the image's first pixel comes first
                # instead and those before it last, and ndimage folds as it does in the image.
                image, first = np.roll(image, first, axis), 0
        along.append((samples, first))
    if call.channel_axis is not None:
        along.append((np.arange(image.shape[-1], dtype=float), 0))
    return _interpolated(call, image, along)


def _interpolated(call: Call, image: np.ndarray, along: list[tuple[np.ndarray, int]]) -> np.ndarray:
    """Return the image at a grid of coordinates, given per axis with the image's first one."""
    mode, order, pad = MODES[call["mode"]], _order(call), 0
    out = np.empty([len(samples) for samples, _ in along], image.dtype)
    if order > 1:
        if mode in ("nearest", "grid-constant"):
            pad = PREPAD
            value = {"constant_values": call["cval"]} if mode == "grid-constant" else {}
            image = np.pad(image, pad, mode="constant" if value else "edge", **value)
        image = ndi.spline_filter(image, order, mode=mode)
    # ndimage adds the padding to the coordinates, which rounds them; so before they are moved.
    places = np.ix_(*((samples + pad) - first for samples, first in along))
    rows = max(1, SLAB // max(1, out[0].size))
    for start in range(0, len(out), rows):
        part = out[start : start + rows]
        grid = np.stack(np.broadcast_arrays(places[0][start : start + rows], *places[1:]))
        ndi.map_coordinates(
            image, grid, output=part, order=order, mode=mode, cval=call["cval"], prefilter=False
        )
    return out


# -- the range -------------------------------------------------------------------------------------


def _bounds(call: Call) -> Generator[Gather, Any, tuple[np.ndarray, np.ndarray]]:
    """Gather what scikit-image's `_clip_warp_output` clips to."""
    low, high, has_nan, grid = yield Gather(_extremes, _merge, what="smallest and largest value")
    if _order(call) > 1 and (has_nan or not np.isfinite([low, high]).all()):
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values, which a spline of "
            f"order {_order(call)} spreads over all of it. Replace them first, for example with "
            "numpy.nan_to_num, or use order=0 or 1."
        )
    low, high = _converted(call, np.array([low, high], call.dtype))
    cval = call["cval"]
    if call["mode"] == "constant" and not low <= cval <= high:
        # A constant border outside the image's range counts where the result reaches it.
        tiles = Grid(tuple(m for _, m in _lengths(call)), grid.tile)
        parts = [tiles.region(position) for position in tiles.positions()]

        def of(block: Block) -> tuple[Any, Any]:
            out = _sampled(call, parts[block.position[0]], block.region, block.data)
            return _smallest(out, has_nan), _largest(out, has_nan)

        reached = yield Gather(
            of,
            lambda a, b: (_smallest([a[0], b[0]], has_nan), _largest([a[1], b[1]], has_nan)),
            regions=[_source(call, part) for part in parts],
            what="range of the result",
        )
        if reached[0] <= cval <= reached[1]:
            cval = low.dtype.type(cval)
            low, high = min(low, cval), max(high, cval)
    return np.asarray(low), np.asarray(high)


def _extremes(block: Block) -> tuple[Any, Any, bool, Grid]:
    data = block.data
    has_nan = bool(data.dtype.kind == "f" and np.isnan(data.min()))
    return _smallest(data, True), _largest(data, True), has_nan, block.grid


def _merge(a: Any, b: Any) -> tuple[Any, Any, bool, Grid]:
    return np.fmin(a[0], b[0]), np.fmax(a[1], b[1]), a[2] or b[2], a[3]


def _smallest(values: Any, skip_nan: bool) -> Any:
    return (np.fmin if skip_nan else np.minimum).reduce(values, axis=None)


def _largest(values: Any, skip_nan: bool) -> Any:
    return (np.fmax if skip_nan else np.maximum).reduce(values, axis=None)


def _dtype(call: Call) -> Any:
    if _order(call) == 0 and call.dtype != np.float16:
        return call.dtype
    return as_float(call)


def _halo(call: Call) -> HaloLike:
    return _reach(call)


OPERATION = Operation(
    name="transform.rescale",
    kind=Kind.GEOMETRY,
    # Orders 0 and 1 are bit for bit the whole image's. A recursive filter is not: where the image
    # is flat it comes to rest on one of several neighbouring numbers, depending on where it began.
    # Beyond what fades (below 2**-75) that is a few roundings, which a spline of order 5 amplifies
    # up to 7.5 times per axis; a result in single precision may then fall to the next number.
    exactness=Exactness.CLOSE,
    tolerance=1e-12,
    tolerance32=2.0**-22,
    specs={
        "scale": Number(minimum=0, exclusive=True, per_axis=True, usual=(0.2, 3)),
        "order": Choice(choices=(0, 1, 2, 3, 4, 5), optional=True),
        "mode": Choice(choices=tuple(MODES), advanced=True),
        "cval": CVAL,
        "clip": Flag(advanced=True),
        "preserve_range": Flag(advanced=True),
        "anti_aliasing": Flag(optional=True),
        "anti_aliasing_sigma": Number(
            minimum=0, per_axis=True, optional=True, length=True, usual=(0, 4), advanced=True
        ),
        "channel_axis": CHANNEL,
    },
    halo_of=_halo,
    dtype_of=_dtype,
    shape_of=_result_shape,
    plan_of=_plan,
    border="mode",
    check=_check,
    working=8.0,
)
