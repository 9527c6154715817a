"""`skimage.measure`: connected components and the properties of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import label, regionprops_table

from napari_tilewise.operations.components import Components, Pieces, gather_components
from napari_tilewise.operations.grid import Region, within
from napari_tilewise.operations.model import (
    Block,
    Call,
    Gather,
    Kind,
    Operation,
    Output,
    Plan,
    Tiles,
    Value,
)
from napari_tilewise.operations.parameters import AlignedImage, Flag, Names, Number, Text
from napari_tilewise.operations.private import reach

if TYPE_CHECKING:
    from collections.abc import Sequence

# -- label -----------------------------------------------------------------------------------------


def _label(call: Call) -> Plan:
    connectivity = call["connectivity"] or call.ndim
    labelled_input = call.dtype.kind != "b"

    def pieces(block: Block) -> Pieces:
        values = block.data[block.core]
        labels, count = label(
            values, background=call["background"], return_num=True, connectivity=connectivity
        )
        # scikit-image labels equal integers: fractions are cut off first.
        return Pieces(labels, count, values.astype(np.intp) if labelled_input else None)

    components: Components = yield gather_components(pieces, connectivity)
    numbers = np.arange(components.count + 1, dtype=_label_dtype(call))

    def compute(block: Block) -> np.ndarray:
        return components.look_up(numbers, block.position, pieces(block))

    return Tiles(compute, on_grid=True)


def _label_dtype(call: Call) -> Any:
    """Scipy's int32 for masks (int64 where an image could hold more), intp for labels."""
    if call.dtype.kind != "b":
        return np.intp
    return np.int32 if np.prod(call.shape, dtype=float) < 2**31 - 2 else np.int64


# -- regionprops_table -----------------------------------------------------------------------------


class _Window:
    """An image of which only one box is at hand, indexed by absolute slices."""

    def __init__(self, data: np.ndarray, region: Region, shape: tuple[int, ...]) -> None:
        self._data = data
        self._region = region
        self.shape = (*shape, *data.shape[len(shape) :])
        self.ndim = data.ndim
        self.dtype = data.dtype

    def __getitem__(self, box: Region) -> np.ndarray:
        return self._data[within(box, self._region)]


