"""Connected components on lists of runs: numbers, areas and first pixels without a label image."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

import numpy as np
from skimage import morphology

from napari_tilewise.kernels.arrays import (
    TYPES,
    contiguous,
    delivered,
    integers,
    result_array,
    type_code,
)
from napari_tilewise.kernels.footprint_windows import volume_sizes
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands

_MOST_PIXELS = 2**31 - 2
_MOST_CHANGES = 0.25
"""Share of the pixels of integers that differ from the one before; of more, runs cost more."""
DEPRECATED = inspect.signature(morphology.remove_small_objects).parameters["min_size"].default
"""scikit-image's default of deprecated parameters, which tells that they were not passed."""
_MOST_AXES = 6
_FEW_LABELS = 2**16
"""That a table is made of, however few the pixels."""


class RunLists:
    """The connected components of an image, held as runs.

    Components are numbered from 1 by their first pixel in raster order.

    Parameters
    ----------
    image
        Booleans, or integers of which equal neighbours connect.
    connectivity
        Largest number of axes along which neighbours differ; all axes by default.
    background
        The pixels with this value belong to no component; of booleans the False ones for any value
        but 1, as in `skimage.measure.label`.
    """

    def __init__(
        self, image: np.ndarray, connectivity: int | None = None, background: int = 0
    ) -> None:
        image = contiguous(image)
        binary = image.dtype == np.bool_
        numbers = np.zeros(3, np.int64)
        call(
            "runs_new",
            image,
            type_code(image.dtype),
            (2 if background == 1 else 1) if binary else 0,
            background,
            image.ndim,
            integers(image.shape),
            image.ndim if connectivity is None else connectivity,
            numbers,
        )
        self.shape = image.shape
        self._handle = int(numbers[0])
        self.count = int(numbers[1])
        """Number of components."""
        self.runs = int(numbers[2])
        """Number of runs."""
        weakref.finalize(self, call, "runs_free", self._handle)
        self._measures: tuple[np.ndarray, np.ndarray] | None = None

    def _measured(self) -> tuple[np.ndarray, np.ndarray]:
        if self._measures is None:
            areas = np.zeros(self.count + 1, np.int64)
            firsts = np.full(self.count + 1, -1, np.int64)
            call("runs_measures", self._handle, areas, firsts)
            areas[0] = int(np.prod(self.shape)) - int(areas[1:].sum())
            self._measures = areas, firsts
        return self._measures

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each component, shape (count + 1,), int64; index 0 is the background."""
        return self._measured()[0]

    @property
    def first_pixels(self) -> np.ndarray:
        """First pixel of each component as an index in raster order, int64; -1 at index 0."""
        return self._measured()[1]

    def labels(self, dtype: Any = np.int32, out: np.ndarray | None = None) -> np.ndarray:
        """Return the label image.

        Parameters
        ----------
        dtype
            Of the labels.
        out
            Where to write them.
        """
        return self._painted(dtype, None, out)

    def _painted(self, dtype: Any, table: np.ndarray | None, out: np.ndarray | None) -> np.ndarray:
        """Return a table's value for every pixel, the component's number where there is none."""
        target, code = result_array(self.shape, dtype, out), type_code(dtype)

        def paint_rows(begin: int, end: int) -> None:
            call("runs_paint_rows", self._handle, target, code, table, begin, end)

        in_bands(paint_rows, int(np.prod(self.shape[:-1])), target.size)
        return delivered(target, out)

    @property
    def nbytes(self) -> int:
        """What the lists take, in bytes."""
        return 12 * self.runs + 8 * (int(np.prod(self.shape[:-1])) + 1)

    def faces(self) -> dict[tuple[int, int], np.ndarray]:
        """Return the components' numbers on the faces of the image, int64.

        Returns
        -------
        dict
            By axis and side (0: the low one, -1: the high one), each one pixel long along its axis.
        """
        rows = np.arange(int(np.prod(self.shape[:-1])), dtype=np.int64).reshape(self.shape[:-1])
        faces = {}
        for axis in range(rows.ndim):
            for side in (0, -1):
                chosen = np.take(rows, [side], axis=axis)
                face = np.empty((*chosen.shape, self.shape[-1]), np.int64)
                call("runs_rows", self._handle, contiguous(chosen), chosen.size, face)
                faces[axis, side] = face
        ends = np.empty((2, *rows.shape, 1), np.int64)
        call("runs_ends", self._handle, ends[0], ends[1])
        return faces | {(rows.ndim, 0): ends[0], (rows.ndim, -1): ends[1]}

    def touched(self, mask: np.ndarray) -> np.ndarray:
        """Return which components hold a pixel of a mask, shape (count + 1,), bool.

        Parameters
        ----------
        mask
            Of the image's shape; at index 0 stands whether the background holds one.
        """
        touched = np.zeros(self.count + 1, bool)
        call("runs_touched", self._handle, contiguous(mask.astype(bool, copy=False)), touched)
        return touched

    def look_up(self, table: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return ``table[component]`` for every pixel, without a label image in between.

        Parameters
        ----------
        table
            Shape (count + 1,); index 0 is the background's value.
        out
            Where to write the result.
        """
        if table.shape != (self.count + 1,):
            raise ValueError(f"Expected a table of {self.count + 1} values, got {table.shape}.")
        return self._painted(table.dtype, contiguous(table), out)


