"""Objects read each in its own box, for scikit-image's code to measure.

The whole image is never needed, but a whole object is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.grid import Region, size, within
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Block, Call, Reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_tilewise.operations.spec.passes import Passes

OBJECT = 2**11
"""Bytes of scikit-image's description of a region."""
REGION_KEYWORDS = ("extra_properties", "spacing", "offset")

ObjectPixels: TypeAlias = "tuple[Region, int, ObjectWindow, ObjectWindow | None]"
"""An object's box, its label, and windows of the image and of the intensities that hold it."""


class _Measured(list[Any]):
    """What was measured of objects, read one window after the other."""

    nbytes = 0

    def add(self, indices: np.ndarray, measured: Any, pixels: int) -> None:
        """Add the objects of a window, and what each of them takes beside its pixels."""
        self.append((indices, measured))
        self.nbytes += indices.nbytes
        if isinstance(measured, list):
            self.nbytes += OBJECT * len(measured) + pixels
        else:
            tables = measured.values()
            self.nbytes += sum(column.nbytes for table in tables for column in table.values())


def _extend(total: _Measured, part: _Measured) -> _Measured:
    total.extend(part)
    total.nbytes += part.nbytes
    return total


def _windows(boxes: np.ndarray, grid_tile: Sequence[int]) -> list[tuple[Region, np.ndarray]]:
    """Return the boxes to read and the indices of the objects measured in each.

    Objects no larger than a tile are read together with those that start in the same tile; a
    larger object is read on its own.
    """
    fits_tile = ((boxes[..., 1] - boxes[..., 0]) <= np.array(grid_tile)).all(axis=1)
    own = np.where(fits_tile, -1, np.arange(len(boxes)))
    keys = np.column_stack([boxes[..., 0] // np.array(grid_tile), own])
    _, first, group_of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    by_group = np.argsort(group_of.ravel(), kind="stable")
    groups = np.split(by_group, np.cumsum(np.bincount(group_of.ravel()))[:-1])
    windows = []
    for number in np.argsort(first):  # as their first objects come
        member_indices = groups[number]
        low, high = boxes[member_indices, :, 0].min(axis=0), boxes[member_indices, :, 1].max(axis=0)
        region = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        windows.append((region, member_indices))
    return windows


def _tile_of(call: Call) -> tuple[int, ...]:
    """Return the largest shape of an object that is read together with others."""
    length = {2: 1024, 3: 128}[call.ndim]
    return tuple(min(length, n) for n in call.shape)


def read_objects(
    call: Call,
    labels: np.ndarray,
    boxes: np.ndarray,
    measure: Callable[[Block, list[tuple[int, Region]]], Any],
    form: str = "",
) -> Passes[list[tuple[np.ndarray, Any]]]:
    """Read objects whole and return what was measured of them, with the objects' indices.

    Parameters
    ----------
    call
        The parameters and the labels' image.
    labels, boxes
        The label of each object, and its box: ``(start, stop)`` per axis.
    measure
        Returns what is measured of the objects in a block, given their labels and boxes.
    form
        Distinguishes this pass from others of the call that read objects.
    """
    windows = _windows(boxes, _tile_of(call))

    def measure_window(block: Block) -> _Measured:
        indices = windows[block.position[0]][1]
        objects = [
            (int(labels[k]), tuple(slice(int(a), int(b)) for a, b in boxes[k])) for k in indices
        ]
        measured = _Measured()
        pixels = sum(size(box) for _, box in objects) * block.data.itemsize
        measured.add(indices, measure(block, objects), min(pixels, block.data.nbytes))
        return measured

    results: _Measured = yield Reduce(
        measure_window,
        _extend,
        regions=[region for region, _ in windows],
        description="regions",
        form=form,
    )
    return results


class ObjectWindow:
    """A box of an image, indexed by slices in the image's coordinates."""

    def __init__(self, data: np.ndarray, region: Region, shape: tuple[int, ...]) -> None:
        self._data = data
        self._region = region
        self.shape = (*shape, *data.shape[len(shape) :])
        self.ndim = data.ndim
        self.dtype = data.dtype

    def __getitem__(self, box: Region) -> np.ndarray:
        """Return the pixels of a box inside this one."""
        return self._data[within(box, self._region)]

    def cropped(self, box: Region) -> ObjectWindow:
        """Return a window with a copy of this box only."""
        return ObjectWindow(self[box].copy(), box, self.shape[: len(box)])


def object_pixels(
    call: Call, block: Block, objects: list[tuple[int, Region]], *, keep: bool
) -> list[ObjectPixels]:
    """Return the pixels of the objects.

    Parameters
    ----------
    call
        The parameters and the labels' image.
    block
        A part of the image that holds the objects whole.
    objects
        Their labels and boxes.
    keep
        Whether they outlive the block: each then owns a copy of its pixels, unless the copies
        together would be larger than the block, which they then share.
    """
    image = ObjectWindow(block.data, block.region, call.shape)
    intensity = block.images.get("intensity_image")
    values = None if intensity is None else ObjectWindow(intensity, block.region, call.shape)
    owns_pixels = keep and sum(size(box) for _, box in objects) < size(block.region)
    return [
        (
            box,
            label,
            image.cropped(box) if owns_pixels else image,
            values.cropped(box) if owns_pixels and values is not None else values,
        )
        for label, box in objects
    ]


def region_properties(call: Call, objects: Iterable[ObjectPixels]) -> list[Any]:
    """Return scikit-image's `RegionProperties` of objects.

    Parameters
    ----------
    call
        The parameters and the labels' image.
    objects
        The objects' pixels.
    """
    keywords = {k: v for k, v in call.keywords.items() if k in REGION_KEYWORDS}
    region = reach("measure._regionprops", "RegionProperties")
    return [region(*item, call["cache"], **keywords) for item in objects]
