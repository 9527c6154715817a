"""`skimage.feature.match_template`: the correlation of a template with every window of an image.

A pixel's window extends half the template to each side if the result is padded, otherwise the whole
template after it. The sums over windows are computed as over the whole image (`window_sums`),
because in flat areas only their rounding decides the result. NumPy's padding modes that depend on a
whole line of the image are not supported.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import fftconvolve

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.window_sums import (
    Padding,
    WindowSums,
    gather_window_sums,
    largest_band,
)
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    PER_PIXEL,
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
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Array, ChoiceSpec, Flag, Number
from napari_tilewise.operations.spec.pixel_positions import shifted

if TYPE_CHECKING:
    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.pixel_positions import Samplings
    from napari_tilewise.types import Parameters

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _halo(call: Call) -> HaloLike:
    # A mirroring border repeats as many pixels as the template has.
    return [int(n) for n in call["template"].shape]


def _shape(call: Call) -> tuple[int, ...]:
    if call["pad_input"]:
        return call.shape
    return tuple(n - t + 1 for n, t in zip(call.shape, call["template"].shape, strict=True))


def _sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    """Return the sampling of the correlations, each at the centre of its window."""
    lengths = [0 if call["pad_input"] else n - 1 for n in call["template"].shape]
    return shifted([length / 2 for length in lengths])


def _check(call: Call) -> None:
    template = call["template"]
    if any(n < t for n, t in zip(call.shape, template.shape, strict=True)):
        raise InvalidImage(
            f"{call.operation.name}: the image of shape {call.shape} is smaller than the template "
            f"of shape {template.shape}: expected it to be at least as large along every axis."
        )
    if template.dtype.kind == "c":
        raise InvalidParameter(
            f"{call.operation.name}: template is complex: expected real numbers."
        )


def _first_window(call: Call) -> list[int]:
    """Return the index, along each axis, of the window that gives the result's first pixel."""
    sizes = call["template"].shape
    return [(n - 1) // 2 if call["pad_input"] else n - 1 for n in sizes]


def _padding(call: Call) -> Padding:
    shape = call["template"].shape
    return Padding(call.shape, shape, call["mode"], call["constant_values"], as_float(call))


def _plan(call: Call) -> Plan:
    padding, offsets = _padding(call), _first_window(call)
    sums: WindowSums = yield from gather_window_sums(call, padding, offsets)

    def windows(tile: Region) -> Region:
        return tuple(slice(s.start + n, s.stop + n) for s, n in zip(tile, offsets, strict=True))

    def compute(block: Block) -> np.ndarray:
        window_box = windows(block.tile)
        box = sums.box(window_box)
        padded = padding.of(block, box)
        margins = [s.start - b.start for s, b in zip(window_box, box, strict=True)]
        window_sums, squares = (
            totals[tuple(slice(n, None) for n in margins)] for totals in sums.of(padded, box)
        )
        pixels = padded[tuple(slice(n + 1, None) for n in margins)]
        return _response(call, pixels, window_sums, squares)

    return Tiles(compute, source=lambda tile: padding.source(sums.box(windows(tile))))


def _response(
    call: Call, padded: np.ndarray, window_sums: np.ndarray, squares: np.ndarray
) -> np.ndarray:
    """Return the correlations, computed from the sums in scikit-image's steps.

    Only the sums of products differ: scikit-image's come from a Fourier transform of the whole
    image.
    """
    template = call["template"]
    mean = template.mean()
    # always in double precision, so that only scikit-image's error remains
    products = fftconvolve(padded.astype(np.float64, copy=False), np.flip(template), mode="valid")
    numerator = products - window_sums * mean
    squares = squares - window_sums * window_sums / prod(template.shape)
    squares *= np.sum((template - mean) ** 2)
    deviation = np.sqrt(np.maximum(squares, 0))
    dtype = as_float(call)
    response = np.zeros(deviation.shape, dtype)
    np.divide(numerator, deviation, out=response, where=deviation > np.finfo(dtype).eps)
    return response


# -- tolerance -------------------------------------------------------------------------------------

LIMIT, LIMIT32 = 1.5e-6, 3.5e-2
"""How far results differ for a template of high contrast: ``100 * sqrt(eps)``; see `_contrast`."""


def _contrast(params: Parameters) -> float:
    """Return the factor by which the tolerance grows as the contrast of the template becomes low.

    Deviations are equal to scikit-image's, bit for bit. A correlation is the difference of a sum of
    products and the product of means, divided by the deviations of window and template. The sum
    comes from Fourier transforms, with an error of about ``eps`` times the image's and the
    template's root mean square. In flat areas the square of the deviation is either 0, with a
    result of 0, or at least one rounding error, ``eps`` times the mean square: only there are
    correlations uncertain by about ``sqrt(eps)``, times the template's root mean square over its
    deviation, and times the ratio by which the image is brighter elsewhere. `LIMIT` allows a factor
    of 100 for both. For random images and templates the largest factor observed is 10.
    """
    template = np.asarray(params["template"], np.float64)
    deviation = template.std()
    size = float(np.sqrt(np.mean(template**2)))
    return max(1.0, size / deviation) if deviation > 0 else 1.0


OPERATIONS = (
    Operation(
        name="feature.match_template",
        family=families.BLOBS,
        kind=Kind.STATISTIC,
        accuracy=Accuracy(tolerance=LIMIT, single=LIMIT32, scale=_contrast),
        specs={
            "template": Array(usual=(0, 1), longest=7),
            "pad_input": Flag(),
            "mode": ChoiceSpec(choices=MODES, advanced=True),
            "constant_values": Number(usual=(-1, 1), advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=_sampling),
        result=ResultSpec(dtype=as_float, shape=_shape),
        plan_of=_plan,
        limits=Limits(ndim=(2, 3), check=_check),
        cost=Cost(
            numbers=PER_PIXEL,
            largest_region=lambda call: largest_band(call, _padding(call)),
            memory=16.0,
            at_once=SMALL_WHOLE,
        ),
        note="In textured areas both results agree to many digits. In flat areas scikit-image "
        "divides one rounding error by another, which the tolerance allows for; it is multiplied "
        "by the template's root mean square over its standard deviation, if that is more than 1. A "
        "pass over the whole image adds up the sums over windows first, pixel by pixel; it refuses "
        "NaN and infinity, which would stay in them.",
    ),
)
