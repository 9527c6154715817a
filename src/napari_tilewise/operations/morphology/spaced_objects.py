"""`morphology.remove_objects_by_distance`: decided once for all objects, from their border pixels.

scikit-image decides from the objects' borders and sizes which of two close objects is removed. A
reduction collects both from the tiles; scikit-image's own loop then processes the border pixels.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.morphology.small_objects import merge_counts
from napari_tilewise.operations.shared.combined import collected, together
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    PER_PIXEL,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Array, Number


def _check(call: Call) -> None:
    spacing = call["spacing"]
    if spacing is not None and (spacing.shape != (call.ndim,) or spacing.min() <= 0):
        raise InvalidParameter(
            f"{call.operation.name}: spacing={spacing.tolist()!r}: expected {call.ndim} positive "
            "numbers, one per axis."
        )


def _footprint(call: Call) -> np.ndarray:
    """Return the neighbours that define a border, by scikit-image's rule for sparse borders."""
    spacing = call["spacing"]
    sparse = (spacing is None or np.all(spacing[0] == spacing)) and call["p_norm"] <= 2
    return np.asarray(ndi.generate_binary_structure(call.ndim, 1 if sparse else call.ndim))


def _plan(call: Call) -> Plan:
    footprint = _footprint(call)

    def border(block: Block) -> tuple[np.ndarray, ...]:
        """Return the raster indices and labels of objects' border pixels."""
        high = ndi.maximum_filter(block.data, footprint=footprint)
        low = ndi.minimum_filter(block.data, footprint=footprint)
        is_border = ((high != low) & (block.data != 0))[block.core]
        coordinates = [a + s.start for a, s in zip(np.nonzero(is_border), block.tile, strict=True)]
        return np.ravel_multi_index(coordinates, call.shape), block.data[block.core][is_border]

    def count(block: Block) -> dict[int, int]:
        values, counts = np.unique(block.data[block.core], return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    (raster, label), sizes = yield together(
        collected(border, halo=1, description="borders"), Reduce(count, merge_counts, halo=1)
    )
    order = np.argsort(raster)
    removed = _removed_labels(call, raster[order], label[order], sizes)

    def compute(block: Block) -> np.ndarray:
        block.data[np.isin(block.data, removed)] = 0
        return block.data

    return Tiles(compute)


def _removed_labels(
    call: Call, raster: np.ndarray, label: np.ndarray, sizes: dict[int, int]
) -> np.ndarray:
    """Return the labels of the removed objects, by scikit-image's steps in the same order."""
    if len(raster) == 0:
        return label
    priority = call["priority"]
    low = min(sizes) if priority is None else int(label.min())
    high = max(sizes)
    if low < 0 or (priority is None and high > np.iinfo(np.intp).max):
        raise InvalidImage(
            f"{call.operation.name}: the image has labels from {low} to {high}: expected positive "
            "labels that fit into 64-bit integers. Relabel it with measure.label first."
        )
    # The sort by label must be scikit-image's: ties decide the order of the tree.
    order = np.argsort(label)
    raster, label = raster[order], label[order]
    rank = _ranks(call, label, sizes)
    order = np.argsort(rank, kind="stable")[::-1]
    raster, label = raster[order], label[order].copy()
    coordinates = np.unravel_index(raster, call.shape)
    if call["spacing"] is not None:
        coordinates = tuple(
            axis_coordinates * step
            for axis_coordinates, step in zip(coordinates, call["spacing"], strict=True)
        )
    object_labels = label.copy()
    reach("morphology._misc_cy", "_remove_objects_by_distance")(
        out=label,
        border_indices=np.arange(len(label)),
        inner_indices=np.empty(0, np.intp),
        kdtree=cKDTree(np.asarray(coordinates, dtype=np.float64).T),
        min_distance=call["min_distance"],
        p_norm=call["p_norm"],
        shape=call.shape,
    )
    return np.unique(object_labels[label == 0])


def _ranks(call: Call, label: np.ndarray, sizes: dict[int, int]) -> np.ndarray:
    """Return the priority of each border pixel's object, by default the object's size."""
    priority = call["priority"]
    if priority is None:
        labels, index = np.unique(label, return_inverse=True)
        return np.array([sizes[int(value)] for value in labels])[index]
    if label.max() >= len(priority):
        raise InvalidParameter(
            f"{call.operation.name}: priority has {len(priority)} values: expected one per label "
            f"from 0 to {max(sizes)}."
        )
    return np.asarray(priority[label])


OPERATIONS = (
    Operation(
        name="morphology.remove_objects_by_distance",
        family=families.OBJECTS,
        kind=Kind.STATISTIC,
        specs={
            "min_distance": Number(
                minimum=0, length=True, finite=False, measured_by="spacing", usual=(0, 6)
            ),
            "priority": Array(ndim=1, optional=True, longest=12, advanced=True),
            "p_norm": Number(minimum=1, usual=(1, 3), advanced=True),
            "spacing": Array(
                ndim=1, optional=True, longest=3, usual=(0.5, 3), advanced=True, pixel_size=True
            ),
        },
        result=ResultSpec(output=Output.LABELS),
        neighbourhood=Neighbourhood(halo=lambda call: 1),
        limits=Limits(dtypes="ui", check=_check),
        plan_of=_plan,
        cost=Cost(numbers=PER_PIXEL, memory=4.0, at_once=AtOnce(function=IN_MEMORY, counted=True)),
        note="The border pixels of all objects are held in memory.",
    ),
)
