"""Divides an image into parts that are items of a batch: positions along axes, sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import TYPE_CHECKING, TypeAlias

from napari_tilewise import axes as _axes
from napari_tilewise.errors import InvalidAxes, InvalidParameter, InvalidParameterType, option
from napari_tilewise.io.metadata.channels import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_tilewise.engine.views.cropped import AxisPart
    from napari_tilewise.io.image import Image
    from napari_tilewise.types import AxisNames

Lengths: TypeAlias = "int | Sequence[int | None] | None"
"""One length in pixels, or one per axis; None for the whole axis."""


_EXPECTED = {
    "over": "expected an axis, or several",
    "window": "expected a length in pixels, or one per axis",
    "step": "expected a length in pixels, or one per axis",
    "axes": "expected letters, one per axis",
}


@dataclass(frozen=True)
class Division:
    """How images are divided into items; see `items_of` for the other fields."""

    over: str | int | Sequence[str | int] | None = None
    window: Lengths = None
    step: Lengths = None
    axes: AxisNames | None = None
    box: tuple[AxisPart, ...] | None = None
    """The one part that is an item: start and stop along each axis, or the last spatial ones."""

    def __post_init__(self) -> None:
        for name in ("over", "window", "step", "axes"):
            value = getattr(self, name)
            is_number = isinstance(value, Integral) and name != "axes"
            is_list = isinstance(value, Sequence) and not isinstance(value, bytes)
            if value is not None and not is_number and not is_list:
                raise InvalidParameterType(f"{option(name, value)}: {_EXPECTED[name]}.")
        if self.step is not None and self.window is None:
            raise InvalidParameter(
                f"{option('step', self.step)} is the step of a window: give {option('window')} too."
            )

    @property
    def is_none(self) -> bool:
        """Whether every image stays whole."""
        return self.over is None and self.window is None and self.box is None


WHOLE_IMAGES = Division()
"""Every image is one item."""


@dataclass(frozen=True)
class ImagePart:
    """One part of an image."""

    parts: tuple[AxisPart, ...]
    """The part of each axis."""
    starts: Mapping[str, int]
    """Where it starts along each axis that is divided, by the axis' name."""
    channel: str = ""
    """The name of its channel, if it is of one that has a name."""

    @property
    def fields(self) -> dict[str, int | str]:
        """What tells it from the other parts: where it starts, and the name of its channel."""
        fields: dict[str, int | str] = {}
        for name, start in self.starts.items():
            fields[name] = start
            if name == "c" and self.channel:
                fields["channel"] = self.channel
        return fields


def divide(image: Image, division: Division) -> Iterator[ImagePart]:
    """Return the parts of an image; what is raised is raised at once.

    Parameters
    ----------
    image
        The image, open.
    division
        How it is divided.

    Raises
    ------
    InvalidParameter, InvalidAxes
        When the axes or the window do not fit the image.
    """
    shape = tuple(image.data.shape)
    names = _axes.parse(division.axes, len(shape)) or image.axes
    along = _along(division.over, names, len(shape))
    windows = _windows(division, shape, names, along) | _box(division, shape, names)
    channels = names_of(image.channels, names, shape)
    alpha = _axes.alpha_of(channels)
    positions = [range(length) for length in shape]
    ranges: list[Sequence[AxisPart]] = [
        positions[axis] if axis in along else windows.get(axis, [None])
        for axis in range(len(shape))
    ]
    if alpha is not None and (axis := list(names).index("c")) in along:
        ranges[axis] = [n for n in positions[axis] if n != alpha]  # no channel of data
    if not all(ranges):
        raise InvalidAxes(
            f"{option('over', division.over)}: there is no position in an image of shape {shape}."
        )
    return _parts(ranges, names or [f"axis{axis}" for axis in range(len(shape))], channels)


