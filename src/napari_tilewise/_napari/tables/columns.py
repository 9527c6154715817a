"""The columns of a table of objects, with units: in the layer's unit, and in pixels beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.widgets.unit_text import PIXEL, with_power

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.object_table import ObjectTable

LENGTHS = (
    "axis_major_length", "axis_minor_length", "equivalent_diameter_area", "feret_diameter_max",
    "perimeter", "perimeter_crofton",
)  # fmt: skip
"""scikit-image's properties that are lengths."""
AREAS = ("area", "area_bbox", "area_convex", "area_filled")
"""Those that are areas of planes, or volumes."""
POSITIONS = ("centroid", "centroid_local", "centroid_weighted", "centroid_weighted_local")
"""Those with one coordinate per axis."""


@dataclass(frozen=True, eq=False)
class TableColumn:
    """One column."""

    name: str
    """As scikit-image and filters call it."""
    title: str
    """With the unit."""
    values: NDArray[Any]

    @property
    def is_number(self) -> bool:
        """Whether the values can be plotted."""
        return self.values.dtype.kind in "biuf"

    def text(self, row: int) -> str:
        """Return a cell as text."""
        return format_value(self.values[row])


def format_value(value: Any) -> str:
    """Return a value as a cell shows it: at most six digits, never an exponent for whole numbers.

    Parameters
    ----------
    value
        A number, or anything else.
    """
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    if isnan(number):
        return ""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"


def object_columns(table: ObjectTable) -> list[TableColumn]:
    """Return a table's columns; after each length and area, the same in pixels.

    Parameters
    ----------
    table
        The measured table.
    """
    columns: list[TableColumn] = []
    for name, values in table.columns.items():
        power = _power(name, len(table.over))
        unit = with_power(table.unit or PIXEL, power) if power else ""
        shown = np.asarray(values)
        columns.append(TableColumn(name, f"{name} ({unit})" if unit else name, shown))
        size = _pixel_size(name, power, table.spacing)
        if power and size not in (None, 1.0):
            pixels = with_power(PIXEL, power)
            columns.append(TableColumn(f"{name}_px", f"{name} ({pixels})", shown / size))
    return columns


def plain_columns(table: Mapping[str, Sequence[Any] | NDArray[Any]]) -> list[TableColumn]:
    """Return columns without units.

    Parameters
    ----------
    table
        Columns by name.
    """
    return [TableColumn(name, name, np.asarray(values)) for name, values in table.items()]


def _power(name: str, ndim: int) -> int:
    """Return the exponent of the unit of length in a column; 0 for none."""
    if name in AREAS:
        return ndim
    if name in LENGTHS:
        return 1
    return 1 if any(name == part for part in _coordinates(ndim)) else 0


def _coordinates(ndim: int) -> Iterator[str]:
    for name in POSITIONS:
        for axis in range(ndim):
            yield f"{name}-{axis}"


def _pixel_size(name: str, power: int, spacing: Sequence[float]) -> float | None:
    """Return what a pixel measures in a column; None if that depends on the direction."""
    if not spacing:
        return None
    if power == len(spacing) and name in AREAS:
        return float(prod(spacing))
    prefix, _, axis = name.rpartition("-")
    if prefix in POSITIONS:
        return float(spacing[int(axis)])
    return float(spacing[0]) if len(set(spacing)) == 1 else None
