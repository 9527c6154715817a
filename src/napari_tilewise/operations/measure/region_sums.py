"""Properties of objects that follow from exact sums: tiles add up integers, whatever the objects.

scikit-image creates an object for each region and reads its pixels one region at a time; areas,
boxes, centroids and means of whole numbers follow from sums over the tiles, with the same numbers.
Sums below 2**53 are integers that float64 represents exactly, in whatever order they are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.shared.sorted_rows import SortedRows
from napari_tilewise.operations.shared.stored_columns import (
    ColumnStore,
    ColumnWriter,
    row_groups,
)
from napari_tilewise.operations.spec.operation import Block, Call, Reduce

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

JOINING = 160
"""Bytes that joining takes for each part of an object, and the table after it; measured."""
EXACT = 2**53
"""Below which float64 represents every integer."""
IN_UNITS = ("area", "area_bbox", "equivalent_diameter_area", "extent")
"""The properties of pixels of a size other than 1 that follow from their number."""
LARGEST_ID = 2**63 - 1
"""scikit-image indexes with label ids."""


@dataclass(frozen=True, eq=False)
class RegionSums:
    """What is summed over an image's objects, one row per object in the order of labels."""

    labels: Any
    boxes: Any
    """First pixel and one past the last, shape (n, axis, 2)."""
    areas: Any
    coordinates: Any
    """Sums of the pixels' coordinates, shape (n, axis)."""
    intensities: Any = None
    """Sum, smallest and largest of each object's pixels, shape (n, 3); None: not summed."""
    store: ColumnStore | None = None
    """Where a table goes that outgrows its share of memory."""

    def groups(self) -> Iterator[RegionSums]:
        """Yield the objects in groups of rows in memory; all at once where they are there."""
        if isinstance(self.labels, np.ndarray):
            yield self
            return
        columns = [self.labels, self.boxes, self.areas, self.coordinates, self.intensities]
        for rows in row_groups(len(self.labels)):
            yield RegionSums(*(None if column is None else column[rows] for column in columns))

    @cached_property
    def is_exact(self) -> bool:
        """Whether float64 represents the sums of intensities, whatever the order of adding."""
        return self.intensities is not None and all(
            (group.areas * abs(group.intensities[:, 1:]).max(axis=1) < EXACT).all()
            for group in self.groups()
        )

    def columns(
        self, name: str, *, is_exact: bool, spacing: Sequence[float] | None = None
    ) -> list[np.ndarray] | None:
        """Return the columns of a property, by scikit-image's present name; None: not from sums.

        Parameters
        ----------
        name
            The property.
        is_exact
            Whether sums of intensities are exact, for all objects of the image.
        spacing
            Pixel size along each axis where it is not 1: sums of positions are not whole then.
        """
        pixels, lengths_of_boxes = self.areas.astype(float), np.diff(self.boxes)[..., 0]
        lengths = lengths_of_boxes.prod(axis=1)
        areas = pixels
        if spacing is not None and name in IN_UNITS:
            size = np.prod(np.asarray(spacing, float))
            areas, lengths = areas * size, lengths * size
        match name:
            case "label":
                return [self.labels]
            case "bbox":
                return [*self.boxes[..., 0].T, *self.boxes[..., 1].T]
            case "area":
                return [areas]
            case "num_pixels":
                return [pixels]
            case "area_bbox":
                return [lengths]
            case "extent":
                return [areas / lengths]
            case "equivalent_diameter_area":
                ndim = lengths_of_boxes.shape[1]
                # One after the other: powers of arrays may have other last bits.
                diameters = [value ** (1 / ndim) for value in 2 * ndim * areas / np.pi]
                return [np.array(diameters, float)]
            case "centroid":
                return list(self.coordinates.T / areas) if spacing is None else None
        if self.intensities is None:
            return None
        sums, lowest, highest = self.intensities.T
        if name == "intensity_mean" and is_exact:
            return [sums / areas]
        return {"intensity_min": [lowest], "intensity_max": [highest]}.get(name)