def _boxes_of(block: Block) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the labels in a tile and their absolute boxes, as an array (label, axis, side)."""
    tile = block.data[block.core]
    labels, compact = np.unique(tile, return_inverse=True)
    # find_objects allocates by the largest label: number the labels of the tile from 1 first.
    found = ndi.find_objects(compact.reshape(tile.shape) + 1)
    boxes = np.array(
        [[(s.start, s.stop) for s in box] for box in found if box is not None], np.int64
    ).reshape(len(labels), tile.ndim, 2)
    boxes += np.array([s.start for s in block.tile])[:, None]
    return [(labels[labels > 0], boxes[labels > 0])]


def _join_boxes(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    labels, inverse = np.unique(np.concatenate([p[0] for p in parts]), return_inverse=True)
    boxes = np.concatenate([p[1] for p in parts])
    joined = np.empty((len(labels), *boxes.shape[1:]), np.int64)
    joined[..., 0], joined[..., 1] = np.iinfo(np.int64).max, -1
    np.minimum.at(joined[..., 0], inverse, boxes[..., 0])
    np.maximum.at(joined[..., 1], inverse, boxes[..., 1])
    return labels, joined


def _windows(boxes: np.ndarray, grid_tile: Sequence[int]) -> list[tuple[Region, np.ndarray]]:
    """Return the boxes to read and the objects measured in each.

    Objects no larger than a tile are read together with those that begin in the same tile; a
    larger object is read alone.
    """
    small = ((boxes[..., 1] - boxes[..., 0]) <= np.array(grid_tile)).all(axis=1)
    homes = boxes[..., 0] // np.array(grid_tile)
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, (fits, home) in enumerate(zip(small, homes.tolist(), strict=True)):
        groups.setdefault((*home, -1) if fits else (*home, number), []).append(number)
    windows = []
    for members in groups.values():
        index = np.array(members)
        low, high = boxes[index, :, 0].min(axis=0), boxes[index, :, 1].max(axis=0)
        region = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        windows.append((region, index))
    return windows


def _regionprops_table(call: Call) -> Plan:
    def extend(total: list[Any], part: list[Any]) -> list[Any]:
        total.extend(part)
        return total

    labels, boxes = yield Gather(_boxes_of, extend, finish=_join_boxes, what="boxes")
    if len(labels) == 0:
        return Value(_empty_table(call))
    windows = _windows(boxes, _tile_of(call))

    def measure(block: Block) -> list[Any]:
        numbers = windows[block.position[0]][1]
        objects = [
            (int(labels[k]), tuple(slice(int(a), int(b)) for a, b in boxes[k])) for k in numbers
        ]
        return [_measure(call, block, objects)]

    tables = yield Gather(measure, extend, regions=[w for w, _ in windows], what="regions")
    joined = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    order = np.argsort(labels[np.concatenate([index for _, index in windows])], kind="stable")
    return Value({name: column[order] for name, column in joined.items()})


def _tile_of(call: Call) -> tuple[int, ...]:
    """Return how large an object may be to be read together with others."""
    length = {2: 1024, 3: 128}[call.ndim]
    return tuple(min(length, n) for n in call.shape)


def _measure(call: Call, block: Block, objects: list[tuple[int, Region]]) -> dict[str, np.ndarray]:
    image = _Window(block.data, block.region, call.shape)
    intensity = block.images.get("intensity_image")
    regions = [
        reach("measure._regionprops", "RegionProperties")(
            box,
            number,
            image,
            None if intensity is None else _Window(intensity, block.region, call.shape),
            call["cache"],
            spacing=call["spacing"],
        )
        for number, box in objects
    ]
    table: dict[str, np.ndarray] = reach("measure._regionprops", "_props_to_dict")(
        regions, properties=call["properties"], separator=call["separator"]
    )
    return table


def _empty_table(call: Call) -> dict[str, np.ndarray]:
    shape = (3,) * call.ndim
    intensity = call["intensity_image"]
    if intensity is not None:
        trailing = (
            tuple(intensity.shape)[len(intensity.shape) - _extra(call) :] if _extra(call) else ()
        )
        intensity = np.zeros((*shape, *trailing), intensity.dtype)
    table: dict[str, np.ndarray] = regionprops_table(
        np.zeros(shape, int),
        intensity_image=intensity,
        properties=call["properties"],
        separator=call["separator"],
        spacing=call["spacing"],
    )
    return table


def _extra(call: Call) -> int:
    return max(0, len(call["intensity_image"].shape) - len(call.shape))


PROPERTIES = tuple(reach("measure._regionprops", "COL_DTYPES")) + tuple(
    reach("measure._regionprops", "PROPS")
)

OPERATIONS = (
    Operation(
        name="measure.label",
        kind=Kind.CONNECTED,
        specs={
            "background": Number(integer=True, optional=True, usual=(0, 2), advanced=True),
            "connectivity": Number(integer=True, minimum=1, optional=True, usual=(1, 2)),
        },
        output=Output.LABELS,
        ndim=(1, 3),
        dtype_of=_label_dtype,
        plan_of=_label,
        working=6.0,
    ),
    Operation(
        name="measure.regionprops_table",
        kind=Kind.CONNECTED,
        specs={
            "intensity_image": AlignedImage(role="intensity"),
            "properties": Names(known=PROPERTIES),
            "cache": Flag(advanced=True),
            "separator": Text(advanced=True),
            "spacing": Number(
                minimum=0, exclusive=True, per_axis=True, optional=True, usual=(1, 3), advanced=True
            ),
        },
        output=Output.TABLE,
        dtypes="ui",
        ndim=(2, 3),
        shape_of=lambda call: None,
        plan_of=_regionprops_table,
        working=4.0,
        note="An object larger than a tile is read whole while it is measured.",
    ),
)
