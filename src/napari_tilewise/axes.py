"""Which axes of an image are time, channel and space.

An axis is named by one letter. Nothing here guesses: axes nobody named are unknown, and an
operation then runs over all of them, as scikit-image does.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidAxes

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "t": "time",
        "c": "channel",
        "s": "channel",  # the samples of an RGB pixel beside another channel axis
        "z": "space",
        "y": "space",
        "x": "space",
        "p": "other",  # position
        "i": "other",  # sequence
        "q": "other",  # unknown
    }
)
"""What each axis letter stands for: time, channel, space or other."""

_DEFAULTS = {1: "x", 2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}


def kind(axis: str) -> str:
    """Return what an axis letter stands for: time, channel, space or other."""
    return KINDS[axis]


def parse(axes: str | Sequence[str] | None, ndim: int) -> tuple[str, ...] | None:
    """Return one letter per axis, or None where the axes are not known.

    Parameters
    ----------
    axes
        Letters such as ``"tcyx"``, in the order of the image's axes; None or empty: not known.
    ndim
        Number of axes of the image.
    """
    if not axes:
        return None
    letters = tuple(str(axis).lower() for axis in axes)
    shown = "".join(map(str, axes))
    unknown = [axis for axis in letters if axis not in KINDS]
    if unknown:
        raise InvalidAxes(
            f"axes={shown!r} has the unknown letter {unknown[0]!r}; expected letters among "
            f"{', '.join(KINDS)} (t time, c channel, z y x space, p i q other)."
        )
    double = [axis for axis in KINDS if letters.count(axis) > 1]
    if double:
        raise InvalidAxes(
            f"axes={shown!r} names {double[0]!r} twice; give every axis its own letter."
        )
    if len(letters) != ndim:
        raise InvalidAxes(
            f"axes={shown!r} names {_count(len(letters))}, but the image has {ndim}; "
            "give one letter per axis."
        )
    return letters


def default_axes(ndim: int, *, is_rgb: bool = False) -> tuple[str, ...]:
    """Return names for the axes of an *output* that needs some, when nobody named them.

    One to five axes are ``x``, ``yx``, ``zyx``, ``tzyx``, ``tczyx``; the samples of an RGB image
    add a last ``c``. This is a convention, not knowledge: never choose by it what an operation
    runs over.

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
        'name them, as in axes="tcyx".'
    )


def spatial_indices(
    axes: str | Sequence[str] | None,
    spatial: str | int | Sequence[int] | None,
    ndim: int,
) -> tuple[int, ...]:
    """Return, ascending, the indices of the axes that an operation runs over.

    Parameters
    ----------
    axes
        One letter per axis, or None.
    spatial
        Letters, which need `axes` (except ``"yx"`` and ``"zyx"``, which without it are the last
        two and three axes), or indices. None means all axes, as in scikit-image, whatever they
        are called.
    ndim
        Number of axes of the image.
    """
    letters = parse(axes, ndim)
    if spatial is None:
        return tuple(range(ndim))
    if isinstance(spatial, str):
        found = _from_letters(letters, spatial, ndim)
    else:
        found = _from_numbers(spatial, ndim)
    if not found:
        raise InvalidAxes(f"spatial={spatial!r} names no axis; leave it out to run over all axes.")
    if len(set(found)) != len(found):
        raise InvalidAxes(f"spatial={spatial!r} names an axis twice; name each axis once.")
    return tuple(sorted(found))


def _from_letters(letters: tuple[str, ...] | None, spatial: str, ndim: int) -> list[int]:
    wanted = spatial.lower()
    if letters is None:
        if wanted not in {"yx", "zyx"}:
            raise InvalidAxes(
                f"spatial={spatial!r} needs the names of the image's {_count(ndim)}; "
                'add axes, as in axes="tcyx", or give indices, as in spatial=(1, 2).'
            )
        if len(wanted) > ndim:
            raise InvalidAxes(
                f"spatial={spatial!r} names {_count(len(wanted))}, but the image has {ndim}; "
                "leave it out to run over all axes."
            )
        return list(range(ndim - len(wanted), ndim))
    absent = [axis for axis in wanted if axis not in letters]
    if absent:
        raise InvalidAxes(
            f"spatial={spatial!r} names {absent[0]!r}, which is not among the image's axes "
            f"{''.join(letters)!r}; choose from these."
        )
    return [letters.index(axis) for axis in wanted]


def _from_numbers(spatial: int | Sequence[int], ndim: int) -> list[int]:
    try:
        given = spatial if isinstance(spatial, Sequence) else [spatial]
        numbers = [index(number) for number in given]
    except TypeError:
        raise InvalidAxes(
            f"spatial={spatial!r} is neither letters nor whole numbers; "
            'give axes as in spatial="yx" or spatial=(-2, -1).'
        ) from None
    for number in numbers:
        if not -ndim <= number < ndim:
            raise InvalidAxes(
                f"spatial={spatial!r} names axis {number}, but the image has {_count(ndim)}; "
                f"expected {-ndim} to {ndim - 1}."
            )
    return [number % ndim for number in numbers]


def _count(number: int) -> str:
    return f"{number} axis" if number == 1 else f"{number} axes"
