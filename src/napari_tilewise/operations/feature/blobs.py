"""`skimage.feature`, blobs: peaks in space and scale, pruned once over the whole image.

scikit-image stores an image for every scale and searches all of them at once for peaks. A peak
depends on the neighbouring pixels at the neighbouring scales only: a tile computes the scales one
by one and holds three. Overlapping blobs are pruned from the list of all peaks, in scikit-image's
order.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.feature.candidates import Candidates
from napari_tilewise.operations.feature.peaks import Border, inside_border, threshold_of
from napari_tilewise.operations.feature.tensors import box_halo
from napari_tilewise.operations.shared.common import as_float, gaussian_radius, kernel_length
from napari_tilewise.operations.shared.prefix_sums import (
    PrefixSums,
    gather_prefix_sums,
    largest_band,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.measuring.calibration import PixelLengths, coordinates
from napari_tilewise.operations.spec.measuring.quantities import LENGTH, Quantity, position
from napari_tilewise.operations.spec.operation import (
    SLOW_AT_ONCE,
    AsStep,
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
from napari_tilewise.operations.spec.parameters import Flag, Number, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import Parameters

    Layers = Callable[[Block], Iterator[np.ndarray]]
    """Yields the images of a block's region, one per scale."""


PRUNING = 340
"""Bytes per peak while scikit-image prunes, with a view of each row: 331 measured."""
PAIR = 250
"""Bytes per pair of peaks that may overlap: Python objects in a set, then an array. 100 to 163
measured; up to 223 where the set has just grown."""

# -- peaks of a stack of scales --------------------------------------------------------------------


class _Peaks(Candidates):
    """Peaks in space and scale. Pruning needs all of them at once: they never go to disk."""

    spills = False
    overhead = PRUNING


@dataclass(frozen=True)
class _Blobs:
    """Peaks in scikit-image's order, and the bytes that pruning takes."""

    coordinates: np.ndarray
    nbytes: int


def _with_pairs(peaks: _Peaks, scales: np.ndarray) -> _Blobs:
    """Return peaks with what pruning takes: scikit-image lists all pairs that may overlap."""
    (coordinates,) = peaks.coordinates()
    if peaks.flat or not len(coordinates):
        return _Blobs(coordinates[:0], 0)
    places = coordinates[:, :-1]
    farthest = 2 * float(scales[coordinates[:, -1]].max()) * math.sqrt(places.shape[1])
    tree = cKDTree(places)
    pairs = (int(tree.count_neighbors(tree, farthest)) - len(places)) // 2
    return _Blobs(coordinates, len(places) * PRUNING + pairs * PAIR)


def _space_and_scale_peaks(
    call: Call, layers: Layers, scales: np.ndarray, halo: HaloLike, border: tuple[int, ...]
) -> Passes[np.ndarray]:
    """Return the result of `peak_local_max` on the stack of all scales, the scale as last axis."""
    count = len(scales)
    threshold = yield from threshold_of(call, _reduce_extremes(call, layers, halo))
    single = count == 1 and call.shape == (1,) * call.ndim
    shape = (*call.shape, count)

    def tile_candidates(block: Block) -> Candidates:
        scale_candidates = []
        for scale, (layer, largest) in enumerate(_neighbourhoods(call, layers(block))):
            pixels = layer[block.core]
            is_peak = pixels == largest[block.core]
            is_flat = bool(is_peak.all()) and not single
            is_peak &= pixels > threshold
            is_peak &= inside_border(block, call.shape, border)
            start = [*(s.start for s in block.tile), scale]
            peaks = _Peaks.from_mask(
                is_peak[..., None], pixels[..., None], start, shape, flat=is_flat
            )
            scale_candidates.append(peaks)
        return reduce(_Peaks.extend, scale_candidates)

    blobs: _Blobs = yield Reduce(
        tile_candidates,
        _Peaks.extend,
        halo=halo,
        finish=partial(_with_pairs, scales=scales),
        description="peaks in space and scale",
        form="blobs",
    )
    return blobs.coordinates


