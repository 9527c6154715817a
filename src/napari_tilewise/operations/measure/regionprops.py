"""`skimage.measure`, properties of regions: boxes are gathered first, then each object is measured.

A pass over the tiles finds every object's bounding box; objects are then read, each with its own
box, and measured by scikit-image's own code. An image is never needed whole, a single object is.

What grows with the number of objects: their labels and boxes, 8 bytes and 16 per axis each (twice
while tiles are joined); a table's columns; and, for `regionprops`, an object of about 2 kB and its
pixels per region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import regionprops_table

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, size, within
from napari_tilewise.operations.measure.counted import count, counted
from napari_tilewise.operations.shared.collected import Collected
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Output,
    Plan,
    Reduce,
    ResultSpec,
    Value,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Flag,
    FunctionSpec,
    Names,
    Number,
    Spec,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

PROPERTIES = tuple(reach("measure._regionprops", "COL_DTYPES")) + tuple(
    reach("measure._regionprops", "PROPS")
)

# -- objects and their boxes -----------------------------------------------------------------------


def _boxes_of(block: Block) -> Collected:
    """Return the labels in a tile and their absolute boxes, as an array (label, axis, side)."""
    tile = block.data[block.core]
    labels, numbered = _numbered(tile)
    found = ndi.find_objects(numbered, max_label=len(labels))
    present = [number for number, box in enumerate(found) if box is not None]
    boxes = np.array(
        [[(s.start, s.stop) for s in found[number]] for number in present], np.int64
    ).reshape(len(present), tile.ndim, 2)
    boxes += np.array([s.start for s in block.tile])[:, None]
    return Collected(labels[present], boxes)


def _numbered(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, perhaps more than there are, and the tile with their numbers, from 1.

    `find_objects` allocates by the largest number: labels are those of the tile alone.
    """
    high = tile.max()
    inside = tile > 0
    low = tile.min(where=inside, initial=high)
    if high <= 0:
        return tile.ravel()[:0], np.zeros(tile.shape, np.int64)
    if int(high) - int(low) < tile.size:
        labels = np.arange(int(high) - int(low) + 1).astype(tile.dtype) + low
        return labels, np.where(inside, tile - low + 1, 0).astype(np.int64)
    labels, compact = np.unique(tile[inside], return_inverse=True)
    numbered = np.zeros(tile.shape, np.int64)
    numbered[inside] = compact + 1
    return labels, numbered


def _join_boxes(found: Collected) -> tuple[np.ndarray, np.ndarray]:
    labels, boxes = found.joined()
    labels, inverse = np.unique(labels, return_inverse=True)
    joined = np.empty((len(labels), *boxes.shape[1:]), np.int64)
    joined[..., 0], joined[..., 1] = np.iinfo(np.int64).max, -1
    np.minimum.at(joined[..., 0], inverse, boxes[..., 0])
    np.maximum.at(joined[..., 1], inverse, boxes[..., 1])
    return labels, joined


def _extend(total: list[Any], part: list[Any]) -> list[Any]:
    total.extend(part)
    return total


def _gather_boxes() -> Reduce:
    return Reduce(_boxes_of, Collected.extend, finish=_join_boxes, description="boxes")


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


def _tile_of(call: Call) -> tuple[int, ...]:
    """Return how large an object may be to be read together with others."""
    length = {2: 1024, 3: 128}[call.ndim]
    return tuple(min(length, n) for n in call.shape)


def _read_objects(
    call: Call,
    labels: np.ndarray,
    boxes: np.ndarray,
    of: Callable[[Block, list[tuple[int, Region]]], Any],
) -> Generator[Reduce, Any, list[tuple[np.ndarray, Any]]]:
    """Compute (numbers of objects, ``of(block, objects)``) from boxes that hold whole objects."""
    windows = _windows(boxes, _tile_of(call))

    def visit(block: Block) -> list[tuple[np.ndarray, Any]]:
        numbers = windows[block.position[0]][1]
        objects = [
            (int(labels[k]), tuple(slice(int(a), int(b)) for a, b in boxes[k])) for k in numbers
        ]
        return [(numbers, of(block, objects))]

    found: list[tuple[np.ndarray, Any]] = yield Reduce(
        visit, _extend, regions=[region for region, _ in windows], description="regions"
    )
    return found


