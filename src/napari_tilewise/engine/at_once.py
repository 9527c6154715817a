"""A small image in memory goes through the function in one call, in the calling thread.

Tiles cannot pay where there would be one. The same holds for larger images where a compiled kernel
is faster on the whole than several passes over tiles are; the declaration says up to which size.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.machine import available_memory, processors
from napari_tilewise.operations.spec.operation import tiled
from napari_tilewise.operations.spec.parameters import Number, OtherImage
from napari_tilewise.operations.spec.substitution import accepts
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari_tilewise.operations.spec.operation import Call, Operation, Part
    from napari_tilewise.types import Array, Parameters, Value

SMALL = 2**16
"""Pixels up to which memory is not looked up, and the function may be scikit-image's own."""
LITTLE = 2**26
"""Bytes that are there: looking it up, in several files, takes a millisecond."""


def computed_at_once(operation: Operation, image: Array, params: Parameters) -> tuple[Value] | None:
    """Return the result in a tuple, or None where tiles are to compute it.

    Parameters
    ----------
    operation
        The operation.
    image
        All its axes are spatial, or the channels.
    params
        The operation's parameters, not yet checked.

    Raises
    ------
    UnknownParameter, InvalidParameter, InvalidImage
        Before any pixel is read.
    """
    if not _may_pay(operation, image.size):
        return None
    call = operation.call(image.shape, native_dtype(image.dtype), params)
    keywords, images = call.keywords, _further_images(call)
    if images is None:
        return None
    pixels = np.ascontiguousarray(with_dtype(image, call.dtype))
    if not _pays(call, pixels, {**keywords, **images}):
        return None
    try:
        with _threads(pixels.size):
            result = operation.function(pixels, **keywords, **images)
    except Exception:  # noqa: BLE001 - tiles have more room, or refuse in the operation's words
        return None
    return _as_declared(call, image, result)


def _threads(pixels: int) -> AbstractContextManager[None]:
    """Return the context in which a kernel uses every processor, for an image worth it."""
    if pixels <= SMALL:
        return nullcontext()
    from napari_tilewise.kernels.threads import several_threads

    return several_threads(processors())


def _further_images(call: Call) -> dict[str, Value] | None:
    """Return the further images; None where one of them is to be read, or does not fit."""
    operation = call.operation
    images: dict[str, Value] = {}
    for name, value in call.params.items():
        if name in call.keywords:
            continue
        if value is None:
            images[name] = None
            continue
        fits = isinstance(operation.specs[name], OtherImage) or any(
            np.shape(value)[: len(shape)] == shape for shape in (call.shape, call.spatial_shape)
        )
        if not (isinstance(value, np.ndarray) and fits):
            return None
        images[name] = np.ascontiguousarray(with_dtype(value, native_dtype(value.dtype)))
    return images


def _may_pay(operation: Operation, pixels: int) -> bool:
    """Return whether the declaration allows it for an image of so many pixels."""
    if operation.result.split is not None or operation.adapter.digest:
        return False
    return _takes_small(operation, pixels) or _has_kernel(operation, pixels)


def _takes_small(operation: Operation, pixels: int) -> bool:
    """Return whether the function itself may get an image whole: no plan checks it before."""
    most = operation.cost.at_once.function
    return pixels <= (max(most, SMALL) if operation.plan_of is tiled else most)


def _has_kernel(operation: Operation, pixels: int) -> bool:
    path = f"skimage.{operation.name}"
    return path in operation.adapter.kernels and pixels <= operation.cost.at_once.kernel


def _pays(call: Call, pixels: Array, keywords: Parameters) -> bool:
    """Return whether a kernel stands for the function, or the image is small; the pixels suit."""
    operation = call.operation
    finite = operation.limits.finite or operation.cost.at_once.finite
    if finite and pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        return False
    if _is_padded(operation, keywords, max(pixels.shape, default=0)):
        return False
    if _takes_small(operation, pixels.size):
        return True
    if not accepts(f"skimage.{operation.name}", pixels, **keywords):
        return False
    memory = pixels.size * 8 * (operation.cost.whole or operation.cost.memory)
    return pixels.size <= SMALL or memory <= LITTLE or memory < available_memory() / 2


def _is_padded(operation: Operation, keywords: Parameters, longest: int) -> bool:
    """Return whether a length is beyond the image: the function would pad it, however small."""
    lengths = [
        keywords.get(name)
        for name, spec in operation.specs.items()
        if isinstance(spec, Number) and spec.length
    ]
    return any(length is not None and np.max(length) > longest for length in lengths)


def _as_declared(call: Call, image: Array, result: Value) -> tuple[Value] | None:
    """Return the result as tiles would give it; None where the declaration is of another form."""
    parts = call.operation.parts(call)
    if parts is None:
        part = call.operation.whole_part(call)
        fits = not part.output.is_image or np.shape(result) == part.shape
        return (_part_as_declared(call, part, image, result),) if fits else None
    if not isinstance(result, tuple) or len(result) != len(parts):
        return None
    pairs = zip(parts, result, strict=True)
    return (tuple(_part_as_declared(call, part, image, item) for part, item in pairs),)


def _part_as_declared(call: Call, part: Part, image: Array, result: Value) -> Value:
    if not part.output.is_image:
        return result
    array: Any = np.asarray(result)
    if not call.operation.result.dtype_varies:
        array = array.astype(part.dtype, copy=False)
    return array.copy() if np.may_share_memory(array, image) else array