def _parts(
    ranges: Sequence[Sequence[AxisPart]], names: Sequence[str], channels: Sequence[str]
) -> Iterator[ImagePart]:
    for parts in product(*ranges):
        starts = {
            name: part[0] if isinstance(part, tuple) else part
            for name, part in zip(names, parts, strict=True)
            if part is not None
        }
        channel = parts[list(names).index("c")] if channels else None
        yield ImagePart(parts, starts, channels[channel] if isinstance(channel, int) else "")


def _along(
    over: str | int | Sequence[str | int] | None, names: Sequence[str], ndim: int
) -> tuple[int, ...]:
    """Return the axes along which each position is an item."""
    if over is None:
        return ()
    axes: list[int] = []
    for axis in [over] if isinstance(over, int) else over:
        if isinstance(axis, str) and axis.lower() in names:
            axes.append(tuple(names).index(axis.lower()))
        elif isinstance(axis, int) and -ndim <= axis < ndim:
            axes.append(axis % ndim)
        else:
            available = f"the axes {''.join(names)!r}" if names else f"{ndim} axes without names"
            raise InvalidAxes(
                f"{option('over', over)}: there is no axis {axis!r} in an image with {available}. "
                f"Give one of them, or name them with {option('axes')}."
            )
    if len(set(axes)) < len(axes) or len(axes) == ndim:
        raise InvalidAxes(
            f"{option('over', over)}: expected each axis once, and at least one of the {ndim} "
            "left over."
        )
    return tuple(axes)


def _windows(
    division: Division, shape: Sequence[int], names: Sequence[str], along: Sequence[int]
) -> dict[int, list[AxisPart]]:
    """Return the positions of a sliding window along each axis; windows lie within the image."""
    window, step = division.window, division.step
    if window is None:
        return {}
    remaining = [axis for axis in range(len(shape)) if axis not in along]
    space = [a for a in remaining if names and _axes.kind(names[a]) == "space"] or remaining
    is_full = not isinstance(window, int) and len(window) == len(remaining)
    axes = remaining if is_full else space
    lengths = _per_axis("window", window, len(axes))
    steps = _per_axis("step", window if step is None else step, len(axes))
    stepping = "" if step is None else f", {option('step', step)}"
    positions: dict[int, list[AxisPart]] = {}
    for axis, length, by in zip(axes, lengths, steps, strict=True):
        if length is None:
            continue
        if not 1 <= length <= shape[axis] or by is None or by < 1:
            raise InvalidParameter(
                f"{option('window', window)}{stepping}: expected lengths of 1 to {shape[axis]} and "
                f"steps of at least 1 along axis {axis} of an image of shape {tuple(shape)}."
            )
        positions[axis] = [
            (start, start + length) for start in range(0, shape[axis] - length + 1, by)
        ]
    return positions


def _box(
    division: Division, shape: Sequence[int], names: Sequence[str]
) -> dict[int, list[AxisPart]]:
    """Return the part of a box along each of its axes that lies within the image."""
    box = division.box or ()
    axes: Sequence[int] = range(len(shape))
    if len(box) != len(shape):
        axes = [axis for axis in axes if names and _axes.kind(names[axis]) == "space"] or axes
        axes = axes[-len(box) :] if box else ()
    parts: dict[int, list[AxisPart]] = {}
    for axis, span in zip(axes, box, strict=False):
        if not isinstance(span, tuple):
            continue
        start, stop = max(0, span[0]), min(shape[axis], span[1])
        if start >= stop:
            raise InvalidParameter(
                f"The region lies outside the image: it is {span[0]} to {span[1]} along axis "
                f"{axis}, and the image's shape is {tuple(shape)}."
            )
        parts[axis] = [(start, stop)]
    return parts


def _per_axis(name: str, value: int | Sequence[int | None], count: int) -> list[int | None]:
    values: list[int | None]
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count or not all(v is None or isinstance(v, int) for v in values):
        raise InvalidParameter(
            f"{option(name, value)}: expected an integer, or one for each of {count} axes."
        )
    return values
