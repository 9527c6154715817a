"""Which axes of a layer are space: by their names where it has some, by what is shown otherwise.

Time and channels are never among the axes that an operation runs over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from napari_tilewise.axes import kind
from napari_tilewise.errors import InvalidAxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.operation import Operation

Axes: TypeAlias = tuple[int, ...]

WORDS = {"time": "t", "frame": "t", "channel": "c", "ch": "c", "depth": "z", "plane": "z",
         "height": "y", "row": "y", "width": "x", "column": "x"}  # fmt: skip
"""Axis names in words, by the letter they stand for."""

_UNNAMED = re.compile(r"axis -?\d+|")


@dataclass(frozen=True)
class AxisChoice:
    """One way to run an operation: over these axes, looping over the others."""

    text: str
    axes: Axes


def letters(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return one axis letter per label, or None where the labels do not say.

    Parameters
    ----------
    labels
        The layer's axis labels; napari's own placeholders (``axis -1``) say nothing.
    """
    names = [label.strip().lower() for label in labels]
    if all(_UNNAMED.fullmatch(name) for name in names):
        return None
    found = tuple(WORDS.get(name, name) for name in names)
    known = all(name in WORDS.values() for name in found)
    return found if known and len(set(found)) == len(found) else None


def spatial(labels: Sequence[str], displayed: Sequence[int]) -> tuple[Axes, Axes]:
    """Return the axes of one plane, and those of the whole volume.

    Parameters
    ----------
    labels
        The layer's axis labels.
    displayed
        The layer's axes that the viewer shows, the last two being the plane.
    """
    ndim = len(labels)
    named = letters(labels)
    if named is not None:
        space = tuple(i for i, name in enumerate(named) if kind(name) == "space")
        plane = tuple(i for i in space if named[i] != "z")
        return (plane if len(plane) == 2 else space[-2:]), space
    plane = tuple(sorted(displayed[-2:])) if ndim > 2 else tuple(range(ndim))
    return plane, tuple(range(max(0, ndim - 3), ndim))


def choices(
    operation: Operation, labels: Sequence[str], displayed: Sequence[int]
) -> tuple[AxisChoice, ...]:
    """Return the ways to run an operation on a layer, the one to start with first.

    Parameters
    ----------
    operation
        The operation; it may take only so many axes.
    labels
        The layer's axis labels.
    displayed
        The layer's axes that the viewer shows.

    Raises
    ------
    InvalidAxes
        When the layer has no axes that suit.
    """
    plane, volume = spatial(labels, displayed)
    if letters(labels) is None and len(volume) < 3:
        plane = volume
    ways = [AxisChoice(f"plane by plane{_named(plane, labels)}", plane)]
    if len(volume) > 2:
        way = AxisChoice(f"volume{_named(volume, labels)}", volume)
        ways.insert(0 if letters(labels) is not None else 1, way)
    low, high = operation.limits.ndim
    fitting = tuple(way for way in ways if low <= len(way.axes) <= high)
    if not fitting:
        wanted = str(low) if low == high else f"{low} to {high}"
        raise InvalidAxes(
            f"{operation.title} works on {wanted} spatial axes; this layer has {len(volume)}. "
            "Choose another layer, or name its axes (z, y, x) in the layer's axis labels."
        )
    return fitting


def _named(axes: Axes, labels: Sequence[str]) -> str:
    if letters(labels) is None:
        return ""
    return f" ({', '.join(labels[i] for i in axes)})"


def channel_axis(operation: Operation, labels: Sequence[str], *, is_rgb: bool) -> int | None:
    """Return the axis to pass as the operation's channel axis, or None to loop over channels.

    An RGB layer's samples are its last axis; of other layers only an axis named ``c`` is a
    channel, and only an operation that cannot do without one gets it.

    Parameters
    ----------
    operation
        The operation.
    labels
        The layer's axis labels.
    is_rgb
        Whether the layer shows its last axis as colours.
    """
    if operation.channel is None:
        return None
    if is_rgb:
        return len(labels)
    named = letters(labels)
    needed = operation.parameters[operation.channel].default is not None
    return named.index("c") if needed and named is not None and "c" in named else None
