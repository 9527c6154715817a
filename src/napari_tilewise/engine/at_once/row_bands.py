"""A pointwise function gets a larger image in memory by bands of rows, written where they belong.

What the function has between image and result then stays in the processor's cache, and several
threads share the bands. Nothing else that tiles need comes between: no session, blocks or checks.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.system.machine import processors
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.operations.spec.operation import normal_halo, tiled
from napari_tilewise.operations.spec.parameters import OtherImage
from napari_tilewise.types import with_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.operations.spec.declaration import Call, Declaration
    from napari_tilewise.operations.spec.operation import Part
    from napari_tilewise.types import Array, Parameters, Value

CACHED = 2**21
"""Bytes that the images of a band take, those in between included: they fit a processor's cache."""
LEAST = 2**14
"""Pixels of a band, for which a call of a function takes little time."""
SHARED = 2**21
"""Pixels from which threads share the bands: a thread that waits takes a tenth of a millisecond."""


def goes_by_rows(operation: Declaration) -> bool:
    """Return whether a function may get any rows of an image by themselves.

    Parameters
    ----------
    operation
        The operation.
    """
    at_once = operation.cost.at_once
    return (
        operation.kind is Kind.POINTWISE
        and (operation.plan_of is tiled or at_once.rows)
        and operation.result.split is None
        and not operation.result.dtype_varies
        and at_once.suits is None
        and not (operation.limits.finite or at_once.finite or at_once.counted)
        and not operation.adapter.digest
    )


def rows_of_band(call: Call, parts: Sequence[Part]) -> int:
    """Return how many rows a band has; 0 for a call that does not go by rows.

    Parameters
    ----------
    call
        The bound operation.
    parts
        What its results are.
    """
    operation, (part, *others) = call.operation, parts
    at_once = operation.cost.at_once
    if not goes_by_rows(operation) or others or not part.output.is_image or not part.shape:
        return 0
    if call.channel_axis == 0 or part.channel == 0 or part.shape[0] != call.shape[0]:
        return 0
    if normal_halo(call.halo, call.ndim, operation.name)[0] != (0, 0):
        return 0
    if at_once.when is not None and not at_once.when(call):
        return 0
    if any(isinstance(operation.specs[name], OtherImage) for name in _image_names(call)):
        return 0
    pixels = max(LEAST, int(CACHED / (8 * operation.cost.memory)))
    return max(1, pixels // max(1, prod(call.spatial_shape[1:])))


def _image_names(call: Call) -> set[str]:
    return set(call.params) - set(call.keywords)


def by_rows(
    function: Function, call: Call, part: Part, rows: int
) -> Callable[[Array, Mapping[str, Value], Parameters], Array | None]:
    """Return what computes a result from an image, further images and keywords, band by band.

    Where a band's result is not what is declared, it returns None.

    Parameters
    ----------
    function
        What is called of every band.
    call
        The bound operation.
    part
        What the result is.
    rows
        What `rows_of_band` returned.
    """
    from napari_tilewise.kernels.threads import run_parts, several_threads

    shape, dtype = part.shape or (), np.dtype(part.dtype)
    starts = range(0, call.shape[0], rows)
    is_shared = prod(call.spatial_shape) >= SHARED

    def run(image: Array, images: Mapping[str, Value], keywords: Parameters) -> Array | None:
        out = np.empty(shape, dtype)

        def band(start: int) -> bool:
            box = slice(start, start + rows)
            further = {k: None if v is None else _piece(v[box]) for k, v in images.items()}
            pixels = _piece(with_dtype(image[box], call.dtype))
            result, target = function(pixels, **keywords, **further), out[box]
            if result.dtype != dtype or result.shape != target.shape:
                return False
            target[...] = result
            return True

        with several_threads(processors()) if is_shared else nullcontext():
            return out if all(run_parts([partial(band, start) for start in starts])) else None

    return run


def _piece(pixels: Array) -> Array:
    """Return pixels in C's order; copied only where they are not."""
    return np.ascontiguousarray(pixels)
