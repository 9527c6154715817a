"""What an operation, its parameters and the form of an image decide before any pixel is looked at.

A call that is described briefly (plain parameters, short lists, small arrays, the forms of further
images) is bound once: what it is bound to is found again by that description.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_tilewise.engine.at_once.prepared_calls import FEW_BYTES, is_plain, is_plain_list
from napari_tilewise.engine.at_once.row_bands import goes_by_rows, rows_of_band
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.libraries import function_path
from napari_tilewise.operations.spec.operation import IN_MEMORY, IN_ONE_CALL, tiled
from napari_tilewise.operations.spec.parameters import Number, is_image
from napari_tilewise.operations.spec.substitution import kernel_for
from napari_tilewise.types import native_dtype, with_dtype

if TYPE_CHECKING:
    from napari_tilewise.kernels import Kernel
    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.operations.spec.operation import Call, Operation, Part
    from napari_tilewise.types import Array, DType, Parameters, Value

SMALL = 2**16
"""Pixels up to which memory is not looked up, and the function may be scikit-image's own."""
MOST_RESULT = 2**22
"""Pixels of a result, or of a further image of its own size, which may be larger."""
MOST_PER_PIXEL = 4
"""The same for each of the image's, of which more may be in memory as well."""
MOST_PADDED = 2**17
"""Pixels of a small image as a function may pad it, by lengths that are beyond the image."""
MOST_CHANNELS = 4
"""Channels of an image that is small if its pixels are few."""
LITTLE = 2**26
"""Bytes that are there: looking it up, in several files, takes half a millisecond."""


class BoundCall(NamedTuple):
    """What an operation, its parameters, and the image's shape and dtype say together."""

    call: Call
    parts: tuple[Part, ...]
    """What the results are."""
    is_tuple: bool
    """Whether there are several."""
    is_value: bool
    """Whether there is one, and it is not an image."""
    has_images: bool
    """Whether some parameters are further images."""
    is_padded: bool
    """Whether the function would pad the image, however small, into a large one."""
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
    band_rows: int
    """How many rows of a larger image the function gets at a time; 0: tiles are for it."""
    function: Function
    """What is called of a small image."""
    looking: Kernel | None
    """The kernel that is asked before any check of the pixels: it looks at them itself."""

    is_finite: bool
    """Whether NaN and infinity are for tiles to answer."""
    is_counted: bool
    """Whether integers of a long range are."""

    @property
    def path(self) -> str:
        """The function's dotted path, as kernels name it."""
        return function_path(self.call.operation.name)


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


def may_pay(operation: Operation, pixels: int) -> bool:
    """Return whether a declaration allows an image of so many pixels to be computed at once.

    Parameters
    ----------
    operation
        The operation.
    pixels
        All of the image's, those of its channels too.
    """
    if operation.adapter.digest:
        return False
    if pixels <= SMALL:
        return True
    if operation.channel is not None or operation.limits.implied_channel:
        pixels //= MOST_CHANNELS
    if pixels <= max(SMALL, operation.cost.at_once.passes):
        return True
    if _takes_small(operation, pixels) or _has_kernel(operation, pixels):
        return True
    return goes_by_rows(operation)


def _takes_small(operation: Operation, pixels: int) -> bool:
    """Return whether the function itself may get an image whole: no plan checks it before."""
    most = operation.cost.at_once.function
    if operation.plan_of is whole:
        most = max(most or 0, IN_MEMORY)  # the only tile is the image
    if most is None:
        most = IN_ONE_CALL if operation.plan_of is tiled else 0
    return pixels <= most


def _has_kernel(operation: Operation, pixels: int) -> bool:
    return (
        operation.result.split is None
        and operation.has_kernel
        and pixels <= operation.cost.at_once.kernel
    )


def bound_call(operation: Operation, image: Array, params: Parameters) -> BoundCall:
    """Return an operation bound to parameters and an image; what is described briefly is once.

    Parameters
    ----------
    operation
        The operation.
    image
        Its shape and data type count.
    params
        The parameters, not yet checked.

    Raises
    ------
    UnknownParameter, InvalidParameter, InvalidImage
        For what the operation does not take.
    """
    dtype = native(image.dtype)
    values = tuple([(name, *_described(operation, name, params[name])) for name in params])
    if all(text for _, text, _ in values):
        try:
            return _bound_before(operation, image.shape, dtype, values)
        except Exception:
            if all(is_plain(value) for _, _, value in values):
                raise
    return _bind(operation, image.shape, dtype, params)


def native(dtype: DType) -> DType:
    """Return the data type of this machine that holds the same numbers.

    Parameters
    ----------
    dtype
        Of an image.
    """
    return _native_number(dtype) if dtype.kind in "biufc" else native_dtype(dtype)


