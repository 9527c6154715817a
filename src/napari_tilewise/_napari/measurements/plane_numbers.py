"""Numbers of each plane of a stack: a row per plane with its position, or a curve per plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.layers.columns import TableColumn, plain_columns
from napari_tilewise._napari.measurements.numbers import (
    SHORTEST_CURVE,
    NumberTable,
    is_array,
    measured_columns,
    plain_names,
    stacked,
)
from napari_tilewise._napari.measurements.plot import PlotData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.layer_record import NumberMeaning


MOST_COLUMNS = 64
"""The most numbers of a plane that have a column each."""


def numbers_of_planes(value: Any, names: Sequence[str], meaning: NumberMeaning) -> NumberTable:
    """Return how the results of several planes are shown.

    Parameters
    ----------
    value
        A number per plane, as an array with the looped axes; or a list of each plane's result.
    names
        The names of the parts of one plane's result, in order.
    meaning
        What the numbers are, with the looped axes.
    """
    along = [name for name, _ in meaning.planes]
    shape = tuple(length for _, length in meaning.planes)
    indices = np.indices(shape).reshape(len(shape), -1)
    positions = plain_columns(dict(zip(along, indices, strict=True)))
    table = None if meaning.lengths is None else meaning.lengths.table(value)
    if table and meaning.lengths is not None:
        return NumberTable([*positions, *measured_columns(table, meaning.lengths)])
    if isinstance(value, np.ndarray):
        columns = plain_columns({"value": value.ravel()})
        return NumberTable([*positions, *columns], _curve(value, along), _picture(value))
    rows = _rows(value)
    if rows is not None:
        return NumberTable([*positions, *plain_columns(rows)])
    titles = [", ".join(map("{} {}".format, along, index)) for index in indices.T]
    curves = _curves(value, names, titles)
    if curves is not None:
        return NumberTable(curves)
    texts = np.array([_text(result) for result in value], object)
    return NumberTable([*positions, TableColumn("value", "value", texts)])


def _text(result: Any) -> str:
    """Return what a cell says of a plane's result that has no columns."""
    if isinstance(result, np.ndarray):
        return f"{result.dtype} numbers of shape {result.shape}"
    if isinstance(result, tuple):
        return "; ".join(map(_text, result))
    return str(result)


def _curve(numbers: NDArray[Any], along: Sequence[str]) -> PlotData | None:
    """Return a number per plane over the planes of one axis."""
    if numbers.ndim != 1 or numbers.size < SHORTEST_CURVE or numbers.dtype.kind not in "biuf":
        return None
    x = np.arange(numbers.size, dtype=float)
    return PlotData(x, numbers.astype(float), along[0], "value", is_curve=True)


def _picture(numbers: NDArray[Any]) -> NDArray[np.float64] | None:
    is_picture = numbers.ndim == 2 and numbers.dtype.kind in "biuf"
    return numbers.astype(np.float64) if is_picture else None


def _rows(results: Sequence[Any]) -> dict[str, NDArray[Any]] | None:
    """Return columns with a row per plane; None unless each has few numbers, as many as others."""
    if not all(is_array(result) for result in results):
        return None
    arrays = [np.asarray(result) for result in results]
    if len({array.shape for array in arrays}) > 1:
        return None
    is_curve = arrays[0].ndim == 1 and arrays[0].size >= SHORTEST_CURVE
    if is_curve or arrays[0].size > MOST_COLUMNS:
        return None
    cells = np.stack(arrays)
    return {
        "-".join(map(str, ("value", *index))): cells[(slice(None), *index)]
        for index in np.ndindex(cells.shape[1:])
    }


def _curves(
    results: Sequence[Any], names: Sequence[str], titles: Sequence[str]
) -> list[TableColumn] | None:
    """Return a column per plane and part; None unless all of them have one axis."""
    parts = [
        (f"{name} ({title})" if name else title, part)
        for title, result in zip(titles, results, strict=True)
        for name, part in _named_parts(result, names)
    ]
    if not all(is_array(part) and np.ndim(part) == 1 for _, part in parts):
        return None
    return stacked([np.asarray(part) for _, part in parts], [title for title, _ in parts])


def _named_parts(result: Any, names: Sequence[str]) -> list[tuple[str, Any]]:
    """Return the parts of a plane's result with their names; a single one has none."""
    if not isinstance(result, tuple | list) or is_array(result):
        return [("", result)]
    titles = list(names) if len(names) == len(result) else plain_names(len(result))
    return list(zip(titles, result, strict=True))
