"""Footprints as the library knows them, and what an image must hold for filters over windows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.kernels.arrays import ORDERED, contiguous, integers, type_code
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, eq=False)
class FootprintWindow:
    """A footprint of three axes around its centre, the pixel at half its size.

    Parameters
    ----------
    pixels
        Booleans, shape (planes, rows, columns).
    """

    pixels: np.ndarray

    @classmethod
    def of(cls, footprint: Any) -> FootprintWindow:
        """Return the window of a footprint of up to three axes.

        Parameters
        ----------
        footprint
            Non-zero where a pixel counts.
        """
        pixels = np.asarray(footprint) != 0
        return _window(volume_shape(pixels.shape), pixels.tobytes())

    @cached_property
    def reach(self) -> np.ndarray:
        """Pixels before and after the centre along each axis, shape (3, 2)."""
        return np.array([(n // 2, n - 1 - n // 2) for n in self.pixels.shape], np.int64)

    @cached_property
    def offsets(self) -> np.ndarray:
        """Offset of each pixel from the centre in raster order, shape (n, 3)."""
        return np.ascontiguousarray(np.argwhere(self.pixels) - self.reach[:, 0], np.int64)

    @cached_property
    def runs(self) -> np.ndarray:
        """Plane, row, begin and end of each run along columns, from the centre, shape (n, 4)."""
        edges = np.diff(np.pad(self.pixels, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=-1)
        begins, ends = np.argwhere(edges > 0), np.argwhere(edges < 0)
        runs = np.column_stack([begins, ends[:, 2]]) - self.reach[[0, 1, 2, 2], 0]
        return np.ascontiguousarray(runs, np.int64)


@lru_cache(maxsize=64)
def _window(shape: tuple[int, int, int], pixels: bytes) -> FootprintWindow:
    """Return the window of these pixels: every tile asks for the same one."""
    return FootprintWindow(np.frombuffer(pixels, bool).reshape(shape))


def volume_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return a shape of up to three axes with ones before it.

    Parameters
    ----------
    shape
        Of an image or a footprint.
    """
    planes, rows, columns = (*(1,) * (3 - len(shape)), *shape)
    return planes, rows, columns


def volume_sizes(image: np.ndarray) -> np.ndarray:
    """Return the library's sizes of an image of up to three axes.

    Parameters
    ----------
    image
        Its shape counts.
    """
    return integers(volume_shape(image.shape))


def filter_bands(filter_band: Callable[[np.ndarray], None], image: np.ndarray) -> None:
    """Filter an image by bands, at once where there are threads.

    Parameters
    ----------
    filter_band
        Called with the bounds of a band: of the planes of a volume, else of the rows.
    image
        Its shape counts.
    """
    planes, rows, _ = volume_shape(image.shape)
    length = planes if planes > 1 else rows
    in_bands(lambda *bounds: filter_band(integers(bounds)), length, image.size)


def has_nan(image: np.ndarray) -> bool:
    """Return whether any pixel is not a number.

    Parameters
    ----------
    image
        Of any data type.
    """
    return bool(_unusual(image, np.inf) & 1)


def is_moderate(image: np.ndarray, limit: float = 1e30) -> bool:
    """Return whether every pixel is finite and below a limit, whatever its sign.

    Parameters
    ----------
    image
        Of any data type; integers always are.
    limit
        Sums and products of a few such values must not overflow.
    """
    return not _unusual(image, limit)


def _unusual(image: np.ndarray, limit: float) -> int:
    if image.dtype.kind != "f":
        return 0
    pixels = contiguous(image).reshape(-1)
    code = type_code(pixels.dtype)

    def unusual(begin: int, end: int) -> int:
        answer = np.empty(1, np.int64)
        call("unusual", pixels[begin:end], code, end - begin, float(limit), answer)
        return int(answer[0])

    return reduce(or_, in_bands(unusual, pixels.size, pixels.size))


def holds(dtype: np.dtype, value: Any) -> bool:
    """Return whether a data type holds a number exactly, so that comparing it is exact too.

    Parameters
    ----------
    dtype
        Of the image.
    value
        Beyond the border.
    """
    if not np.isreal(value) or np.isnan(value):
        return False
    if dtype == np.bool_:
        return value in (0, 1)
    if dtype.kind == "f":
        return bool(np.isinf(value) or (abs(value) < 1e30 and dtype.type(value) == value))
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max and int(value) == value)


def window_suits(image: np.ndarray, footprint: Any, mode: str) -> bool:
    """Return whether a filter over this window is one that the kernels know.

    SciPy's filters over windows read stray memory in mode ``reflect`` where a window reaches over
    four times the image's size: nothing stands in for that.

    Parameters
    ----------
    image
        Of any data type and number of axes.
    footprint
        Of the same number of axes.
    mode
        Border mode in ndimage's spelling, or any word without a border.
    """
    footprint = np.asarray(footprint)
    if image.dtype not in ORDERED or not 1 <= image.ndim <= 3 or not image.size:
        return False
    if footprint.ndim != image.ndim or not footprint.any() or footprint.dtype.kind not in "biuf":
        return False
    reaches = zip(footprint.shape, image.shape, strict=True)
    return mode != "reflect" or all(not (size // 2 >= 4 * n > 4) for size, n in reaches)


def size_or_footprint(image: np.ndarray, size: Any, footprint: Any) -> Any:
    """Return the footprint that ndimage's filters mean; None where they say what is wrong.

    Parameters
    ----------
    image
        Of the number of axes.
    size
        One length, or one per axis; None where there is a footprint.
    footprint
        None where there is a size.
    """
    if footprint is not None:
        return footprint if size is None else None
    if size is None:
        return None
    sizes = (size,) * image.ndim if np.ndim(size) == 0 else tuple(size)
    return np.ones(sizes, bool) if len(sizes) == image.ndim and min(sizes) > 0 else None
