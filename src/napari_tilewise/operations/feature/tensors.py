"""`skimage.feature`, structure tensors and Hessians: matrices per pixel, as lists of images.

Only the smoothing uses the border mode; the differences after it use the image's own border. With a
wrapping border the smoothed block is therefore cropped to the image before the next step.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.feature import hessian_matrix
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, clip, grow, within
from napari_tilewise.operations.shared.common import (
    BORDER,
    CVAL,
    as_float,
    check_differences,
    gaussian_radius,
    kernel_length,
    require_finite,
)
from napari_tilewise.operations.shared.derivatives import hessian_reach
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    SingleAxes,
    Tiles,
    first_axis,
    normal_halo,
    tiled,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Spec

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.types import AnyFunction

SIGMA = Number(minimum=0, per_axis=True, length=True, usual=(0, 4))
ORDER = ChoiceSpec(choices=("rc", "xy"), advanced=True)


def smooth_radii(call: Call) -> tuple[int, ...]:
    """Return the reach of the Gaussian along each axis."""
    return tuple(gaussian_radius(sigma) for sigma in call.per_axis(call["sigma"]))


def _check_order(call: Call) -> None:
    if call["order"] == "xy" and call.ndim > 2:
        raise InvalidParameter(
            f"{call.operation.name}: order='xy' on {call.ndim} spatial axes: expected order='rc', "
            "because 'xy' works on two axes only."
        )


def _elements(call: Call) -> tuple[int, ...]:
    """Return the shape of a matrix's upper triangle per pixel, the elements as first axis."""
    return (call.ndim * (call.ndim + 1) // 2, *call.spatial_shape)


# -- structure tensor ------------------------------------------------------------------------------


def tensor_halo(call: Call) -> HaloLike:
    """Return the reach of Sobel derivatives and the Gaussian after them."""
    return [radius + 1 for radius in smooth_radii(call)]


def _structure_tensor(call: Call) -> Tiles:
    return Tiles(lambda block: np.stack(call.function(block.data)), halo=tensor_halo(call))


# -- Hessian ---------------------------------------------------------------------------------------


def _derivative_reach(call: Call) -> tuple[int, ...]:
    """Return the reach of two derivatives of Gaussians; a single small scale makes all long."""
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


def tiles_after_smoothing(call: Call, compute: Any, keywords: dict[str, Any]) -> Tiles:
    """Return the tiled pass of a function that smooths by a Gaussian and then takes differences.

    The function is called on the smoothed block, as ``compute(smoothed, **keywords, sigma=0)``.
    """
    halo = normal_halo(difference_halo(call), call.ndim)

    def source(tile: Region) -> Region:
        return grow(tile, halo)

    def compute_tile(block: Block) -> np.ndarray:
        image = img_as_float(block.data).astype(as_float(call), copy=False)
        smooth = reach("_shared.filters", "gaussian")(
            image, sigma=call["sigma"], mode=call["mode"], cval=call["cval"]
        )
        image_box = clip(block.region, call.spatial_shape)
        smooth = np.ascontiguousarray(smooth[within(image_box, block.region)])
        result = np.asarray(compute(smooth, **{**keywords, "sigma": 0}))
        core: tuple[Any, ...] = (..., *within(block.tile, image_box))
        return np.asarray(result[core])

    return Tiles(compute_tile, source=source)


def _decided(function: AnyFunction) -> AnyFunction:
    """Return `hessian_matrix` without the warning that None, which means False, will be True."""

    @wraps(function)
    def hessian_matrix(
        *args: Any, use_gaussian_derivatives: bool | None = None, **params: Any
    ) -> Any:
        return function(*args, use_gaussian_derivatives=bool(use_gaussian_derivatives), **params)

    return hessian_matrix


def _hessian(call: Call) -> Tiles:
    # None means False, with a warning that the default will become True.
    keywords = {**call.keywords, "use_gaussian_derivatives": bool(call["use_gaussian_derivatives"])}
    if not keywords["use_gaussian_derivatives"]:
        return tiles_after_smoothing(call, hessian_matrix, keywords)

    def compute(block: Block) -> np.ndarray:
        require_finite(call, block.data, "derivatives of Gaussians spread")
        return np.stack(hessian_matrix(block.data, **keywords))

    return Tiles(compute, halo=_derivative_reach(call))


# -- determinant -----------------------------------------------------------------------------------


def _uses_boxes(call: Call) -> bool:
    return bool(call["approximate"]) and call.ndim == 2


def box_halo(sigma: float) -> tuple[int, int]:
    """Return the reach of the boxes that approximate a Hessian of this scale.

    A box that starts before the image's first pixel is moved inside, not cropped: it then extends
    by its whole width after that pixel.
    """
    size = int(3 * sigma)
    return max((size - 1) // 2, size // 3), max(size, 2 * (size // 3)) + 1


def _determinant_halo(call: Call) -> HaloLike:
    if _uses_boxes(call):
        return [box_halo(call["sigma"])] * 2
    return [gaussian_radius(call["sigma"]) + 2] * call.ndim


def _check_determinant(call: Call) -> None:
    if not _uses_boxes(call):
        check_differences(call)
    elif int(3 * call["sigma"]) < 1:
        raise InvalidParameter(
            f"{call.operation.name}: sigma={call['sigma']!r} with approximate=True: expected at "
            "least 1/3, because scikit-image divides by the width of a box of int(3 * sigma) "
            "pixels."
        )


def _determinant(call: Call) -> Tiles:
    if not _uses_boxes(call):
        return tiled(call)

    def compute(block: Block) -> np.ndarray:
        require_finite(call, block.data, "prefix sums spread over the rest of the image")
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=_determinant_halo(call))


def _determinant_dtype(call: Call) -> DTypeLike:
    return np.float64 if _uses_boxes(call) else as_float(call)


# -- eigenvalues -----------------------------------------------------------------------------------


def _count(call: Call) -> int:
    """Return the number of eigenvalues; three images are the upper triangle of 2 x 2 matrices."""
    return 2 if call.shape[0] == 3 else call.ndim - 1


def _eigenvalue_halo(call: Call) -> HaloLike:
    return [(call.shape[0], call.shape[0]), *[(0, 0)] * (call.ndim - 1)]


def _check_eigenvalues(call: Call) -> None:
    needed = 3 if call.shape[0] == 3 else (call.ndim - 1) * call.ndim // 2
    if call.shape[0] < needed:
        raise InvalidImage(
            f"{call.operation.name}: {call.shape[0]} images with {call.ndim - 1} axes: expected "
            f"the {needed} images of a symmetric matrix's upper triangle, as a list or along the "
            "first axis."
        )
    if call.dtype == np.float16 and call.shape[0] != 3:
        raise InvalidImage(f"{call.operation.name} does not take float16: convert to float32.")
    if call.dtype.kind != "f" and call.shape[0] == 3:
        raise InvalidImage(
            f"{call.operation.name} does not take {call.dtype} images: convert to float."
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
        cost=Cost(memory=6.0, largest_region=kernel_length, at_once=SMALL_WHOLE),
        note="Takes a list of images, like scikit-image, or one array with the images along its "
        "first axis, such as the result of the previous step.",
    )


DROPPED_FIRST = SingleAxes(of_image=0)
"""scikit-image prepares images by `numpy.squeeze`."""

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
        plan_of=_structure_tensor,
        limits=Limits(ndim=(2, 5), single=DROPPED_FIRST, check=_check_order),
        cost=Cost(memory=8.0, largest_region=kernel_length, at_once=SMALL_WHOLE),
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
        adapter=Adapter(wrap=_decided),
        cost=Cost(memory=8.0, largest_region=kernel_length, at_once=SMALL_WHOLE),
        note="use_gaussian_derivatives=None means False, as in scikit-image 0.26.",
    ),
    _eigenvalue_operation("hessian_matrix_eigvals"),
    Operation(
        name="feature.hessian_matrix_det",
        title="Determinant of Hessian",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        # Bit for bit except for the boxes in two dimensions, which are computed from prefix sums
        # over the whole image: each corner has a rounding error of eps times a sum of up to all
        # pixels; four corners give a box, up to five boxes over at least one pixel a derivative,
        # and two derivatives, each at most about 1, the determinant: 2e-15 times the number of
        # pixels, 4e-5 for 131072 x 131072.
        accuracy=Accuracy(tolerance=4e-5, pixels=2**34),
        specs={
            "sigma": Number(minimum=0, length=True, usual=(0.5, 6)),
            "approximate": Flag(),
        },
        neighbourhood=Neighbourhood(halo=_determinant_halo),
        result=ResultSpec(dtype=_determinant_dtype),
        plan_of=_determinant,
        limits=Limits(ndim=(2, 8), check=_check_determinant),
        cost=Cost(memory=24.0, at_once=SMALL_WHOLE),
    ),
    Operation(
        name="feature.shape_index",
        family=families.TEXTURE,
        kind=Kind.NEIGHBOURHOOD,
        specs=SMOOTHED,
        neighbourhood=Neighbourhood(halo=difference_halo, border="mode"),
        result=ResultSpec(dtype=as_float),
        plan_of=lambda call: tiles_after_smoothing(
            call, call.operation.raw_function, call.keywords
        ),
        limits=Limits(ndim=(2, 2), check=check_differences),
        cost=Cost(memory=12.0, largest_region=kernel_length, at_once=SMALL_WHOLE),
    ),
)
