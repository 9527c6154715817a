"""`skimage.filters`, ridges: eigenvalues of the Hessian, taken with derivatives of Gaussians.

Two of them are normalised by a maximum over the whole image: Frangi's structuredness by that of its
first scale, Meijering's neuriteness scale by scale. A pass gathers it, and the function gets it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg
from skimage.feature import hessian_matrix, hessian_matrix_eigvals

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.common import BORDER, CVAL, as_float
from napari_tilewise.operations.model import (
    Block,
    Call,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Plan,
    Tiles,
)
from napari_tilewise.operations.parameters import Flag, Number, Numbers

SCALES = {
    "sigmas": Numbers(item=Number(minimum=0, usual=(0.5, 4))),
}
BORDERS = {"black_ridges": Flag(), "mode": BORDER, "cval": CVAL}


def hessian_reach(sigma: float) -> int:
    """Return how far two derivatives of a Gaussian in a row reach, as `hessian_matrix` cuts them.

    For scales of one pixel and less scikit-image asks for kernels 71 times the scale long. Their
    weights are exactly 0.0 where ``exp(-x**2 / sigma**2)`` underflows, that is beyond 27.4 times
    the scale (745.2 is the largest exponent a float64 holds), and a finite pixel times zero adds
    nothing.
    """
    narrow = float(sigma) / np.sqrt(2.0)
    if sigma > 1:
        return 2 * int(8 * narrow + 0.5)
    return 2 * min(int(100 * narrow + 0.5), int(np.sqrt(2 * 745.2) * narrow) + 1)


def _halo(call: Call) -> HaloLike:
    return max(hessian_reach(sigma) for sigma in call["sigmas"])


def _check(call: Call) -> None:
    if np.ndim(call["sigmas"]) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: sigmas={call['sigmas']!r} is a number: expected a sequence of "
            f"them, such as sigmas=[{call['sigmas']!r}]."
        )


def _image(block: Block, call: Call) -> np.ndarray:
    """Return the block as these functions see it: float, the ridges dark."""
    image = block.data.astype(as_float(call), copy=False)
    if image.dtype == block.data.dtype and not np.isfinite(image).all():
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values, which its kernels "
            "spread. Replace them first, for example with numpy.nan_to_num."
        )
    return image if call["black_ridges"] else -image


def _eigenvalues(image: np.ndarray, sigma: float, call: Call) -> np.ndarray:
    elements = hessian_matrix(
        image, sigma, mode=call["mode"], cval=call["cval"], use_gaussian_derivatives=True
    )
    return np.asarray(hessian_matrix_eigvals(elements))


def _plain(call: Call) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        _image(block, call)
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_halo(call))


# -- Frangi and hybrid Hessian ---------------------------------------------------------------------


def _frangi_plan(call: Call) -> Plan:
    """Pin ``gamma=None``: half the largest Hessian norm of the first scale, used for all."""
    gamma = call["gamma"]
    if gamma is None:
        first = call["sigmas"][0]

        def largest(block: Block) -> Any:
            eigenvalues = _eigenvalues(_image(block, call), first, call)
            # by magnitude, as the function sorts them before it adds up the squares
            order = abs(eigenvalues).argsort(0)
            eigenvalues = np.take_along_axis(eigenvalues, order, 0)[(slice(None), *block.core)]
            return np.sqrt((eigenvalues**2).sum(0)).max()

        found = yield Gather(
            of=largest, merge=max, halo=hessian_reach(first), what="largest Hessian norm"
        )
        gamma = found / 2 or 1

    def compute(block: Block) -> np.ndarray:
        _image(block, call)
        return np.asarray(call.function(block.data, gamma=gamma))

    return Tiles(compute, halo=_halo(call))


# -- Meijering -------------------------------------------------------------------------------------


def _meijering_plan(call: Call) -> Plan:
    """Divide every scale by its largest value over the whole image."""
    dtype = as_float(call)
    alpha = 1 / (call.ndim + 1) if call["alpha"] is None else call["alpha"]
    matrix = linalg.circulant([1, *[alpha] * (call.ndim - 1)]).astype(dtype)

    def neuriteness(image: np.ndarray, sigma: float) -> np.ndarray:
        values = np.tensordot(matrix, _eigenvalues(image, sigma, call), 1)
        values = np.take_along_axis(values, abs(values).argmax(0)[None], 0).squeeze(0)
        return np.asarray(np.maximum(values, 0))

    def largest(block: Block) -> list[Any]:
        image = _image(block, call)
        return [neuriteness(image, sigma)[block.core].max() for sigma in call["sigmas"]]

    maxima = yield Gather(
        of=largest,
        merge=lambda a, b: [max(pair) for pair in zip(a, b, strict=True)],
        halo=_halo(call),
        what="largest value of each scale",
    )

    def compute(block: Block) -> np.ndarray:
        image = _image(block, call)
        result = np.zeros_like(image)
        for sigma, maximum in zip(call["sigmas"], maxima, strict=True):
            values = neuriteness(image, sigma)
            if maximum > 0:
                values /= maximum
            result = np.maximum(result, values)
        return result

    return Tiles(compute, halo=_halo(call))


def _frangi(name: str) -> Operation:
    return Operation(
        name=f"filters.{name}",
        kind=Kind.STATISTIC,
        specs={
            **SCALES,
            "alpha": Number(minimum=0, exclusive=True, usual=(0.1, 2), advanced=True),
            "beta": Number(minimum=0, exclusive=True, usual=(0.1, 2), advanced=True),
            "gamma": Number(
                minimum=0, exclusive=True, usual=(0.01, 20), optional=True, advanced=True
            ),
            **BORDERS,
        },
        # deprecated in scikit-image in favour of `sigmas`
        fixed={"scale_range": None, "scale_step": None},
        halo_of=_halo,
        dtype_of=as_float,
        plan_of=_frangi_plan,
        check=_check,
        border="mode",
        ndim=(2, 3),
        finite=True,
        working=32.0,
    )


OPERATIONS = (
    Operation(
        name="filters.sato",
        kind=Kind.NEIGHBOURHOOD,
        specs={**SCALES, **BORDERS},
        halo_of=_halo,
        dtype_of=as_float,
        plan_of=_plain,
        check=_check,
        border="mode",
        ndim=(2, 3),
        finite=True,
        working=32.0,
    ),
    _frangi("frangi"),
    Operation(
        name="filters.meijering",
        kind=Kind.STATISTIC,
        specs={
            **SCALES,
            "alpha": Number(usual=(-0.5, 0.5), optional=True, advanced=True),
            **BORDERS,
        },
        halo_of=_halo,
        dtype_of=as_float,
        plan_of=_meijering_plan,
        check=_check,
        border="mode",
        finite=True,
        working=32.0,
    ),
    _frangi("hessian"),
)
