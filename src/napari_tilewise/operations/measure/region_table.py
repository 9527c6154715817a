"""The columns of `regionprops_table`: from sums over tiles, or from each object's own pixels.

Columns that outgrow their share of memory are files.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from skimage.measure import regionprops_table

from napari_tilewise.operations.measure.object_windows import (
    object_pixels,
    read_objects,
    region_properties,
)
from napari_tilewise.operations.measure.region_sums import (
    RegionSums,
    reduce_region_sums,
    sums_intensity,
)
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.stored_columns import ColumnWriter, row_groups
from napari_tilewise.operations.spec.operation import Block, Call, Plan, Reduce, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.passes import Passes

OBJECTS = 2**20
"""Objects that are measured in one pass over their pixels."""
VALUE = 2 * 8
"""Bytes that a value takes while its column is put together."""


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


def table_plan(call: Call) -> Plan:
    """Return the passes of `regionprops_table`: sums over tiles, then objects, and the columns.

    Parameters
    ----------
    call
        The parameters and the labels.
    """
    names = [*call["properties"], *(f.__name__ for f in call["extra_properties"] or ())]
    has_intensity = sums_intensity(call)
    sums: RegionSums = yield reduce_region_sums(has_intensity)
    if len(sums.labels) == 0:
        if not call["extra_properties"]:
            return Value(_empty_table(call))
        # What a user's function raises is an error of the operation, so that a pass calls it.
        one_pixel = [(slice(0, 1),) * call.ndim]
        reduce = Reduce(
            lambda block: _empty_table(call), _first, regions=one_pixel, description="columns"
        )
        return Value((yield reduce))
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
        return region_properties(call, object_pixels(call, block, objects, keep=False))

    _, (region,) = (yield from read_objects(call, labels[:1], boxes[:1], measure))[0]
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
        parts = yield from read_objects(call, labels[rows], boxes[rows], table, form)
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


def _empty_table(call: Call) -> dict[str, np.ndarray]:
    """Return the table without rows."""
    shape, intensity = (3,) * call.ndim, call.params.get("intensity_image")
    if intensity is not None:
        channels = intensity.shape[call.ndim :]
        intensity = np.zeros((*shape, *channels), call.image_dtype("intensity_image"))
    table: dict[str, np.ndarray] = regionprops_table(
        np.zeros(shape, int), intensity_image=intensity, **call.keywords
    )
    return table
