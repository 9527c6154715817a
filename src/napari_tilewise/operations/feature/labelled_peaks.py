"""Peaks within labels: each label is treated as an image of its own, the box around its pixels.

Outside the label, that image has the smallest value of its dtype, and at the box's border it is
extended by its border pixels. Both are known in any tile, given the box. If all pixels of a label
are peaks, which only all tiles together decide, then only those that an opening of the label
removes are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.grid import Region, extent, grow, intersect, size, within
from napari_tilewise.operations.feature.candidates import spaced_peaks
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce, normal_halo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.passes import Passes


@dataclass
class _LabelPeaks:
    """The coordinates and values of the peaks of each label."""

    flat: dict[int, bool] = field(default_factory=dict)
    peaks: dict[int, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    lonely: dict[int, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    """Peaks that an opening of the label removes."""
    nbytes: int = 0

    def extend(self, other: _LabelPeaks) -> _LabelPeaks:
        """Add another tile's peaks, and return this object, as a reduction's `merge` does."""
        for label, flat in other.flat.items():
            self.flat[label] = self.flat.get(label, True) and flat
        for total, part in ((self.peaks, other.peaks), (self.lonely, other.lonely)):
            for label, parts in part.items():
                total.setdefault(label, []).extend(parts)
        self.nbytes += other.nbytes
        return self

    def add(
        self,
        peaks_by_label: dict[int, list[Any]],
        label: int,
        is_peak: np.ndarray,
        pixels: np.ndarray,
        box: Region,
    ) -> None:
        """Add the pixels of a box where `is_peak` is set."""
        index = np.nonzero(is_peak)
        coordinates = np.transpose(index) + np.array([s.start for s in box], np.intp)
        peaks_by_label.setdefault(label, []).append((coordinates, pixels[index]))
        self.nbytes += 2 * coordinates.nbytes


def labelled_peaks(
    call: Call,
    footprint: np.ndarray,
    threshold: Any,
    border: tuple[int, ...],
    halo: HaloLike,
    p_norm: float,
) -> Passes[tuple[np.ndarray, np.ndarray]]:
    """Return the peaks of every label, in ascending order of labels, and their values."""
    boxes = yield from _reduce_boxes(call, border)
    darkest = (np.finfo if call.dtype.kind == "f" else np.iinfo)(call.dtype).min
    halo_pairs = normal_halo(halo, call.ndim)

    def tile_peaks(block: Block) -> _LabelPeaks:
        label_peaks = _LabelPeaks()
        for label, box in _labels_in(boxes, block, include_outside=darkest > threshold):
            _find_peaks(
                label_peaks, block, label, box, grow(intersect(box, block.tile), halo_pairs)
            )
        return label_peaks

    def _find_peaks(
        label_peaks: _LabelPeaks, block: Block, label: int, box: Region, neighbourhood: Region
    ) -> None:
        region = intersect(intersect(box, neighbourhood), block.region)
        box_in_block = within(region, block.region)
        inner = intersect(box, block.tile)
        core = within(inner, region)
        mask = block.images["labels"][box_in_block] == label
        image = block.data[box_in_block].copy()
        image[~mask] = darkest
        above_threshold = (image > threshold)[core]
        if footprint.size == 1 or size(box) == 1:
            label_peaks.flat[label] = False
            label_peaks.add(label_peaks.peaks, label, above_threshold, image[core], inner)
            return
        largest = ndi.maximum_filter(image, footprint=footprint, mode="nearest")
        peaks = (image == largest)[core]
        label_peaks.flat[label] = bool(peaks[mask[core]].all())
        label_peaks.add(label_peaks.peaks, label, peaks & above_threshold, image[core], inner)
        if label_peaks.flat[label]:
            is_removed = np.logical_xor(mask, ndi.binary_opening(mask))[core]
            label_peaks.add(
                label_peaks.lonely, label, is_removed & above_threshold, image[core], inner
            )

    label_peaks: _LabelPeaks = yield Reduce(
        tile_peaks, _LabelPeaks.extend, halo=halo, description="local maxima of labels"
    )
    return _choose_per_label(call, label_peaks, p_norm)


def _labels_in(
    boxes: Mapping[int, Region], block: Block, *, include_outside: bool
) -> list[tuple[int, Region]]:
    """Return the labels with pixels in a tile, or with `include_outside` with boxes in it.

    Pixels outside a label can be peaks of its box only if the smallest value of the dtype is above
    the threshold.
    """
    if include_outside:
        return [(k, box) for k, box in boxes.items() if size(intersect(box, block.tile))]
    present = np.unique(block.images["labels"][block.core])
    return [
        (k, boxes[k])
        for k in present.tolist()
        if k in boxes and size(intersect(boxes[k], block.tile))
    ]


def _choose_per_label(
    call: Call, label_peaks: _LabelPeaks, p_norm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Choose among the candidates of every label as scikit-image does for an image."""
    # scikit-image's array of no peaks always has two columns.
    coordinates, values = [np.empty((0, 2), int)], [np.empty(0, call.dtype)]
    for index, label in enumerate(sorted(label_peaks.flat)):
        if index == 0:
            coordinates, values = [], []
        parts = (label_peaks.lonely if label_peaks.flat[label] else label_peaks.peaks).get(
            label, []
        )
        label_coordinates = np.concatenate([p for p, _ in parts])
        label_values = np.concatenate([v for _, v in parts])
        order = np.argsort(np.ravel_multi_index(tuple(label_coordinates.T), call.shape))
        order = order[np.argsort(-label_values[order], kind="stable")]
        label_coordinates, label_values = label_coordinates[order], label_values[order]
        selected = spaced_peaks(
            label_coordinates, call["min_distance"], call["num_peaks_per_label"], p_norm
        )
        coordinates.append(selected)
        values.append(_values_of(selected, label_coordinates, label_values, call.shape))
    return np.vstack(coordinates), np.concatenate(values)


def _values_of(
    selected: np.ndarray, coordinates: np.ndarray, values: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the values at the selected coordinates."""
    raster = np.ravel_multi_index(tuple(coordinates.T), shape)
    order = np.argsort(raster)
    selected_raster = np.ravel_multi_index(tuple(selected.T), shape)
    return np.asarray(values[order[np.searchsorted(raster, selected_raster, sorter=order)]])


def _reduce_boxes(call: Call, border: tuple[int, ...]) -> Passes[dict[int, Region]]:
    """Return the box of every label's pixels inside the excluded border."""
    inner = tuple(slice(w, max(w, n - w)) for w, n in zip(border, call.shape, strict=True))

    def tile_boxes(block: Block) -> dict[int, Region]:
        tile = intersect(block.tile, inner)
        if not size(tile):
            return {}
        labels = block.images["labels"][within(tile, block.region)]
        label_ids, inverse = np.unique(labels, return_inverse=True)
        objects = ndi.find_objects(inverse.reshape(extent(tile)) + 1)
        return {
            int(label): tuple(
                slice(b.start + t.start, b.stop + t.start) for b, t in zip(box, tile, strict=True)
            )
            for label, box in zip(label_ids, objects, strict=True)
            if label > 0 and box is not None
        }

    def merge(a: dict[int, Region], b: dict[int, Region]) -> dict[int, Region]:
        for label, box in b.items():
            known_box = a.get(label, box)
            a[label] = tuple(
                slice(min(p.start, q.start), max(p.stop, q.stop))
                for p, q in zip(known_box, box, strict=True)
            )
        return a

    boxes: dict[int, Region] = yield Reduce(tile_boxes, merge, description="boxes of labels")
    return boxes