# -- scikit-image's objects on windows of the image ------------------------------------------------


class ObjectWindow:
    """An image of which only one box is at hand, indexed by absolute slices."""

    def __init__(self, data: np.ndarray, region: Region, shape: tuple[int, ...]) -> None:
        self._data = data
        self._region = region
        self.shape = (*shape, *data.shape[len(shape) :])
        self.ndim = data.ndim
        self.dtype = data.dtype

    def __getitem__(self, box: Region) -> np.ndarray:
        """Return the pixels of a box within the one at hand."""
        return self._data[within(box, self._region)]

    def cropped(self, box: Region) -> ObjectWindow:
        """Return a window that keeps a copy of this box alone."""
        return ObjectWindow(self[box].copy(), box, self.shape[: len(box)])


def _properties(
    call: Call, block: Block, objects: list[tuple[int, Region]], *, keep: bool
) -> list[Any]:
    """Return scikit-image's `RegionProperties`.

    Where `keep`, they live on: each then owns its pixels, unless together that would be more than
    the block, which they share.
    """
    image = ObjectWindow(block.data, block.region, call.shape)
    intensity = block.images.get("intensity_image")
    values = None if intensity is None else ObjectWindow(intensity, block.region, call.shape)
    alone = keep and sum(size(box) for _, box in objects) < size(block.region)
    passed_on = {k: v for k, v in call.keywords.items() if k in PASSED_ON}
    return [
        reach("measure._regionprops", "RegionProperties")(
            box,
            number,
            image.cropped(box) if alone else image,
            values.cropped(box) if alone and values is not None else values,
            call["cache"],
            **passed_on,
        )
        for number, box in objects
    ]


PASSED_ON = ("extra_properties", "spacing", "offset")


def _regionprops(call: Call) -> Plan:
    labels, boxes = yield _gather_boxes()
    if len(labels) == 0:
        return Value([])
    parts = yield from _read_objects(
        call, labels, boxes, lambda block, objects: _properties(call, block, objects, keep=True)
    )
    regions: list[Any] = [None] * len(labels)
    for numbers, found in parts:
        for number, region in zip(numbers, found, strict=True):
            regions[number] = region
    return Value(regions)


# -- regionprops_table -----------------------------------------------------------------------------


class _First:
    """What `_props_to_dict` asks of the first region: its values decide how columns are split."""

    def __init__(self, region: Any, names: Sequence[str]) -> None:
        aliases = reach("measure._regionprops", "PROPS")
        self._values = {name: getattr(region, aliases.get(name, name)) for name in names}
        self._values |= {aliases.get(name, name): v for name, v in self._values.items()}
        self._extra_properties = region._extra_properties
        self._intensity_image = region._intensity_image
        self.image = np.zeros((0,) * region._ndim)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


def _regionprops_table(call: Call) -> Plan:
    labels, boxes = yield _gather_boxes()
    if len(labels) == 0:
        return Value((yield _empty_table(call)))
    names = [*call["properties"], *(f.__name__ for f in call["extra_properties"] or ())]

    def measure(block: Block, objects: list[tuple[int, Region]]) -> Any:
        return _properties(call, block, objects, keep=False)

    _, (region,) = (yield from _read_objects(call, labels[:1], boxes[:1], measure))[0]
    first = _First(region, names)
    del region
    to_dict = reach("measure._regionprops", "_props_to_dict")
    quick = counted(call, names)
    slow = [name for name in names if name not in quick]
    heads = {name: to_dict([first], [name], call["separator"]) for name in names}

    def table(block: Block, objects: list[tuple[int, Region]]) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {}
        if slow:
            rows = [first, *measure(block, objects)]
            found = to_dict(rows, slow, call["separator"])
            columns = {name: column[1:] for name, column in found.items()}
        for name, made in count(block, objects, quick).items():
            for (key, head), column in zip(heads[name].items(), made, strict=True):
                columns[key] = column.astype(head.dtype, copy=False)
        return {key: columns[key] for name in names for key in heads[name]}

    parts = yield from _read_objects(call, labels, boxes, table)
    order = np.argsort(np.concatenate([numbers for numbers, _ in parts]))
    joined = {}
    for name in list(parts[0][1]):
        joined[name] = np.concatenate([columns.pop(name) for _, columns in parts])[order]
    return Value(joined)


