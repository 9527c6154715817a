"""A small image in memory goes through the function in one call, in the calling thread.

Tiles cannot pay where there would be one. The same holds for larger images where a compiled kernel
is faster on the whole than several passes over tiles are; the declaration says up to which size.
Where the passes of an operation do what its function does not, a small image goes through them
(`one_tile`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.engine.images.prepared_calls import (
    FEW_BYTES,
    is_plain,
    is_plain_list,
    prepare_call,
)
from napari_tilewise.engine.one_tile import results_of_one_tile
from napari_tilewise.engine.system.machine import available_memory, processors
from napari_tilewise.errors import OperationFailed, TilewiseError
from napari_tilewise.grid import format_region
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.operation import tiled
from napari_tilewise.operations.spec.parameters import Number, OtherImage, is_image
from napari_tilewise.operations.spec.substitution import accepts, is_finite, kernel_for
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.operations.spec.operation import Call, Cost, Operation, Part
    from napari_tilewise.types import Array, DType, Parameters, Value

SMALL = 2**16
"""Pixels up to which memory is not looked up, and the function may be scikit-image's own."""
MOST_RESULT = 2**22
"""Pixels of a result, or of a further image of its own size, which may be larger."""
MOST_LEVELS = 2**20
"""The longest range of integers that is counted."""
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
    OperationFailed
        When the function refuses the image, and nothing but the function computes it; or a function
        among the parameters fails, which is not called again.
    """
    if not _may_pay(operation, image.size):
        return None
    bound = _bound(operation, image, params)
    if bound.is_padded or not (bound.is_small or bound.has_kernel or bound.is_one_tile):
        return None
    if bound.more_bytes and bound.more_bytes >= available_memory() / 2:
        return None
    call = bound.call
    images = _further_images(call, params) if bound.has_images else {}
    if images is None:
        return None
    pixels = _in_one_piece(image, call.dtype)
    try:
        with _threads() if bound.has_kernel_for_many else nullcontext():
            if _pays(bound, pixels, images):
                if pixels is image:
                    _prepare(bound, params, images)
                return _as_declared(bound, image, _by_function(bound, pixels, images))
        return _by_passes(bound, pixels, images) if bound.is_one_tile else None
    except Exception as error:  # noqa: BLE001
        _raise_refusal(bound, error)
        return None  # tiles have more room, or refuse in the operation's words


def _raise_refusal(bound: _Bound, error: Exception) -> None:
    """Raise what tiles would raise, where they would only call the function that failed again.

    Raises
    ------
    OperationFailed
        Naming the operation; or the error itself, if it does.
    """
    operation = bound.call.operation
    is_all = bound.is_small and operation.plan_of in (tiled, whole)
    calls_users = any(callable(value) for value in bound.call.params.values())
    if isinstance(error, MemoryError) or not (is_all or calls_users):
        return
    if isinstance(error, TilewiseError):
        raise error
    image = format_region(tuple(slice(0, n) for n in bound.call.spatial_shape))
    raise OperationFailed(f"{operation.name} failed on the tile {image}: {error}") from error


def _prepare(bound: _Bound, params: Parameters, images: Parameters) -> None:
    """Prepare later calls, if the function was all that this one needed."""
    if not bound.is_small or bound.has_kernel_for_many or bound.more_bytes:
        return
    further = [name for name, image in images.items() if image is not None]
    if any(images[name] is not params[name] for name in further):
        return  # copied, to be contiguous or of this machine's data type
    arrays = [name for name in params if isinstance(params[name], np.ndarray)]
    if len(arrays) > len(further) and not bound.has_arrays:
        return  # not among what later calls are found by
    function = bound.function
    keywords = {**_keywords(bound), **dict.fromkeys(set(images) - set(further))}
    is_checked = bound.is_counted or bound.is_finite or prod(bound.call.shape) > SMALL

    def run(image: Array, params: Parameters) -> tuple[Value] | None:
        others = {name: params[name] for name in further}
        if is_checked and not _pays(bound, image, others):
            return None
        own = _with_own_values(keywords) if bound.has_arrays else keywords
        try:
            result = function(image, **own, **others)
        except Exception as error:
            _raise_refusal(bound, error)
            raise
        return _as_declared(bound, image, result)

    prepare_call(bound.call, params, further, run)


def _by_function(bound: _Bound, pixels: Array, images: Parameters) -> Value:
    """Return what the function, or the kernel that stands for it, makes of the image."""
    # What `_pays` found a kernel to accept, which may look at every pixel, is not asked again.
    function = bound.function if bound.is_small else kernel_for(bound.path).run
    keywords = _keywords(bound)
    if bound.has_arrays:
        keywords = _with_own_values(keywords)
    return function(pixels, **keywords, **images)


def _keywords(bound: _Bound) -> Parameters:
    """Return the parameters as the function takes them.

    scikit-image moves the axis of the channels to the end and back, unless it is -1.
    """
    call, name = bound.call, bound.call.operation.channel
    is_own = bound.is_small and bound.function is call.operation.raw_function
    if is_own and name in call.keywords and call.channel_axis == len(call.shape) - 1:
        return {**call.keywords, name: -1}
    return call.keywords


def _by_passes(bound: _Bound, pixels: Array, images: Parameters) -> tuple[Value] | None:
    """Return what the operation's passes make of an image that is one tile."""
    sources = {name: image for name, image in images.items() if image is not None}
    call = bound.call
    if images or bound.has_arrays:
        # Passes may look at the pixels of further images, where what is bound is a description.
        call = replace(call, params={**_with_own_values(call.params), **images})
    results = results_of_one_tile(call, pixels, sources, bound.parts)
    if results is None:
        return None
    split = bound.call.operation.result.split
    if split is not None:
        planes = np.moveaxis(results[0], bound.parts[0].channel or 0, 0)
        return (split(planes[number] for number in range(len(planes))),)
    return (results if bound.is_tuple else results[0],)


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
    has_kernel_for_many: bool
    """Whether a kernel may, and the pixels are so many that it uses every processor."""
    has_arrays: bool
    """Whether arrays or lists of later calls, too, are among the parameters."""
    more_bytes: int
    """Bytes that parameters take where the size of the image does not tell, if they are many."""
    is_one_tile: bool
    """Whether the image is so small that the passes need one tile."""
    function: Function
    """What is called of a small image."""

    is_finite: bool
    """Whether NaN and infinity are for tiles to answer."""
    is_counted: bool
    """Whether integers of a long range are."""

    @property
    def path(self) -> str:
        """The function's dotted path, as kernels name it."""
        return f"skimage.{self.call.operation.name}"


