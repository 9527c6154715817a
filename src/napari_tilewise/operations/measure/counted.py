"""Properties of objects that counting tells: all objects of a window at once, none one by one.

scikit-image makes an object of each region and looks its pixels up; where areas and centroids are
all that is asked, counting labels gives the very numbers. Sums of coordinates are whole numbers
that a double holds exactly (up to 2**53: more pixels than one object can have in memory), in
whatever order they are added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.operation import Block, Call

COUNTED = ("label", "bbox", "area", "num_pixels", "centroid")
"""scikit-image's names of these properties."""

SLAB = 2**18
"""Pixels that are looked at together."""


def counted(call: Call, names: Sequence[str]) -> list[str]:
    """Return those of some properties that counting tells.

    Areas and centroids in other units than pixels are left to scikit-image's own arithmetic.

    Parameters
    ----------
    call
        The call.
    names
        Names of properties.
    """
    in_pixels = call["spacing"] is None or np.all(np.asarray(call["spacing"]) == 1)
    return [name for name in names if name in COUNTED] if in_pixels else []


def count(
    block: Block, objects: Sequence[tuple[int, Region]], names: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """Return properties of objects, each as its columns.

    Parameters
    ----------
    block
        A block of labels that holds these objects whole.
    objects
        Label and box of each.
    names
        The properties.
    """
    labels = np.array([label for label, _ in objects])
    boxes = np.array([[(s.start, s.stop) for s in box] for _, box in objects])
    numbers, sums = np.zeros(len(labels)), np.zeros((len(boxes[0]), len(labels)))
    if set(names) - {"label", "bbox"}:
        _add_up(block, labels, numbers, sums)
    columns = {
        "label": [labels],
        "bbox": [*boxes[..., 0].T, *boxes[..., 1].T],
        "area": [numbers],
        "num_pixels": [numbers],
        "centroid": list(sums / np.maximum(numbers, 1)),
    }
    return {name: columns[name] for name in names}


def _add_up(block: Block, labels: np.ndarray, numbers: np.ndarray, sums: np.ndarray) -> None:
    """Add an object's pixels to its number, and their coordinates to its sums."""
    order = np.argsort(labels)
    known = labels[order].astype(block.data.dtype)
    per_row = max(1, block.data[0].size)
    rows = max(1, SLAB // per_row)
    for first in range(0, len(block.data), rows):
        slab = block.data[first : first + rows]
        where = np.flatnonzero(slab)
        values = slab.reshape(-1)[where]
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        mine = known[place] == values  # objects of another window may lie between
        where, place = where[mine], order[place[mine]]
        numbers += np.bincount(place, minlength=len(numbers))
        corner = (block.region[0].start + first, *(s.start for s in block.region[1:]))
        for axis, along in enumerate(np.unravel_index(where, slab.shape)):
            weights: Any = along + corner[axis]
            sums[axis] += np.bincount(place, weights, minlength=len(numbers))
