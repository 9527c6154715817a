"""`skimage.filters`, ridges: eigenvalues of the Hessian, taken with derivatives of Gaussians.

Two of them are normalised by a maximum over the whole image: Frangi's structuredness by that of its
first scale, Meijering's neuriteness scale by scale. A pass gathers it, and the function gets it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg
from skimage.feature import hessian_matrix, hessian_matrix_eigvals

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.common import BORDER, CVAL, as_float
from napari_tilewise.operations.grid import grow, intersect, within
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

if TYPE_CHECKING:
    from collections.abc import Callable

SCALES = {
    "sigmas": Numbers(item=Number(minimum=0, usual=(0.5, 4))),
}
BORDERS = {"black_ridges": Flag(), "mode": BORDER, "cval": CVAL}


def hessian_reach(sigma: float) -> int:
    """Return how far two derivatives of a Gaussian in a row reach, as `hessian_matrix` cuts them.

    For scales of one pixel and less scikit-image asks for kernels 71 times the scale long. Their
    weights are exactly 0.0 where ``exp(-x**2 / sigma**2)`` underflows, that is beyond 27.4 times
    the scale (745.2 is the largest exponent a float64 holds), and a finite pixel times zero adds
    nothing. Infinity times zero is NaN: such pixels, and NaN, are felt as far as the kernel goes.
    """
    narrow = float(sigma) / np.sqrt(2.0)
    if sigma > 1:
        return 2 * int(8 * narrow + 0.5)
    return 2 * min(int(100 * narrow + 0.5), int(np.sqrt(2 * 745.2) * narrow) + 1)


def _full_reach(sigma: float) -> int:
    """Return how far the kernels go, zeros included."""
    return 2 * int((8 if sigma > 1 else 100) * (float(sigma) / np.sqrt(2.0)) + 0.5)


def _near(call: Call) -> int:
    return max(hessian_reach(sigma) for sigma in call["sigmas"])


def _halo(call: Call) -> HaloLike:
    """Return how far pixels are looked at: those of floats may be NaN."""
    if call.dtype.kind != "f":
        return _near(call)
    return max(_full_reach(sigma) for sigma in call["sigmas"])


def _felt(block: Block, near: int) -> Block:
    """Return the block without what lies farther than `near` from its tile, if all is finite."""
    region = intersect(grow(block.tile, ((near, near),) * len(block.tile)), block.region)
    if region == block.region or not np.isfinite(block.data).all():
        return block
    data = np.ascontiguousarray(block.data[within(region, block.region)])
    return replace(block, data=data, region=region)


def _tiles(call: Call, function: Callable[[np.ndarray], np.ndarray]) -> Tiles:
    """Return the last pass for a function of an image."""

    def compute(block: Block) -> np.ndarray:
        felt = _felt(block, _near(call))
        found = np.asarray(function(felt.data))
        if felt is block:
            return found
        result = np.zeros(block.data.shape, found.dtype)
        result[block.core] = found[felt.core]
        return result

    return Tiles(compute, halo=_halo(call))


def _check(call: Call) -> None:
    if np.ndim(call["sigmas"]) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: sigmas={call['sigmas']!r} is a number: expected a sequence of "
            f"them, such as sigmas=[{call['sigmas']!r}]."
        )


def _image(data: np.ndarray, call: Call) -> np.ndarray:
    """Return pixels as these functions see them: float, the ridges dark."""
    image = data.astype(as_float(call), copy=False)
    return image if call["black_ridges"] else -image


def _eigenvalues(image: np.ndarray, sigma: float, call: Call) -> np.ndarray:
    elements = hessian_matrix(
        image, sigma, mode=call["mode"], cval=call["cval"], use_gaussian_derivatives=True
    )
    return np.asarray(hessian_matrix_eigvals(elements))


def _plain(call: Call) -> Tiles:
    return _tiles(call, call.function)


# -- Frangi and hybrid Hessian ---------------------------------------------------------------------


def _frangi_plan(call: Call) -> Plan:
    """Pin ``gamma=None``: half the largest Hessian norm of the first scale, used for all."""
    gamma = call["gamma"]
    if gamma is None:
        first = call["sigmas"][0]

        def largest(block: Block) -> Any:
            felt = _felt(block, hessian_reach(first))
            eigenvalues = _eigenvalues(_image(felt.data, call), first, call)
            # by magnitude, as the function sorts them before it adds up the squares
            order = abs(eigenvalues).argsort(0)
            eigenvalues = np.take_along_axis(eigenvalues, order, 0)[(slice(None), *felt.core)]
            return np.sqrt((eigenvalues**2).sum(0)).max()

        found = yield Gather(
            of=largest,
            merge=np.maximum,
            halo=_full_reach(first) if call.dtype.kind == "f" else hessian_reach(first),
            what="largest Hessian norm",
        )
        gamma = found / 2 or 1
    return _tiles(call, lambda data: np.asarray(call.function(data, gamma=gamma)))


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
        felt = _felt(block, _near(call))
        image = _image(felt.data, call)
        return [neuriteness(image, sigma)[felt.core].max() for sigma in call["sigmas"]]

    maxima = yield Gather(
        of=largest,
        merge=lambda a, b: [np.maximum(*pair) for pair in zip(a, b, strict=True)],
        halo=_halo(call),
        what="largest value of each scale",
    )

    def normalised(data: np.ndarray) -> np.ndarray:
        image = _image(data, call)
        result = np.zeros_like(image)
        for sigma, maximum in zip(call["sigmas"], maxima, strict=True):
            values = neuriteness(image, sigma)
            if maximum > 0:
                values /= maximum
            result = np.maximum(result, values)
        return result

    return _tiles(call, normalised)


def _scales(params: dict[str, Any]) -> dict[str, Any]:
    """Say the deprecated range of scales as `sigmas`, as scikit-image does where both are given."""
    limits, step = params.pop("scale_range", None), params.pop("scale_step", None)
    if limits is None or step is None:
        return params
    return {**params, "sigmas": tuple(np.arange(limits[0], limits[1], step).tolist())}


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
        former=_scales,
        halo_of=_halo,
        typical_halo_of=_near,
        dtype_of=as_float,
        plan_of=_frangi_plan,
        check=_check,
        border="mode",
        ndim=(2, 3),
        working=32.0,
    )


OPERATIONS = (
    Operation(
        name="filters.sato",
        kind=Kind.NEIGHBOURHOOD,
        specs={**SCALES, **BORDERS},
        halo_of=_halo,
        typical_halo_of=_near,
        dtype_of=as_float,
        plan_of=_plain,
        check=_check,
        border="mode",
        ndim=(2, 3),
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
        typical_halo_of=_near,
        dtype_of=as_float,
        plan_of=_meijering_plan,
        check=_check,
        border="mode",
        working=32.0,
    ),
    _frangi("hessian"),
)