def is_labelable(image: np.ndarray, connectivity: Any) -> bool:
    """Return whether an image's components can be held as runs.

    Parameters
    ----------
    image
        Its axes and pixels count.
    connectivity
        As in `RunLists`.
    """
    return (
        1 <= image.ndim <= _MOST_AXES
        and 0 < image.size <= _MOST_PIXELS
        and (connectivity is None or connectivity in range(1, image.ndim + 1))
    )


# -- measure.label ---------------------------------------------------------------------------------


def _exact_for_label(
    label_image: np.ndarray,
    background: int | None = None,
    return_num: bool = False,
    connectivity: int | None = None,
) -> bool:
    dtype = label_image.dtype
    if dtype == np.bool_:
        claimed = background is None or isinstance(background, int | np.integer)
    else:
        claimed = dtype in TYPES and dtype.kind in "iu" and dtype != np.uint64
        claimed = claimed and (background is None or isinstance(background, int | np.integer))
        # Up to three axes are the function's own limit, and it swaps the first two where the last
        # holds one pixel: numbers follow another order there.
        claimed = claimed and label_image.ndim <= 3
        claimed = claimed and not (label_image.ndim == 3 and label_image.shape[-1] == 1)
    return claimed and is_labelable(label_image, connectivity)


def _is_noise(image: np.ndarray) -> bool:
    """Return whether so many pixels differ from the one before that runs are short."""
    if image.dtype == np.bool_ or image.shape[-1] < 2:
        return False
    rows = image.reshape(-1, image.shape[-1])
    rows = rows[:: len(rows) // 16 or 1]
    return int(np.count_nonzero(rows[:, 1:] != rows[:, :-1])) > _MOST_CHANGES * rows.size


def label(
    label_image: np.ndarray,
    background: int | None = None,
    return_num: bool = False,
    connectivity: int | None = None,
) -> Any:
    """Label connected components, as `skimage.measure.label` does.

    Parameters
    ----------
    label_image, background, return_num, connectivity
        As there.
    """
    if _is_noise(label_image):
        labels, count = _labels_of_pixels(label_image, connectivity, int(background or 0))
        return (labels, count) if return_num else labels
    runs = RunLists(label_image, connectivity, int(background or 0))
    labels = runs.labels(np.int32 if label_image.dtype == np.bool_ else np.intp)
    return (labels, runs.count) if return_num else labels


def _labels_of_pixels(
    image: np.ndarray, connectivity: int | None, background: int
) -> tuple[np.ndarray, int]:
    """Return the components of an image of integers and their number, found pixel by pixel."""
    image, count = contiguous(image), np.zeros(1, np.int64)
    labels = np.empty(image.shape, np.intp)
    call(
        "label_pixels",
        image,
        type_code(image.dtype),
        background,
        volume_sizes(image),
        image.ndim if connectivity is None else int(connectivity),
        labels,
        count,
    )
    return labels, int(count[0])


LABEL = Kernel("skimage.measure.label", _exact_for_label, label)
MORPHOLOGY_LABEL = Kernel("skimage.morphology.label", _exact_for_label, label)
"""Of the same function, which scikit-image has in two modules."""


# -- hysteresis ------------------------------------------------------------------------------------


def _exact_for_hysteresis(image: np.ndarray, low: Any, high: Any) -> bool:
    numbers = (type(value) in (int, float) and value == value for value in (low, high))
    return image.dtype.kind in "uif" and all(numbers) and is_labelable(image, 1)


def apply_hysteresis_threshold(image: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """Return the parts above a low threshold that hold pixels above a high one, as `skimage` does.

    Parameters
    ----------
    image, low, high
        As in `skimage.filters.apply_hysteresis_threshold`.
    """
    low = np.clip(low, a_min=None, a_max=high)
    runs = RunLists(image > low, 1)
    return runs.look_up(runs.touched(image > high))


HYSTERESIS = Kernel(
    "skimage.filters.apply_hysteresis_threshold", _exact_for_hysteresis, apply_hysteresis_threshold
)


# -- small objects and holes -----------------------------------------------------------------------


def _is_small(ar: np.ndarray, connectivity: Any, out: np.ndarray | None) -> bool:
    return (
        ar.dtype == np.bool_
        and is_labelable(ar, connectivity)
        and (out is None or (out.dtype == np.bool_ and out.shape == ar.shape))
    )


def _exact_for_objects(
    ar: np.ndarray,
    min_size: Any = DEPRECATED,
    connectivity: int = 1,
    *,
    max_size: float = 64,
    out: np.ndarray | None = None,
) -> bool:
    if min_size is not DEPRECATED:
        return False
    are_labels = ar.dtype in TYPES and ar.dtype.kind in "iu" and ar.dtype != np.uint64
    return _is_small(ar, connectivity, out) or (are_labels and out is None and ar.size > 0)


def _exact_for_holes(
    ar: np.ndarray,
    area_threshold: Any = DEPRECATED,
    connectivity: int = 1,
    *,
    max_size: float = 64,
    out: np.ndarray | None = None,
) -> bool:
    return area_threshold is DEPRECATED and _is_small(ar, connectivity, out)


def remove_small_objects(
    ar: np.ndarray,
    min_size: Any = DEPRECATED,
    connectivity: int = 1,
    *,
    max_size: float = 64,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Clear the components of a mask, or the labels, up to a size, as `skimage.morphology` does.

    Parameters
    ----------
    ar, min_size, connectivity, max_size, out
        As in `skimage.morphology.remove_small_objects`.
    """
    if max_size == 0 and out is None:
        return ar.copy()
    if ar.dtype != np.bool_:
        return _without_small_labels(ar, max_size)
    runs = RunLists(ar, connectivity)
    keep = runs.areas > max_size
    keep[0] = False
    return runs.look_up(keep, out)


def _without_small_labels(labels: np.ndarray, max_size: float) -> np.ndarray:
    """Return labels without those of few pixels; of negative or very long ones, the function's."""
    labels, result, levels = (
        contiguous(labels),
        np.empty_like(labels, order="C"),
        np.zeros(1, np.int64),
    )
    if max_size > 0:
        call(
            "clear_small",
            labels,
            result,
            type_code(labels.dtype),
            labels.size,
            max(_FEW_LABELS, labels.size),
            float(max_size),
            levels,
        )
    if levels[0] == 0:
        return np.asarray(morphology.remove_small_objects(labels, max_size=max_size))
    if levels[0] == 2:  # of a single label the function warns
        morphology.remove_small_objects(np.ones(1, labels.dtype), max_size=max_size)
    return result


def remove_small_holes(
    ar: np.ndarray,
    area_threshold: Any = DEPRECATED,
    connectivity: int = 1,
    *,
    max_size: float = 64,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Fill the holes of a mask up to a size, as `skimage.morphology` does.

    Parameters
    ----------
    ar, area_threshold, connectivity, max_size, out
        As in `skimage.morphology.remove_small_holes`.
    """
    runs = RunLists(ar, connectivity, background=1)
    filled = runs.areas <= max_size
    filled[0] = True
    return runs.look_up(filled, out)


REMOVE_SMALL_OBJECTS = Kernel(
    "skimage.morphology.remove_small_objects", _exact_for_objects, remove_small_objects
)
REMOVE_SMALL_HOLES = Kernel(
    "skimage.morphology.remove_small_holes", _exact_for_holes, remove_small_holes
)
