"""What a number measures: a length, a position along an axis, an area; and what pixels make of it.

Only a declaration knows. Where pixels are not as long as wide, a length in any direction has no
size of its own, but a position along an axis has, and so has an area.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Quantity:
    """A power of lengths; of none unless given: a count, an angle, an intensity."""

    power: int = 0
    """Exponent of the unit of length; 0 for a number without one."""
    along: tuple[float, ...] = ()
    """Exponent of the length of a pixel along each spatial axis; empty for a length in any
    direction."""
    over: tuple[int, ...] = ()
    """The spatial axes that a length in any direction may lie along; empty for all of them."""

    def size(self, spacing: Sequence[float]) -> float | None:
        """Return what a pixel measures; None for a number without unit, or if that depends.

        Parameters
        ----------
        spacing
            The size of a pixel along each spatial axis; NaN where it has none.
        """
        if not self.power:
            return None
        if self.along:
            sizes = [size**power for size, power in zip(spacing, self.along, strict=True) if power]
            product = float(prod(sizes))
            return None if isnan(product) else product
        sizes = [spacing[axis] for axis in self.over or range(len(spacing))]
        same = len(set(sizes)) == 1 and not isnan(sizes[0])
        return float(sizes[0] ** self.power) if same else None


NUMBER = Quantity()
"""A number without a unit of length."""
LENGTH = Quantity(1)
"""A length in any direction."""
SQUARE = Quantity(2)
"""The square of such a length."""


def position(axis: int, ndim: int) -> Quantity:
    """Return the quantity of a coordinate.

    Parameters
    ----------
    axis
        Its axis.
    ndim
        Number of spatial axes.
    """
    return along_axes([int(other == axis) for other in range(ndim)])


def area(ndim: int) -> Quantity:
    """Return the quantity of areas, or of volumes.

    Parameters
    ----------
    ndim
        Number of spatial axes.
    """
    return along_axes([1] * ndim)


def along_axes(powers: Sequence[int]) -> Quantity:
    """Return the quantity of products of coordinates, such as moments.

    Parameters
    ----------
    powers
        How many of each axis.
    """
    return Quantity(sum(powers), tuple(map(float, powers)))


def mean_length(ndim: int) -> Quantity:
    """Return the quantity of a length that follows from an area or a volume alone.

    Parameters
    ----------
    ndim
        Number of spatial axes.
    """
    return Quantity(1, (1 / ndim,) * ndim)