def sums_intensity(call: Call) -> bool:
    """Return whether the sums of the intensities are whole numbers, one per pixel."""
    intensity = call.params.get("intensity_image")
    return (
        intensity is not None
        and len(intensity.shape) == call.ndim
        and np.dtype(intensity.dtype).kind in "ui"
        and np.dtype(intensity.dtype).itemsize <= 4
        and np.dtype(intensity.dtype) != np.uint32
    )


def reduce_region_sums(intensity: bool = False) -> Reduce:
    """Return the reduction to the `RegionSums` of the whole image.

    Parameters
    ----------
    intensity
        Whether to sum the further image ``intensity_image``.
    """

    def of(block: Block) -> ObjectParts:
        return _tile_sums(block, intensity)

    return Reduce(
        of,
        ObjectParts.extend,
        finish=_whole_sums,
        only_reads=True,
        description="sums",
        form="rows",
    )


class ObjectParts(SortedRows):
    """The sums of parts of objects, of which those that outgrow memory are joined and stored."""

    overhead = JOINING

    def in_order(self, columns: Sequence[np.ndarray]) -> list[Any]:
        """Return the sums of objects from those of their parts, in the order of labels."""
        return _joined(columns)


def _tile_sums(block: Block, has_intensity: bool) -> ObjectParts:
    """Return the labels in a tile, and a row of sums for each."""
    labels, ordinals, least = _ordinals(block.data[block.core])
    if not len(labels):
        return _no_sums(labels, ordinals.ndim, has_intensity)
    intensity = None
    if has_intensity:
        intensity = block.images["intensity_image"][block.core]
        if intensity.dtype not in (np.uint8, np.uint16):
            intensity = intensity.astype(np.int32)
    sums = _kernel_sums(ordinals, least, len(labels), intensity)
    if sums is None:
        sums = _sums(ordinals, least, len(labels), intensity)
    areas, coordinates, boxes, *intensities = sums
    start = np.array([s.start for s in block.tile])
    present = np.flatnonzero(areas)
    areas, boxes = areas[present], boxes[present] + start[:, None]
    columns = [labels[present - 1], boxes, areas, coordinates[present] + areas[:, None] * start]
    if has_intensity:
        columns.append(np.stack([column[present] for column in intensities], axis=1))
    return ObjectParts(*columns)


def _no_sums(labels: np.ndarray, ndim: int, has_intensity: bool) -> ObjectParts:
    """Return the columns of a tile without objects."""
    shapes = [(ndim, 2), (), (ndim,), *([(3,)] if has_intensity else [])]
    return ObjectParts(labels, *(np.zeros((0, *shape), np.int64) for shape in shapes))


