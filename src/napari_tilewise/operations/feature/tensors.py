"""`skimage.feature`, structure tensors and Hessians: several images of one kind from one.

Smoothing knows the border mode; what takes differences after it meets the image's own border. A
wrapping smoothing is therefore cut off at the image's border before anything else is done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.feature import hessian_matrix
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, clip, grow, within
from napari_tilewise.operations.shared.common import (
    BORDER,
    CVAL,
    as_float,
    gaussian_radius,
    require_finite,
)
from napari_tilewise.operations.shared.derivatives import hessian_reach
from napari_tilewise.operations.shared.private import reach
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
    ResultSpec,
    Tiles,
    first_axis,
    normal_halo,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Spec

SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0, 4))
ORDER = ChoiceSpec(choices=("rc", "xy"), advanced=True)


def smooth_radii(call: Call) -> tuple[int, ...]:
    """Return the reach of the Gaussian along each axis."""
    return tuple(gaussian_radius(sigma) for sigma in call.per_axis(call["sigma"]))


def _check_order(call: Call) -> None:
    if call["order"] == "xy" and call.ndim > 2:
        raise InvalidParameter(
            f"{call.operation.name}: order='xy' on {call.ndim} spatial axes: expected order='rc', "
            "the only one for more than two."
        )


def _elements(call: Call) -> tuple[int, ...]:
    """Return the shape of the upper triangle of a matrix per pixel, elements first."""
    return (call.ndim * (call.ndim + 1) // 2, *call.spatial_shape)


# -- structure tensor ------------------------------------------------------------------------------


def tensor_halo(call: Call) -> HaloLike:
    """Return the reach of Sobel's derivatives and the Gaussian after them."""
    return [radius + 1 for radius in smooth_radii(call)]


def _stacked(call: Call) -> Tiles:
    return Tiles(lambda block: np.stack(call.function(block.data)), halo=tensor_halo(call))


# -- Hessian ---------------------------------------------------------------------------------------


def _derivative_reach(call: Call) -> tuple[int, ...]:
    """Return the reach of two derivatives of Gaussians; one small scale makes all kernels long."""
    sigmas = call.per_axis(call["sigma"])
    long = min(sigmas) <= 1
    return tuple(hessian_reach(sigma, long=long) for sigma in sigmas)


def _hessian_halo(call: Call) -> HaloLike:
    if call["use_gaussian_derivatives"]:
        return _derivative_reach(call)
    return difference_halo(call)


def difference_halo(call: Call) -> HaloLike:
    """Return the reach of a Gaussian and two central differences after it."""
    return [radius + 2 for radius in smooth_radii(call)]


def _check_hessian(call: Call) -> None:
    _check_order(call)
    if not call["use_gaussian_derivatives"]:
        check_differences(call)


def check_differences(call: Call) -> None:
    """Refuse what `numpy.gradient` cannot take."""
    if call.ndim < 2 or min(call.spatial_shape) < 2:
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape} is too small for differences: "
            "expected at least two axes of at least 2 pixels each."
        )


def after_smoothing(call: Call, compute: Any, keywords: dict[str, Any]) -> Tiles:
    """Return tiles of ``compute(image, **keywords)``, a Gaussian and something after it.

    The function is called on the smoothed image with ``sigma=0``, which smooths no further.
    """
    halo = normal_halo(difference_halo(call), call.ndim)

    def source(tile: Region) -> Region:
        return grow(tile, halo)

    def of(block: Block) -> np.ndarray:
        image = img_as_float(block.data).astype(as_float(call), copy=False)
        smooth = reach("_shared.filters", "gaussian")(
            image, sigma=call["sigma"], mode=call["mode"], cval=call["cval"]
        )
        inside = clip(block.region, call.spatial_shape)
        smooth = np.ascontiguousarray(smooth[within(inside, block.region)])
        result = np.asarray(compute(smooth, **{**keywords, "sigma": 0}))
        core: tuple[Any, ...] = (..., *within(block.tile, inside))
        return np.asarray(result[core])

    return Tiles(of, source=source)


def _hessian(call: Call) -> Tiles:
    # None means False, with a warning that a later scikit-image will mean True.
    keywords = {**call.keywords, "use_gaussian_derivatives": bool(call["use_gaussian_derivatives"])}
    if not keywords["use_gaussian_derivatives"]:
        return after_smoothing(call, hessian_matrix, keywords)

    def compute(block: Block) -> np.ndarray:
        require_finite(call, block.data, "derivatives of Gaussians spread")
        return np.stack(hessian_matrix(block.data, **keywords))

    return Tiles(compute, halo=_derivative_reach(call))


# -- determinant -----------------------------------------------------------------------------------


def _is_boxes(call: Call) -> bool:
    return bool(call["approximate"]) and call.ndim == 2


