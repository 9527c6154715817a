"""A small image in memory goes through the function in one call, in the calling thread.

Tiles cannot pay where there would be one. The same holds for larger images where a compiled kernel
is faster on the whole than several passes over tiles are; the declaration says up to which size.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.engine.system.machine import available_memory, processors
from napari_tilewise.operations.spec.operation import tiled
from napari_tilewise.operations.spec.parameters import Number, OtherImage
from napari_tilewise.operations.spec.substitution import accepts, kernel_for
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.operations.spec.operation import Call, Operation, Part
    from napari_tilewise.types import Array, DType, Parameters, Value

SMALL = 2**16
"""Pixels up to which memory is not looked up, and the function may be scikit-image's own."""
MOST_CHANNELS = 4
"""Channels of an image that is small if its pixels are few."""
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
    bound = _bound(operation, image, params)
    if not (bound.is_small or bound.has_kernel):
        return None
    call = bound.call
    images = _further_images(call) if bound.has_images else {}
    if images is None:
        return None
    pixels: Array = image
    if image.dtype is not call.dtype or not image.flags.c_contiguous:
        pixels = np.ascontiguousarray(with_dtype(image, call.dtype))
    if not _pays(bound, pixels, images):
        return None
    # What `_pays` found a kernel to accept, which may look at every pixel, is not asked again.
    function = bound.function if bound.is_small else kernel_for(bound.path).run
    try:
        if bound.has_kernel and pixels.size > SMALL:
            with _threads():
                result = function(pixels, **call.keywords, **images)
        else:
            result = function(pixels, **call.keywords, **images)
    except Exception:  # noqa: BLE001 - tiles have more room, or refuse in the operation's words
        return None
    return _as_declared(bound, image, result)


class _Bound(NamedTuple):
    """What an operation, its parameters, and the image's shape and dtype say together."""

    call: Call
    parts: tuple[Part, ...]
    """What the results are."""
    is_tuple: bool
    """Whether there are several."""
    has_images: bool
    """Whether some parameters are further images."""
    is_padded: bool
    """Whether a length is beyond the image: the function would pad it, however small."""
    is_small: bool
    """Whether the function itself may get the image whole."""
    has_kernel: bool
    """Whether a kernel may, which stands for it."""
    function: Function
    """What is called of a small image."""

    is_finite: bool
    """Whether NaN and infinity are for tiles to answer."""

    @property
    def path(self) -> str:
        """The function's dotted path, as kernels name it."""
        return f"skimage.{self.call.operation.name}"


PLAIN = frozenset({int, float, str, bool, type(None)})
"""Types of parameters by whose values what was bound is found again."""


def _bound(operation: Operation, image: Array, params: Parameters) -> _Bound:
    """Return an operation bound to parameters and an image; what is plain is bound once."""
    dtype = native_dtype(image.dtype)
    for name, value in params.items():
        if type(value) not in PLAIN or name not in operation.specs:
            return _bind(operation, image.shape, dtype, params)
    # 1, 1.0 and True are equal, and 0.0 and -0.0 are: their texts are not.
    values = tuple([(name, repr(value), value) for name, value in params.items()])
    return _bound_before(operation, image.shape, dtype, values)


@lru_cache(maxsize=256)
def _bound_before(
    operation: Operation,
    shape: tuple[int, ...],
    dtype: DType,
    values: tuple[tuple[str, str, Value], ...],
) -> _Bound:
    return _bind(operation, shape, dtype, {name: value for name, _, value in values})


def _bind(operation: Operation, shape: tuple[int, ...], dtype: DType, params: Parameters) -> _Bound:
    call = operation.call(shape, dtype, params)
    parts = operation.parts(call)
    return _Bound(
        call,
        (operation.whole_part(call),) if parts is None else parts,
        is_tuple=parts is not None,
        has_images=len(call.keywords) < len(call.params),
        is_padded=_is_padded(operation, call.params, max(shape, default=0)) or _takes_more(call),
        # Channels are no reason to cut an image into tiles.
        is_small=_takes_small(operation, _pixels(call)),
        has_kernel=_has_kernel(operation, prod(shape)),
        function=_shortest(operation),
        is_finite=(operation.limits.finite or operation.cost.at_once.finite) and dtype.kind == "f",
    )


def _pixels(call: Call) -> int:
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return prod(call.spatial_shape) * -(-channels // MOST_CHANNELS)


def _shortest(operation: Operation) -> Function:
    """Return the operation's function, or scikit-image's own where nothing comes between."""
    adapter = operation.adapter
    is_plain = not (adapter.kernels or adapter.fixed or operation.deprecated)
    return operation.raw_function if is_plain and adapter.pick is None else operation.function


def _threads() -> AbstractContextManager[None]:
    """Return the context in which a kernel uses every processor."""
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
    if pixels > SMALL and (operation.channel is not None or operation.limits.implied_channel):
        pixels //= MOST_CHANNELS
    return _takes_small(operation, pixels) or _has_kernel(operation, pixels)


def _takes_small(operation: Operation, pixels: int) -> bool:
    """Return whether the function itself may get an image whole: no plan checks it before."""
    most = operation.cost.at_once.function
    return pixels <= (max(most, SMALL) if operation.plan_of is tiled else most)


def _has_kernel(operation: Operation, pixels: int) -> bool:
    path = f"skimage.{operation.name}"
    return path in operation.adapter.kernels and pixels <= operation.cost.at_once.kernel


def _pays(bound: _Bound, pixels: Array, images: Parameters) -> bool:
    """Return whether a kernel stands for the function, or the image is small; the pixels suit."""
    if bound.is_padded or (bound.is_finite and not np.isfinite(pixels).all()):
        return False
    if bound.is_small:
        return True
    operation = bound.call.operation
    if not accepts(bound.path, pixels, **bound.call.keywords, **images):
        return False
    memory = pixels.size * 8 * (operation.cost.whole or operation.cost.memory)
    return pixels.size <= SMALL or memory <= LITTLE or memory < available_memory() / 2


def _takes_more(call: Call) -> bool:
    """Return whether parameters take memory that the size of the image does not tell."""
    least, of_pixel = call.operation.cost.least(call), 8 * call.operation.cost.memory
    return least > prod(call.shape) and least * of_pixel > LITTLE


def _is_padded(operation: Operation, keywords: Parameters, longest: int) -> bool:
    """Return whether a length is beyond the image: the function would pad it, however small."""
    lengths = [
        keywords.get(name)
        for name, spec in operation.specs.items()
        if isinstance(spec, Number) and spec.length
    ]
    return any(length is not None and np.max(length) > longest for length in lengths)


def _as_declared(bound: _Bound, image: Array, result: Value) -> tuple[Value] | None:
    """Return the result as tiles would give it; None where the declaration is of another form."""
    varies = bound.call.operation.result.dtype_varies
    if not bound.is_tuple:
        (part,) = bound.parts
        fits = not part.output.is_image or np.shape(result) == part.shape
        return (_part_as_declared(part, image, result, varies=varies),) if fits else None
    if not isinstance(result, tuple) or len(result) != len(bound.parts):
        return None
    pairs = zip(bound.parts, result, strict=True)
    return (tuple(_part_as_declared(part, image, item, varies=varies) for part, item in pairs),)


def _part_as_declared(part: Part, image: Array, result: Value, *, varies: bool) -> Value:
    if not part.output.is_image:
        return result
    array: Any = np.asarray(result)
    if not varies and array.dtype != part.dtype:
        array = array.astype(part.dtype)
    if array.base is None and array is not image:
        return array
    return array.copy() if np.may_share_memory(array, image) else array
