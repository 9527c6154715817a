"""Measurements in units of length: which parameter takes the pixel size, and each column's unit.

Where a function has no such parameter: which of its numbers count pixels. An operation declares it;
whoever knows the size of an image's pixels passes it on, or shows the numbers in units.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.types import Parameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How a table is measured in the units of its image."""

    parameter: str
    """The parameter that takes the size of a pixel along each axis."""
    power: Callable[[str, int, Parameters], int]
    """Exponent of the unit of length in a column, for so many spatial axes; 0 for none."""
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

    powers: tuple[int, ...] = ()
    """Exponent of the length of a pixel for each part of the result, in order; 0 for none."""
    step: Callable[[Parameters, Sequence[float]], float] | None = None
    """The distance between two numbers of a curve, from the parameters and the size of a pixel
    along each spatial axis; None for what is not a curve along a line of the image."""

    def in_units(self, params: Parameters, spacing: Sequence[float], unit: str) -> MeasuredLengths:
        """Return what the numbers are in a unit.

        Parameters
        ----------
        params
            The operation's parameters, defaults included.
        spacing
            The size of a pixel along each spatial axis.
        unit
            Its unit.
        """
        ones = (1.0,) * len(spacing)
        return MeasuredLengths(
            unit,
            self.powers,
            tuple(_size(power, spacing) for power in self.powers),
            None if self.step is None else self.step(params, spacing),
            None if self.step is None else self.step(params, ones),
        )


@dataclass(frozen=True)
class MeasuredLengths:
    """What the numbers of a result that count pixels are in a unit of length."""

    unit: str
    powers: tuple[int, ...] = ()
    """Exponent of the unit for each part of the result; 0 for none."""
    sizes: tuple[float | None, ...] = ()
    """The size of a pixel by which each part is multiplied; None for none, or if that depends on
    the direction."""
    step: float | None = None
    """The distance between two numbers of a curve, in the unit."""
    step_in_pixels: float | None = None

    def size(self, part: int = 0) -> float | None:
        """Return the size of a pixel by which a part of the result is multiplied; None for none.

        Parameters
        ----------
        part
            Its number.
        """
        return self.sizes[part] if part < len(self.sizes) else None


def _size(power: int, spacing: Sequence[float]) -> float | None:
    """Return the size of a pixel to a power; None where it depends on the direction."""
    if power == 0:
        return None
    if power == len(spacing):
        return float(prod(spacing))
    return float(spacing[0] ** power) if len(set(spacing)) == 1 else None
