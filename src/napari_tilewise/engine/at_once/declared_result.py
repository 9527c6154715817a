"""A function's result becomes what the operation declares: its data type, its memory its own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_tilewise.engine.at_once.bound_call import BoundCall
    from napari_tilewise.operations.spec.operation import Part
    from napari_tilewise.types import Array, Value


def result_of_form(bound: BoundCall) -> Callable[[Array, Value], tuple[Value] | None]:
    """Return `as_declared` for one bound call, with the fewest steps for what most functions give.

    Parameters
    ----------
    bound
        The call that is made again and again.
    """
    if bound.is_value:
        return lambda _, result: (result,)
    if bound.is_tuple or bound.call.operation.result.split is not None:
        return partial(as_declared, bound)
    (part,) = bound.parts
    dtype, shape = np.dtype(part.dtype), part.shape

    def declared(image: Array, result: Value) -> tuple[Value] | None:
        if (
            type(result) is np.ndarray
            and result.dtype is dtype
            and result.shape == shape
            and result is not image
            and (result.base is None or _owns_other_memory(result.base, image))
        ):
            return (result,)
        return as_declared(bound, image, result)

    return declared


def _owns_other_memory(owner: Value, image: Array) -> bool:
    """Return whether an array, which a view shows a part of, has memory apart from an image's."""
    return (
        type(owner) is np.ndarray
        and owner.base is None
        and owner.flags.owndata
        and owner is not image
        and image.base is None
    )


def as_declared(bound: BoundCall, image: Array, result: Value) -> tuple[Value] | None:
    """Return a result in a tuple as tiles would give it; None where it is declared in another form.

    Parameters
    ----------
    bound
        The call that was made.
    image
        The image, with which a result shares no memory.
    result
        What the function or its kernel returned.
    """
    if bound.is_value:
        return (result,)
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