def box_halo(sigma: float) -> tuple[int, int]:
    """Return how far the boxes reach that stand for a Hessian of this scale.

    A box that begins before the image's first pixel is moved inside, not cut: it then reaches as
    far after that pixel as it is wide.
    """
    size = int(3 * sigma)
    return max((size - 1) // 2, size // 3), max(size, 2 * (size // 3)) + 1


def _determinant_halo(call: Call) -> HaloLike:
    if _is_boxes(call):
        return [box_halo(call["sigma"])] * 2
    return [gaussian_radius(call["sigma"]) + 2] * call.ndim


def _check_determinant(call: Call) -> None:
    if not _is_boxes(call):
        check_differences(call)
    elif int(3 * call["sigma"]) < 1:
        raise InvalidParameter(
            f"{call.operation.name}: sigma={call['sigma']!r} with approximate=True: expected at "
            "least 1/3, for scikit-image divides by the width of a box of int(3 * sigma) pixels."
        )


def _determinant_dtype(call: Call) -> Any:
    return np.float64 if _is_boxes(call) else as_float(call)


# -- eigenvalues -----------------------------------------------------------------------------------


def _count(call: Call) -> int:
    """Return how many eigenvalues there are: three images are the upper triangle of a 2 x 2."""
    return 2 if call.shape[0] == 3 else call.ndim - 1


def _eigenvalue_halo(call: Call) -> HaloLike:
    return [(call.shape[0], call.shape[0]), *[(0, 0)] * (call.ndim - 1)]


def _check_eigenvalues(call: Call) -> None:
    needed = 3 if call.shape[0] == 3 else (call.ndim - 1) * call.ndim // 2
    if call.shape[0] < needed:
        raise InvalidImage(
            f"{call.operation.name}: {call.shape[0]} images of {call.ndim - 1} axes: expected the "
            f"{needed} images of a symmetric matrix's upper triangle, as a list or along the first "
            "axis."
        )
    if call.dtype == np.float16 and call.shape[0] != 3:
        raise InvalidImage(f"{call.operation.name} does not take float16: convert to float32.")
    if call.dtype.kind != "f" and call.shape[0] == 3:
        raise InvalidImage(
            f"{call.operation.name} does not take images of type {call.dtype}: expected float. "
            "Convert them first."
        )


def _eigenvalues(call: Call) -> Tiles:
    count, images = _count(call), slice(0, call.shape[0])

    def compute(block: Block) -> np.ndarray:
        values = np.asarray(call.function(block.data))
        assert len(values) == count
        return values[block.tile[0]]

    return Tiles(compute, source=lambda tile: (images, *tile[1:]))


def _eigenvalue_operation(name: str) -> Operation:
    return Operation(
        name=f"feature.{name}",
        family=families.TEXTURE,
        kind=Kind.POINTWISE,
        neighbourhood=Neighbourhood(halo=_eigenvalue_halo),
        result=ResultSpec(
            dtype=lambda call: call.dtype if call.dtype.kind == "f" else np.float64,
            shape=lambda call: (_count(call), *call.shape[1:]),
        ),
        plan_of=_eigenvalues,
        limits=Limits(ndim=(2, 8), dtypes="buif", check=_check_eigenvalues),
        cost=Cost(memory=6.0),
        note="Takes the list of images that scikit-image takes, or one image of them along its "
        "first axis, such as the stack that the step before made.",
    )


SMOOTHED: dict[str, Spec] = {"sigma": SIGMA, "mode": BORDER, "cval": CVAL}
MATRIX = ResultSpec(dtype=as_float, split=list, channel=first_axis, shape=_elements)
"""A symmetric matrix per pixel, as the list of its elements."""

OPERATIONS = (
    Operation(
        name="feature.structure_tensor",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        result=MATRIX,
        specs={**SMOOTHED, "order": ORDER},
        neighbourhood=Neighbourhood(halo=tensor_halo, border="mode"),
        plan_of=_stacked,
        limits=Limits(ndim=(2, 5), shortest=2, check=_check_order),
        cost=Cost(memory=8.0),
    ),
    _eigenvalue_operation("structure_tensor_eigenvalues"),
    Operation(
        name="feature.hessian_matrix",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        result=MATRIX,
        specs={**SMOOTHED, "order": ORDER, "use_gaussian_derivatives": Flag(optional=True)},
        neighbourhood=Neighbourhood(halo=_hessian_halo, border="mode"),
        plan_of=_hessian,
        limits=Limits(check=_check_hessian),
        cost=Cost(memory=8.0),
        note="use_gaussian_derivatives=None means False, as in scikit-image 0.26.",
    ),
    _eigenvalue_operation("hessian_matrix_eigvals"),
    Operation(
        name="feature.hessian_matrix_det",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        # Bit for bit but for the boxes in two dimensions, taken from prefix sums over the whole
        # image: each corner is rounded to eps times a sum of up to as many as there are pixels,
        # four of them make a box, up to five boxes divided by at least one pixel a derivative, and
        # two derivatives, each at most about 1, the determinant: 2e-15 times the pixels, 4e-5 for
        # 131072 x 131072.
        accuracy=Accuracy(tolerance=4e-5, pixels=2**34),
        specs={
            "sigma": Number(minimum=0, length=True, usual=(0.5, 6)),
            "approximate": Flag(),
        },
        neighbourhood=Neighbourhood(halo=_determinant_halo),
        result=ResultSpec(dtype=_determinant_dtype),
        limits=Limits(ndim=(2, 8), check=_check_determinant),
        cost=Cost(memory=24.0),
    ),
    Operation(
        name="feature.shape_index",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        specs=SMOOTHED,
        neighbourhood=Neighbourhood(halo=difference_halo, border="mode"),
        result=ResultSpec(dtype=as_float),
        plan_of=lambda call: after_smoothing(call, call.operation.raw_function, call.keywords),
        limits=Limits(ndim=(2, 2), check=check_differences),
        cost=Cost(memory=12.0),
    ),
)
