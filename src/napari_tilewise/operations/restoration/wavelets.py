"""`skimage.restoration`, wavelets: noise is estimated from the finest details and thresholded.

The noise level and the size of the details of each level are properties of the whole image: medians
and means of coefficients, which reductions compute bit for bit. Thresholding is then pointwise, and
a tile needs the coefficients around it, on a grid of two to the number of levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter, MissingExtra
from napari_tilewise.grid import LazySequence, clip, grow, size
from napari_tilewise.grid import whole as whole_region
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.percentiles import ranked
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.deviation import SWAPPED_SINGLE
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Accuracy,
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
    Tiles,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Either, Flag, Number, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

WAVELETS = (
    "haar",
    *(f"db{n}" for n in range(1, 39)),
    *(f"sym{n}" for n in range(2, 21)),
    *(f"coif{n}" for n in range(1, 18)),
    *(
        f"{kind}{order}"
        for kind in ("bior", "rbio")
        for order in (1.1, 1.3, 1.5, 2.2, 2.4, 2.6, 2.8, 3.1, 3.3, 3.5, 3.7, 3.9, 4.4, 5.5, 6.8)
    ),
    "dmey",
)
"""The names in `pywt.wavelist(kind="discrete")`."""


def _pywt(call: Call) -> Any:
    try:
        return import_module("pywt")
    except ImportError as error:
        raise MissingExtra(
            f"{call.operation.name} needs PyWavelets, which is not installed: "
            "pip install 'napari-tilewise[wavelets]'."
        ) from error


def _plane(block: Block, call: Call, channel: int) -> np.ndarray:
    """Return one channel of a block."""
    if call.channel_axis is None:
        return block.data
    return np.ascontiguousarray(np.take(block.data, channel, axis=call.channel_axis))


def _channels(call: Call) -> int:
    return 1 if call.channel_axis is None else call.shape[call.channel_axis]


# -- noise -----------------------------------------------------------------------------------------


def _finest(call: Call, plane: np.ndarray, block: Block, wavelet: Any) -> np.ndarray:
    """Return the finest diagonal coefficients that start in a block's tile."""
    trimmed, tile_spans = [], []
    for tile, region, n in zip(block.tile, block.region, call.spatial_shape, strict=True):
        shift = region.start % 2
        first_index = (region.start + shift) // 2
        count = (n + wavelet.dec_len - 1) // 2
        stop_index = count if tile.stop == n else -(-tile.stop // 2)
        trimmed.append(slice(shift, None))
        tile_spans.append(slice(-(-tile.start // 2) - first_index, stop_index - first_index))
    coefficients = _pywt(call).dwtn(plane[tuple(trimmed)], wavelet)
    return np.asarray(coefficients["d" * call.ndim][tuple(tile_spans)])


def _reduce_noise(
    call: Call, channel: int, wavelet: Any, pixels: Callable[[np.ndarray], np.ndarray]
) -> Passes[Any]:
    """Return the estimate of `_sigma_est_dwt`: the scaled median magnitude of nonzero details.

    `pixels` converts the image as the function does.
    """
    halo = wavelet.dec_len + 1

    def magnitudes(block: Block) -> np.ndarray:
        details = _finest(call, pixels(_plane(block, call, channel)), block, wavelet)
        return np.asarray(np.abs(details[np.nonzero(details)]))

    dtype: np.dtype[Any] = np.dtype(as_float(call))
    count = yield Reduce(
        of=lambda block: magnitudes(block).size,
        merge=lambda a, b: a + b,
        halo=halo,
        description="details",
    )
    median = None
    if count:
        ranks = sorted({(count - 1) // 2, count // 2})
        median = yield from ranked(magnitudes, ranks, dtype, halo)
    return (dtype.type(np.nan) if median is None else np.mean(median)) / ndtri(0.75)


def _estimate(call: Call) -> Plan:
    wavelet = _pywt(call).Wavelet("db2")
    sigmas = []
    for channel in range(_channels(call)):
        sigma = yield from _reduce_noise(call, channel, wavelet, lambda plane: plane)
        sigmas.append(sigma)
    if call.channel_axis is None:
        return Value(sigmas[0])
    return Value(np.mean(sigmas) if call["average_sigmas"] else sigmas)


def _estimate_shape(call: Call) -> tuple[int, ...] | None:
    return () if call.channel_axis is None or call["average_sigmas"] else None


# -- denoising -------------------------------------------------------------------------------------


def _wavelet(call: Call) -> Any:
    return _pywt(call).Wavelet(call["wavelet"])


def _levels(call: Call) -> int:
    if call["wavelet_levels"] is not None:
        return int(call["wavelet_levels"])
    return max(int(_pywt(call).dwtn_max_level(call.spatial_shape, _wavelet(call))) - 3, 1)


def _width(call: Call) -> int:
    """Return the wavelet's length, analysis or synthesis."""
    wavelet = _wavelet(call)
    return int(max(wavelet.dec_len, wavelet.rec_len))


def _reach(call: Call) -> int:
    """Return the reach of a pixel's coefficients beyond the grid; 0 for wavelets of length 2."""
    width = _width(call)
    return 0 if width == 2 else width * 2 ** _levels(call)


def _is_whole(call: Call) -> bool:
    """Return whether a tile would need most of the image, or colours are converted first."""
    if call["convert2ycbcr"]:
        return True
    needed = 2 ** _levels(call) + 2 * _reach(call)
    return all(2 * needed > n for n in call.spatial_shape)


def _halo(call: Call) -> HaloLike:
    """Return the reach plus the alignment to the grid."""
    return call.spatial_shape if _is_whole(call) else _reach(call) + 2 ** _levels(call) - 1


def _check(call: Call) -> None:
    name = call.operation.name
    _pywt(call)
    sigma = call["sigma"]
    if np.ndim(sigma) and (call.channel_axis is None or len(sigma) != _channels(call)):
        raise InvalidParameter(
            f"{name}: sigma={sigma!r}: expected one number, or one per channel of an image with "
            "channel_axis."
        )
    if call["convert2ycbcr"] and call.channel_axis is None:
        raise InvalidParameter(f"{name}: convert2ycbcr=True needs channel_axis to be set.")
    if call.dtype.kind == "b" and call["rescale_sigma"]:
        raise InvalidImage(
            f"{name}: a bool image has no range to rescale sigma by: expected another dtype, or "
            "rescale_sigma=False."
        )


def _pixels(call: Call, data: np.ndarray) -> np.ndarray:
    image = data if call.dtype.kind == "f" else img_as_float(data)
    return np.asarray(image.astype(as_float(call), copy=False))


def _denoise(call: Call) -> Plan:
    if _is_whole(call):
        return (yield from whole(call))
    wavelet, levels = _wavelet(call), _levels(call)
    low, sigmas = yield from _scale_sigmas(call)
    thresholds = []
    for channel, sigma in enumerate(sigmas):
        if sigma is None:
            sigma = yield from _reduce_noise(
                call, channel, wavelet, lambda plane: _pixels(call, plane)
            )
        if call["method"] == "VisuShrink":
            thresholds.append(sigma * np.sqrt(2 * np.log(prod(call.spatial_shape))))
            continue
        level_thresholds = []
        for level in range(levels, 0, -1):
            means = yield from _reduce_mean_squares(call, channel, level)
            level_thresholds.append({key: _bayes(mean, sigma**2) for key, mean in means.items()})
        thresholds.append(level_thresholds)
    shrink_details = reach("restoration._denoise", "_wavelet_threshold")
    limits = None if call.dtype.kind == "f" else (-1, 1) if low < 0 else (0, 1)

    def compute(block: Block) -> np.ndarray:
        planes = [
            shrink_details(
                _pixels(call, _plane(block, call, channel)),
                call["wavelet"],
                threshold=threshold,
                sigma=1.0,  # unused, but without it the function would estimate sigma
                mode=call["mode"],
                wavelet_levels=levels,
            )
            for channel, threshold in enumerate(thresholds)
        ]
        axis = call.channel_axis
        out = planes[0] if axis is None else np.stack(planes, axis=axis)
        return np.asarray(out if limits is None else np.clip(out, *limits))

    return Tiles(compute, halo=_reach(call), align=(2**levels,) * call.ndim)


def _scale_sigmas(call: Call) -> Passes[tuple[Any, list[Any]]]:
    """Return the smallest pixel, and each channel's sigma scaled as the conversion to float."""
    count, sigma_value = _channels(call), call["sigma"]
    sigmas = list(sigma_value) if np.ndim(sigma_value) else [sigma_value] * count
    if call.dtype.kind == "f":
        return 0, sigmas
    low, high = yield from global_numbers.extremes(call)
    if call["rescale_sigma"]:
        float_range = np.ptp(img_as_float(np.array([low, high])))
        with np.errstate(all="ignore"):
            factor = float_range / (high - low)
            sigmas = [sigma if sigma is None else sigma * factor for sigma in sigmas]
    return low, sigmas


def _bayes(mean: Any, variance: Any) -> Any:
    """Return the threshold of `_bayes_thresh` for the mean of the squared details."""
    return variance / np.sqrt(max(mean - variance, np.finfo(mean.dtype).eps))


# -- means of details ------------------------------------------------------------------------------


def _summing_runs(call: Call, level: int) -> tuple[tuple[int, ...], Sequence[tuple[int, int]]]:
    """Return the shape of a level's coefficients, and the runs in which NumPy sums them."""
    length = _wavelet(call).dec_len
    shape = call.spatial_shape
    for _ in range(level):
        shape = tuple((n + length - 1) // 2 for n in shape)
    return shape, global_numbers.cuts_of(prod(shape), global_numbers.PIECE >> (call.ndim * level))


def _boxes(call: Call, level: int) -> tuple[Sequence[Region], Sequence[Region]]:
    """Return the runs as boxes of coefficients, and the boxes of pixels that they depend on."""
    shape, cuts = _summing_runs(call, level)
    coefficients = global_numbers.bands(shape, cuts)
    scale, margin = 2**level, 2 * _width(call) * 2**level

    def pixels(number: int) -> Region:
        box = tuple(slice(s.start * scale, s.stop * scale) for s in coefficients[number])
        return clip(grow(box, ((margin, margin),) * call.ndim), call.spatial_shape)

    return coefficients, LazySequence(len(cuts), pixels)


def _reduce_mean_squares(call: Call, channel: int, level: int) -> Passes[dict[str, Any]]:
    """Return the mean of the squared details of a level, in NumPy's order of summation."""
    shape, cuts = _summing_runs(call, level)
    boxes, pixels = _boxes(call, level)
    wavelet = _wavelet(call)

    def run_sums(block: Block) -> _DetailSums:
        index = block.position[0]
        plane = _pixels(call, _plane(block, call, channel))
        details = _pywt(call).wavedecn(plane, wavelet, level=level)[1]
        box = tuple(
            slice(s.start - (r.start >> level), s.stop - (r.start >> level))
            for s, r in zip(boxes[index], block.region, strict=True)
        )
        corner = int(np.ravel_multi_index([s.start for s in boxes[index]], shape))
        run = slice(cuts[index][0] - corner, cuts[index][1] - corner)
        sums = {}
        for key, values in details.items():
            run_details = np.ascontiguousarray(values[box])
            sums[key] = np.sum((run_details * run_details).reshape(-1)[run])
        run_totals = global_numbers.CutSums(prod(shape), cuts[index], list(sums.values()))
        return _DetailSums(tuple(sums), run_totals)

    totals = yield Reduce(
        run_sums, _DetailSums.extend, regions=pixels, finish=_DetailSums.totals,
        description=f"details of level {level}", form="joined",
    )  # fmt: skip
    count = np.intp(prod(shape))
    return {key: total.dtype.type(total / count) for key, total in totals.items()}


@dataclass
class _DetailSums:
    """Sums over the details of each direction, by its name."""

    keys: tuple[str, ...]
    sums: global_numbers.CutSums

    def extend(self, other: _DetailSums) -> _DetailSums:
        """Add the sums of the next run."""
        self.sums.extend(other.sums)
        return self

    def totals(self) -> dict[str, Any]:
        """Return the sums of all runs."""
        return dict(zip(self.keys, self.sums.totals(), strict=True))


def _largest(call: Call) -> int:
    """Return the pixels of the largest box that is read at once."""
    if _is_whole(call):
        return size(whole_region(call.spatial_shape))
    if call["method"] == "VisuShrink":
        return 0
    return max(
        size(box) for level in range(1, _levels(call) + 1) for box in _boxes(call, level)[1][:2]
    )


OPERATIONS = (
    Operation(
        name="restoration.denoise_wavelet",
        family=families.DENOISING,
        kind=Kind.STATISTIC,
        accuracy=Accuracy(deviations=(SWAPPED_SINGLE,)),
        specs={
            "sigma": Either(
                options=(
                    Number(minimum=0, usual=(0.01, 0.3)),
                    Numbers(item=Number(minimum=0, usual=(0.01, 0.3))),
                ),
                optional=True,
            ),
            "wavelet": ChoiceSpec(choices=WAVELETS),
            "mode": ChoiceSpec(choices=("soft", "hard")),
            "wavelet_levels": Number(
                minimum=1, maximum=64, integer=True, optional=True, usual=(1, 3)
            ),
            "convert2ycbcr": Flag(advanced=True),
            "method": ChoiceSpec(choices=("BayesShrink", "VisuShrink")),
            "rescale_sigma": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_halo),
        result=ResultSpec(dtype=as_float),
        plan_of=_denoise,
        limits=Limits(check=_check),
        cost=Cost(
            largest_region=_largest, memory=10.0, at_once=SMALL_WHOLE._replace(function=2**22)
        ),
        note="Needs PyWavelets. With the default number of levels a tile needs a large part of the "
        "image; about wavelet_levels=3 needs little. The whole image is read at once if it is "
        "small for its number of levels, and with convert2ycbcr.",
    ),
    Operation(
        name="restoration.estimate_sigma",
        title="Noise estimate",
        family=families.DENOISING,
        kind=Kind.STATISTIC,
        accuracy=Accuracy(deviations=(SWAPPED_SINGLE,)),
        specs={"average_sigmas": Flag(), "channel_axis": CHANNEL},
        result=ResultSpec(
            output=Output.SCALAR, dtype=lambda call: np.float64, shape=_estimate_shape
        ),
        neighbourhood=Neighbourhood(halo=lambda call: 5),
        plan_of=_estimate,
        limits=Limits(check=lambda call: _pywt(call) and None),
        cost=Cost(memory=6.0, at_once=SMALL_WHOLE._replace(function=2**22)),
        note="Needs PyWavelets.",
    ),
)
