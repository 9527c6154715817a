"""Measurements in units of length: which parameter takes the pixel size, and each column's unit.

An operation declares it; whoever knows the size of an image's pixels passes it on.
"""

from __future__ import annotations

from dataclasses import dataclass
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
