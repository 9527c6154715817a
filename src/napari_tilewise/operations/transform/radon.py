"""`skimage.transform.radon` and related functions: projections, which need the whole image."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from math import floor, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.whole import WHOLE
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
    Call,
    Cost,
    Limits,
    Operation,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import Array, ChoiceSpec, Flag, Number, Numbers
from napari_tilewise.operations.spec.pixel_positions import unplaced
from napari_tilewise.operations.transform import finite_radon
from napari_tilewise.operations.transform.integral import DataType

if TYPE_CHECKING:
    from napari_tilewise.types import AnyFunction, DType

ANGLES = Array(ndim=1, usual=(0, 180), optional=True, longest=20)


def _projections(call: Call) -> int:
    return 180 if call["theta"] is None else len(call["theta"])


def _radon_shape(call: Call) -> tuple[int, int]:
    if call["circle"]:
        return min(call.shape), _projections(call)
    diagonal = np.sqrt(2) * max(call.shape)
    return max(n + int(np.ceil(diagonal - n)) for n in call.shape), _projections(call)


def _image_length(call: Call) -> int:
    if call["output_size"] is not None:
        return int(call["output_size"])
    length = call.shape[0]
    return length if call["circle"] else floor(sqrt(length**2 / 2.0))


def _check_theta(call: Call) -> None:
    theta = call["theta"]
    if theta is not None and len(theta) != call.shape[1]:
        raise InvalidParameter(
            f"{call.operation.name}: theta has {len(theta)} angles, but the sinogram has "
            f"{call.shape[1]} columns: expected one angle per column."
        )


def _check_sart(call: Call) -> None:
    _check_theta(call)
    length, count = call.shape
    for name, shape in (("image", (length, length)), ("projection_shifts", (count,))):
        array = call[name]
        if array is not None and array.shape != shape:
            raise InvalidParameter(
                f"{call.operation.name}: {name} has shape {array.shape}: expected {shape}."
            )
    if call["clip"] is not None and np.shape(call["clip"]) != (2,):
        raise InvalidParameter(
            f"{call.operation.name}: clip={call['clip']!r}: expected a lower and an upper bound."
        )


def _sart_dtype(call: Call) -> DType:
    if call["dtype"] is not None:
        dtype: DType = np.dtype(call["dtype"])
        return dtype
    return call.dtype if call.dtype.char in "fd" else np.dtype(float)


def _square(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (min(shape),) * 2


def _one_row_more(shape: tuple[int, ...]) -> tuple[int, ...]:
    columns = max(1, min(shape[0] - 1, shape[1]))
    return columns + 1, columns


def _check_frt2(call: Call) -> None:
    if call.shape != _square(call.shape):
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape}: expected as many rows as "
            "columns."
        )


def _check_ifrt2(call: Call) -> None:
    if call.shape != _one_row_more(call.shape):
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape}: expected one row more than "
            "columns."
        )


def _from_a_copy(function: AnyFunction) -> AnyFunction:
    """Return scikit-image's function, which gets a copy of the image it overwrites."""

    @wraps(function)
    def reconstruct(
        radon_image: np.ndarray, *, image: np.ndarray | None = None, **params: Any
    ) -> Any:
        return function(radon_image, image=None if image is None else image.copy(), **params)

    return reconstruct


_WHOLE = {**WHOLE, "neighbourhood": replace(WHOLE["neighbourhood"], sampling=unplaced)}

OPERATIONS = (
    Operation(
        name="transform.radon",
        title="Radon transform",
        family=families.INTEGRALS,
        **_WHOLE,
        specs={"theta": ANGLES, "circle": Flag(), "preserve_range": Flag(advanced=True)},
        result=ResultSpec(shape=_radon_shape, dtype=as_float),
        limits=Limits(ndim=(2, 2)),
        cost=Cost(memory=12.0),
        note="Needs the whole image: every projection adds up the image rotated as a whole.",
    ),
    Operation(
        name="transform.iradon",
        title="Inverse Radon transform",
        family=families.INTEGRALS,
        **_WHOLE,
        specs={
            "theta": ANGLES,
            "output_size": Number(
                minimum=1, integer=True, optional=True, length=True, usual=(1, 40), advanced=True
            ),
            "filter_name": ChoiceSpec(
                choices=("ramp", "shepp-logan", "cosine", "hamming", "hann"), optional=True
            ),
            "interpolation": ChoiceSpec(choices=("linear", "nearest", "cubic"), advanced=True),
            "circle": Flag(),
            "preserve_range": Flag(advanced=True),
        },
        result=ResultSpec(shape=lambda call: (_image_length(call),) * 2, dtype=as_float),
        limits=Limits(ndim=(2, 2), check=_check_theta),
        cost=Cost(memory=40.0),
        note="Needs the whole sinogram: every pixel lies on a line of each projection. The image "
        "is a sinogram, one column per angle.",
    ),
    Operation(
        name="transform.iradon_sart",
        title="Inverse Radon transform (SART)",
        family=families.INTEGRALS,
        **_WHOLE,
        specs={
            "theta": ANGLES,
            "image": Array(ndim=2, optional=True, advanced=True),
            "projection_shifts": Array(ndim=1, usual=(-2, 2), optional=True, advanced=True),
            "clip": Numbers(
                item=Number(usual=(0, 1)), least=2, most=2, optional=True, advanced=True
            ),
            "relaxation": Number(usual=(0.05, 0.5)),
            "dtype": DataType(choices=("float32", "float64"), optional=True, advanced=True),
        },
        adapter=Adapter(wrap=_from_a_copy),
        result=ResultSpec(shape=lambda call: (call.shape[0],) * 2, dtype=_sart_dtype),
        limits=Limits(ndim=(2, 2), check=_check_sart),
        cost=Cost(memory=10.0),
        note="Needs the whole sinogram: every projection updates the reconstruction of those "
        "before. The image is a sinogram, one column per angle; `image` is the initial "
        "reconstruction, which scikit-image overwrites and tiled processing does not.",
    ),
    Operation(
        name="transform.frt2",
        title="Finite Radon transform",
        family=families.INTEGRALS,
        **_WHOLE,
        adapter=Adapter(wrap=finite_radon.forward),
        result=ResultSpec(
            shape=lambda call: (call.shape[0] + 1, call.shape[1]), dtype=lambda call: np.uint32
        ),
        limits=Limits(ndim=(2, 2), check=_check_frt2, nearest_shape=_square),
        cost=Cost(memory=5.0),
        note="Needs the whole image: every sum runs through all rows.",
    ),
    Operation(
        name="transform.ifrt2",
        title="Inverse finite Radon transform",
        family=families.INTEGRALS,
        **_WHOLE,
        adapter=Adapter(wrap=finite_radon.inverse),
        result=ResultSpec(shape=lambda call: (call.shape[1],) * 2, dtype=lambda call: np.float64),
        limits=Limits(
            ndim=(2, 2),
            dtypes="bu",  # the function adds the last row to unsigned sums
            check=_check_ifrt2,
            nearest_shape=_one_row_more,
        ),
        cost=Cost(memory=5.0),
        note="Needs the whole image: every sum runs through all rows.",
    ),
)
