"""`skimage.feature`, peaks: candidates from tiles, chosen once over the whole image.

A tile says which of its pixels are the largest of their neighbourhood. Everything that depends on
the image as a whole is done to their list, in scikit-image's order: no peaks where every pixel is
its own maximum, the excluded border, the sort by brightness, the spacing, the number of peaks.
Peaks within labels are found in every label's box; see `labelled_peaks`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.feature.labelled_peaks import labelled_peaks, spaced_peaks
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.whole import handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Footprint, Number, Spec

Passes: TypeAlias = Generator[Reduce, Any, np.ndarray]


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


@dataclass(frozen=True, kw_only=True)
class Most(Number):
    """At most so many, or infinity for all there are."""

    integer: bool = True
    minimum: float = 0

    def _check_number(self, name: str, value: Any) -> Any:
        if isinstance(value, float) and value == np.inf:
            return value
        return super()._check_number(name, value)


@dataclass
class Candidates:
    """Pixels that are the largest of their neighbourhood, and whether all are."""

    flat: bool
    places: list[np.ndarray]
    values: list[np.ndarray]
    nbytes: int

    @classmethod
    def of(cls, found: np.ndarray, pixels: np.ndarray, start: Any, *, flat: bool) -> Candidates:
        """Return the pixels of a tile that begins at `start` where `found` is set."""
        at = np.nonzero(found)
        places = np.transpose(at) + np.asarray(start, np.intp)
        values = pixels[at]
        return cls(flat, [places], [values], places.nbytes + values.nbytes)

    def extend(self, other: Candidates) -> Candidates:
        """Take in those of another tile: a gather's merge."""
        self.places += other.places
        self.values += other.values
        self.flat = self.flat and other.flat
        self.nbytes += other.nbytes
        return self

    def ordered(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return places and values, the brightest first, equal ones in raster order."""
        places, values = np.concatenate(self.places), np.concatenate(self.values)
        raster = np.argsort(np.ravel_multi_index(tuple(places.T), shape))
        places, values = places[raster], values[raster]
        order = np.argsort(-values, kind="stable")
        return places[order], values[order]


# -- in the whole image ----------------------------------------------------------------------------


def footprint_of(call: Call) -> np.ndarray:
    """Return the neighbourhood in which a peak is the largest."""
    if call["footprint"] is None:
        return np.ones((2 * int(call["min_distance"]) + 1,) * call.ndim, bool)
    return np.asarray(call["footprint"])


def _halo(call: Call) -> HaloLike:
    halo = [(n // 2, n - 1 - n // 2) for n in footprint_of(call).shape]
    if call["labels"] is None:
        return halo
    # Labels whose pixels are all peaks keep those that an opening removes.
    return [(max(2, lo), max(2, hi)) for lo, hi in halo]


def _border(call: Call) -> tuple[int, ...]:
    width = call["exclude_border"]
    if isinstance(width, bool):
        width = int(call["min_distance"]) if width else 0
    return call.per_axis(width)


def _peaks(call: Call, most: float, p_norm: float) -> Passes:
    """Find what scikit-image's `peak_local_max` returns."""
    threshold = yield from threshold_of(call, global_numbers.extremes(call))
    if call["labels"] is not None:
        of_labels = yield from labelled_peaks(
            call, footprint_of(call), threshold, _border(call), _halo(call), p_norm
        )
        return _limited(call, *of_labels, most, p_norm)
    candidates = yield from _candidates(call, threshold)
    if candidates.flat:
        return np.empty((0, call.ndim), np.intp)
    places, _ = candidates.ordered(call.shape)
    return spaced_peaks(places, call["min_distance"], most, p_norm)


def _candidates(call: Call, threshold: Any) -> Generator[Reduce, Any, Candidates]:
    footprint = footprint_of(call)
    plain = footprint.size == 1 or call.shape == (1,) * call.ndim

    def of(block: Block) -> Candidates:
        pixels = block.data[block.core]
        if plain:
            flat, found = False, pixels > threshold
        else:
            largest = ndi.maximum_filter(block.data, footprint=footprint, mode="nearest")
            found = pixels == largest[block.core]
            flat = bool(found.all())
            found &= pixels > threshold
        found &= _inside(block, call)
        return Candidates.of(found, pixels, [s.start for s in block.tile], flat=flat)

    candidates: Candidates = yield Reduce(
        of, Candidates.extend, halo=_halo(call), description="local maxima"
    )
    return candidates


def threshold_of(call: Call, extremes: Any) -> Generator[Reduce, Any, Any]:
    """Find what scikit-image's `_get_threshold` returns.

    Parameters
    ----------
    call
        Has `threshold_abs` (or `threshold`) and `threshold_rel`.
    extremes
        The passes that find the smallest and largest value; run only when needed.
    """
    threshold = call["threshold_abs" if "threshold_abs" in call.params else "threshold"]
    relative = call["threshold_rel"]
    if threshold is None or relative is not None:
        low, high = yield from extremes
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


def _limited(
    call: Call, places: np.ndarray, values: np.ndarray, most: float, p_norm: float
) -> np.ndarray:
    """Return the brightest of all labels' peaks where there are too many."""
    if len(places) <= most:
        return places
    raster = np.ravel_multi_index(tuple(places.T), call.shape)
    _, first = np.unique(raster, return_index=True)
    order = first[np.argsort(-values[first], kind="stable")]
    return spaced_peaks(places[order], call["min_distance"], most, p_norm)


# -- corners ---------------------------------------------------------------------------------------


def _corner_peaks(call: Call) -> Plan:
    """Do what scikit-image's `corner_peaks` does with the peaks it finds without a number."""
    coords = yield from _peaks(call, np.inf, np.inf)
    most = None if np.isinf(call["num_peaks"]) else call["num_peaks"]
    if len(coords):
        tree = cKDTree(coords)
        rejected: set[int] = set()
        for number, point in enumerate(coords):
            if number not in rejected:
                near = tree.query_ball_point(point, r=call["min_distance"], p=call["p_norm"])
                near.remove(number)
                rejected.update(near)
        coords = np.delete(coords, tuple(rejected), axis=0)[:most]
    if call["indices"]:
        return Value(coords)
    peaks = np.zeros(call.shape, bool)
    peaks[tuple(coords.T)] = True
    return handed_out(call, peaks)


def _is_mask(call: Call) -> bool:
    """Return whether the corners are wanted as a mask."""
    return not call.params.get("indices", True)


def _output(call: Call) -> Output:
    return Output.MASK if _is_mask(call) else Output.POINTS


def _dtype(call: Call) -> Any:
    return np.bool_ if _is_mask(call) else np.intp


def _shape(call: Call) -> tuple[int, ...] | None:
    return call.shape if _is_mask(call) else None


def _plan(call: Call) -> Plan:
    return Value((yield from _peaks(call, call["num_peaks"], call["p_norm"])))


def _check(call: Call) -> None:
    labels = call["labels"]
    if labels is not None and not np.can_cast(labels.dtype, np.intp, "safe"):
        raise InvalidImage(
            f"{call.operation.name}: labels has type {labels.dtype}: expected integers of at most "
            "64 bits with a sign. Convert them first."
        )


def _operation(
    name: str,
    family: families.Family,
    plan_of: Callable[[Call], Plan],
    specs: Mapping[str, Spec] | None = None,
    note: str = "",
) -> Operation:
    return Operation(
        name=f"feature.{name}",
        family=family,
        kind=Kind.STATISTIC,
        specs={
            "min_distance": Number(minimum=0, integer=True, length=True, usual=(1, 8)),
            "threshold_abs": Number(optional=True, usual=(0, 1)),
            "threshold_rel": Number(optional=True, usual=(0, 1)),
            "exclude_border": Border(),
            **(specs or {}),
            "num_peaks": Most(usual=(0, 50)),
            "footprint": Footprint(optional=True, sequences=False, advanced=True),
            "labels": AlignedImage(role="labels", advanced=True),
            "num_peaks_per_label": Most(usual=(0, 5), advanced=True),
            "p_norm": Number(minimum=1, usual=(1, 3), advanced=True),
        },
        result=ResultSpec(output=Output.POINTS, output_of=_output, dtype=_dtype, shape=_shape),
        neighbourhood=Neighbourhood(halo=_halo),
        plan_of=plan_of,
        limits=Limits(dtypes="uif", check=_check),
        cost=Cost(memory=6.0),
        note=note,
    )


OPERATIONS = (
    _operation("peak_local_max", families.BLOBS, _plan),
    _operation(
        "corner_peaks",
        families.CORNERS,
        _corner_peaks,
        specs={"indices": Flag(advanced=True)},
        note="indices=False gives a mask, which is kept in memory.",
    ),
)
