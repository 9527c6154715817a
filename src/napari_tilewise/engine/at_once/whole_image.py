"""A small image in memory goes through the function in one call, in the calling thread.

Tiles cannot pay where there would be one. The same holds for larger images where a compiled kernel
is faster on the whole than several passes over tiles are; the declaration says up to which size.
Where the passes of an operation do what its function does not, a small image goes through them
(`one_tile`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.at_once.bound_call import (
    MOST_RESULT,
    SMALL,
    bound_call,
    in_one_piece,
    may_pay,
    native,
    with_own_values,
)
from napari_tilewise.engine.at_once.declared_result import as_declared, result_of_form
from napari_tilewise.engine.at_once.one_tile import results_of_one_tile
from napari_tilewise.engine.at_once.pixel_checks import (
    computation,
    is_free,
    later_checks,
    memory_check,
    shown_by_result,
)
from napari_tilewise.engine.at_once.prepared_calls import prepare_call
from napari_tilewise.engine.at_once.row_bands import by_rows
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import OperationFailed, TilewiseError
from napari_tilewise.grid import format_region
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.operation import tiled
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from napari_tilewise.engine.at_once.bound_call import BoundCall
    from napari_tilewise.engine.at_once.pixel_checks import PixelCheck
    from napari_tilewise.engine.at_once.prepared_calls import Run
    from napari_tilewise.operations.spec.operation import Call, Operation
    from napari_tilewise.types import Array, Parameters, Value


def computed_at_once(
    operation: Operation, image: Array, params: Parameters, *, is_alone: bool = True
) -> tuple[Value] | None:
    """Return the result in a tuple, or None where tiles are to compute it.

    Parameters
    ----------
    operation
        The operation.
    image
        All its axes are spatial, or the channels.
    params
        The operation's parameters, not yet checked.
    is_alone
        Whether it may use every processor.

    Raises
    ------
    UnknownParameter, InvalidParameter, InvalidImage
        Before any pixel is read.
    OperationFailed
        When the function refuses the image, and nothing but the function computes it; or a function
        among the parameters fails, which is not called again.
    """
    if not may_pay(operation, image.size):
        return None
    bound = bound_call(operation, image, params)
    by_bands = is_alone and bound.band_rows and not (bound.is_small or bound.has_kernel)
    if bound.is_padded or not (by_bands or bound.is_small or bound.has_kernel or bound.is_one_tile):
        return None
    if not is_free(bound.more_bytes):
        return None
    call = bound.call
    images = _further_images(call, params) if bound.has_images else {}
    if images is None:
        return None
    try:
        if by_bands:
            return _by_rows(bound, image, images)
        pixels = in_one_piece(image, call.dtype)
        with _threads() if is_alone and pixels.size > SMALL else nullcontext():
            compute = computation(bound, pixels, _own_keywords(bound), images)
            if compute is not None:
                if pixels is image:
                    _prepare(bound, image, params, images)
                return as_declared(bound, image, compute())
        return _by_passes(bound, pixels, images) if bound.is_one_tile else None
    except Exception as error:  # noqa: BLE001 - functions may raise anything
        _raise_refusal(bound, error)
        return None  # tiles have more room, or refuse in the operation's words


def _raise_refusal(bound: BoundCall, error: Exception) -> None:
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


def _prepare(bound: BoundCall, image: Array, params: Parameters, images: Parameters) -> None:
    """Prepare later calls, if the function was all that this one needed."""
    if not bound.is_small or bound.has_kernel_for_many:
        return
    further = [name for name, image in images.items() if image is not None]
    if any(images[name] is not params[name] for name in further):
        return  # copied, to be contiguous or of this machine's data type
    arrays = [name for name in params if isinstance(params[name], np.ndarray)]
    if len(arrays) > len(further) and not bound.has_arrays:
        return  # not among what later calls are found by
    keywords = {**_keywords(bound), **dict.fromkeys(set(images) - set(further))}
    run = _later_call(bound, image, keywords, further, later_checks(bound, image, images))
    shown = shown_by_result(bound, image)
    prepare_call(bound.call, params, further, run if shown is None else _if_shown(run, shown))


def _later_call(
    bound: BoundCall,
    pixels: Array,
    keywords: Parameters,
    further: Sequence[str],
    checks: Sequence[PixelCheck],
) -> Run:
    """Return what computes the result of later images, with the fewest steps for most of them."""
    function, declared, has_arrays = bound.function, result_of_form(bound), bound.has_arrays
    looking, has_memory = bound.looking, memory_check(bound, pixels)
    refuses = bound.call.operation.cost.at_once.shown is None

    def run(image: Array, params: Parameters) -> tuple[Value] | None:
        if has_memory is not None and not has_memory(image):
            return None
        own = with_own_values(keywords) if has_arrays else keywords
        if further:
            own = {**own}
            for name in further:
                own[name] = params[name]
        if looking is not None:
            compute = looking.computation(image, **own)
            if compute is not None:
                return declared(image, compute())
        for checked, suits in checks:
            if not suits(image if checked is None else params[checked]):
                return None
        try:
            result = function(image, **own)
        except Exception as error:
            if refuses:
                _raise_refusal(bound, error)
            raise  # of an image that was not looked at: the longer way tells why
        return declared(image, result)

    return run


def _if_shown(run: Run, shown: Callable[[Array, Value], bool]) -> Run:
    """Return what computes results, and none of images that have to be looked at before."""

    def checked(image: Array, params: Parameters) -> tuple[Value] | None:
        result = run(image, params)
        return result if result is None or shown(image, result[0]) else None

    return checked


def _own_keywords(bound: BoundCall) -> Parameters:
    """Return the parameters as the function takes them; arrays that may be written into, copied."""
    keywords = _keywords(bound)
    return with_own_values(keywords) if bound.has_arrays else keywords


def _keywords(bound: BoundCall) -> Parameters:
    """Return the parameters as the function takes them.

    scikit-image moves the axis of the channels to the end and back, unless it is -1.
    """
    call, name = bound.call, bound.call.operation.channel
    is_own = bound.is_small and bound.function is call.operation.raw_function
    if is_own and name in call.keywords and call.channel_axis == len(call.shape) - 1:
        return {**call.keywords, name: -1}
    return call.keywords


def _by_rows(bound: BoundCall, image: Array, images: Parameters) -> tuple[Value] | None:
    """Return what the function makes of a larger image band by band; at once, if there is one."""
    if bound.band_rows >= bound.call.shape[0]:
        pixels = in_one_piece(image, bound.call.dtype)
        return as_declared(bound, image, bound.function(pixels, **_own_keywords(bound), **images))
    compute = by_rows(bound.function, bound.call, bound.parts[0], bound.band_rows)
    result = compute(image, images, _own_keywords(bound))
    return None if result is None else (result,)


def _by_passes(bound: BoundCall, pixels: Array, images: Parameters) -> tuple[Value] | None:
    """Return what the operation's passes make of an image that is one tile."""
    sources = {name: image for name, image in images.items() if image is not None}
    call = bound.call
    if images or bound.has_arrays:
        # Passes may look at the pixels of further images, where what is bound is a description.
        call = replace(call, params={**with_own_values(call.params), **images})
    results = results_of_one_tile(call, pixels, sources, bound.parts)
    if results is None:
        return None
    split = bound.call.operation.result.split
    if split is not None:
        planes = np.moveaxis(results[0], bound.parts[0].channel or 0, 0)
        return (split(planes[number] for number in range(len(planes))),)
    return (results if bound.is_tuple else results[0],)


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
        images[name] = in_one_piece(value, native(value.dtype))
    return images
