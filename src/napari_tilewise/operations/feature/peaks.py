"""`skimage.feature`, peaks: candidates from tiles, chosen once over the whole image.

A tile contributes the pixels that are the largest in their neighbourhood. All steps that depend on
the whole image work on their list, in scikit-image's order: no peaks if every pixel is a maximum,
the excluded border, the sort by brightness, the spacing, the number of peaks. Peaks within labels
are searched in every label's box; see `labelled_peaks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.feature.candidates import (
    ORDERING,
    Candidates,
    CornerSpacing,
    PeakSpacing,
    Rule,
    finished,
    spaced_peaks,
)
from napari_tilewise.operations.feature.labelled_peaks import labelled_peaks
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.stored_columns import Column, StoredColumn, row_groups
from napari_tilewise.operations.shared.whole import handed_out
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import IN_PIXELS
from napari_tilewise.operations.spec.operation import (
    Adapter,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    OnDisk,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, Flag, Footprint, Number, Spec
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.operations.spec.value_specs import Factors


HIGHEST = "scipy.ndimage.maximum_filter"
"""The function that finds the largest pixel of each neighbourhood."""


SMALL = 2**14
"""Pixels that the function takes in the time that its passes need for one tile."""
BORDER_WIDTH = Number(minimum=0, integer=True, per_axis=True, length=True)


@dataclass(frozen=True, kw_only=True)
class Border(Flag):
    """True, False, or a width in pixels, either one number or one per spatial axis."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if isinstance(value, bool | np.bool_):
            return bool(value)
        return BORDER_WIDTH.check(name, value, ndim)

    def scaled(self, value: Any, factors: Factors) -> Any:
        """Return a width in larger pixels; True and False as they are."""
        is_width = not isinstance(value, bool | np.bool_)
        return BORDER_WIDTH.scaled(value, factors) if is_width else value

    def describe(self) -> str:
        """Return the expected values in words."""
        return "True, False, or a width in pixels, either one number or one per spatial axis"


@dataclass(frozen=True, kw_only=True)
class MaxCount(Number):
    """A largest number of peaks; infinity means all."""

    integer: bool = True
    minimum: float = 0

    def _check_number(self, name: str, value: Any) -> Any:
        if isinstance(value, float) and value == np.inf:
            return value
        return super()._check_number(name, value)


# -- peaks of the whole image ----------------------------------------------------------------------


def footprint_of(call: Call) -> np.ndarray:
    """Return the neighbourhood in which a peak is the largest pixel."""
    if call["footprint"] is None:
        # A neighbourhood as large as the image is that of any larger distance.
        distance = min(int(call["min_distance"]), max(call.spatial_shape, default=0))
        return np.ones((2 * distance + 1,) * call.ndim, bool)
    return np.asarray(call["footprint"])