@dataclass(frozen=True)
class _ImageDescription:
    """What checks see of a further image."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def ndim(self) -> int:
        return len(self.shape)


class _SmallList(NamedTuple):
    """A list by its items."""

    items: tuple[Value, ...]


class _SmallArray(NamedTuple):
    """An array by its items."""

    items: bytes
    shape: tuple[int, ...]
    dtype: DType


def _bound(operation: Operation, image: Array, params: Parameters) -> _Bound:
    """Return an operation bound to parameters and an image; what is described briefly is once."""
    dtype = _native(image.dtype)
    values = tuple([(name, *_described(operation, name, params[name])) for name in params])
    if all(text for _, text, _ in values):
        try:
            return _bound_before(operation, image.shape, dtype, values)
        except Exception:
            if all(is_plain(value) for _, _, value in values):
                raise
    return _bind(operation, image.shape, dtype, params)


def _with_own_values(params: Parameters) -> dict[str, Value]:
    """Return parameters with arrays and lists of their own: a result may hold them."""
    return {
        name: value.copy() if isinstance(value, np.ndarray | list) else value
        for name, value in params.items()
    }


def _native(dtype: DType) -> DType:
    """Return the data type of this machine that holds the same numbers."""
    return _native_number(dtype) if dtype.kind in "biufc" else native_dtype(dtype)


_native_number = lru_cache(maxsize=64)(native_dtype)


def _in_one_piece(image: Array, dtype: DType) -> Array:
    """Return an image, contiguous and of this machine's data type; copied only where it is not."""
    if image.dtype is dtype and image.flags.c_contiguous and type(image) is np.ndarray:
        return image
    return np.ascontiguousarray(with_dtype(image, dtype))


