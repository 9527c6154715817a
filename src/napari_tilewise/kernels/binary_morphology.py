"""Erosion and dilation of masks, which are extremes of their pixels in windows of the structure.

SciPy's dilation goes over the mirrored structure; what lies beyond the border is False or True.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.kernels.arrays import contiguous
from napari_tilewise.kernels.footprint_windows import FootprintWindow
from napari_tilewise.kernels.grey_morphology import extreme_filter
from napari_tilewise.kernels.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.kernels.grey_morphology import Steps

_SEVERAL = 4
"""Repetitions after which it pays to look whether anything still changes."""
_EROSION, _DILATION = False, True
"""Whether a filter looks for the largest value."""


def _filtered(mask: np.ndarray, steps: Steps, largest: bool, border: bool) -> np.ndarray:
    """Apply structures in turn, each as often as it says."""
    for structure, times in steps:
        window = _mirrored(structure) if largest else FootprintWindow.of(structure)
        for number in range(1, times + 1):
            before = mask
            mask = extreme_filter(
                before, window, largest=largest, mode="constant", cval=float(border)
            )
            if number % _SEVERAL == 0 and np.array_equal(mask, before):
                break
    return mask


def _mirrored(structure: np.ndarray) -> FootprintWindow:
    """Return the window of offsets that are opposite to the structure's."""
    padding = [(1 - n % 2, 0) for n in structure.shape]
    return FootprintWindow.of(np.pad(np.flip(structure), padding))


def _pixels(image: np.ndarray) -> np.ndarray:
    """Return bytes that are 1 where a pixel is not zero."""
    mask = image if image.dtype == np.bool_ else image != 0
    return contiguous(mask).view(np.uint8)


def _suits(image: np.ndarray, steps: Steps) -> bool:
    """Return whether structures are not larger than the image, beyond which SciPy writes."""
    return (
        1 <= image.ndim <= 3
        and image.size > 0
        and image.dtype.kind in "biuf"
        and image.dtype != np.float16  # which SciPy refuses
        and bool(steps)
        and all(
            times >= 1
            and structure.ndim == image.ndim
            and structure.any()
            and all(k // 2 * 2 < n for k, n in zip(structure.shape, image.shape, strict=True))
            for structure, times in steps
        )
    )


def _in_turn(image: np.ndarray, steps: Steps, filters: Sequence[tuple[bool, bool]]) -> np.ndarray:
    """Apply filters in turn, each with what lies beyond its border."""
    mask = _pixels(image)
    for largest, border in filters:
        mask = _filtered(mask, steps, largest, border)
    return mask.view(np.bool_)


# -- SciPy's ---------------------------------------------------------------------------------------


def _structure_steps(image: np.ndarray, structure: Any, iterations: Any) -> Steps:
    if structure is None:
        structure = ndi.generate_binary_structure(image.ndim, 1)
    return [(np.asarray(structure, bool), int(iterations))]


def _exact(
    input: np.ndarray,
    structure: Any = None,
    iterations: Any = 1,
    mask: Any = None,
    output: Any = None,
    border_value: Any = 0,
    origin: Any = 0,
    brute_force: bool = False,
) -> bool:
    return (
        mask is None
        and output is None
        and not np.any(origin)
        and border_value in (0, 1)
        and isinstance(iterations, int | np.integer)
        and _suits(input, _structure_steps(input, structure, iterations))
    )


def _of_scipy(name: str, *filters: bool) -> Kernel:
    def run(
        input: np.ndarray,
        structure: Any = None,
        iterations: Any = 1,
        mask: Any = None,
        output: Any = None,
        border_value: Any = 0,
        origin: Any = 0,
        brute_force: bool = False,
    ) -> np.ndarray:
        """Apply the filters."""
        steps = _structure_steps(input, structure, iterations)
        return _in_turn(input, steps, [(largest, bool(border_value)) for largest in filters])

    if len(filters) == 1:
        return Kernel(f"scipy.ndimage.{name}", _exact, run)
    return Kernel(f"scipy.ndimage.{name}", _other_order(_exact), _other_order(run))


def _other_order(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the arguments in the order of SciPy's opening and closing."""

    def reordered(
        input: np.ndarray,
        structure: Any = None,
        iterations: Any = 1,
        output: Any = None,
        origin: Any = 0,
        mask: Any = None,
        border_value: Any = 0,
        brute_force: bool = False,
    ) -> Any:
        """Call the function."""
        return function(input, structure, iterations, mask, output, border_value, origin)

    return reordered


OF_SCIPY = (
    _of_scipy("binary_erosion", _EROSION),
    _of_scipy("binary_dilation", _DILATION),
    _of_scipy("binary_opening", _EROSION, _DILATION),
    _of_scipy("binary_closing", _DILATION, _EROSION),
)


# -- scikit-image's --------------------------------------------------------------------------------


def _footprint_steps(image: np.ndarray, footprint: Any) -> Steps:
    """Return the footprints to apply, padded at the end to odd sizes."""
    if footprint is None:
        footprint = ndi.generate_binary_structure(image.ndim, 1)
    pairs = footprint if isinstance(footprint, tuple) else ((footprint, 1),)
    padded = []
    for part, times in pairs:
        pixels = np.asarray(part).astype(bool)
        padding = [(0, 1 - n % 2) for n in pixels.shape]
        padded.append((np.pad(pixels, padding), int(times)))
    return padded


def _exact_for_footprint(
    image: np.ndarray, footprint: Any = None, out: Any = None, *, mode: str = "ignore"
) -> bool:
    return (
        out is None
        and mode in ("ignore", "max", "min")
        and _suits(image, _footprint_steps(image, footprint))
    )


def _of_skimage(name: str, *filters: bool) -> Kernel:
    def run(
        image: np.ndarray, footprint: Any = None, out: Any = None, *, mode: str = "ignore"
    ) -> np.ndarray:
        """Apply the filters; ignored, what lies beyond the border is never the extreme."""
        steps = _footprint_steps(image, footprint)
        borders = {_EROSION: mode != "min", _DILATION: mode == "max"}
        return _in_turn(image, steps, [(largest, borders[largest]) for largest in filters])

    return Kernel(f"skimage.morphology.{name}", _exact_for_footprint, run)


OF_SKIMAGE = (
    _of_skimage("binary_erosion", _EROSION),
    _of_skimage("binary_dilation", _DILATION),
    _of_skimage("binary_opening", _EROSION, _DILATION),
    _of_skimage("binary_closing", _DILATION, _EROSION),
)
