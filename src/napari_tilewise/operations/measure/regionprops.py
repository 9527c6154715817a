"""`skimage.measure`, properties of regions: sums over the tiles first, then each object's values.

A reduction sums what every object's box, area, centroid and intensities follow from. Other
properties are measured by scikit-image's own code on objects that are read, each in its own box.
The whole image is never needed, but a whole object is for those.

Sums and a table's columns that outgrow their share of memory are files. What `regionprops` returns
stays in memory: about 2 kB and the pixels of each region.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.measure import regionprops_table

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import Region, size, within
from napari_tilewise.operations.measure.property_units import REGION_UNITS
from napari_tilewise.operations.measure.region_sums import (
    RegionSums,
    reduce_region_sums,
    sums_intensity,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.stored_columns import ColumnWriter, row_groups
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    OnDisk,
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
    from collections.abc import Callable, Iterable, Sequence

    from napari_tilewise.operations.spec.passes import Passes

PROPERTIES = tuple(reach("measure._regionprops", "COL_DTYPES")) + tuple(
    reach("measure._regionprops", "PROPS")
)

OBJECTS = 2**20
"""Objects that are measured in one pass over their pixels."""
VALUE = 2 * 8
"""Bytes that a value takes while its column is put together."""
OBJECT = 2**11
"""Bytes of scikit-image's description of a region."""

# -- objects and their boxes -----------------------------------------------------------------------


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


def _read_objects(
    call: Call,
    labels: np.ndarray,
    boxes: np.ndarray,
    measure: Callable[[Block, list[tuple[int, Region]]], Any],
    form: str = "",
) -> Passes[list[tuple[np.ndarray, Any]]]:
    """Return (indices of objects, ``measure(block, objects)``) for boxes with whole objects."""
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


ObjectPixels: TypeAlias = "tuple[Region, int, ObjectWindow, ObjectWindow | None]"
"""An object's box, its label, and windows of the image and of the intensities that hold it."""


# -- scikit-image's objects on windows of the image ------------------------------------------------


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


def _object_pixels(
    call: Call, block: Block, objects: list[tuple[int, Region]], *, keep: bool
) -> list[ObjectPixels]:
    """Return the pixels of the objects.

    With `keep` they outlive the block: each then owns a copy of its pixels, unless the copies
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


def _properties(call: Call, objects: Iterable[ObjectPixels]) -> list[Any]:
    """Return scikit-image's `RegionProperties` of objects."""
    keywords = {k: v for k, v in call.keywords.items() if k in REGION_KEYWORDS}
    region_properties = reach("measure._regionprops", "RegionProperties")
    return [region_properties(*item, call["cache"], **keywords) for item in objects]


REGION_KEYWORDS = ("extra_properties", "spacing", "offset")


def _regionprops(call: Call) -> Plan:
    sums: RegionSums = yield reduce_region_sums()
    labels, boxes = np.asarray(sums.labels), np.asarray(sums.boxes)
    if len(labels) == 0:
        return Value([])
    parts = yield from _read_objects(
        call, labels, boxes, lambda block, objects: _object_pixels(call, block, objects, keep=True)
    )
    regions: list[Any] = [None] * len(labels)
    for indices, pixels in parts:
        for index, region in zip(indices, _properties(call, pixels), strict=True):
            regions[index] = region
    return Value(regions)


# -- regionprops_table -----------------------------------------------------------------------------


class _SampleRegion:
    """A copy of one region's values for `_props_to_dict`, which splits columns by the first row."""

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
    names = [*call["properties"], *(f.__name__ for f in call["extra_properties"] or ())]
    has_intensity = sums_intensity(call)
    sums: RegionSums = yield reduce_region_sums(has_intensity)
    if len(sums.labels) == 0:
        return Value((yield _empty_table(call)))
    columns = _columns_of_sums(call, sums, names, has_intensity)
    computed = [name for name in names if name not in columns]
    if computed:
        columns |= yield from _computed_columns(call, sums, computed)
    return Value({key: column for name in names for key, column in columns[name].items()})


Columns: TypeAlias = dict[str, dict[str, Any]]
"""The columns of each property by their names in the table."""


