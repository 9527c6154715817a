"""Properties of objects that follow from counts: computed for all objects of a window at once.

scikit-image creates an object for each region and reads its pixels one region at a time; areas and
centroids alone follow from counting labels, with the same numbers. Sums of coordinates are integers
that float64 represents exactly (up to 2**53: more pixels than one object can have in memory), in
whatever order they are added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.operation import Block, Call

COUNTABLE = ("label", "bbox", "area", "num_pixels", "centroid")
"""scikit-image's names of these properties."""

SLAB = 2**18
"""Number of pixels that are counted together."""


def countable(call: Call, names: Sequence[str]) -> list[str]:
    """Return those of the named properties that follow from counts.

    Areas and centroids in units other than pixels are left to scikit-image's own arithmetic.
    """
    in_pixels = call["spacing"] is None or np.all(np.asarray(call["spacing"]) == 1)
    return [name for name in names if name in COUNTABLE] if in_pixels else []


def measure_counts(
    block: Block, objects: Sequence[tuple[int, Region]], names: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """Return the columns of each property, with one row per object.

    Parameters
    ----------
    block
        A block of labels that contains these objects entirely.
    objects
        The label and the box of each object.
    names
        Properties, all of which are in `COUNTABLE`.
    """
    labels = np.array([label for label, _ in objects])
    boxes = np.array([[(s.start, s.stop) for s in box] for _, box in objects])
    sizes, sums = np.zeros(len(labels)), np.zeros((len(boxes[0]), len(labels)))
    if set(names) - {"label", "bbox"}:
        _add_up(block, labels, sizes, sums)
    columns = {
        "label": [labels],
        "bbox": [*boxes[..., 0].T, *boxes[..., 1].T],
        "area": [sizes],
        "num_pixels": [sizes],
        "centroid": list(sums / np.maximum(sizes, 1)),
    }
    return {name: columns[name] for name in names}


def _add_up(block: Block, labels: np.ndarray, sizes: np.ndarray, sums: np.ndarray) -> None:
    """Add each object's number of pixels to `sizes`, and their coordinates to `sums`."""
    order = np.argsort(labels)
    sorted_labels = labels[order].astype(block.data.dtype)
    per_row = max(1, block.data[0].size)
    rows = max(1, SLAB // per_row)
    for first_row in range(0, len(block.data), rows):
        slab = block.data[first_row : first_row + rows]
        indices = np.flatnonzero(slab)
        values = slab.reshape(-1)[indices]
        ordinals = np.minimum(np.searchsorted(sorted_labels, values), len(sorted_labels) - 1)
        is_measured = sorted_labels[ordinals] == values  # objects of other windows may lie between
        indices, ordinals = indices[is_measured], order[ordinals[is_measured]]
        sizes += np.bincount(ordinals, minlength=len(sizes))
        corner = (block.region[0].start + first_row, *(s.start for s in block.region[1:]))
        for axis, positions in enumerate(np.unravel_index(indices, slab.shape)):
            weights: Any = positions + corner[axis]
            sums[axis] += np.bincount(ordinals, weights, minlength=len(sizes))
