"""The columns of a table of objects, with units: in the layer's unit, and in pixels beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.widgets.unit_text import PIXEL, with_power

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_tilewise._napari.layers.object_table import ObjectTable
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredColumn


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
    is_plain = all(size == 1 for size in table.spacing)
    for name, values in table.columns.items():
        power, size = table.quantities.get(name, (0, None))
        shown = np.asarray(values)
        if not power:
            columns.append(TableColumn(name, name, shown))
            continue
        unit, pixels = with_power(table.unit, power), with_power(PIXEL, power)
        in_pixels = TableColumn(f"{name}_px", f"{name} ({pixels})", shown)
        if is_plain and not table.unit:
            columns.append(replace(in_pixels, name=name))
            continue
        columns.append(TableColumn(name, f"{name} ({unit})" if table.unit else name, shown))
        if size is not None and in_pixels.is_number:
            columns.append(replace(in_pixels, values=shown / size))
    return columns


def in_units(column: TableColumn, part: MeasuredColumn, unit: str | None) -> list[TableColumn]:
    """Return a column, in the unit and in pixels if it counts pixels.

    Parameters
    ----------
    column
        The numbers as scikit-image returns them.
    part
        What they measure.
    unit
        The unit's symbol; None for pixels.
    """
    if not part.power or not column.is_number:
        return [column]
    name, shown, power = column.name, [], part.power
    if unit is not None and part.to_unit is not None:
        title = f"{name} ({with_power(unit, power)})"
        shown.append(TableColumn(name, title, column.values * part.to_unit))
    if part.to_pixels is not None:
        title = f"{name} ({with_power(PIXEL, power)})"
        shown.append(TableColumn(f"{name}_px", title, column.values * part.to_pixels))
    return shown or [column]


def plain_columns(table: Mapping[str, Sequence[Any] | NDArray[Any]]) -> list[TableColumn]:
    """Return columns without units.

    Parameters
    ----------
    table
        Columns by name.
    """
    return [TableColumn(name, name, np.asarray(values)) for name, values in table.items()]
