"""`skimage.filters`, ridges: eigenvalues of the Hessian, computed with derivatives of Gaussians.

Two filters are normalised by a maximum over the whole image: Frangi's structuredness by that of its
first scale, Meijering's neuriteness scale by scale. A reduction computes it before the tiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg
from skimage.feature import hessian_matrix, hessian_matrix_eigvals

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import grow, intersect, within
from napari_tilewise.operations.shared.common import BORDER, CVAL, as_float
from napari_tilewise.operations.shared.derivatives import hessian_reach, kernel_reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.adapter import DIRECT
from napari_tilewise.operations.spec.operation import (
    SLOW_AT_ONCE,
    Adapter,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Flag, Number, Numbers, Spec
from napari_tilewise.operations.spec.substitution import run_fastest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EIGENVALUES = "napari_tilewise.operations.filters.ridges.hessian_eigenvalues"


def _finite_reach(call: Call) -> int:
    return max(hessian_reach(sigma) for sigma in call["sigmas"])


def _halo(call: Call) -> HaloLike:
    """Return the filter's reach; in float images the kernel's zeros count too (0 * NaN is NaN)."""
    if call.dtype.kind != "f":
        return _finite_reach(call)
    return max(kernel_reach(sigma) for sigma in call["sigmas"])


def _crop_to_reach(block: Block, reach: int, call: Call) -> Block:
    """Return the block cropped to `reach` pixels around its tile, if all its pixels are finite.

    With a periodic border the function itself continues a block that spans a whole axis, using the
    block's length as the period: that axis is not cropped.
    """
    neighbourhood = intersect(grow(block.tile, ((reach, reach),) * len(block.tile)), block.region)
    region = tuple(
        full if call.wraps and full == slice(0, n) else cropped
        for cropped, full, n in zip(neighbourhood, block.region, call.spatial_shape, strict=True)
    )
    if region == block.region or not np.isfinite(block.data).all():
        return block
    data = np.ascontiguousarray(block.data[within(region, block.region)])
    return replace(block, data=data, region=region)


def _tiles(call: Call, function: Callable[[np.ndarray], np.ndarray]) -> Tiles:
    """Return the tiled pass that applies a function to the pixels of a block."""

    def compute(block: Block) -> np.ndarray:
        cropped = _crop_to_reach(block, _finite_reach(call), call)
        response = np.asarray(function(cropped.data))
        if cropped is block:
            return response
        result = np.zeros(block.data.shape, response.dtype)
        result[block.core] = response[cropped.core]
        return result

    return Tiles(compute, halo=_halo(call))


def _check(call: Call) -> None:
    if np.ndim(call["sigmas"]) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: sigmas={call['sigmas']!r} is a number: expected a sequence of "
            f"numbers, such as sigmas=[{call['sigmas']!r}]."
        )


SMALL_WHOLE = 2**18
"""Pixels up to which the function gets an image whole."""


def _image(data: np.ndarray, call: Call) -> np.ndarray:
    """Return the pixels as floats with dark ridges, as these functions convert them."""
    image = data.astype(as_float(call), copy=False)
    return image if call["black_ridges"] else -image


def hessian_eigenvalues(image: np.ndarray, sigma: float, mode: str, cval: float) -> np.ndarray:
    """Return the eigenvalues of the Hessian of every pixel, largest first.

    Parameters
    ----------
    image
        In floating point.
    sigma
        Scale of the derivatives, in pixels.
    mode, cval
        The border's.
    """
    elements = hessian_matrix(image, sigma, mode=mode, cval=cval, use_gaussian_derivatives=True)
    return np.asarray(hessian_matrix_eigvals(elements))


def _eigenvalues(image: np.ndarray, sigma: float, call: Call) -> np.ndarray:
    border = call["mode"], call["cval"]
    return np.asarray(run_fastest(EIGENVALUES, hessian_eigenvalues, image, sigma, *border))


def _sato_plan(call: Call) -> Tiles:
    return _tiles(call, call.function)


# -- Frangi and hybrid Hessian ---------------------------------------------------------------------


def _frangi_plan(call: Call) -> Plan:
    """Resolve ``gamma=None`` to half the largest Hessian norm of the first scale."""
    gamma = call["gamma"]
    if gamma is None:
        first_sigma = call["sigmas"][0]

        def largest(block: Block) -> Any:
            cropped = _crop_to_reach(block, hessian_reach(first_sigma), call)
            eigenvalues = _eigenvalues(_image(cropped.data, call), first_sigma, call)
            # sorted by magnitude, as the function does before it adds up the squares
            order = abs(eigenvalues).argsort(0)
            eigenvalues = np.take_along_axis(eigenvalues, order, 0)[(slice(None), *cropped.core)]
            return np.sqrt((eigenvalues**2).sum(0)).max()

        largest_norm = yield Reduce(
            of=largest,
            merge=np.maximum,
            halo=kernel_reach(first_sigma)
            if call.dtype.kind == "f"
            else hessian_reach(first_sigma),
            description="largest Hessian norm",
        )
        gamma = largest_norm / 2 or 1
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
        cropped = _crop_to_reach(block, _finite_reach(call), call)
        image = _image(cropped.data, call)
        return [neuriteness(image, sigma)[cropped.core].max() for sigma in call["sigmas"]]

    maxima = yield Reduce(
        of=largest,
        merge=lambda a, b: [np.maximum(*pair) for pair in zip(a, b, strict=True)],
        halo=_halo(call),
        description="largest value of each scale",
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
    """Convert the deprecated `scale_range` and `scale_step`, if both are given, to `sigmas`."""
    limits, step = params.pop("scale_range", None), params.pop("scale_step", None)
    if limits is None or step is None:
        return params
    return {**params, "sigmas": tuple(np.arange(limits[0], limits[1], step).tolist())}


def _ridges(
    name: str,
    kind: Kind,
    plan_of: Callable[[Call], Plan | Tiles],
    specs: Mapping[str, Spec] | None = None,
    *,
    ndim: tuple[int, int] = (1, 8),
    adapter: Adapter = DIRECT,
) -> Operation:
    has_kernel = f"skimage.filters.{name}" in adapter.kernels
    return Operation(
        name=f"filters.{name}",
        family=families.RIDGES,
        kind=kind,
        specs={
            "sigmas": Numbers(item=Number(minimum=0, length=True, finite=False, usual=(0.5, 4))),
            **(specs or {}),
            "black_ridges": Flag(),
            "mode": BORDER,
            "cval": CVAL,
        },
        neighbourhood=Neighbourhood(halo=_halo, typical_halo=_finite_reach, border="mode"),
        result=ResultSpec(dtype=as_float),
        plan_of=plan_of,
        limits=Limits(ndim=ndim, check=_check),
        # Of what a kernel refuses, such as NaN, tiles have wide halos and scales that run twice.
        cost=Cost(
            memory=32.0,
            at_once=SLOW_AT_ONCE._replace(kernel=2**24, function=SMALL_WHOLE if has_kernel else 0),
        ),
        adapter=adapter,
    )


def _frangi(name: str, kernels: tuple[str, ...]) -> Operation:
    above_zero = Number(minimum=0, exclusive=True, usual=(0.1, 2), advanced=True)
    gamma = Number(minimum=0, exclusive=True, usual=(0.01, 20), optional=True, advanced=True)
    return _ridges(
        name,
        Kind.STATISTIC,
        _frangi_plan,
        {"alpha": above_zero, "beta": above_zero, "gamma": gamma},
        adapter=Adapter(modernize=_scales, kernels=kernels),
        ndim=(2, 3),
    )


OPERATIONS = (
    _ridges(
        "sato",
        Kind.NEIGHBOURHOOD,
        _sato_plan,
        ndim=(2, 3),
        adapter=Adapter(kernels=("skimage.filters.sato",)),
    ),
    _frangi("frangi", ("skimage.filters.frangi", EIGENVALUES)),
    _ridges(
        "meijering",
        Kind.STATISTIC,
        _meijering_plan,
        {"alpha": Number(usual=(-0.5, 0.5), optional=True, advanced=True)},
        adapter=Adapter(kernels=("skimage.filters.meijering", EIGENVALUES)),
    ),
    _frangi("hessian", ("skimage.filters.hessian", EIGENVALUES)),
)
