"""The coefficients of splines: SciPy's recursion along all lines, also of images beyond memory.

Splines of order 2 and more do not go through the pixels but through coefficients, which a recursion
along whole lines makes of them, one axis after the other. Lines do not know of each other: filtered
slab by slab they have the whole image's bits. The coefficients are in a file where they do not fit.
Where the recursion has no rule for a border, SciPy pads the image first, and so do we.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.spec.operation import Block, Call, Walk, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.grid import Region

COEFFICIENTS = "coefficients"
"""The name of the stored image."""
PADDED, PADDING = ("nearest", "grid-constant"), 12
"""Border modes for which SciPy pads the image, and the pixels on each side."""
SMALL = 2**20
"""Pixels up to which SciPy's function gets the whole image."""
SHORTEST = 64
"""Pixels of a slab along the last axis, if it has as many: those of a page of a file are near each
other, and are used together."""


def has_coefficients(call: Call) -> bool:
    """Return whether a call interpolates between coefficients that it computes of the pixels.

    Parameters
    ----------
    call
        A call with `order` and `prefilter`.
    """
    return bool(call["order"] > 1 and call["prefilter"])


def padding(call: Call) -> int:
    """Return by how many pixels on each side SciPy pads the image of a call before the recursion.

    Parameters
    ----------
    call
        A call with `order`, `mode` and `prefilter`.
    """
    return PADDING if has_coefficients(call) and call["mode"] in PADDED else 0


def _lengths(call: Call, axes: int) -> tuple[int, ...]:
    """Return the lengths of the coefficients, padded along the first axes."""
    more = 2 * padding(call)
    return tuple(n + more * (axis < axes) for axis, n in enumerate(call.shape))


def bytes_of_coefficients(call: Call) -> int:
    """Return what the coefficients of a call take; 0 for a call that stores none.

    Parameters
    ----------
    call
        A call with `order` and `prefilter`.
    """
    if not has_coefficients(call) or prod(call.shape) <= SMALL:
        return 0
    return 8 * prod(_lengths(call, call.ndim))


def coefficients(call: Call, axes: int) -> Walk:
    """Return the pass that stores the coefficients of a call.

    Parameters
    ----------
    call
        A call with `order`, `mode` and `cval`.
    axes
        How many of the first axes are interpolated along.
    """
    margin = tuple(padding(call) * (axis < axes) for axis in range(call.ndim))
    shape = _lengths(call, axes)

    def create(space: Workspace) -> None:
        space.create(COEFFICIENTS, shape, np.float64)

    def load(block: Block, space: Workspace) -> None:
        lines = zip(block.tile, margin, strict=True)
        box = tuple(slice(span.start + n, span.stop + n) for span, n in lines)
        space[COEFFICIENTS][box] = block.data[block.core]

    def steps(space: Workspace) -> Iterator[float]:
        behind = 0
        if padding(call):
            _pad(call, axes, space)
        for axis in range(axes):
            for slab in _slabs(shape, axis, space.size):
                lines = np.ascontiguousarray(space[COEFFICIENTS][slab])
                space[COEFFICIENTS][slab] = ndi.spline_filter1d(
                    lines, call["order"], axis, mode=call["mode"]
                )
                behind += lines.size
                yield behind / (prod(shape) * axes)

    def pixels(region: Region, space: Workspace) -> np.ndarray:
        return np.asarray(space[COEFFICIENTS][region])

    return Walk(
        create=create,
        load=load,
        steps=steps,
        pixels=pixels,
        dtype=np.float64,
        name=COEFFICIENTS,
        description="coefficients of the spline",
        margin=margin,
    )


def _pad(call: Call, axes: int, space: Workspace) -> None:
    """Fill what lies around the image: with its border's pixels, or with the constant."""
    beyond = np.zeros(1, call.dtype)
    constant = np.pad(beyond, 1, constant_values=call["cval"])[0]
    for axis in range(axes):
        array = np.moveaxis(space[COEFFICIENTS], axis, 0)
        for strip, nearest in ((np.s_[:PADDING], PADDING), (np.s_[-PADDING:], -PADDING - 1)):
            array[strip] = array[nearest] if call["mode"] == "nearest" else constant


def _slabs(shape: Sequence[int], axis: int, size: int) -> Iterator[Region]:
    """Yield slabs of about so many pixels that hold all lines along an axis, each line once."""
    lines = max(1, size // shape[axis])
    lengths = list(shape)
    for other in reversed(range(len(shape))):
        if other == axis:
            continue
        shortest = SHORTEST if other == len(shape) - 1 else 1
        lengths[other] = min(shape[other], max(lines, shortest))
        lines = max(1, lines // lengths[other])
    ranges = [range(0, n, length) for n, length in zip(shape, lengths, strict=True)]
    for starts in product(*ranges):
        corners = zip(starts, lengths, shape, strict=True)
        yield tuple(slice(start, min(start + length, n)) for start, length, n in corners)