class _TableWriter:
    """The columns of properties, as they are computed: files, where they outgrow memory.

    Parameters
    ----------
    sums
        The objects.
    columns
        Number of columns of the whole table.
    """

    def __init__(self, sums: RegionSums, columns: int) -> None:
        store = sums.store
        if store is not None:
            is_large = len(sums.labels) * columns * VALUE > store.limit // 2
            store = store.temporary() if is_large else None
        self._writer = ColumnWriter(store)
        self._properties: dict[str, tuple[str, str]] = {}

    def append(self, tables: Columns) -> None:
        """Add some objects."""
        rows = {}
        for name, columns in tables.items():
            for key, column in columns.items():
                rows[f"{name}\0{key}"] = column
                self._properties[f"{name}\0{key}"] = name, key
        if rows:
            self._writer.append(rows)

    def columns(self) -> Columns:
        """Return all objects."""
        tables: Columns = {name: {} for name, _ in self._properties.values()}
        for identifier, column in self._writer.columns().items():
            name, key = self._properties[identifier]
            tables[name][key] = column
        return tables


def _columns_of_sums(
    call: Call, sums: RegionSums, names: Sequence[str], has_intensity: bool
) -> Columns:
    """Return the columns of those properties that follow from sums."""
    spacing = _spacing(call)
    shape = (2,) * call.ndim
    intensity = np.zeros(shape, call.image_dtype("intensity_image")) if has_intensity else None
    sample = reach("measure._regionprops", "RegionProperties")(
        (slice(0, 2),) * call.ndim, 1, np.ones(shape, int), intensity, False, spacing=spacing
    )
    aliases = reach("measure._regionprops", "PROPS")
    to_dict = reach("measure._regionprops", "_props_to_dict")
    extra = {function.__name__ for function in call["extra_properties"] or ()}
    is_exact = sums.is_exact
    (first,) = itertools.islice(sums.groups(), 1)
    samples = {
        name: to_dict([sample], [name], call["separator"])
        for name in dict.fromkeys(names)
        if name not in extra
        and first.columns(aliases.get(name, name), is_exact=is_exact, spacing=spacing) is not None
    }
    writer = _TableWriter(sums, sum(map(len, samples.values())))
    for group in sums.groups():
        columns: Columns = {}
        for name, keys in samples.items():
            property_name = aliases.get(name, name)
            values = group.columns(property_name, is_exact=is_exact, spacing=spacing) or ()
            columns[name] = {
                key: value.astype(column.dtype)
                for (key, column), value in zip(keys.items(), values, strict=True)
            }
        writer.append(columns)
    return writer.columns()


def _spacing(call: Call) -> tuple[float, ...] | None:
    """Return the pixel size along each axis; None where it is 1."""
    spacing = call["spacing"]
    if spacing is None or np.all(np.asarray(spacing) == 1):
        return None
    return tuple(np.broadcast_to(np.asarray(spacing, float), call.ndim).tolist())


def _scaled_centroids(
    block: Block, objects: list[tuple[int, Region]], spacing: Sequence[float]
) -> list[np.ndarray]:
    """Return the centroids of objects in units: means of positions, added as scikit-image does.

    It has a column of an object's positions along each axis, and NumPy adds up a column by pairs:
    sums over tiles would have other last bits.
    """
    inside = np.nonzero(block.data)
    labels = block.data[inside]
    order = np.argsort(labels, kind="stable")
    positions = np.stack(
        [
            (axis + part.start)[order] * size
            for axis, part, size in zip(inside, block.region, spacing, strict=True)
        ]
    )
    labels = labels[order]
    numbers = np.array([label for label, _ in objects], labels.dtype)
    first, last = (np.searchsorted(labels, numbers, side) for side in ("left", "right"))
    return [
        positions[:, start:stop].T.mean(axis=0)
        for start, stop in zip(first.tolist(), last.tolist(), strict=True)
    ]


def _computed_columns(call: Call, sums: RegionSums, names: Sequence[str]) -> Passes[Columns]:
    """Return the columns of properties that need each object's own pixels."""
    labels, boxes = sums.labels, sums.boxes

    def measure(block: Block, objects: list[tuple[int, Region]]) -> Any:
        return _properties(call, _object_pixels(call, block, objects, keep=False))

    _, (region,) = (yield from _read_objects(call, labels[:1], boxes[:1], measure))[0]
    sample = _SampleRegion(region, names)
    del region
    to_dict = reach("measure._regionprops", "_props_to_dict")

    spacing, scaled = _spacing(call), set[str]()
    if spacing is not None:
        aliases = reach("measure._regionprops", "PROPS")
        extra = {function.__name__ for function in call["extra_properties"] or ()}
        scaled = {n for n in names if aliases.get(n, n) == "centroid" and n not in extra}
    others = [name for name in names if name not in scaled]

    def table(block: Block, objects: list[tuple[int, Region]]) -> Columns:
        rows = [sample, *(measure(block, objects) if others else ())]
        columns = {name: to_dict(rows, [name], call["separator"]) for name in others}
        if spacing is not None and scaled:
            points = np.array(_scaled_centroids(block, objects, spacing)).T
            for name in scaled:
                first = to_dict([sample], [name], call["separator"])
                columns[name] = {
                    key: np.append(value, points[axis])
                    for axis, (key, value) in enumerate(first.items())
                }
        return columns

    keys = to_dict([sample], list(names), call["separator"])
    writer = _TableWriter(sums, len(keys))
    for rows in row_groups(len(labels), OBJECTS):
        form = f"columns-{rows.start}" if rows.start else "columns"
        parts = yield from _read_objects(call, labels[rows], boxes[rows], table, form)
        writer.append(_in_order(parts, names))
    return writer.columns()


