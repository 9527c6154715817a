"""The spatial axes of a layer: by their names, or by the displayed axes if they have none.

An operation never runs over time or channels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from napari_tilewise.axes import kind
from napari_tilewise.errors import InvalidAxes, InvalidImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.operation import Operation

Axes: TypeAlias = tuple[int, ...]

LETTERS = {"time": "t", "frame": "t", "channel": "c", "ch": "c", "depth": "z", "plane": "z",
         "height": "y", "row": "y", "width": "x", "column": "x"}  # fmt: skip
"""Letters by the words that name axes."""

_UNNAMED = re.compile(r"axis -?\d+|")


@dataclass(frozen=True)
class AxisChoice:
    """Spatial axes to choose; an operation loops over the others."""

    text: str
    axes: Axes


def letters(labels: Sequence[str]) -> tuple[str, ...] | None:
    """Return one axis letter per label, or None if a label is not a known name.

    Parameters
    ----------
    labels
        The layer's axis labels; napari's placeholders (``axis -1``) are not names.
    """
    names = [label.strip().lower() for label in labels]
    if all(_UNNAMED.fullmatch(name) for name in names):
        return None
    axes = tuple(LETTERS.get(name, name) for name in names)
    is_valid = all(axis in LETTERS.values() for axis in axes) and len(set(axes)) == len(axes)
    return axes if is_valid else None


def spatial(labels: Sequence[str], displayed: Sequence[int]) -> tuple[Axes, Axes]:
    """Return the axes of a plane, and those of a volume.

    Parameters
    ----------
    labels
        The layer's axis labels.
    displayed
        The layer's axes that the viewer displays; the last two are the plane.
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
    """Return the spatial axes that an operation can run over, the default first.

    Parameters
    ----------
    operation
        Limits the number of spatial axes.
    labels
        The layer's axis labels.
    displayed
        The layer's axes that the viewer displays.

    Raises
    ------
    InvalidAxes
        If the layer has too few or too many spatial axes.
    """
    plane, volume = spatial(labels, displayed)
    if letters(labels) is None and len(volume) < 3:
        plane = volume
    options = [AxisChoice(f"plane by plane{_named(plane, labels)}", plane)]
    if len(volume) > 2:
        option = AxisChoice(f"volume{_named(volume, labels)}", volume)
        options.insert(0 if letters(labels) is not None else 1, option)
    low, high = operation.limits.ndim
    fitting = tuple(option for option in options if low <= len(option.axes) <= high)
    if not fitting:
        count = str(low) if low == high else f"{low} to {high}"
        raise InvalidAxes(
            f"{operation.title} needs {count} spatial axes; this layer has {len(volume)}. "
            "Choose another layer, or name its axes (z, y, x) in the layer's axis labels."
        )
    return fitting


def _named(axes: Axes, labels: Sequence[str]) -> str:
    if letters(labels) is None:
        return ""
    return f" ({', '.join(labels[i] for i in axes)})"


def channel_axis(operation: Operation, labels: Sequence[str], *, is_rgb: bool) -> int | None:
    """Return the axis to pass as the operation's channel axis, or None to loop over channels.

    An RGB layer's samples are its last axis. In other layers an axis named ``c`` is the channel
    axis, and is passed only to operations that require one.

    Parameters
    ----------
    operation
        May have a channel axis or not.
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


def needed_channel(
    operation: Operation, name: str, labels: Sequence[str], *, is_rgb: bool
) -> int | None:
    """Return `channel_axis`, and refuse a layer without the channels that an operation needs.

    Parameters
    ----------
    operation
        May have a channel axis or not.
    name
        The layer's name, for messages.
    labels
        The layer's axis labels.
    is_rgb
        Whether the layer shows its last axis as colours.

    Raises
    ------
    InvalidImage
        If the layer has no channels and the operation requires them.
    """
    axis = channel_axis(operation, labels, is_rgb=is_rgb)
    needs_channels = (
        operation.channel is not None and not operation.specs[operation.channel].optional
    )
    if axis is None and needs_channels:
        raise InvalidImage(
            f"{operation.title} needs colours: choose an RGB layer, or name the channel axis "
            f"'c' in the axis labels of {name!r}."
        )
    return axis