def _neighbourhoods(
    call: Call, layers: Iterable[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield every layer with the largest value around each pixel, in it and adjacent layers."""
    window: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=3)

    def neighbourhood(index: int) -> tuple[np.ndarray, np.ndarray]:
        largest = window[0][1]
        for _, maximum in list(window)[1:]:
            largest = np.maximum(largest, maximum)
        return window[index][0], largest

    for layer in layers:
        if np.isnan(layer).any():
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN or infinite values, which SciPy's "
                "running maxima carry from where the filter begins: expected finite ones. Replace "
                "them first, for example with numpy.nan_to_num."
            )
        window.append((layer, ndi.maximum_filter(layer, size=3, mode="nearest")))
        if len(window) > 1:
            yield neighbourhood(len(window) - 2)
    if len(window) == 3:
        window.popleft()
    yield neighbourhood(len(window) - 1)


def _reduce_extremes(call: Call, layers: Layers, halo: HaloLike) -> Passes[Any]:
    def tile_extremes(block: Block) -> tuple[Any, Any]:
        cores = (layer[block.core] for layer in layers(block))
        ends = [(core.min(), core.max()) for core in cores]
        return min(low for low, _ in ends), max(high for _, high in ends)

    extremes = yield Reduce(
        tile_extremes,
        lambda a, b: (min(a[0], b[0]), max(a[1], b[1])),
        halo=halo,
        description="range of all scales",
    )
    return extremes


def _pruned_blobs(call: Call, peaks: np.ndarray, scales: np.ndarray, dtype: Any) -> np.ndarray:
    """Return scikit-image's blobs for the peaks: coordinates and scales, without overlaps."""
    isotropic = _is_isotropic(call)
    if peaks.size == 0:
        return np.empty((0, call.ndim + (1 if isotropic else call.ndim)))
    widths = scales[peaks[:, -1]]
    if isotropic:
        widths = widths[:, 0:1]
    blobs = np.hstack([peaks.astype(dtype)[:, :-1], widths])
    prune = reach("feature.blob", "_prune_blobs")
    return np.asarray(prune(blobs, call["overlap"], sigma_dim=widths.shape[1]))


def _is_isotropic(call: Call) -> bool:
    return bool(np.isscalar(call["max_sigma"]) and np.isscalar(call["min_sigma"]))


def _border(call: Call) -> tuple[int, ...]:
    """Return the width of the excluded border per axis; for blobs True means one pixel."""
    return tuple(int(width) for width in call.per_axis(call["exclude_border"]))


def _sigma_range(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest scale along every axis, rounded as in scikit-image."""
    dtype = as_float(call)
    low, high = (
        np.array(call.per_axis(call[name]), dtype=dtype) for name in ("min_sigma", "max_sigma")
    )
    return low, high


# -- Laplacian and difference of Gaussians ---------------------------------------------------------


def _as_float_image(call: Call, block: Block) -> np.ndarray:
    return np.asarray(img_as_float(block.data).astype(as_float(call), copy=False))


def _log_scales(call: Call) -> Any:
    low, high = _sigma_range(call)
    if call["log_scale"]:
        return np.logspace(np.log10(low), np.log10(high), call["num_sigma"])
    return np.linspace(low, high, call["num_sigma"])


def _log_halo(call: Call) -> HaloLike:
    return _reach(_log_scales(call).max(axis=0))


def _reach(sigmas: Sequence[float]) -> HaloLike:
    """Return the reach of Gaussians, plus one pixel that peaks are compared with."""
    return [gaussian_radius(sigma) + 1 for sigma in sigmas]


def _log(call: Call) -> Plan:
    scales = _log_scales(call)

    def layers(block: Block) -> Iterator[np.ndarray]:
        image = _as_float_image(call, block)
        for sigma in scales:
            layer = -ndi.gaussian_laplace(image, sigma) * np.mean(sigma) ** 2
            yield layer.astype(image.dtype, copy=False)

    peaks = yield from _space_and_scale_peaks(call, layers, scales, _log_halo(call), _border(call))
    return Value(_pruned_blobs(call, peaks, scales, as_float(call)))


def _check_log(call: Call) -> None:
    if call["log_scale"] and np.min(call["min_sigma"]) <= 0:
        raise InvalidParameter(
            f"{call.operation.name}: min_sigma={call['min_sigma']!r} with log_scale=True: expected "
            "min_sigma > 0."
        )


def _dog_count(call: Call) -> int:
    low, high = _sigma_range(call)
    return int(np.mean(np.log(high / low) / np.log(call["sigma_ratio"]) + 1))


def _dog_scales(call: Call) -> np.ndarray:
    low, _ = _sigma_range(call)
    return np.array([low * call["sigma_ratio"] ** i for i in range(_dog_count(call) + 1)])


def _dog_halo(call: Call) -> HaloLike:
    return _reach(_dog_scales(call)[-1]) if _dog_count(call) >= 0 else 0


def _dog(call: Call) -> Plan:
    scales, dtype = _dog_scales(call), as_float(call)
    factor = 1 / (call["sigma_ratio"] - 1)

    def layers(block: Block) -> Iterator[np.ndarray]:
        image = _as_float_image(call, block)
        gaussian = reach("_shared.filters", "gaussian")
        previous = gaussian(image, sigma=scales[0], mode="reflect")
        for sigma in scales[1:]:
            smoothed = gaussian(image, sigma=sigma, mode="reflect")
            layer = (previous - smoothed).astype(dtype, copy=False)
            layer *= factor
            yield layer
            previous = smoothed

    if len(scales) == 1:
        return Value(_pruned_blobs(call, np.empty((0, call.ndim + 1), np.intp), scales, dtype))
    peaks = yield from _space_and_scale_peaks(
        call, layers, scales[:-1], _dog_halo(call), _border(call)
    )
    return Value(_pruned_blobs(call, peaks, scales, dtype))


def _check_dog(call: Call) -> None:
    if _dog_count(call) < 0 or (_dog_count(call) == 0 and _needs_range(call)):
        raise InvalidParameter(
            f"{call.operation.name}: max_sigma={call['max_sigma']!r} is below min_sigma="
            f"{call['min_sigma']!r}: expected max_sigma >= min_sigma."
        )


def _needs_range(call: Call) -> bool:
    return call["threshold"] is None or call["threshold_rel"] is not None


# -- determinant of the Hessian --------------------------------------------------------------------


def _doh_scales(call: Call) -> np.ndarray:
    low, high = call["min_sigma"], call["max_sigma"]
    if call["log_scale"]:
        return np.logspace(math.log(low, 10), math.log(high, 10), call["num_sigma"])
    return np.linspace(low, high, call["num_sigma"])


def _doh_halo(call: Call) -> HaloLike:
    half_before, half_after = box_halo(float(_doh_scales(call).max()))
    return [(half_before + 1, half_after + 1)] * 2


def _doh(call: Call) -> Plan:
    scales, dtype = _doh_scales(call), as_float(call)
    halo = _doh_halo(call)
    sums: PrefixSums = yield from gather_prefix_sums(call, halo)

    def layers(block: Block) -> Iterator[np.ndarray]:
        integral = sums.of(block)
        determinant = reach("feature._hessian_det_appx", "_hessian_matrix_det")
        for sigma in scales:
            yield np.asarray(determinant(integral, sigma), dtype=dtype)

    peaks = yield from _space_and_scale_peaks(call, layers, scales, halo, (0, 0))
    if peaks.size == 0:
        return Value(np.empty((0, 3)))
    blobs = peaks.astype(np.float64)
    blobs[:, -1] = scales[peaks[:, -1]]
    return Value(np.asarray(reach("feature.blob", "_prune_blobs")(blobs, call["overlap"])))


def _check_doh(call: Call) -> None:
    if int(3 * min(call["min_sigma"], call["max_sigma"])) < 1:
        raise InvalidParameter(
            f"{call.operation.name}: min_sigma={call['min_sigma']!r}: expected at least 1/3, "
            "because scikit-image divides by the width of a box of int(3 * sigma) pixels."
        )


SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0.5, 5))
POSITIVE = replace(SIGMA, exclusive=True)
COUNT = Number(integer=True, minimum=1, maximum=2**16, usual=(1, 6))


def _specs(sigma: Spec, between: Mapping[str, Spec], last: Mapping[str, Spec]) -> dict[str, Spec]:
    """Return the parameters in scikit-image's order."""
    return {
        "min_sigma": sigma,
        "max_sigma": sigma,
        **between,
        "threshold": Number(optional=True, usual=(0, 0.5)),
        "overlap": Number(minimum=0, maximum=1, usual=(0, 1)),
        **last,
    }


LAST_SPECS: Mapping[str, Spec] = {
    "threshold_rel": Number(optional=True, usual=(0, 1), advanced=True),
    "exclude_border": Border(advanced=True),
}
LOG_SCALE: Mapping[str, Spec] = {"log_scale": Flag(advanced=True)}


def _radius(sigmas: np.ndarray, ndim: int) -> np.ndarray:
    """Return the radii of blobs from their standard deviations, as scikit-image states them."""
    return np.asarray(np.sqrt(ndim) * sigmas.mean(axis=1))


def _doh_radius(sigmas: np.ndarray, ndim: int) -> np.ndarray:
    return np.asarray(sigmas.mean(axis=1))


def _numbers(scales: Callable[[Call], np.ndarray]) -> Callable[[Call], int]:
    """Return what peaks and pairs of those that may overlap take per pixel, at their densest.

    A peak is the largest of three pixels along each axis, and of three scales.
    """

    def most(call: Call) -> int:
        sigmas = scales(call)
        area = 3**call.ndim / -(-len(sigmas) // 3)
        farthest = 2 * float(np.max(sigmas)) * math.sqrt(call.ndim)
        near = min(prod(call.spatial_shape), (2 * farthest + 1) ** call.ndim) / area
        return int((PRUNING + PAIR / 2 * near) / area)

    return most


BLOBS = ResultSpec(
    output=Output.POINTS,
    dtype=lambda call: np.float64,
    shape=lambda call: None,
)


def _columns(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return what blobs are: their standard deviations are one, or one per axis."""
    centers = coordinates(params, ndim)
    if max(np.ndim(params["min_sigma"]), np.ndim(params["max_sigma"])) == 0:
        return {**centers, "sigma": LENGTH}
    return {**centers, **{f"sigma-{axis}": position(axis, ndim) for axis in range(ndim)}}


SIGMAS = PixelLengths(columns=_columns, rows=True)
SHOWN = AsStep(radius=_radius, calibration=SIGMAS)

OPERATIONS = (
    Operation(
        name="feature.blob_dog",
        title="Blobs (difference of Gaussians)",
        family=families.BLOBS,
        kind=Kind.STATISTIC,
        specs=_specs(
            POSITIVE,
            {"sigma_ratio": Number(minimum=1, exclusive=True, finite=True, usual=(1.2, 2))},
            LAST_SPECS,
        ),
        result=BLOBS,
        step=SHOWN,
        neighbourhood=Neighbourhood(halo=_dog_halo),
        plan_of=_dog,
        limits=Limits(check=_check_dog),
        cost=Cost(
            numbers=_numbers(_dog_scales),
            memory=16.0,
            largest_region=kernel_length,
            at_once=SLOW_AT_ONCE,
        ),
    ),
    Operation(
        name="feature.blob_log",
        title="Blobs (Laplacian of Gaussian)",
        family=families.BLOBS,
        kind=Kind.STATISTIC,
        specs=_specs(SIGMA, {"num_sigma": COUNT}, {**LOG_SCALE, **LAST_SPECS}),
        result=BLOBS,
        step=SHOWN,
        neighbourhood=Neighbourhood(halo=_log_halo),
        plan_of=_log,
        limits=Limits(check=_check_log),
        cost=Cost(
            numbers=_numbers(_log_scales),
            memory=14.0,
            largest_region=kernel_length,
            at_once=SLOW_AT_ONCE,
        ),
    ),
    Operation(
        name="feature.blob_doh",
        title="Blobs (determinant of Hessian)",
        family=families.BLOBS,
        kind=Kind.STATISTIC,
        specs=_specs(
            replace(SIGMA, per_axis=False),
            {"num_sigma": COUNT},
            {**LOG_SCALE, "threshold_rel": LAST_SPECS["threshold_rel"]},
        ),
        result=BLOBS,
        step=AsStep(radius=_doh_radius, calibration=SIGMAS),
        neighbourhood=Neighbourhood(halo=_doh_halo),
        plan_of=_doh,
        limits=Limits(ndim=(2, 2), check=_check_doh),
        cost=Cost(
            numbers=_numbers(_doh_scales),
            largest_region=largest_band,
            memory=14.0,
            at_once=SLOW_AT_ONCE,
        ),
    ),
)