def _in_order(parts: list[tuple[np.ndarray, Any]], names: Sequence[str]) -> Columns:
    """Return the columns of objects that were measured in windows; each begins with a sample."""
    order = np.argsort(np.concatenate([indices for indices, _ in parts]))
    columns: Columns = {}
    for name in dict.fromkeys(names):
        tables = [part.pop(name) for _, part in parts]
        columns[name] = {
            key: np.concatenate([table[key][1:] for table in tables])[order] for key in tables[0]
        }
    return columns


def _first(table: dict[str, np.ndarray], _: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return table


def _empty_table(call: Call) -> Reduce:
    """Return the reduction (of one pixel) to a table without rows."""

    def empty_columns(block: Block) -> dict[str, np.ndarray]:
        shape = (3,) * call.ndim
        intensity = block.images.get("intensity_image")
        if intensity is not None:
            intensity = np.zeros((*shape, *intensity.shape[call.ndim :]), intensity.dtype)
        table: dict[str, np.ndarray] = regionprops_table(
            np.zeros(shape, int), intensity_image=intensity, **call.keywords
        )
        return table

    return Reduce(
        empty_columns, _first, regions=[(slice(0, 1),) * call.ndim], description="columns"
    )


def _check(call: Call) -> None:
    offset = call.params.get("offset")
    if offset is not None and np.ndim(offset) == 0:
        raise InvalidParameter(
            f"{call.operation.name}: offset={offset!r}: expected {call.ndim} integers, one per "
            "spatial axis."
        )


def _area_and_mean(image: np.ndarray, intensity: np.ndarray) -> tuple[float, float]:
    """Return two numbers: a sample of a user-defined property for property tests."""
    return float(image.sum()), float(intensity[image].mean())


def _rows(image: np.ndarray) -> np.ndarray:
    """Return one number per row: a sample of a property whose length varies."""
    return np.asarray(image.reshape(len(image), -1).sum(axis=1))


def _pixels(image: np.ndarray) -> int:
    """Return the number of pixels: a sample of a user-defined property for property tests."""
    return int(image.sum())


SHARED: dict[str, Any] = {
    "kind": Kind.CONNECTED,
    "limits": Limits(ndim=(2, 3), dtypes="ui", check=_check),
    "cost": Cost(memory=4.0),
}

AT_ONCE = AtOnce(function=2**16, counted=True)


def _reads_objects(call: Call) -> bool:
    """Return whether some columns do not follow from sums, which are faster than the function."""
    aliases = reach("measure._regionprops", "PROPS")
    summed = {"label", "bbox", "area", "num_pixels", "centroid"}
    if sums_intensity(call):
        summed |= {"intensity_mean", "intensity_min", "intensity_max"}
    names = {aliases.get(name, name) for name in call["properties"]}
    return not (names <= summed or call["extra_properties"])


TABLE_AT_ONCE = AT_ONCE._replace(when=_reads_objects)


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
        **{**SHARED, "cost": replace(SHARED["cost"], at_once=AT_ONCE)},
        note="Each region holds the pixels of its bounding box, because its properties are "
        "computed when they are accessed: the result takes as much memory as these boxes together. "
        "regionprops_table holds only its columns.",
    ),
    Operation(
        name="measure.regionprops_table",
        family=families.REGIONS,
        specs={
            "intensity_image": SPECS["intensity_image"],
            "properties": Names(names=PROPERTIES, usual=("label", "area", "centroid", "bbox")),
            "cache": SPECS["cache"],
            "separator": Text(advanced=True),
            "extra_properties": SPECS["extra_properties"],
            "spacing": SPECS["spacing"],
        },
        result=ResultSpec(output=Output.TABLE, shape=lambda call: None),
        step=AsStep(calibration=REGION_UNITS),
        plan_of=_regionprops_table,
        **{**SHARED, "cost": replace(SHARED["cost"], numbers=OnDisk(), at_once=TABLE_AT_ONCE)},
        note="An object larger than a tile is read whole while it is measured. Layers and "
        "files are measured in their units, unless spacing is set; arrays in pixels.",
    ),
)
