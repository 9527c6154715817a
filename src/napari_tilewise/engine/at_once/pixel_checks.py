"""Whether an image goes through a function in one call, as far as its pixels and memory decide it.

What the form of an image decides is bound once (`bound_call`); this is asked for each image.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_tilewise.engine.at_once.bound_call import LITTLE, SMALL
from napari_tilewise.engine.system.machine import lately_available_memory
from napari_tilewise.operations.spec.substitution import finite_check, is_finite, kernel_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.engine.at_once.bound_call import BoundCall
    from napari_tilewise.operations.spec.operation import Cost
    from napari_tilewise.types import Array, Parameters, Value

PixelCheck: TypeAlias = "tuple[str | None, Callable[[Array], bool]]"
"""The name of a further image, None for the image itself, and what it has to pass."""
MOST_LEVELS = 2**20
"""The longest range of integers that is counted."""


def computation(
    bound: BoundCall, pixels: Array, keywords: Parameters, images: Parameters
) -> Callable[[], Value] | None:
    """Return what computes the result in one call, if the image is small or a kernel takes it.

    Parameters
    ----------
    bound
        The call.
    pixels
        The image, contiguous and of this machine's data type.
    keywords
        The other parameters, as the function takes them.
    images
        The further images by parameter name, as the image is; None where there is none.
    """
    cost = bound.call.operation.cost
    if bound.is_small:
        if not _fits(cost, pixels):
            return None
        if bound.looking is not None:
            compute = bound.looking.computation(pixels, **keywords, **images)
            if compute is not None:
                return compute
        if _suits_function(bound, pixels, images):
            return partial(bound.function, pixels, **keywords, **images)
        if not bound.has_kernel_for_many:
            return None
    # A kernel says itself whether it knows NaN and infinity, and how many levels it counts.
    if not bound.has_kernel or not _fits(cost, pixels, cost.at_once.copies):
        return None
    return kernel_for(bound.path).computation(pixels, **keywords, **images)


def _suits_function(bound: BoundCall, pixels: Array, images: Parameters) -> bool:
    """Return whether the pixels are among those of which the function holds."""
    several = (pixels, *images.values())
    if bound.is_counted and not all(map(_has_few_levels, several)):
        return False
    if bound.is_finite and not all(map(_has_numbers, several)):
        return False
    suits = bound.call.operation.cost.at_once.suits
    return suits is None or suits(pixels)


def later_checks(bound: BoundCall, pixels: Array, images: Parameters) -> list[PixelCheck]:
    """Return what is to be asked of later images of the same form, which paid once.

    Parameters
    ----------
    bound
        The call, of a small image.
    pixels
        An image of this form.
    images
        Further images of their form.

    Returns
    -------
    list of PixelCheck
        What each image has to pass.
    """
    checks: list[PixelCheck] = []
    for name, array in ((None, pixels), *images.items()):
        if array is None:
            continue
        is_shown = name is None and bound.call.operation.cost.at_once.shown is not None
        if bound.is_finite and array.dtype.kind == "f" and not is_shown:
            checks.append((name, finite_check(array)))
        if bound.is_counted and _is_counted(array):
            checks.append((name, _levels_check(array)))
    suits = bound.call.operation.cost.at_once.suits
    if suits is not None:
        checks.append((None, suits))
    return checks


def memory_check(bound: BoundCall, pixels: Array) -> Callable[[Array], bool] | None:
    """Return what asks of later images of a form whether there is memory; None for small ones.

    Parameters
    ----------
    bound
        The call.
    pixels
        An image of this form.
    """
    if pixels.size <= SMALL and not bound.more_bytes:
        return None
    cost, more = bound.call.operation.cost, bound.more_bytes
    return lambda pixels: _fits(cost, pixels) and is_free(more)


def shown_by_result(bound: BoundCall, pixels: Array) -> Callable[[Array, Value], bool] | None:
    """Return what a later image and its result have to pass together; None: nothing.

    Parameters
    ----------
    bound
        The call, of a small image.
    pixels
        An image of this form.
    """
    shown, call = bound.call.operation.cost.at_once.shown, bound.call
    if shown is None or not bound.is_finite or pixels.dtype.kind != "f":
        return None
    is_finite_image = finite_check(pixels)
    return lambda image, result: shown(call, image, result) or is_finite_image(image)


def is_free(nbytes: float) -> bool:
    """Return whether there is memory for what one call takes; of little, nobody asks.

    Parameters
    ----------
    nbytes
        What it takes.
    """
    return nbytes <= LITTLE or nbytes < lately_available_memory() / 2


def _fits(cost: Cost, pixels: Array, copies: int | None = None) -> bool:
    """Return whether there is memory for the image in one call; of few pixels, nobody asks."""
    if pixels.size <= SMALL:
        return True
    return is_free(
        copies * pixels.nbytes if copies else pixels.size * 8 * (cost.whole or cost.memory)
    )


def _has_numbers(image: Array | None) -> bool:
    """Return whether an image holds neither NaN nor infinity."""
    return image is None or is_finite(image)


def _is_counted(image: Array) -> bool:
    """Return whether the data type alone leaves open how long the range of integers is."""
    return image.dtype.kind in "ui" and image.dtype.itemsize > 2


def _has_few_levels(image: Array | None) -> bool:
    """Return whether the range of integers is short."""
    if image is None or not _is_counted(image):
        return True
    return _levels_check(image)(image)


def _levels_check(image: Array) -> Callable[[Array], bool]:
    """Return whether the range is short, of images of one data type, with the fewest steps."""
    unsigned = np.dtype(f"u{image.dtype.itemsize}")

    def has_few_levels(image: Array) -> bool:
        # Negative numbers are large ones without a sign.
        if np.maximum.reduce(image.view(unsigned), axis=None) <= MOST_LEVELS:
            return True
        return int(image.max()) - min(0, int(image.min())) <= MOST_LEVELS

    return has_few_levels