def _ordinals(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return labels that include all of a tile's, the tile with their numbers, and the first's.

    The numbers are the labels themselves where these are dense.
    """
    high = tile.max()
    if high <= 0:
        return np.zeros(0, tile.dtype), tile, 1
    if int(high) > LARGEST_ID:
        raise InvalidImage(
            f"The label id {int(high)} is larger than scikit-image can measure: expected ids up to "
            f"{LARGEST_ID}. Number the objects anew with segmentation.relabel_sequential."
        )
    unsigned = np.dtype(f"u{tile.dtype.itemsize}")
    low = int((tile.view(unsigned) - unsigned.type(1)).min()) + 1  # 0 is the largest there
    if int(high) - low < tile.size and int(high) < 2**62:
        labels = np.arange(int(high) - low + 1).astype(tile.dtype) + tile.dtype.type(low)
        return labels, tile, low
    labels, inverse = np.unique(tile[tile > 0], return_inverse=True)
    ordinals = np.zeros(tile.shape, np.int64)
    ordinals[tile > 0] = inverse + 1
    return labels, ordinals, 1


def _kernel_sums(
    tile: np.ndarray, least: int, count: int, intensity: np.ndarray | None
) -> list[Any] | None:
    """Return what `_sums` does, or None where no kernel knows the tile."""
    from napari_tilewise.kernels import available, region_columns, sums_regions

    if tile.dtype not in (np.uint8, np.uint16, np.int32):
        tile = tile.astype(np.int64, copy=False)
    if not (available() and sums_regions(tile, intensity)):
        return None
    columns = region_columns(tile, least + count - 1, intensity, least)
    sums: list[Any] = [columns.areas, columns.coordinate_sums, columns.boxes]
    if intensity is not None:
        sums += [columns.intensity_sums, columns.intensity_min, columns.intensity_max]
    return sums


def _sums(
    tile: np.ndarray, least: int, count: int, intensity: np.ndarray | None
) -> list[np.ndarray]:
    """Return areas, sums of coordinates, boxes and what intensities come to, from row 1 on."""
    ordinals = np.where(tile > 0, tile.astype(np.int64) - (least - 1), 0)
    flat = ordinals.ravel()
    areas = np.bincount(flat, minlength=count + 1)
    coordinates = np.zeros((count + 1, tile.ndim), np.int64)
    grids: Any = np.indices(tile.shape)
    for axis, weights in enumerate(grids.reshape(tile.ndim, -1)):
        coordinates[:, axis] = np.bincount(flat, weights, minlength=count + 1)
    boxes = np.zeros((count + 1, tile.ndim, 2), np.int64)
    for number, box in enumerate(ndi.find_objects(ordinals, max_label=count), 1):
        if box is not None:
            boxes[number] = [(s.start, s.stop) for s in box]
    areas[0] = 0
    if intensity is None:
        return [areas, coordinates, boxes]
    values = intensity.ravel().astype(np.int64)
    lowest, highest = np.full(count + 1, 2**62), np.full(count + 1, -(2**62))
    np.minimum.at(lowest, flat, values)
    np.maximum.at(highest, flat, values)
    totals = np.bincount(flat, values, minlength=count + 1).astype(np.int64)
    return [areas, coordinates, boxes, totals, lowest, highest]


def _whole_sums(parts: ObjectParts) -> RegionSums:
    """Return the sums of whole objects from those of their parts."""
    if not parts.runs:
        return _region_sums(next(parts.groups()), parts.store)
    writer = ColumnWriter(parts.store)
    for columns in parts.groups():
        for rows in row_groups(len(columns[0])):
            writer.append({str(n): column[rows] for n, column in enumerate(columns)})
    sums = _region_sums(list(writer.columns().values()), parts.store)
    parts.remove_runs()
    return sums


def _region_sums(columns: Sequence[Any], store: ColumnStore | None) -> RegionSums:
    labels, boxes, areas, coordinates, *rest = columns
    return RegionSums(labels, boxes, areas, coordinates, rest[0] if rest else None, store)


def _joined(columns: Sequence[Any]) -> list[Any]:
    """Return the sums of objects from those of their parts, in the order of labels."""
    labels, boxes, areas, coordinates, *intensities = columns
    labels, inverse = np.unique(labels, return_inverse=True)
    bounds = np.empty((len(labels), *boxes.shape[1:]), np.int64)
    bounds[..., 0] = _combined(np.minimum, boxes[..., 0], inverse, len(labels))
    bounds[..., 1] = _combined(np.maximum, boxes[..., 1], inverse, len(labels))
    areas, coordinates = (
        _combined(np.add, part, inverse, len(labels)) for part in (areas, coordinates)
    )
    joined = [labels, bounds, areas, coordinates]
    if intensities:
        ufuncs: list[np.ufunc] = [np.add, np.minimum, np.maximum]
        parts = zip(ufuncs, intensities[0].T, strict=True)
        joined.append(np.stack([_combined(*part, inverse, len(labels)) for part in parts], axis=1))
    return joined


def _combined(ufunc: np.ufunc, parts: np.ndarray, inverse: np.ndarray, count: int) -> np.ndarray:
    info = np.iinfo(np.int64)
    start = {"add": 0, "minimum": info.max, "maximum": info.min}[ufunc.__name__]
    whole = np.full((count, *parts.shape[1:]), start, np.int64)
    ufunc.at(whole, inverse, parts)
    return whole