_native_number = lru_cache(maxsize=64)(native_dtype)


def in_one_piece(image: Array, dtype: DType) -> Array:
    """Return an image, contiguous and of this machine's data type; copied only where it is not.

    Parameters
    ----------
    image
        In any order.
    dtype
        What `native` returned.
    """
    if image.dtype is dtype and image.flags.c_contiguous and type(image) is np.ndarray:
        return image
    return np.ascontiguousarray(with_dtype(image, dtype))


def with_own_values(params: Parameters) -> dict[str, Value]:
    """Return parameters with arrays and lists of their own: a result may hold them.

    Parameters
    ----------
    params
        The parameters by name.
    """
    return {
        name: value.copy() if isinstance(value, np.ndarray | list) else value
        for name, value in params.items()
    }


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
) -> BoundCall:
    params = {name: _from_description(value) for name, _, value in values}
    bound = _bind(operation, shape, dtype, params)
    own = any(isinstance(value, np.ndarray | list) for value in bound.call.params.values())
    return bound._replace(has_arrays=own)


def _from_description(value: Value) -> Value:
    if isinstance(value, _SmallArray):
        return np.frombuffer(value.items, value.dtype).reshape(value.shape).copy()
    return list(value.items) if isinstance(value, _SmallList) else value


def _bind(
    operation: Operation, shape: tuple[int, ...], dtype: DType, params: Parameters
) -> BoundCall:
    call = operation.call(shape, dtype, params)
    several = operation.parts(call)
    parts = (operation.whole_part(call),) if several is None else several
    most = max(MOST_RESULT, MOST_PER_PIXEL * prod(shape))
    is_brief = all(prod(part.shape or ()) <= most for part in parts)
    at_once, has_kernel = operation.cost.at_once, _has_kernel(operation, prod(shape))
    return BoundCall(
        call,
        parts,
        is_tuple=several is not None,
        is_value=several is None
        and operation.result.split is None
        and not parts[0].output.is_image,
        has_images=len(call.keywords) < len(call.params),
        is_padded=_is_padded(call),
        more_bytes=_more_bytes(call),
        # Channels are no reason to cut an image into tiles.
        is_small=is_brief
        and _takes_small(operation, _pixels(call))
        and (at_once.when is None or at_once.when(call)),
        has_kernel=has_kernel,
        has_kernel_for_many=has_kernel and prod(shape) > SMALL,
        has_arrays=False,
        is_one_tile=is_brief and _pixels(call) <= at_once.passes,
        band_rows=0 if several is not None else rows_of_band(call, parts),
        function=_shortest(operation),
        looking=_looking(operation),
        is_finite=operation.limits.finite or at_once.finite,
        is_counted=at_once.counted,
    )


def _pixels(call: Call) -> int:
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    return prod(call.spatial_shape) * -(-channels // MOST_CHANNELS)


def _shortest(operation: Operation) -> Function:
    """Return the operation's function with nothing between that a call does not need."""
    adapter = operation.adapter
    if adapter.fixed or operation.deprecated or adapter.pick is not None:
        return operation.function
    function = operation.raw_function
    if not operation.has_kernel:
        return function
    kernel = kernel_for(function_path(operation.name))
    if kernel.look is not None:
        return function  # the kernel was asked before

    def fastest(image: Array, **params: Value) -> Value:
        compute = kernel.computation(image, **params)
        return function(image, **params) if compute is None else compute()

    return fastest


def _looking(operation: Operation) -> Kernel | None:
    """Return the kernel that stands for the function, if it looks at the pixels itself."""
    adapter = operation.adapter
    if adapter.fixed or operation.deprecated or adapter.pick is not None:
        return None
    if not operation.has_kernel:
        return None
    kernel = kernel_for(function_path(operation.name))
    return None if kernel.look is None else kernel


def _more_bytes(call: Call) -> int:
    """Return the memory that parameters take where the image's size does not tell; 0 if little."""
    cost = call.operation.cost
    least = cost.least(call)
    size = int(least * 8 * cost.memory)
    return size if least > prod(call.shape) and size > LITTLE else 0


def _is_padded(call: Call) -> bool:
    """Return whether a length is beyond the image, and the image padded by it is large."""
    lengths = [
        float(np.max(call.params[name]))
        for name, spec in call.operation.specs.items()
        if isinstance(spec, Number) and spec.length and call.params.get(name) is not None
    ]
    longest = max(lengths, default=0)
    if longest <= max(call.shape, default=0):
        return False
    return prod(n + 2 * longest for n in call.spatial_shape) > MOST_PADDED
