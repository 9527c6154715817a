"""`skimage.feature.peak_local_max`: candidates from tiles, chosen once over the whole image.

A tile says which of its pixels are the largest of their neighbourhood. Everything that depends on
the image as a whole is done to their list, in scikit-image's order: no peaks where every pixel is
its own maximum, the excluded border, the sort by brightness, the spacing, the number of peaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations import gathered
from napari_tilewise.operations.model import (
    Block,
    Call,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Output,
    Plan,
    Value,
)
from napari_tilewise.operations.parameters import Flag, Footprint, Number
from napari_tilewise.operations.private import reach


@dataclass(frozen=True, kw_only=True)
class Border(Flag):
    """True or False, or a width in pixels, or one per spatial axis."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        width = Number(minimum=0, integer=True, per_axis=True)
        return width.check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "True, False, or a width in pixels, or one per spatial axis"


def _footprint(call: Call) -> np.ndarray:
    if call["footprint"] is None:
        return np.ones((2 * int(call["min_distance"]) + 1,) * call.ndim, bool)
    return np.asarray(call["footprint"])


def _halo(call: Call) -> HaloLike:
    return [(n // 2, n - 1 - n // 2) for n in _footprint(call).shape]


def _border(call: Call) -> tuple[int, ...]:
    width = call["exclude_border"]
    if isinstance(width, bool):
        width = int(call["min_distance"]) if width else 0
    return call.per_axis(width)


def _plan(call: Call) -> Plan:
    threshold = yield from _threshold(call)
    footprint = _footprint(call)
    plain = footprint.size == 1 or call.shape == (1,) * call.ndim

    def of(block: Block) -> tuple[bool, list[np.ndarray], list[np.ndarray]]:
        pixels = block.data[block.core]
        if plain:
            flat, found = False, pixels > threshold
        else:
            largest = ndi.maximum_filter(block.data, footprint=footprint, mode="nearest")
            found = pixels == largest[block.core]
            flat = bool(found.all())
            found &= pixels > threshold
        at = np.nonzero(found & _inside(block, call))
        places = [a + s.start for a, s in zip(at, block.tile, strict=True)]
        return flat, [np.transpose(places)], [pixels[at]]

    def merge(a: Any, b: Any) -> tuple[bool, list[np.ndarray], list[np.ndarray]]:
        return a[0] and b[0], a[1] + b[1], a[2] + b[2]

    flat, places, values = yield Gather(of, merge, halo=_halo(call), what="local maxima")
    if flat:
        return Value(np.empty((0, call.ndim), np.intp))
    return Value(_choose(call, np.concatenate(places), np.concatenate(values)))


def _threshold(call: Call) -> Any:
    """Gather what the threshold depends on; as scikit-image's `_get_threshold`."""
    threshold, relative = call["threshold_abs"], call["threshold_rel"]
    if threshold is None or relative is not None:
        low, high = yield from gathered.extremes(call)
        threshold = low if threshold is None else threshold
        if relative is not None:
            threshold = max(threshold, relative * high)
    return threshold


def _inside(block: Block, call: Call) -> np.ndarray:
    """Return where a tile lies inside the border that is excluded."""
    inside = np.ones((1,) * call.ndim, bool)
    for axis, (tile, width) in enumerate(zip(block.tile, _border(call), strict=True)):
        n = call.shape[axis]
        along = np.arange(tile.start, tile.stop)
        shape = tuple(-1 if i == axis else 1 for i in range(call.ndim))
        inside = inside & ((along >= width) & (along < n - width)).reshape(shape)
    return inside


def _choose(call: Call, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Do what scikit-image's `_get_high_intensity_peaks` does with the candidates of an image."""
    raster = np.argsort(np.ravel_multi_index(tuple(places.T), call.shape))
    places, values = places[raster], values[raster]
    places = places[np.argsort(-values, kind="stable")]
    most = call["num_peaks"]
    if call["min_distance"] > 1:
        spaced = reach("_shared.coord", "ensure_spacing")
        places = spaced(
            places,
            spacing=call["min_distance"],
            p_norm=call["p_norm"],
            max_out=int(most) if np.isfinite(most) else None,
        )
    return places[:most] if len(places) > most else places


OPERATION = Operation(
    name="feature.peak_local_max",
    kind=Kind.STATISTIC,
    specs={
        "min_distance": Number(minimum=0, integer=True, length=True, usual=(1, 8)),
        "threshold_abs": Number(optional=True, usual=(0, 1)),
        "threshold_rel": Number(optional=True, usual=(0, 1)),
        "exclude_border": Border(),
        "num_peaks": Number(minimum=0, usual=(0, 50)),
        "footprint": Footprint(optional=True, sequences=False, advanced=True),
        "p_norm": Number(minimum=1, usual=(1, 3), advanced=True),
    },
    output=Output.POINTS,
    halo_of=_halo,
    dtype_of=lambda call: np.intp,
    shape_of=lambda call: None,
    plan_of=_plan,
    dtypes="uif",
    working=4.0,
)
