"""The watershed in slices: scikit-image's queue and heap, over arrays that may be files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import type_code
from napari_tilewise.kernels.library import available, call

SIZE, CAPACITY, POPPED, NEXT = 0, 1, 3, 4
"""Where the state has the heap's size and capacity, the pixels that left it, and the next one whose
marker goes there."""
STATE = 5
"""Numbers of a state."""
OUTSIDE = 255
"""The place of pixels that are not flooded."""
MARKER = 1
"""The place of a marker's pixel."""
NARROW, WIDE, HUGE, TRACED = 12, 16, 24, 32
"""Bytes of an entry of the heap."""
MOST_STEPS = 250
"""Neighbours that a place can name."""


def floods_in_order() -> bool:
    """Return whether this flood is compiled."""
    return available()


@dataclass(frozen=True, eq=False)
class Flood:
    """A flood's parameters; its state is among the arrays, of padded pixels, flattened."""

    steps: np.ndarray
    """From a pixel to its neighbours, in order."""
    strides: np.ndarray
    """Pixels between neighbours along each axis."""
    compactness: float
    lines: bool

    @property
    def is_traced(self) -> bool:
        """Whether the heap's entries name the markers that they come from."""
        return self.compactness > 0 or self.lines or len(self.steps) > MOST_STEPS

    def push_markers(self, arrays: dict[str, np.ndarray], end: int) -> None:
        """Put markers into the heap, up to a pixel or until there is no room.

        Parameters
        ----------
        arrays
            The image, the places, the labels, the heap as bytes and the state, by name.
        end
            The pixel.
        """
        image, heap, state = arrays["image"], arrays["heap"], arrays["state"]
        if self.is_traced:
            labels = arrays["labels"]
            call(
                "trace_markers", image, type_code(image.dtype), labels, labels.dtype.itemsize,
                heap, state, end,
            )  # fmt: skip
            return
        call(
            "flood_markers", image, type_code(image.dtype), arrays["places"], heap,
            heap.dtype.itemsize, state, end,
        )  # fmt: skip

    def go(self, arrays: dict[str, np.ndarray], pops: int) -> None:
        """Take pixels from the heap and flood their neighbours, until there is no room.

        Parameters
        ----------
        arrays
            As for `push_markers`.
        pops
            How many pixels at most.
        """
        image, heap, state = arrays["image"], arrays["heap"], arrays["state"]
        places, steps = arrays["places"], self.steps
        if self.is_traced:
            labels = arrays["labels"]
            call(
                "trace_slice", image, type_code(image.dtype), places, labels,
                labels.dtype.itemsize, heap, state, steps, len(steps), self.strides,
                len(self.strides), float(self.compactness), int(self.lines), pops,
            )  # fmt: skip
            return
        call(
            "flood_slice", image, type_code(image.dtype), places, heap, heap.dtype.itemsize,
            state, steps, len(steps), pops,
        )  # fmt: skip

    def label(self, places: np.ndarray, labels: np.ndarray, first: int, last: int) -> None:
        """Give the pixels of a range the labels of the markers that they were reached from.

        Parameters
        ----------
        places, labels
            The arrays.
        first, last
            The range.
        """
        if not self.is_traced:
            item = labels.dtype.itemsize
            call("flood_labels", places, labels, item, self.steps, first, last)


def entry_dtype(flood: Flood, image_dtype: Any, pixels: int, *, has_nan: bool) -> np.dtype[Any]:
    """Return the data type of the heap's entries.

    Parameters
    ----------
    flood
        The flood.
    image_dtype
        The image's.
    pixels
        Number of pixels, with the padding.
    has_nan
        Whether some are NaN, which have no place in an order of integers.
    """
    if flood.is_traced:
        return np.dtype(f"V{TRACED}")
    if pixels >= 2**32:
        return np.dtype(f"V{HUGE}")
    is_wide = has_nan or np.dtype(image_dtype).itemsize > 4
    return np.dtype(f"V{WIDE if is_wide else NARROW}")