def _described(operation: Operation, name: str, value: Value) -> tuple[str, Value]:
    """Return a value as it is bound again, with a text; no text where it is not."""
    # 1, 1.0 and True are equal, and 0.0 and -0.0 are: their texts are not.
    if is_plain(value):
        return (repr(value), value) if name in operation.specs else ("", None)
    if is_plain_list(value):
        return (repr(value), _SmallList(tuple(value))) if name in operation.specs else ("", None)
    if type(value) is not np.ndarray or name not in operation.specs:
        return "", None
    if value.ndim and is_image(operation.specs[name], value):
        return "image", _ImageDescription(value.shape, value.dtype)
    if value.nbytes <= FEW_BYTES and value.dtype.kind in "buif":
        return "array", _SmallArray(value.tobytes(), value.shape, value.dtype)
    return "", None


@lru_cache(maxsize=256)
def _bound_before(
    operation: Operation,
    shape: tuple[int, ...],
    dtype: DType,
    values: tuple[tuple[str, str, Value], ...],
) -> _Bound:
    params = {name: _from_description(value) for name, _, value in values}
    bound = _bind(operation, shape, dtype, params)
    own = any(isinstance(value, np.ndarray | list) for value in bound.call.params.values())
    return bound._replace(has_arrays=own)


def _from_description(value: Value) -> Value:
    if isinstance(value, _SmallArray):
        return np.frombuffer(value.items, value.dtype).reshape(value.shape).copy()
    return list(value.items) if isinstance(value, _SmallList) else value


def _bind(operation: Operation, shape: tuple[int, ...], dtype: DType, params: Parameters) -> _Bound:
    call = operation.call(shape, dtype, params)
    several = operation.parts(call)
    parts = (operation.whole_part(call),) if several is None else several
    is_brief = all(prod(part.shape or ()) <= MOST_RESULT for part in parts)
    at_once, has_kernel = operation.cost.at_once, _has_kernel(operation, prod(shape))
    return _Bound(
        call,
        parts,
        is_tuple=several is not None,
        has_images=len(call.keywords) < len(call.params),
        is_padded=_is_padded(operation, call.params, max(shape, default=0)),
        more_bytes=_more_bytes(call),
        # Channels are no reason to cut an image into tiles.
        is_small=is_brief
        and _takes_small(operation, _pixels(call))
        and (at_once.when is None or at_once.when(call)),
        has_kernel=has_kernel,
        has_kernel_for_many=has_kernel and prod(shape) > SMALL,
        has_arrays=False,
        is_one_tile=is_brief and _pixels(call) <= SMALL,
        function=_shortest(operation),
        is_finite=operation.limits.finite or at_once.finite,
        is_counted=at_once.counted,
    )


