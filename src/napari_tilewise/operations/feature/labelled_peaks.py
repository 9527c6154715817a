"""Peaks within labels: each label is an image of its own, the box around its pixels.

Outside the label that image is as dark as its type allows, and at the box's border it goes on as
its border pixels. Both hold in any tile that knows the box. Whether all of a label's pixels are
peaks, which then are none but those that an opening of the label removes, is told by all tiles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.grid import Region, extent, grow, intersect, size, within
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Block, Call, HaloLike, Reduce, normal_halo

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping


@dataclass
class _Found:
    """What tiles know of the peaks of each label: places and values."""

    flat: dict[int, bool] = field(default_factory=dict)
    peaks: dict[int, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    lonely: dict[int, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    """Those that an opening of the label removes."""
    nbytes: int = 0

    def extend(self, other: _Found) -> _Found:
        """Take in what another tile knows: a gather's merge."""
        for label, flat in other.flat.items():
            self.flat[label] = self.flat.get(label, True) and flat
        for mine, theirs in ((self.peaks, other.peaks), (self.lonely, other.lonely)):
            for label, parts in theirs.items():
                mine.setdefault(label, []).extend(parts)
        self.nbytes += other.nbytes
        return self

    def add(
        self,
        where: dict[int, list[Any]],
        label: int,
        found: np.ndarray,
        pixels: np.ndarray,
        at: Region,
    ) -> None:
        """Note the pixels of a box where `found` is set."""
        index = np.nonzero(found)
        places = np.transpose(index) + np.array([s.start for s in at], np.intp)
        where.setdefault(label, []).append((places, pixels[index]))
        self.nbytes += 2 * places.nbytes


def labelled_peaks(
    call: Call,
    footprint: np.ndarray,
    threshold: Any,
    border: tuple[int, ...],
    halo: HaloLike,
    p_norm: float,
) -> Generator[Reduce, Any, tuple[np.ndarray, np.ndarray]]:
    """Compute the peaks of every label, the smallest label's first, and their values."""
    boxes = yield from _boxes(call, border)
    darkest = (np.finfo if call.dtype.kind == "f" else np.iinfo)(call.dtype).min
    both = normal_halo(halo, call.ndim)

    def of(block: Block) -> _Found:
        found = _Found()
        for label, box in _met(boxes, block, everywhere=darkest > threshold):
            _look(found, block, label, box, grow(intersect(box, block.tile), both))
        return found

    def _look(found: _Found, block: Block, label: int, box: Region, wanted: Region) -> None:
        region = intersect(intersect(box, wanted), block.region)
        part = within(region, block.region)
        inner = intersect(box, block.tile)
        core = within(inner, region)
        mask = block.images["labels"][part] == label
        image = block.data[part].copy()
        image[~mask] = darkest
        above = (image > threshold)[core]
        if footprint.size == 1 or size(box) == 1:
            found.flat[label] = False
            found.add(found.peaks, label, above, image[core], inner)
            return
        largest = ndi.maximum_filter(image, footprint=footprint, mode="nearest")
        peaks = (image == largest)[core]
        found.flat[label] = bool(peaks[mask[core]].all())
        found.add(found.peaks, label, peaks & above, image[core], inner)
        if found.flat[label]:
            removed = np.logical_xor(mask, ndi.binary_opening(mask))[core]
            found.add(found.lonely, label, removed & above, image[core], inner)

    found: _Found = yield Reduce(of, _Found.extend, halo=halo, description="local maxima of labels")
    return _chosen(call, found, p_norm)


def _met(
    boxes: Mapping[int, Region], block: Block, *, everywhere: bool
) -> list[tuple[int, Region]]:
    """Return the labels whose boxes a tile meets, or, unless `everywhere`, that have pixels in it.

    Pixels around a label are peaks of its box only where the darkest ones are above the threshold.
    """
    if everywhere:
        return [(k, box) for k, box in boxes.items() if size(intersect(box, block.tile))]
    inside = np.unique(block.images["labels"][block.core])
    return [
        (k, boxes[k])
        for k in inside.tolist()
        if k in boxes and size(intersect(boxes[k], block.tile))
    ]


def _chosen(call: Call, found: _Found, p_norm: float) -> tuple[np.ndarray, np.ndarray]:
    """Choose among every label's candidates as scikit-image chooses among an image's."""
    # scikit-image's array of no peaks has two columns, whatever the image has.
    places, values = [np.empty((0, 2), int)], [np.empty(0, call.dtype)]
    for number, label in enumerate(sorted(found.flat)):
        if number == 0:
            places, values = [], []
        parts = (found.lonely if found.flat[label] else found.peaks).get(label, [])
        at = np.concatenate([p for p, _ in parts])
        of = np.concatenate([v for _, v in parts])
        order = np.argsort(np.ravel_multi_index(tuple(at.T), call.shape))
        order = order[np.argsort(-of[order], kind="stable")]
        at, of = at[order], of[order]
        kept = spaced_peaks(at, call["min_distance"], call["num_peaks_per_label"], p_norm)
        places.append(kept)
        values.append(_values_of(kept, at, of, call.shape))
    return np.vstack(places), np.concatenate(values)


def spaced_peaks(places: np.ndarray, spacing: float, most: float, p_norm: float) -> np.ndarray:
    """Return the first places of a list that are far enough from each other, and not too many.

    Parameters
    ----------
    places
        Coordinates of pixels, one row per peak, the best first.
    spacing
        The least distance between two of them, in pixels.
    most
        The largest number of peaks; infinity for all.
    p_norm
        Which Minkowski distance is meant.
    """
    if spacing > 1:
        spaced = reach("_shared.coord", "ensure_spacing")
        places = spaced(
            places,
            spacing=spacing,
            p_norm=p_norm,
            max_out=int(most) if np.isfinite(most) else None,
        )
    return places[: int(most)] if len(places) > most else places


def _values_of(
    kept: np.ndarray, places: np.ndarray, values: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Return the values of some of the places."""
    raster = np.ravel_multi_index(tuple(places.T), shape)
    order = np.argsort(raster)
    wanted = np.ravel_multi_index(tuple(kept.T), shape)
    return np.asarray(values[order[np.searchsorted(raster, wanted, sorter=order)]])


def _boxes(call: Call, border: tuple[int, ...]) -> Generator[Reduce, Any, dict[int, Region]]:
    """Compute the box around every label's pixels that lie inside the excluded border."""
    inner = tuple(slice(w, max(w, n - w)) for w, n in zip(border, call.shape, strict=True))

    def of(block: Block) -> dict[int, Region]:
        tile = intersect(block.tile, inner)
        if not size(tile):
            return {}
        labels = block.images["labels"][within(tile, block.region)]
        names, compact = np.unique(labels, return_inverse=True)
        found = ndi.find_objects(compact.reshape(extent(tile)) + 1)
        return {
            int(name): tuple(
                slice(b.start + t.start, b.stop + t.start) for b, t in zip(box, tile, strict=True)
            )
            for name, box in zip(names, found, strict=True)
            if name > 0 and box is not None
        }

    def merge(a: dict[int, Region], b: dict[int, Region]) -> dict[int, Region]:
        for label, box in b.items():
            mine = a.get(label, box)
            a[label] = tuple(
                slice(min(p.start, q.start), max(p.stop, q.stop))
                for p, q in zip(mine, box, strict=True)
            )
        return a

    boxes: dict[int, Region] = yield Reduce(of, merge, description="boxes of labels")
    return boxes