def _empty_table(call: Call) -> Reduce:
    """Return the pass (over one pixel) that makes a table without rows."""

    def of(block: Block) -> dict[str, np.ndarray]:
        shape = (3,) * call.ndim
        intensity = block.images.get("intensity_image")
        if intensity is not None:
            intensity = np.zeros((*shape, *intensity.shape[call.ndim :]), intensity.dtype)
        table: dict[str, np.ndarray] = regionprops_table(
            np.zeros(shape, int), intensity_image=intensity, **call.keywords
        )
        return table

    return Reduce(of, _extend, regions=[(slice(0, 1),) * call.ndim], description="columns")


def _check(call: Call) -> None:
    offset = call.params.get("offset")
    if offset is not None and np.ndim(offset) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: offset={offset!r}: expected {call.ndim} integers, one per "
            "spatial axis."
        )


def _area_and_mean(image: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    """Return two numbers, as a sample of a property of one's own for tests."""
    return float(image.sum()), float(intensity[image].mean())


def _rows(image: np.ndarray) -> np.ndarray:
    """Return one number per row, as a sample of a property whose length varies."""
    return np.asarray(image.reshape(len(image), -1).sum(axis=1))


def _pixels(image: np.ndarray) -> int:
    """Return the number of pixels, as a sample of a property of one's own for tests."""
    return int(image.sum())


SHARED: dict[str, Any] = {
    "kind": Kind.CONNECTED,
    "limits": Limits(ndim=(2, 3), dtypes="ui", check=_check),
    "cost": Cost(memory=4.0),
}

SPECS: dict[str, Spec] = {
    "intensity_image": AlignedImage(role="intensity"),
    "cache": Flag(advanced=True),
    "extra_properties": FunctionSpec(
        several=True,
        optional=True,
        advanced=True,
        samples=((_pixels,), (_rows, _pixels), (_area_and_mean,)),
    ),
    "spacing": Number(
        minimum=0, exclusive=True, per_axis=True, optional=True, usual=(1, 3), advanced=True
    ),
}

OPERATIONS = (
    Operation(
        name="measure.regionprops",
        family=families.REGIONS,
        specs={
            **SPECS,
            "offset": Number(
                integer=True, per_axis=True, optional=True, usual=(-5, 50), advanced=True
            ),
        },
        result=ResultSpec(output=Output.VALUES, shape=lambda call: None),
        plan_of=_regionprops,
        **SHARED,
        note="Each object keeps the pixels of its own box, so that its properties can be computed "
        "when they are asked for: the result takes as much memory as these boxes together. "
        "regionprops_table keeps nothing but its columns.",
    ),
    Operation(
        name="measure.regionprops_table",
        family=families.REGIONS,
        specs={
            "intensity_image": SPECS["intensity_image"],
            "properties": Names(known=PROPERTIES),
            "cache": SPECS["cache"],
            "separator": Text(advanced=True),
            "extra_properties": SPECS["extra_properties"],
            "spacing": SPECS["spacing"],
        },
        result=ResultSpec(output=Output.TABLE, shape=lambda call: None),
        plan_of=_regionprops_table,
        **SHARED,
        note="An object larger than a tile is read whole while it is measured.",
    ),
)
