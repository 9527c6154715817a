"""Means over boxes by sums that run along the lines of each axis."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import MODES, contiguous, integers, type_code
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FLOATS = (np.dtype("f4"), np.dtype("f8"))


def along_lines(
    run: Callable[[np.ndarray, np.ndarray], None], image: np.ndarray, axis: int
) -> None:
    """Run a function of the library that follows the lines along an axis, in parts.

    Parameters
    ----------
    run
        Called with what lies before, along and behind the axis, and the bounds of a part.
    image
        Its shape counts.
    axis
        Of the lines.
    """
    shape = integers((prod(image.shape[:axis]), image.shape[axis], prod(image.shape[axis + 1 :])))
    count = np.empty(1, np.int64)
    call("line_parts", shape, count)
    in_bands(lambda *bounds: run(shape, integers(bounds)), int(count[0]), image.size)


def knows_means(image: np.ndarray, sizes: Sequence[int], mode: str) -> bool:
    """Return whether `running_means` has the bits of `scipy.ndimage.uniform_filter`.

    Parameters
    ----------
    image, sizes, mode
        As there.
    """
    is_number = image.dtype in FLOATS or image.dtype.kind in "bui"
    return is_number and mode in MODES and image.size > 0 and len(sizes) == image.ndim


def running_means(image: np.ndarray, sizes: Sequence[int], mode: str, cval: Any) -> np.ndarray:
    """Return the mean of the box around every pixel.

    Parameters
    ----------
    image
        Of float32, or what is computed in float64.
    sizes
        The box's lengths.
    mode
        Border mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    """
    dtype = image.dtype if image.dtype in FLOATS else np.dtype(float)
    source = contiguous(image.astype(dtype, copy=False))
    along = [(axis, size) for axis, size in enumerate(sizes) if size > 1]
    if not along:
        return source.copy()
    # Two arrays in turns: what runs along a line reads pixels that it has passed.
    arrays = [np.empty(image.shape, dtype) for _ in along[:2]]
    for number, (axis, size) in enumerate(along):
        target = arrays[number % 2]
        along_lines(partial(_run_means, source, target, (size, mode, cval)), image, axis)
        source = target
    return source


def _run_means(
    source: np.ndarray,
    target: np.ndarray,
    window: tuple[int, str, Any],
    shape: np.ndarray,
    part: np.ndarray,
) -> None:
    size, mode, cval = window
    border = MODES[mode], float(cval)
    code = type_code(source.dtype)
    call("running_means", source, target, code, shape, size // 2, size, *border, part)
