"""`skimage.feature.match_template`: how well a small image fits at every place of a large one.

The window at a place reaches half the template to each side where the result is padded, and the
whole template after it where it is not. What windows hold is added up as over the whole image
(`window_sums`), for where the image is flat nothing but its rounding decides. NumPy's modes of
padding that look along a whole line of the image are not among the choices.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Region

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _halo(call: Call) -> HaloLike:
    # Where a border mirrors the image it mirrors as many pixels as the template has.
    return [int(n) for n in call["template"].shape]


def _shape(call: Call) -> tuple[int, ...]:
    if call["pad_input"]:
        return call.shape
    return tuple(n - t + 1 for n, t in zip(call.shape, call["template"].shape, strict=True))


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


def _first(call: Call) -> list[int]:
    """Return the number of the window that is the result's first pixel, along each axis."""
    sizes = call["template"].shape
    return [(n - 1) // 2 if call["pad_input"] else n - 1 for n in sizes]


def _padding(call: Call) -> Padding:
    shape = call["template"].shape
    return Padding(call.shape, shape, call["mode"], call["constant_values"], as_float(call))


def _plan(call: Call) -> Plan:
    padding, first = _padding(call), _first(call)
    sums: WindowSums = yield from gather_window_sums(call, padding, first)

    def windows(tile: Region) -> Region:
        return tuple(slice(s.start + n, s.stop + n) for s, n in zip(tile, first, strict=True))

    def compute(block: Block) -> np.ndarray:
        wanted = windows(block.tile)
        box = sums.box(wanted)
        padded = padding.of(block, box)
        inner = [s.start - b.start for s, b in zip(wanted, box, strict=True)]
        window_sums, squares = (
            of[tuple(slice(n, None) for n in inner)] for of in sums.of(padded, box)
        )
        pixels = padded[tuple(slice(n + 1, None) for n in inner)]
        return _response(call, pixels, window_sums, squares)

    return Tiles(compute, source=lambda tile: padding.source(sums.box(windows(tile))))


def _response(
    call: Call, padded: np.ndarray, window_sums: np.ndarray, squares: np.ndarray
) -> np.ndarray:
    """Return the correlations, step by step as scikit-image works them out from the sums.

    Only the sums of products are others: scikit-image's come from a Fourier transform of the whole
    image.
    """
    template = call["template"]
    mean = template.mean()
    # in double precision, whatever the image: scikit-image's error is then the only one
    products = fftconvolve(padded.astype(np.float64, copy=False), np.flip(template), mode="valid")
    numerator = products - window_sums * mean
    squares = squares - window_sums * window_sums / prod(template.shape)
    squares *= np.sum((template - mean) ** 2)
    deviation = np.sqrt(np.maximum(squares, 0))
    dtype = as_float(call)
    response = np.zeros(deviation.shape, dtype)
    np.divide(numerator, deviation, out=response, where=deviation > np.finfo(dtype).eps)
    return response


# -- how close -------------------------------------------------------------------------------------

LIMIT, LIMIT32 = 1.5e-6, 3.5e-2
"""How far results differ for a template of high contrast: ``100 * sqrt(eps)``; see `_contrast`."""


def _contrast(params: Mapping[str, Any]) -> float:
    """Return the factor by which the tolerance grows as the contrast of the template becomes low.

    Deviations have scikit-image's own bits. A correlation is what remains of a sum of products,
    divided by the window's deviation and the template's. Such a sum comes from Fourier transforms,
    with an error of some ``eps`` times the image's and the template's root mean square. Where the
    image is flat, the square of the deviation is 0, with a result of 0, or one rounding at least,
    ``eps`` times the mean square: there, and there alone, correlations are uncertain by some
    ``sqrt(eps)``, times the template's root mean square over its deviation, and times how much
    brighter the image is elsewhere. `LIMIT` leaves a factor of 100 for "some" and for that. In
    random images and templates no more than 10 has been seen.
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
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        result=ResultSpec(dtype=as_float, shape=_shape),
        plan_of=_plan,
        limits=Limits(ndim=(2, 3), check=_check),
        cost=Cost(largest_region=lambda call: largest_band(call, _padding(call)), memory=16.0),
        note="Where the image has texture both agree to many digits; where it is flat scikit-image "
        "divides one rounding error by another, and the tolerance is meant for that: times the "
        "template's root mean square over its standard deviation, where that is more than 1. Sums "
        "over windows are added up over the whole image first, pixel after pixel.",
    ),
)