def _halo(call: Call) -> HaloLike:
    if call["footprint"] is None:
        halo = [(int(call["min_distance"]),) * 2] * call.ndim
    else:
        halo = [(n // 2, n - 1 - n // 2) for n in footprint_of(call).shape]
    if call["labels"] is None:
        return halo
    # Labels whose pixels are all peaks keep those that an opening removes, which has a reach of 2.
    return [(max(2, lo), max(2, hi)) for lo, hi in halo]


def _border(call: Call) -> tuple[int, ...]:
    width = call["exclude_border"]
    if isinstance(width, bool):
        width = int(call["min_distance"]) if width else 0
    return call.per_axis(width)


def _local_peaks(call: Call, rules: Sequence[Rule], p_norm: float) -> Passes[Column]:
    """Return the peaks that scikit-image's rules choose; on disk, where memory is too small.

    The first rule is that of `peak_local_max`.
    """
    ends = (yield from global_numbers.extremes(call)) if _needs_extremes(call) else None
    if ends is not None and ends[0] == ends[1] and _is_without_peaks(call):
        return np.empty((0, call.ndim), np.intp)
    threshold = _threshold(call, ends)
    if call["labels"] is not None:
        label_peaks = yield from labelled_peaks(
            call, footprint_of(call), threshold, _border(call), _halo(call), p_norm
        )
        peaks = _limit_peaks(call, *label_peaks, rules[0].most, p_norm)
        return _chosen(peaks, rules[1:])
    candidates = yield _reduce_candidates(call, threshold, rules)
    if isinstance(candidates, StoredColumn):
        return candidates.temporary()
    if candidates.flat:
        return np.empty((0, call.ndim), np.intp)
    (peaks,) = candidates.coordinates()
    return _chosen(peaks, rules)


def _chosen(points: np.ndarray, rules: Sequence[Rule]) -> np.ndarray:
    """Return what rules choose of points in memory, one after the other."""
    return reduce(lambda chosen, rule: rule.choose(chosen), rules, points)


def _compares_no_neighbours(call: Call, footprint: np.ndarray) -> bool:
    """Return whether all pixels above the threshold are peaks."""
    return footprint.size == 1 or call.shape == (1,) * call.ndim


def _is_without_peaks(call: Call) -> bool:
    """Return whether a constant image has no peak: each pixel is as large as its neighbours."""
    footprint = footprint_of(call)
    return (
        call["labels"] is None
        and bool(footprint.any())
        and not _compares_no_neighbours(call, footprint)
    )


def _reduce_candidates(call: Call, threshold: Any, rules: Sequence[Rule]) -> Reduce:
    footprint = footprint_of(call)
    is_trivial = _compares_no_neighbours(call, footprint)

    def tile_candidates(block: Block) -> Candidates:
        pixels = block.data[block.core]
        if is_trivial:
            is_flat, is_candidate = False, pixels > threshold
        else:
            largest = run_fastest(
                HIGHEST, ndi.maximum_filter, block.data, footprint=footprint, mode="nearest"
            )
            is_candidate = pixels == largest[block.core]
            is_flat = bool(is_candidate.all())
            is_candidate &= pixels > threshold
        is_candidate &= inside_border(block, call.shape, _border(call))
        start = [s.start for s in block.tile]
        return Candidates.from_mask(is_candidate, pixels, start, call.shape, flat=is_flat)

    return Reduce(
        tile_candidates,
        Candidates.extend,
        halo=_halo(call),
        finish=partial(finished, rules=rules),
        only_reads=True,
        description="local maxima",
        form="places",
    )


def threshold_of(call: Call, extremes: Any) -> Passes[Any]:
    """Return the result of scikit-image's `_get_threshold`.

    Parameters
    ----------
    call
        A call with `threshold_abs` (or `threshold`) and `threshold_rel`.
    extremes
        The reduction to the smallest and largest value, which runs only if needed.
    """
    return _threshold(call, (yield from extremes) if _needs_extremes(call) else None)


def _absolute_threshold(call: Call) -> Any:
    return call["threshold_abs" if "threshold_abs" in call.params else "threshold"]


def _needs_extremes(call: Call) -> bool:
    return _absolute_threshold(call) is None or call["threshold_rel"] is not None


def _threshold(call: Call, ends: tuple[Any, Any] | None) -> Any:
    """Return the threshold; `ends` are the smallest and largest value, where it needs them."""
    threshold, relative = _absolute_threshold(call), call["threshold_rel"]
    if ends is not None:
        threshold = ends[0] if threshold is None else threshold
        if relative is not None:
            threshold = max(threshold, relative * ends[1])
    return threshold


def inside_border(block: Block, shape: tuple[int, ...], border: tuple[int, ...]) -> np.ndarray:
    """Return the mask of a tile's pixels that are not in the excluded border."""
    inside = np.ones((1,) * len(shape), bool)
    for axis, (tile, width, n) in enumerate(zip(block.tile, border, shape, strict=True)):
        positions = np.arange(tile.start, tile.stop)
        line = (positions >= width) & (positions < n - width)
        inside = inside & line.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return inside


def _limit_peaks(
    call: Call, coordinates: np.ndarray, values: np.ndarray, max_count: float, p_norm: float
) -> np.ndarray:
    """Return the `max_count` brightest of all labels' peaks if there are more."""
    if len(coordinates) <= max_count:
        return coordinates
    raster = np.ravel_multi_index(tuple(coordinates.T), call.shape)
    _, first_indices = np.unique(raster, return_index=True)
    order = first_indices[np.argsort(-values[first_indices], kind="stable")]
    return spaced_peaks(coordinates[order], call["min_distance"], max_count, p_norm)


# -- corners ---------------------------------------------------------------------------------------


def _corner_peaks(call: Call) -> Plan:
    """Run the steps of scikit-image's `corner_peaks` on the unlimited list of peaks."""
    rules = [
        Rule(PeakSpacing(call["min_distance"], np.inf)),
        Rule(CornerSpacing(call["min_distance"], call["p_norm"]), call["num_peaks"]),
    ]
    coords = yield from _local_peaks(call, rules, np.inf)
    if call["indices"]:
        return Value(coords)
    peaks = np.zeros(call.shape, bool)
    for rows in row_groups(len(coords)):
        peaks[tuple(coords[rows].T)] = True
    return handed_out(call, peaks)


def _is_mask(call: Call) -> bool:
    """Return whether the result is a mask of the corners."""
    return not call.params.get("indices", True)


def _output(call: Call) -> Output:
    return Output.MASK if _is_mask(call) else Output.POINTS


def _dtype(call: Call) -> DTypeLike:
    return np.bool_ if _is_mask(call) else np.intp


def _shape(call: Call) -> tuple[int, ...] | None:
    return call.shape if _is_mask(call) else None


def _plan(call: Call) -> Plan:
    rule = Rule(PeakSpacing(call["min_distance"], call["p_norm"]), call["num_peaks"])
    return Value((yield from _local_peaks(call, [rule], call["p_norm"])))


def _check(call: Call) -> None:
    labels = call["labels"]
    if labels is not None and not np.can_cast(labels.dtype, np.intp, "safe"):
        raise InvalidImage(
            f"{call.operation.name}: labels has dtype {labels.dtype}: expected integers that fit "
            "into int64. Convert them first."
        )


def _takes_whole(call: Call) -> bool:
    """Return whether tiles cannot pay: the function looks at each label's box on its own."""
    return call["labels"] is not None or prod(call.shape) <= SMALL


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
            "threshold_abs": Number(optional=True, intensity=True, usual=(0, 1)),
            "threshold_rel": Number(optional=True, usual=(0, 1)),
            "exclude_border": Border(),
            **(specs or {}),
            "num_peaks": MaxCount(usual=(0, 50)),
            "footprint": Footprint(optional=True, sequences=False, advanced=True),
            "labels": AlignedImage(role="labels", advanced=True),
            "num_peaks_per_label": MaxCount(usual=(0, 5), advanced=True),
            "p_norm": Number(minimum=1, usual=(1, 3), advanced=True),
        },
        result=ResultSpec(output=Output.POINTS, output_of=_output, dtype=_dtype, shape=_shape),
        step=AsStep(calibration=IN_PIXELS),
        neighbourhood=Neighbourhood(halo=_halo),
        plan_of=plan_of,
        limits=Limits(dtypes="uif", check=_check),
        adapter=Adapter(kernels=(HIGHEST,)),
        cost=Cost(
            numbers=OnDisk(ORDERING + 16),
            memory=6.0,
            at_once=AtOnce(function=2**21, when=_takes_whole, passes=2**18),
        ),
        note=note,
    )


OPERATIONS = (
    replace(_operation("peak_local_max", families.BLOBS, _plan), title="Peaks (local maxima)"),
    _operation(
        "corner_peaks",
        families.CORNERS,
        _corner_peaks,
        specs={"indices": Flag(advanced=True)},
        note="With indices=False the result is a mask that is held in memory.",
    ),
)