def _pixels(call: Call) -> int:
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return prod(call.spatial_shape) * -(-channels // MOST_CHANNELS)


def _shortest(operation: Operation) -> Function:
    """Return the operation's function, or scikit-image's own where nothing comes between."""
    adapter = operation.adapter
    is_plain = not (operation.has_kernel or adapter.fixed or operation.deprecated)
    return operation.raw_function if is_plain and adapter.pick is None else operation.function


def _threads() -> AbstractContextManager[None]:
    """Return the context in which a kernel uses every processor."""
    from napari_tilewise.kernels.threads import several_threads

    return several_threads(processors())


def _further_images(call: Call, params: Parameters) -> dict[str, Value] | None:
    """Return the further images; None where one of them is to be read, or does not fit."""
    operation = call.operation
    images: dict[str, Value] = {}
    for name in call.params:
        if name in call.keywords:
            continue
        value = params.get(name)
        if value is None and call.params[name] is None:
            images[name] = None
            continue
        if not isinstance(value, np.ndarray):
            return None
        if isinstance(operation.specs[name], OtherImage):
            fits = value.size <= MOST_RESULT
        else:
            shapes = (call.shape, call.spatial_shape)
            fits = any(value.shape[: len(shape)] == shape for shape in shapes)
        if not fits:
            return None
        images[name] = _in_one_piece(value, _native(value.dtype))
    return images


def _may_pay(operation: Operation, pixels: int) -> bool:
    """Return whether the declaration allows it for an image of so many pixels."""
    if operation.adapter.digest:
        return False
    if pixels <= SMALL:
        return True
    if operation.channel is not None or operation.limits.implied_channel:
        pixels //= MOST_CHANNELS
    return pixels <= SMALL or _takes_small(operation, pixels) or _has_kernel(operation, pixels)


def _takes_small(operation: Operation, pixels: int) -> bool:
    """Return whether the function itself may get an image whole: no plan checks it before."""
    most = operation.cost.at_once.function
    return pixels <= (max(most, SMALL) if operation.plan_of in (tiled, whole) else most)


def _has_kernel(operation: Operation, pixels: int) -> bool:
    path = f"skimage.{operation.name}"
    return (
        operation.result.split is None
        and path in operation.adapter.kernels
        and pixels <= operation.cost.at_once.kernel
    )


def _pays(bound: _Bound, pixels: Array, images: Parameters) -> bool:
    """Return whether a kernel stands for the function, or the image is small; the pixels suit."""
    several = (pixels, *images.values())
    if bound.is_counted and not all(map(_has_few_levels, several)):
        return False
    operation = bound.call.operation
    if bound.is_small:
        suits = not bound.is_finite or all(map(_has_numbers, several))
        return suits and (pixels.size <= SMALL or _fits(operation.cost, pixels))
    # A kernel says itself whether it knows NaN and infinity.
    if not bound.has_kernel or not accepts(bound.path, pixels, **bound.call.keywords, **images):
        return False
    return _fits(operation.cost, pixels, operation.cost.at_once.copies)


def _fits(cost: Cost, pixels: Array, copies: int | None = None) -> bool:
    """Return whether there is memory for the image in one call; of few pixels, nobody asks."""
    if pixels.size <= SMALL:
        return True
    memory = copies * pixels.nbytes if copies else pixels.size * 8 * (cost.whole or cost.memory)
    return memory <= LITTLE or memory < available_memory() / 2


def _has_numbers(image: Array | None) -> bool:
    """Return whether an image holds neither NaN nor infinity."""
    return image is None or is_finite(image)


def _has_few_levels(image: Array | None) -> bool:
    """Return whether the range of integers is short."""
    if image is None or image.dtype.kind not in "ui" or image.dtype.itemsize <= 2:
        return True
    return int(image.max()) - min(0, int(image.min())) <= MOST_LEVELS


def _more_bytes(call: Call) -> int:
    """Return the memory that parameters take where the image's size does not tell; 0 if little."""
    cost = call.operation.cost
    least = cost.least(call)
    size = int(least * 8 * cost.memory)
    return size if least > prod(call.shape) and size > LITTLE else 0


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
    operation = bound.call.operation
    varies = operation.result.dtype_varies
    if operation.result.split is not None:
        return _images_as_declared(operation.result.split, bound.parts[0], image, result)
    if not bound.is_tuple:
        (part,) = bound.parts
        if type(result) is np.ndarray and result.base is None and result is not image:
            if result.dtype == part.dtype and result.shape == part.shape:
                return (result,)
        fits = not part.output.is_image or np.shape(result) == part.shape
        return (_part_as_declared(part, image, result, varies=varies),) if fits else None
    if not isinstance(result, tuple) or len(result) != len(bound.parts):
        return None
    pairs = zip(bound.parts, result, strict=True)
    return (tuple(_part_as_declared(part, image, item, varies=varies) for part, item in pairs),)


def _images_as_declared(
    split: Callable[[Iterable[Array]], Value], part: Part, image: Array, result: Value
) -> tuple[Value] | None:
    """Return several images of one kind, which are declared as one with a further axis."""
    axis, shape = part.channel or 0, list(part.shape or ())
    count = shape.pop(axis)
    if len(result) != count or any(np.shape(item) != tuple(shape) for item in result):
        return None
    return (split(_part_as_declared(part, image, item, varies=False) for item in result),)


def _part_as_declared(part: Part, image: Array, result: Value, *, varies: bool) -> Value:
    if not part.output.is_image:
        return result
    array: Any = np.asarray(result)
    if not varies and array.dtype != part.dtype:
        array = array.astype(part.dtype)
    if array.base is None and array is not image:
        return array
    return array.copy() if np.may_share_memory(array, image) else array
