"""Measurements in units of length: which parameter takes the pixel size, and each column's unit.

Of other functions: which of their numbers count pixels. An operation declares it; whoever knows the
size of an image's pixels passes it on, or shows the numbers in units.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.spec.measuring.quantities import position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_tilewise.operations.spec.measuring.quantities import Quantity
    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How a table is measured in the units of its image."""

    parameter: str
    """The parameter that takes the size of a pixel along each axis."""
    quantity: Callable[[str, int, Parameters], Quantity]
    """What a column measures, for so many spatial axes."""
    requested: Callable[[Parameters], set[str]]
    """What the parameters ask to measure."""
    in_pixels: frozenset[str] = frozenset()
    """What the function measures only where pixels are of size 1."""
    of_squares: frozenset[str] = frozenset()
    """What it measures only where pixels are as long as wide."""

    def check(self, name: str, params: Parameters, spacing: Sequence[float]) -> None:
        """Refuse what the function does not measure with such pixels.

        Parameters
        ----------
        name
            The operation's.
        params
            Its parameters, defaults included.
        spacing
            The size of a pixel along each spatial axis.

        Raises
        ------
        InvalidParameter
            With the remedy.
        """
        refused = self.in_pixels
        if len(set(spacing)) > 1:
            refused = refused | self.of_squares
        names = sorted(self.requested(params) & refused)
        if names:
            sizes = " x ".join(f"{size:g}" for size in spacing)
            raise InvalidParameter(
                f"{name}: scikit-image does not measure {', '.join(names)} with pixels of {sizes}: "
                f"set {self.parameter} to 1 to measure in pixels, or leave this property out."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelLengths:
    """Which numbers of a result count pixels: lengths, areas, and the steps of a curve.

    The numbers stay as scikit-image gives them, whatever the size of the pixels.
    """

    columns: Callable[[Parameters, int], Mapping[str, Quantity]] = lambda params, ndim: {}
    """What each part of the result is, by its name and in order, from the parameters and the number
    of spatial axes."""
    rows: bool = False
    """Whether the result is a row of numbers, or many, with the parts in columns; else each part
    of the result is a column."""
    spacing: str = ""
    """The parameter that takes the pixel size, if the function has one."""
    step: Callable[[Parameters, Sequence[float]], float] | None = None
    """The distance between two numbers of a curve, from the parameters and the size of a pixel
    along each spatial axis; None for what is not a curve along a line of the image."""

    def in_units(
        self, params: Parameters, spacing: Sequence[float], unit: str | None
    ) -> MeasuredLengths:
        """Return what the numbers are in a unit.

        Parameters
        ----------
        params
            The operation's parameters, defaults included.
        spacing
            The size of a pixel along each spatial axis; NaN where it has none.
        unit
            Its unit; None for pixels.
        """
        own = self._own_spacing(params, len(spacing))
        columns = [
            _measured(name, quantity, spacing, own)
            for name, quantity in self.columns(params, len(spacing)).items()
        ]
        ones = (1.0,) * len(spacing)
        return MeasuredLengths(
            unit,
            tuple(columns),
            self.rows,
            None if self.step is None else self.step(params, spacing),
            None if self.step is None else self.step(params, ones),
        )

    def _own_spacing(self, params: Parameters, ndim: int) -> tuple[float, ...] | None:
        """Return the pixel size that the function itself measures by; None if it counts pixels."""
        size = params[self.spacing] if self.spacing else None
        if size is None or np.size(size) not in (1, ndim):  # the latter is refused when it is bound
            return None
        spacing = tuple(np.broadcast_to(np.asarray(size, float), ndim).tolist())
        return None if set(spacing) == {1.0} else spacing


def coordinates(params: Parameters, ndim: int) -> dict[str, Quantity]:
    """Return the columns of positions, as files of points name them.

    Parameters
    ----------
    params
        The operation's parameters.
    ndim
        Number of spatial axes.
    """
    return {f"axis-{axis}": position(axis, ndim) for axis in range(ndim)}


IN_PIXELS = PixelLengths(columns=coordinates, rows=True)
"""Rows of positions."""


@dataclass(frozen=True)
class MeasuredColumn:
    """What a part of a result is in a unit of length, and in pixels."""

    name: str
    power: int = 0
    """Exponent of the unit; 0 for a number without one."""
    to_unit: float | None = None
    """By what the numbers are multiplied to be in the unit; None for none, or if that depends on
    the direction."""
    to_pixels: float | None = None
    """By what they are multiplied to count pixels; None for none."""


@dataclass(frozen=True)
class MeasuredLengths:
    """What the numbers of a result that count pixels are in a unit of length."""

    unit: str | None
    """None if it is unknown: they are in pixels only."""
    columns: tuple[MeasuredColumn, ...] = ()
    rows: bool = False
    """Whether the result is a row of numbers, or many, with the parts in columns."""
    step: float | None = None
    """The distance between two numbers of a curve, in the unit."""
    step_in_pixels: float | None = None

    def table(self, value: Any) -> dict[str, np.ndarray] | None:
        """Return a result as its columns by name; None if it does not have them.

        Parameters
        ----------
        value
            What the operation returns, or a list of that per plane.
        """
        if not self.columns:
            return None
        names = [column.name for column in self.columns]
        try:
            array = _row_array(value, len(names)) if self.rows else _part_array(value, names)
        except (TypeError, ValueError):
            return None
        if array.shape[-1] != len(names):
            return None
        return {name: array[:, index] for index, name in enumerate(names)}

    def to_dict(self) -> dict[str, Any]:
        """Return what a record says, as plain data; nothing without a unit."""
        if self.unit is None:
            return {}
        entries: dict[str, Any] = {"unit": self.unit}
        if self.columns:
            entries["columns"] = [column.name for column in self.columns]
            entries["powers"] = [column.power for column in self.columns]
            entries["sizes"] = [column.to_unit for column in self.columns]
        if self.step is not None and isfinite(self.step):
            entries |= {"step": self.step, "step_in_pixels": self.step_in_pixels}
        return entries


def _measured(
    name: str, quantity: Quantity, spacing: Sequence[float], own: Sequence[float] | None
) -> MeasuredColumn:
    """Return a part of a result that counts pixels, or is measured by a pixel size of its own."""
    if not quantity.power:
        return MeasuredColumn(name)
    if own is None:
        return MeasuredColumn(name, quantity.power, quantity.size(spacing), 1.0)
    size = quantity.size(own) if all(length > 0 for length in own) else None
    return MeasuredColumn(name, quantity.power, 1.0, None if size is None else 1 / size)


def _row_array(value: Any, count: int) -> np.ndarray:
    """Return rows of numbers: of one row, of many, or of many per plane."""
    try:
        return np.asarray(value, float).reshape(-1, count)
    except ValueError:  # planes with several numbers of rows
        planes = [_row_array(plane, count) for plane in value]
        return np.concatenate(planes) if planes else np.zeros((0, count))


def _part_array(value: Any, names: Sequence[str]) -> np.ndarray:
    """Return rows of numbers from parts, each a number per row or several; or that per plane."""
    if isinstance(value, list):
        return np.concatenate([_part_array(plane, names) for plane in value])
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
        value = [value[field] for field in value.dtype.names]
    parts = value if isinstance(value, tuple | list) else (value,)
    count = np.size(parts[0])
    if not count:
        return np.zeros((0, len(names)))
    columns = [np.asarray(part, float).reshape(count, -1) for part in parts]
    return np.concatenate(columns, axis=1)
