"""`skimage.restoration`, wavelets: noise estimated from the finest details, and thresholded away.

How much noise there is, and how large the details of each level are, are numbers of the whole
image: medians and means of coefficients, gathered to the bit. With them every coefficient is dealt
with by itself, and a tile needs those of its surroundings, on a grid of two to the levels.
"""

from __future__ import annotations

from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter, MissingExtra
from napari_tilewise.grid import clip, grow, size
from napari_tilewise.grid import whole as whole_region
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.shared.percentiles import ranked
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole
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
    Tiles,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Either, Flag, Number, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_tilewise.grid import Region

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
"""What `pywt.wavelist(kind="discrete")` names."""


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
    """Return the finest diagonal coefficients that begin in a block's tile."""
    trimmed, kept = [], []
    for tile, region, n in zip(block.tile, block.region, call.spatial_shape, strict=True):
        begin = region.start % 2
        first = (region.start + begin) // 2
        count = (n + wavelet.dec_len - 1) // 2
        last = count if tile.stop == n else -(-tile.stop // 2)
        trimmed.append(slice(begin, None))
        kept.append(slice(-(-tile.start // 2) - first, last - first))
    coefficients = _pywt(call).dwtn(plane[tuple(trimmed)], wavelet)
    return np.asarray(coefficients["d" * call.ndim][tuple(kept)])


def _noise(
    call: Call, channel: int, wavelet: Any, pixels: Callable[[np.ndarray], np.ndarray]
) -> Generator[Reduce, Any, Any]:
    """Find what `_sigma_est_dwt` estimates: the median magnitude of the details that are not 0.

    `pixels` returns the image as the function sees it.
    """
    halo = wavelet.dec_len + 1

    def magnitudes(block: Block) -> np.ndarray:
        details = _finest(call, pixels(_plane(block, call, channel)), block, wavelet)
        return np.asarray(np.abs(details[np.nonzero(details)]))

    dtype = np.dtype(as_float(call))
    count = yield Reduce(
        of=lambda block: magnitudes(block).size,
        merge=lambda a, b: a + b,
        halo=halo,
        description="details",
    )
    middle = None
    if count:
        ranks = sorted({(count - 1) // 2, count // 2})
        middle = yield from ranked(magnitudes, ranks, dtype, halo)
    return (dtype.type(np.nan) if middle is None else np.mean(middle)) / ndtri(0.75)


def _estimate(call: Call) -> Plan:
    wavelet = _pywt(call).Wavelet("db2")
    sigmas = []
    for channel in range(_channels(call)):
        sigma = yield from _noise(call, channel, wavelet, lambda plane: plane)
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
    """Return how far a pixel's coefficients reach: not at all out of the grid for Haar's two."""
    width = _width(call)
    return 0 if width == 2 else width * 2 ** _levels(call)


def _is_whole(call: Call) -> bool:
    """Tell whether a tile would need most of the image anyway, or colours are mixed first."""
    if call["convert2ycbcr"]:
        return True
    needed = 2 ** _levels(call) + 2 * _reach(call)
    return all(2 * needed > n for n in call.spatial_shape)


def _halo(call: Call) -> HaloLike:
    """Return the reach, with what the grid adds."""
    return call.spatial_shape if _is_whole(call) else _reach(call) + 2 ** _levels(call) - 1


def _check(call: Call) -> None:
    name = call.operation.name
    _pywt(call)
    given = call["sigma"]
    if np.ndim(given) and (call.channel_axis is None or len(given) != _channels(call)):
        raise InvalidParameter(
            f"{name}: sigma={given!r}: expected one number, or one per channel of an image with "
            "channel_axis."
        )
    if call["convert2ycbcr"] and call.channel_axis is None:
        raise InvalidParameter(f"{name}: convert2ycbcr=True needs channel_axis to be set.")
    if call.dtype.kind == "b" and call["rescale_sigma"]:
        raise InvalidImage(
            f"{name}: a bool image has no range to rescale sigma by: expected another type, or "
            "rescale_sigma=False."
        )


def _pixels(call: Call, data: np.ndarray) -> np.ndarray:
    image = data if call.dtype.kind == "f" else img_as_float(data)
    return np.asarray(image.astype(as_float(call), copy=False))


def _denoise(call: Call) -> Plan:
    if _is_whole(call):
        return (yield from whole(call))
    wavelet, levels = _wavelet(call), _levels(call)
    low, sigmas = yield from _scaled(call)
    thresholds = []
    for channel, sigma in enumerate(sigmas):
        if sigma is None:
            sigma = yield from _noise(call, channel, wavelet, lambda plane: _pixels(call, plane))
        if call["method"] == "VisuShrink":
            thresholds.append(sigma * np.sqrt(2 * np.log(prod(call.spatial_shape))))
            continue
        shrink = []
        for level in range(levels, 0, -1):
            means = yield from _mean_squares(call, channel, level)
            shrink.append({key: _bayes(mean, sigma**2) for key, mean in means.items()})
        thresholds.append(shrink)
    shrunk = reach("restoration._denoise", "_wavelet_threshold")
    limits = None if call.dtype.kind == "f" else (-1, 1) if low < 0 else (0, 1)

    def compute(block: Block) -> np.ndarray:
        planes = [
            shrunk(
                _pixels(call, _plane(block, call, channel)),
                call["wavelet"],
                threshold=threshold,
                sigma=1.0,  # not used, and not estimated, where the threshold is given
                mode=call["mode"],
                wavelet_levels=levels,
            )
            for channel, threshold in enumerate(thresholds)
        ]
        axis = call.channel_axis
        out = planes[0] if axis is None else np.stack(planes, axis=axis)
        return np.asarray(out if limits is None else np.clip(out, *limits))

    return Tiles(compute, halo=_reach(call), align=(2**levels,) * call.ndim)


def _scaled(call: Call) -> Generator[Reduce, Any, tuple[Any, list[Any]]]:
    """Find the smallest pixel, and scale each channel's sigma as the conversion to float does."""
    count, given = _channels(call), call["sigma"]
    sigmas = list(given) if np.ndim(given) else [given] * count
    if call.dtype.kind == "f":
        return 0, sigmas
    low, high = yield from global_numbers.extremes(call)
    if call["rescale_sigma"]:
        after = np.ptp(img_as_float(np.array([low, high])))
        with np.errstate(all="ignore"):
            factor = after / (high - low)
            sigmas = [sigma if sigma is None else sigma * factor for sigma in sigmas]
    return low, sigmas


def _bayes(mean: Any, variance: Any) -> Any:
    """Do what `_bayes_thresh` does with the mean of the squared details."""
    return variance / np.sqrt(max(mean - variance, np.finfo(mean.dtype).eps))


# -- means of details ------------------------------------------------------------------------------


def _runs(call: Call, level: int) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
    """Return the shape of a level's coefficients, and the runs NumPy sums them by."""
    length = _wavelet(call).dec_len
    shape = call.spatial_shape
    for _ in range(level):
        shape = tuple((n + length - 1) // 2 for n in shape)
    return shape, global_numbers.cuts_of(prod(shape), global_numbers.PIECE >> (call.ndim * level))


def _boxes(call: Call, level: int) -> tuple[list[Region], list[Region]]:
    """Return the runs as boxes of coefficients, and the boxes of pixels they follow from."""
    shape, cuts = _runs(call, level)
    own = [global_numbers.band(shape, start, stop) for start, stop in cuts]
    scale, margin = 2**level, 2 * _width(call) * 2**level
    pixels = [
        clip(
            grow(
                tuple(slice(s.start * scale, s.stop * scale) for s in box),
                ((margin, margin),) * call.ndim,
            ),
            call.spatial_shape,
        )
        for box in own
    ]
    return own, pixels


def _mean_squares(call: Call, channel: int, level: int) -> Generator[Reduce, Any, dict[str, Any]]:
    """Compute the mean of the squared details of a level, as NumPy sums them."""
    shape, cuts = _runs(call, level)
    own, pixels = _boxes(call, level)
    wavelet = _wavelet(call)

    def of(block: Block) -> dict[int, dict[str, Any]]:
        number = block.position[0]
        plane = _pixels(call, _plane(block, call, channel))
        details = _pywt(call).wavedecn(plane, wavelet, level=level)[1]
        box = tuple(
            slice(s.start - (r.start >> level), s.stop - (r.start >> level))
            for s, r in zip(own[number], block.region, strict=True)
        )
        corner = int(np.ravel_multi_index([s.start for s in own[number]], shape))
        run = slice(cuts[number][0] - corner, cuts[number][1] - corner)
        found = {}
        for key, values in details.items():
            inside = np.ascontiguousarray(values[box])
            found[key] = np.sum((inside * inside).reshape(-1)[run])
        return {number: found}

    found = yield Reduce(
        of, lambda a, b: a | b, regions=pixels, description=f"details of level {level}"
    )
    keys = list(found[0])
    parts = [[found[number][key] for key in keys] for number in range(len(cuts))]
    totals = global_numbers.join_cuts(parts, cuts)
    count = np.intp(prod(shape))
    return {key: total.dtype.type(total / count) for key, total in zip(keys, totals, strict=True)}


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
            "wavelet_levels": Number(minimum=1, integer=True, optional=True, usual=(1, 3)),
            "convert2ycbcr": Flag(advanced=True),
            "method": ChoiceSpec(choices=("BayesShrink", "VisuShrink")),
            "rescale_sigma": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_halo),
        result=ResultSpec(dtype=as_float),
        plan_of=_denoise,
        limits=Limits(check=_check),
        cost=Cost(largest_region=_largest, memory=10.0),
        note="Needs PyWavelets. With as many levels as by default a tile needs a large part of the "
        "image; wavelet_levels=3 or so needs little. The whole image is read at once where it is "
        "small against its levels, and with convert2ycbcr.",
    ),
    Operation(
        name="restoration.estimate_sigma",
        family=families.DENOISING,
        kind=Kind.STATISTIC,
        specs={"average_sigmas": Flag(), "channel_axis": CHANNEL},
        result=ResultSpec(
            output=Output.SCALAR, dtype=lambda call: np.float64, shape=_estimate_shape
        ),
        neighbourhood=Neighbourhood(halo=lambda call: 5),
        plan_of=_estimate,
        limits=Limits(check=lambda call: _pywt(call) and None),
        cost=Cost(memory=6.0),
        note="Needs PyWavelets.",
    ),
)
