"""Erosion, dilation, opening and closing of grey levels by any footprint."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.arrays import (
    GREY,
    MODES,
    ORDERED,
    as_grey,
    contiguous,
    delivered,
    from_grey,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import (
    FootprintWindow,
    filter_bands,
    has_nan,
    holds,
    size_or_footprint,
    volume_sizes,
    window_suits,
)
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call

if TYPE_CHECKING:
    from collections.abc import Callable

Steps = list[tuple[np.ndarray, int]]
"""Footprints, each with how often it is applied."""

_EXTREME = ("max", "min", "ignore")
_FEW_ROWS = 5
"""Rows of a box that are put together in registers; more are done axis by axis."""


def extreme_filter(
    image: np.ndarray,
    window: FootprintWindow,
    *,
    largest: bool,
    mode: str,
    cval: float = 0.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the smallest or largest value in every window.

    Parameters
    ----------
    image
        uint8, uint16, float32 or float64 without NaN, or booleans.
    window
        The window.
    largest
        Whether the largest value.
    mode
        Border mode in ndimage's spelling.
    cval
        Beyond the border, for ``mode="constant"``.
    out
        Where to write the result.
    """
    border = MODES[mode], float(cval)
    axes = _box_axes(window)
    if not axes:
        return _extremes(contiguous(image), window, largest, border, out)
    for axis in axes:
        image = _along_axis(image, window.pixels.shape[axis], axis - 3, largest, border)
    return delivered(image, out)


def _box_axes(window: FootprintWindow) -> list[int]:
    """Return the axes to go along one after the other, for a box with many rows; else none."""
    planes, rows, _ = lengths = window.pixels.shape
    if (planes == 1 and rows <= _FEW_ROWS) or not window.pixels.all():
        return []
    return [axis for axis in range(3) if lengths[axis] > 1]


