"""Which axes of an image are time, channel and space.

An axis is named by one letter. No function guesses: axes without names are unknown, and an
operation then runs over all of them, as scikit-image does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidAxes, option

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "t": "time",
        "c": "channel",
        "s": "channel",  # the samples of an RGB pixel, next to a channel axis
        "z": "space",
        "y": "space",
        "x": "space",
        "p": "other",  # position
        "i": "other",  # sequence
        "q": "other",  # unknown
    }
)
"""The kind of axis that each letter names: time, channel, space or other."""

_DEFAULTS = {1: "x", 2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}

ALPHA = "Alpha"
"""The name of the channel that says how opaque a pixel is."""
RED_GREEN_BLUE = ("Red", "Green", "Blue")
"""The names of the channels of a colour picture."""
_SAMPLES = frozenset(
    {
        "", "red", "green", "blue", "gray", "grey", "cyan", "magenta", "yellow", "black",
        "y", "cb", "cr", "hue", "saturation", "value", "l", "a", "b",
    }
)  # fmt: skip
"""The names of samples of a picture that may have an alpha beside them."""


@dataclass(frozen=True)
class PixelSizes:
    """The size of an image's pixels along each of its axes."""

    scale: tuple[float, ...]
    units: tuple[str | None, ...]
    """By their OME-Zarr names."""


@dataclass(frozen=True)
class AxisSelection:
    """Names of an image's axes together with the spatial axes, which an operation runs over."""

    names: str | Sequence[str] | None = None
    """One letter per axis; None: those that the image itself names."""
    spatial: str | Sequence[int] | Sequence[str] | None = None
    """Letters or axis numbers; None: z, y and x if the axes are known, else all of them."""
    channels: tuple[str, ...] = ()
    """Names of the channels along the axis ``c``; empty where they are not known."""
    sizes: PixelSizes | None = None
    """The size of the pixels, by which tables are measured; None: in pixels."""


ALL_AXES = AxisSelection()
"""Nothing is said of an image's axes."""


def kind(axis: str) -> str:
    """Return the kind of axis that a letter names: time, channel, space or other."""
    return KINDS[axis]


def alpha_of(channels: Sequence[str]) -> int | None:
    """Return which channel is the alpha of a picture; None where none is.

    Parameters
    ----------
    channels
        Names of the channels; a picture's are those of its samples.
    """
    names = [channel.lower() for channel in channels]
    if len(names) < 2 or names.count(ALPHA.lower()) != 1:
        return None
    index = names.index(ALPHA.lower())
    return index if _SAMPLES.issuperset(names[:index] + names[index + 1 :]) else None


def parse(axes: str | Sequence[str] | None, ndim: int) -> tuple[str, ...] | None:
    """Return one letter per axis, or None if the axes are unknown.

    Parameters
    ----------
    axes
        Letters such as ``"tcyx"``, in the order of the image's axes; None or empty if unknown.
    ndim
        Number of axes of the image.
    """
    if axes is not None and not isinstance(axes, str | Sequence):
        raise InvalidAxes(f"{option('axes', axes)}: expected letters, one per axis.")
    if not axes:
        return None
    letters = tuple(str(axis).lower() for axis in axes)
    text = "".join(map(str, axes))
    unknown = [axis for axis in letters if axis not in KINDS]
    if unknown:
        raise InvalidAxes(
            f"{option('axes', text)} has the unknown letter {unknown[0]!r}: expected letters from "
            f"{', '.join(KINDS)} (t time, c channel, z y x space, p i q other)."
        )
    repeated = [axis for axis in KINDS if letters.count(axis) > 1]
    if repeated:
        raise InvalidAxes(
            f"{option('axes', text)} names {repeated[0]!r} twice: give every axis its own letter."
        )
    if len(letters) != ndim:
        raise InvalidAxes(
            f"{option('axes', text)} names {_count(len(letters))}, but the image has {ndim}; "
            "give one letter per axis."
        )
    return letters


