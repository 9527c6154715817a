"""The histogram of an image's intensities, from a bounded sample that is spread over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise.engine.lazy.sources import as_source
from napari_tilewise.errors import Cancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Iterator

    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_tilewise.grid import Region

BINS = 128
MOST_PIXELS = 2**20
"""The most pixels of a sample."""
COARSE = 20
"""Range of integers from which a threshold between two of them makes no difference to see."""
WINDOW = 256
"""The side of a window that is read of a lazy image: whole chunks of it are decoded anyway."""


@dataclass(frozen=True)
class IntensityRange:
    """The intensities between which those of an image lie."""

    low: float
    high: float
    is_integer: bool
    """Whether the pixels are integers."""

    def rounded(self, value: float) -> float:
        """Return a number with as many digits as the range needs.

        Parameters
        ----------
        value
            Any number.
        """
        if self.is_integer and self.high - self.low > COARSE:
            return round(value)
        return round(value, max(0, 2 - math.floor(math.log10(self.high - self.low))))


@dataclass(frozen=True, eq=False)
class IntensityHistogram(IntensityRange):
    """How many pixels have which intensities."""

    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class IntensitySource:
    """An image of which a histogram is shown."""

    key: Hashable
    """Differs where another histogram is needed."""
    read: Callable[[threading.Event], Any]
    """Returns the image, an array or a lazy one, or None; called in a thread."""


def of_layer(layer: Image) -> IntensitySource:
    """Return the finest pixels of a layer.

    Parameters
    ----------
    layer
        An image layer.
    """
    data = layer.data
    image = data[0] if layer.multiscale else data

    def read(cancel: threading.Event) -> Any:
        is_mapped = isinstance(image, np.memmap)
        return da.from_array(image, name=False) if is_mapped else image

    return IntensitySource((id(layer), id(data)), read)


def range_of(layer: Layer | None) -> IntensityRange | None:
    """Return the range of a layer's intensities, as far as that needs no reading.

    Parameters
    ----------
    layer
        The layer; None, and labels, which have no intensities, have no range.
    """
    limits = getattr(layer, "contrast_limits_range", None)
    if layer is None or limits is None or not limits[1] > limits[0]:
        return None
    dtype = np.dtype(layer.data.dtype)
    return IntensityRange(float(limits[0]), float(limits[1]), dtype.kind in "ui")


def histogram(array: Any, cancel: threading.Event) -> IntensityHistogram | None:
    """Return the histogram of a sample of an image's pixels.

    It is None for booleans, which have no intensities, and where all pixels are missing.

    Parameters
    ----------
    array
        The image, in memory or lazy; None has no histogram.
    cancel
        Set to stop soon.

    Raises
    ------
    Cancelled
        If `cancel` is set.
    """
    if array is None or np.dtype(array.dtype).kind not in "uif":
        return None
    values = _strided(array) if isinstance(array, np.ndarray) else _windows(array, cancel)
    is_integer = values.dtype.kind in "ui"
    numbers = values.astype(np.float64)
    if not is_integer:
        numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return None
    low, high = float(numbers.min()), float(numbers.max())
    if high <= low:
        high = low + 1
    bins = min(BINS, int(high - low) + 1) if is_integer else BINS
    counts, _ = np.histogram(numbers, bins=bins, range=(low, high))
    return IntensityHistogram(low, high, is_integer, counts)


def _strided(array: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th pixel of an image in memory."""
    axes = max(1, sum(length > 1 for length in array.shape))
    step = max(1, math.ceil((array.size / MOST_PIXELS) ** (1 / axes)))
    return array[(slice(None, None, step),) * array.ndim].ravel()


def _windows(array: Any, cancel: threading.Event) -> NDArray[Any]:
    """Return the pixels of windows that are spread evenly over a lazy image."""
    source = as_source(array)
    parts = []
    for region in _regions(tuple(int(length) for length in array.shape)):
        if cancel.is_set():
            raise Cancelled("The histogram is not needed any more.")
        parts.append(np.asarray(source.read(region)).ravel())
    return np.concatenate(parts)


def _regions(shape: tuple[int, ...]) -> Iterator[Region]:
    """Return windows: the longest axes are cut into windows, the shorter ones taken whole."""
    lengths = [1] * len(shape)
    for axis in sorted(range(len(shape)), key=lambda axis: -shape[axis])[:2]:
        lengths[axis] = min(shape[axis], WINDOW)
    counts = [1] * len(shape)
    while True:  # one more window along the axis of which the least is covered
        rest = [
            axis
            for axis, count in enumerate(counts)
            if count * lengths[axis] < shape[axis]
            and math.prod(counts) // count * (count + 1) * math.prod(lengths) <= MOST_PIXELS
        ]
        if not rest:
            break
        counts[min(rest, key=lambda axis: counts[axis] * lengths[axis] / shape[axis])] += 1
    for index in np.ndindex(*counts):
        yield tuple(
            slice(start, start + length)
            for start, length in (
                (round((n + 0.5) / count * size - length / 2), length)
                for n, count, size, length in zip(index, counts, shape, lengths, strict=True)
            )
        )
