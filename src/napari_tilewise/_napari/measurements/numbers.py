"""Results that are numbers: what a plot or a small table shows of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.layers.columns import TableColumn, in_units, plain_columns
from napari_tilewise._napari.measurements.plot import PlotData
from napari_tilewise.operations.spec.measuring.calibration import MeasuredColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_tilewise.operations.spec.measuring.calibration import MeasuredLengths

SHORTEST_CURVE = 13
"""Shorter rows of numbers are read better as a table."""
MOST_CELLS = 10_000
"""The most numbers of an array whose columns are shown one by one."""


@dataclass(frozen=True, eq=False)
class NumberTable:
    """A result as a table, and as a plot if it is a curve or a picture."""

    columns: list[TableColumn]
    plot: PlotData | None = None
    picture: NDArray[np.float64] | None = None
    """A plane of numbers, such as an accumulator."""


def numbers_of(
    value: Any, names: Sequence[str] = (), lengths: MeasuredLengths | None = None
) -> NumberTable:
    """Return how a result is shown.

    Parameters
    ----------
    value
        A number, an array, a dict of columns, or a sequence of such.
    names
        The names of a sequence's parts, in order.
    lengths
        What numbers that count pixels are in the layer's unit.
    """
    if lengths is None:
        return _numbers_of(value, names)
    table = lengths.table(value)
    if table is None:
        return _with_units(_numbers_of(value, names), lengths)
    if len(table) > 1 and len(next(iter(table.values()))) == 1:
        return NumberTable(_listed(table, lengths))
    return NumberTable(measured_columns(table, lengths))


def measured_columns(
    table: Mapping[str, NDArray[Any]], lengths: MeasuredLengths
) -> list[TableColumn]:
    """Return columns in their unit, with the pixels beside them.

    Parameters
    ----------
    table
        A result's columns by name.
    lengths
        What they are in the layer's unit.
    """
    pairs = (
        in_units(TableColumn(column.name, column.name, values), column, lengths.unit)
        for column, values in zip(lengths.columns, table.values(), strict=True)
    )
    return [column for pair in pairs for column in pair]


def _numbers_of(value: Any, names: Sequence[str]) -> NumberTable:
    if isinstance(value, dict):
        return NumberTable(plain_columns(value))
    parts = list(value) if isinstance(value, tuple | list) else [value]
    if not all(is_array(part) for part in parts):
        texts = [str(part) for part in parts]
        return NumberTable([TableColumn("value", "value", np.array(texts, object))])
    arrays = [np.asarray(part) for part in parts]
    titles = list(names) if len(names) == len(arrays) else plain_names(len(arrays))
    if len(arrays) > 1 and all(array.ndim == 0 for array in arrays):
        return NumberTable([TableColumn("value", "value", np.array(arrays))])
    if arrays[0].ndim == 2 and all(array.ndim == 1 for array in arrays[1:]) and len(arrays) > 1:
        return NumberTable(stacked(arrays[1:], titles[1:]), picture=arrays[0].astype(float))
    if all(array.ndim == 1 for array in arrays):
        return NumberTable(stacked(arrays, titles), _curve(arrays, titles))
    array = arrays[0]
    if len(arrays) > 1 or array.ndim > 2:
        array = np.concatenate([np.ravel(item) for item in arrays])
    if array.ndim == 2 and array.size <= MOST_CELLS:
        columns = {str(index): array[:, index] for index in range(array.shape[1])}
        return NumberTable(plain_columns(columns))
    picture = array.astype(float) if array.ndim == 2 and array.dtype.kind in "biuf" else None
    return NumberTable(plain_columns({titles[0]: np.atleast_1d(array.ravel())}), picture=picture)


def _with_units(numbers: NumberTable, lengths: MeasuredLengths) -> NumberTable:
    """Return lengths in their unit, with the pixels beside them; a curve over the distance."""
    columns, plot = numbers.columns, numbers.plot
    if lengths.step is None or not lengths.step_in_pixels:
        parts = lengths.columns if numbers.picture is None else lengths.columns[1:]
        if len(parts) != len(columns):
            return numbers
        pairs = map(in_units, columns, parts, [lengths.unit] * len(parts))
        return replace(numbers, columns=[column for pair in pairs for column in pair])
    if not columns or numbers.picture is not None:
        return numbers
    steps = np.arange(len(columns[0].values), dtype=float)
    distances = TableColumn("distance", "distance", steps * lengths.step_in_pixels)
    size = lengths.step / lengths.step_in_pixels
    along = MeasuredColumn("distance", 1, None if isnan(size) else size, 1.0)
    shown = in_units(distances, along, lengths.unit)
    if plot is not None:
        plot = replace(plot, x=shown[0].values, x_title=shown[0].title)
    return replace(numbers, columns=[*shown, *columns], plot=plot)


def _listed(table: Mapping[str, NDArray[Any]], lengths: MeasuredLengths) -> list[TableColumn]:
    """Return one row of numbers as a list: a row per number, with its unit, and in pixels."""
    numbers = [
        in_units(TableColumn(column.name, column.name, table[column.name]), column, lengths.unit)
        for column in lengths.columns
    ]
    in_unit = [shown[0] for shown in numbers]
    units = [column.title.removeprefix(column.name.removesuffix("_px")) for column in in_unit]
    columns = {
        "name": np.array([column.name for column in lengths.columns], object),
        "value": np.concatenate([column.values for column in in_unit]),
        "unit": np.array([unit.strip(" ()") for unit in units], object),
    }
    pairs = [shown for shown in numbers if len(shown) > 1]
    if pairs:
        pixels = [shown[1].values if len(shown) > 1 else [np.nan] for shown in numbers]
        columns["in pixels"] = np.concatenate(pixels)
    return plain_columns(columns)


def is_array(value: Any) -> bool:
    """Return whether a value is a number, an array, or a sequence of numbers.

    Parameters
    ----------
    value
        A part of a result.
    """
    if isinstance(value, int | float | complex | np.generic | np.ndarray):
        return True
    if not isinstance(value, tuple | list):
        return False
    return all(isinstance(item, int | float | np.generic) for item in value)


def plain_names(count: int) -> list[str]:
    """Return names for a result's parts, which are numbered if there are several.

    Parameters
    ----------
    count
        How many parts there are.
    """
    return ["value"] if count == 1 else [f"value {number}" for number in range(1, count + 1)]


def stacked(arrays: Sequence[NDArray[Any]], titles: Sequence[str]) -> list[TableColumn]:
    """Return one column per array; shorter ones end with missing values.

    Parameters
    ----------
    arrays
        Of one axis each.
    titles
        A title for each.
    """
    longest = max(len(array) for array in arrays)
    columns = {}
    for title, array in zip(titles, arrays, strict=True):
        if len(array) < longest:
            filled = np.full(longest, np.nan)
            filled[: len(array)] = array
            array = filled
        columns[title] = array
    return plain_columns(columns)


def _curve(arrays: Sequence[NDArray[Any]], titles: Sequence[str]) -> PlotData | None:
    """Return a curve: of the first array, over the second if there are two of one length."""
    y = arrays[0]
    if len(y) < SHORTEST_CURVE or y.dtype.kind not in "biuf" or len(arrays) > 2:
        return None
    if len(arrays) == 2:
        x = arrays[1]
        if len(x) != len(y) or x.dtype.kind not in "biuf":
            return None
        return PlotData(x.astype(float), y.astype(float), titles[1], titles[0], is_curve=True)
    x = np.arange(len(y), dtype=float)
    return PlotData(x, y.astype(float), "index", titles[0], is_curve=True)