def default_axes(ndim: int, *, is_rgb: bool = False) -> tuple[str, ...]:
    """Return default names for the axes of an *output* that must have names.

    One to five axes are ``x``, ``yx``, ``zyx``, ``tzyx``, ``tczyx``; the samples of an RGB image
    add a last ``c``. This is a convention, not knowledge: never use it to choose the axes that an
    operation runs over.

    Parameters
    ----------
    ndim
        Number of axes.
    is_rgb
        Whether the last axis holds the samples of a colour.
    """
    if is_rgb:
        letters = _DEFAULTS.get(ndim - 1)
        if letters is not None and "c" not in letters:
            return (*letters, "c")
    elif ndim in _DEFAULTS:
        return tuple(_DEFAULTS[ndim])
    raise InvalidAxes(
        f"There are no default names for {_count(ndim)}{' of an RGB image' if is_rgb else ''}; "
        f"name them, as in {option('axes', 'tcyx')}."
    )


def spatial_indices(
    axes: str | Sequence[str] | None,
    spatial: str | int | Sequence[int] | Sequence[str] | None,
    ndim: int,
) -> tuple[int, ...]:
    """Return the indices of the axes that an operation runs over, in ascending order.

    Parameters
    ----------
    axes
        One letter per axis, or None.
    spatial
        Letters, which need `axes` (except ``"yx"`` and ``"zyx"``, which without it are the last
        two and three axes), or indices. None means all axes, as in scikit-image, whatever their
        names.
    ndim
        Number of axes of the image.
    """
    letters = parse(axes, ndim)
    if spatial is None:
        return tuple(range(ndim))
    if isinstance(spatial, Sequence) and spatial and all(isinstance(s, str) for s in spatial):
        indices = _from_letters(letters, "".join(map(str, spatial)), ndim)
    else:
        indices = _from_numbers(spatial, ndim)
    if not indices:
        raise InvalidAxes(
            f"{option('spatial', spatial)} names no axis: omit it to run over all axes."
        )
    if len(set(indices)) != len(indices):
        raise InvalidAxes(f"{option('spatial', spatial)} names an axis twice: name each axis once.")
    return tuple(sorted(indices))


def _from_letters(letters: tuple[str, ...] | None, spatial: str, ndim: int) -> list[int]:
    names = spatial.lower()
    if letters is None:
        if names not in {"yx", "zyx"}:
            raise InvalidAxes(
                f"{option('spatial', spatial)} needs the names of the image's {_count(ndim)}; "
                f"add axes, as in {option('axes', 'tcyx')}, or give indices, as in "
                f"{option('spatial', (1, 2))}."
            )
        if len(names) > ndim:
            raise InvalidAxes(
                f"{option('spatial', spatial)} names {_count(len(names))}, but the image has "
                f"{ndim}; omit it to run over all axes."
            )
        return list(range(ndim - len(names), ndim))
    absent = [axis for axis in names if axis not in letters]
    if absent:
        raise InvalidAxes(
            f"{option('spatial', spatial)} names {absent[0]!r}, which is not among the image's "
            f"axes {''.join(letters)!r}; choose from these."
        )
    return [letters.index(axis) for axis in names]


def _from_numbers(spatial: Any, ndim: int) -> list[int]:
    try:
        items = spatial if isinstance(spatial, Sequence) else [spatial]
        numbers = [index(number) for number in items]
    except TypeError:
        raise InvalidAxes(
            f"{option('spatial', spatial)} is neither letters nor integers: "
            f"give axes as in {option('spatial', 'yx')} or {option('spatial', (-2, -1))}."
        ) from None
    for number in numbers:
        if not -ndim <= number < ndim:
            raise InvalidAxes(
                f"{option('spatial', spatial)} names axis {number}, but the image has "
                f"{_count(ndim)}; expected {-ndim} to {ndim - 1}."
            )
    return [number % ndim for number in numbers]


def _count(number: int) -> str:
    return f"{number} axis" if number == 1 else f"{number} axes"