def _along_axis(
    image: np.ndarray, length: int, axis: int, largest: bool, border: tuple[int, float]
) -> np.ndarray:
    """Return the extremes over lines along an axis: all that is behind it lies in one row."""
    image = contiguous(image)
    if axis == -1:
        return _extremes(image, FootprintWindow.of(np.ones((1, 1, length))), largest, border)
    shape = image.shape[: image.ndim + axis + 1]
    lines = image.reshape(-1, shape[-1], image.size // prod(shape))
    window = FootprintWindow.of(np.ones((1, length, 1)))
    return _extremes(lines, window, largest, border).reshape(image.shape)


def _extremes(
    image: np.ndarray,
    window: FootprintWindow,
    largest: bool,
    border: tuple[int, float],
    out: np.ndarray | None = None,
) -> np.ndarray:
    target = result_array(image.shape, image.dtype, out)
    if np.may_share_memory(target, image):
        target = np.empty_like(image)
    code, sizes, runs = type_code(image.dtype), volume_sizes(image), window.runs
    steps = window.reach, runs, len(runs)

    def filter_band(band: np.ndarray) -> None:
        call("extreme", image, target, code, sizes, *steps, band, *border, int(largest))

    filter_bands(filter_band, image)
    return delivered(target, out)


def footprint_steps(footprint: Any, ndim: int) -> Steps:
    """Return the footprints to apply, padded in front to odd sizes as scikit-image pads them.

    Parameters
    ----------
    footprint
        A footprint, a sequence of (footprint, times), or None for the cross.
    ndim
        Axes of the image.
    """
    if footprint is None:
        footprint = ndi.generate_binary_structure(ndim, 1)
    pairs = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    steps = []
    for pixels, times in pairs:
        pixels = np.asarray(pixels) != 0
        if any(size % 2 == 0 for size in pixels.shape):
            pixels = np.pad(pixels, [(0 if size % 2 else 1, 0) for size in pixels.shape])
        steps.append((pixels, int(times)))
    return steps


def _border(dtype: np.dtype, mode: str, cval: float, largest: bool) -> tuple[str, float]:
    """Return the mode in ndimage's words: beyond the border may lie the extreme of the type."""
    if mode == "ignore":
        mode = "min" if largest else "max"
    if mode not in ("min", "max"):
        return mode, cval
    if dtype == np.bool_:
        return "constant", float(mode == "max")
    if dtype.kind == "f":
        return "constant", np.inf if mode == "max" else -np.inf
    return "constant", float(getattr(np.iinfo(dtype), mode))


def _has_box(steps: Steps) -> bool:
    """Return whether a step goes along lines, which carry NaN on from where they begin."""
    return any(pixels.all() for pixels, _ in steps)


def _apply(
    image: np.ndarray,
    steps: Steps,
    *,
    largest: bool,
    mode: str,
    cval: float,
    out: np.ndarray | None = None,
) -> np.ndarray:
    dtype = image.dtype
    mode, cval = _border(dtype, mode, cval, largest)
    if dtype not in GREY:
        level = float(as_grey(np.array([cval], dtype))[0]) if mode == "constant" else 0.0
        grey = as_grey(image)
        levels = _apply(grey, steps, largest=largest, mode=mode, cval=level)
        return delivered(from_grey(levels, dtype), out)
    may_be_nan = dtype.kind == "f" and not _has_box(steps)
    filtered = _extreme_with_nan if may_be_nan and has_nan(image) else extreme_filter
    windows = [FootprintWindow.of(pixels) for pixels, times in steps for _ in range(times)]
    for window in windows[:-1]:
        image = filtered(image, window, largest=largest, mode=mode, cval=cval)
    return filtered(image, windows[-1], largest=largest, mode=mode, cval=cval, out=out)


def _extreme_with_nan(
    image: np.ndarray,
    window: FootprintWindow,
    *,
    largest: bool,
    mode: str,
    cval: float,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return what SciPy's comparisons make of NaN in windows that are no boxes.

    They begin with the first pixel of the window: if it is NaN, nothing is smaller or larger; any
    later NaN is not smaller or larger itself.
    """
    is_nan = np.isnan(image)
    pixels = np.where(is_nan, image.dtype.type(-np.inf if largest else np.inf), image)
    result = extreme_filter(pixels, window, largest=largest, mode=mode, cval=cval)
    first = np.zeros_like(window.pixels)
    first.flat[np.argmax(window.pixels)] = True
    begins = FootprintWindow.of(first)
    is_first = extreme_filter(is_nan.view(np.uint8), begins, largest=True, mode=mode)
    result[is_first.view(bool)] = np.nan
    return delivered(result, out)


def _mirrored(steps: Steps) -> Steps:
    return [(pixels[(slice(None, None, -1),) * pixels.ndim], times) for pixels, times in steps]


def _exact(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    *,
    mode: str = "reflect",
    cval: float = 0.0,
) -> bool:
    if image.dtype not in ORDERED or (mode not in MODES and mode not in _EXTREME):
        return False
    if out is not None and (out.dtype != image.dtype or out.shape != image.shape):
        return False
    if mode == "constant" and not holds(image.dtype, cval):
        return False
    steps = footprint_steps(footprint, image.ndim)
    return (
        bool(steps)
        and all(times > 0 and window_suits(image, pixels, mode) for pixels, times in steps)
        and (not _has_box(steps) or not has_nan(image))
    )


def erosion(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    *,
    mode: str = "reflect",
    cval: float = 0.0,
) -> np.ndarray:
    """Return the local minimum, as `skimage.morphology.erosion` does.

    Parameters
    ----------
    image, footprint, out, mode, cval
        As there.
    """
    steps = footprint_steps(footprint, image.ndim)
    return _apply(image, steps, largest=False, mode=mode, cval=cval, out=out)


def dilation(
    image: np.ndarray,
    footprint: Any = None,
    out: np.ndarray | None = None,
    *,
    mode: str = "reflect",
    cval: float = 0.0,
) -> np.ndarray:
    """Return the local maximum, as `skimage.morphology.dilation` does.

    Parameters
    ----------
    image, footprint, out, mode, cval
        As there; the footprint is not mirrored.
    """
    steps = footprint_steps(footprint, image.ndim)
    return _apply(image, steps, largest=True, mode=mode, cval=cval, out=out)


def _in_turn(first_largest: bool) -> Callable[..., np.ndarray]:
    def run(
        image: np.ndarray,
        footprint: Any = None,
        out: np.ndarray | None = None,
        *,
        mode: str = "reflect",
        cval: float = 0.0,
    ) -> np.ndarray:
        """Apply both, the second with the mirrored footprint."""
        steps = footprint_steps(footprint, image.ndim)
        between = _apply(image, steps, largest=first_largest, mode=mode, cval=cval)
        mirrored = _mirrored(steps)
        return _apply(between, mirrored, largest=not first_largest, mode=mode, cval=cval, out=out)

    return run


def _difference(opens: bool) -> Callable[..., np.ndarray]:
    filtered = _in_turn(first_largest=not opens)

    def run(
        image: np.ndarray,
        footprint: Any = None,
        out: np.ndarray | None = None,
        *,
        mode: str = "reflect",
        cval: float = 0.0,
    ) -> np.ndarray:
        """Subtract the opening from the image, or the image from the closing."""
        result = filtered(image, footprint, mode=mode, cval=cval)
        pair = (image, result) if opens else (result, image)
        difference = np.logical_xor if image.dtype == np.bool_ else np.subtract
        return np.asarray(difference(*pair, out=result if out is None else out))

    return run


EROSION = Kernel("skimage.morphology.erosion", _exact, erosion)
DILATION = Kernel("skimage.morphology.dilation", _exact, dilation)
OPENING = Kernel("skimage.morphology.opening", _exact, _in_turn(first_largest=False))
CLOSING = Kernel("skimage.morphology.closing", _exact, _in_turn(first_largest=True))
WHITE_TOPHAT = Kernel("skimage.morphology.white_tophat", _exact, _difference(opens=True))
BLACK_TOPHAT = Kernel("skimage.morphology.black_tophat", _exact, _difference(opens=False))


# -- ndimage's filters -----------------------------------------------------------------------------


def _exact_for_filter(
    input: np.ndarray,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> bool:
    if output is not None or axes is not None or np.any(origin):
        return False
    pixels = size_or_footprint(input, size, footprint)
    return (
        pixels is not None
        and isinstance(mode, str)
        and mode in MODES
        and (mode != "constant" or holds(input.dtype, cval))
        and window_suits(input, pixels, mode)
        and not has_nan(input)
    )


def _extreme_of(largest: bool) -> Callable[..., np.ndarray]:
    def run(
        input: np.ndarray,
        size: Any = None,
        footprint: Any = None,
        output: Any = None,
        mode: str = "reflect",
        cval: float = 0.0,
        origin: Any = 0,
        *,
        axes: Any = None,
    ) -> np.ndarray:
        """Return the extreme of every window."""
        window = FootprintWindow.of(size_or_footprint(input, size, footprint))
        level = cval
        if mode == "constant" and input.dtype not in GREY:
            level = float(as_grey(np.array([cval], input.dtype))[0])
        levels = extreme_filter(as_grey(input), window, largest=largest, mode=mode, cval=level)
        return from_grey(levels, input.dtype)

    return run


MAXIMUM_FILTER = Kernel("scipy.ndimage.maximum_filter", _exact_for_filter, _extreme_of(True))
MINIMUM_FILTER = Kernel("scipy.ndimage.minimum_filter", _exact_for_filter, _extreme_of(False))
