"""An item is one image of a batch, as small as its name: what holds it is opened inside its task.

Items are files, arrays, fields of a plate, and positions or windows of any of these.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import chain, product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.batches.discover import Discovered, find
from napari_tilewise.errors import InvalidAxes, InvalidParameter, SourceUnreadable, TilewiseError
from napari_tilewise.io.image import Image
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.cropped import AxisPart, crop_image, of_remaining_axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a batch."""

    index: int
    """Its number in the batch, from 0."""
    stem: str
    """What outputs are called after: ``cells`` for ``a/cells.ome.tif``, ``cells_t3`` for a part."""
    source: Any
    """A path, a URL, an `Image` or an array."""
    folder: str = ""
    """The folder below the one that was searched, with ``/``; mirrored where outputs go."""
    places: tuple[AxisPart, ...] | None = None
    """What is taken of each axis of the source; all of it unless given."""
    axes: tuple[str, ...] = ()
    """Names of the source's axes, where they were given."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of it, such as its position along an axis or its well."""
    trouble: str = ""
    """Why it has not the parts that were asked for; empty where it has."""

    @property
    def input(self) -> str:
        """Where it comes from, for people: its path, and which part."""
        name = self.source if isinstance(self.source, str) else self.stem
        if self.places is None or not isinstance(self.source, str):
            return name
        return f"{name} [{_show(self.places)}]"

    @property
    def given_axes(self) -> tuple[str, ...]:
        """Names of the axes of what `open` gives, where they were given."""
        return of_remaining_axes(self.places, self.axes) if self.places and self.axes else self.axes

    def check(self) -> None:
        """Raise `SourceUnreadable` where it has not the parts that were asked for."""
        if self.trouble:
            raise SourceUnreadable(self.trouble)

    def open(self) -> Any:
        """Return what a run takes: the path, so that the record names it, or an open part."""
        self.check()
        if self.places is None:
            return self._named()
        image = open_image(self.source)
        if self.axes:
            image = replace(image, axes=self.axes)
        return crop_image(image, self.places, self.input, self.source)

    def _named(self) -> Any:
        if not self.axes:
            return self.source
        image = open_image(self.source)
        return replace(image, axes=_axes.parse(self.axes, len(image.data.shape)) or ())

    def bytes(self) -> int | None:
        """Return about how large it is, from what costs little to look at."""
        if isinstance(self.source, str):
            if self.places is not None:
                return None
            try:
                if not os.path.isdir(self.source):
                    return os.stat(self.source).st_size
                data: Any = open_image(self.source).data
            except (OSError, TilewiseError):
                return None  # its task says it
        else:
            data = self.source.data if isinstance(self.source, Image) else self.source
        return int(np.prod(data.shape, dtype=float)) * int(np.dtype(data.dtype).itemsize)


def _show(places: Sequence[AxisPart]) -> str:
    texts = (f"{p[0]}:{p[1]}" if isinstance(p, tuple) else ":" if p is None else p for p in places)
    return ", ".join(map(str, texts))


def items_of(source: Any, **options: Any) -> tuple[Item, ...]:
    """Return the items that are meant, in natural order; no pixel is read.

    Parameters
    ----------
    source, **options
        See `each_item`.

    Raises
    ------
    SourceNotFound
        When nothing is found.
    InvalidParameter, InvalidAxes
        When the axes or the window do not fit.
    """
    return tuple(each_item(source, **options))


def each_item(
    source: Any,
    *,
    over: str | int | Sequence[str | int] | None = None,
    window: int | Sequence[int | None] | None = None,
    step: int | Sequence[int | None] | None = None,
    axes: str | Sequence[str] | None = None,
    apart: Set[str] = frozenset(),
    recursive: bool = True,
) -> Iterator[Item]:
    """Give the items that are meant one after the other, for who may not want to wait for all.

    Parameters
    ----------
    source
        A file, a folder, a pattern, an OME-Zarr plate, an array, or a list or mapping of such.
    over
        Axes along which each position is an item of its own: letters such as ``"t"`` or ``"tc"``,
        or numbers.
    window
        The shape of a sliding window, each position of which is an item: one length, or one per
        axis (per spatial axis where there are other axes); None takes the whole axis.
    step
        By how much the window moves: its own shape unless given.
    axes
        Names of the axes, where the sources do not know them themselves.
    apart
        Paths that are no items: what the batch wrote before.
    recursive
        Whether the folders below a folder belong to it.

    Raises
    ------
    SourceNotFound
        When nothing is found.
    InvalidParameter, InvalidAxes
        When the axes or the window fit no image; an image that they do not fit among others that
        they do is an item of its own, which says so when it is opened.
    """
    if step is not None and window is None:
        raise InvalidParameter(f"step={step!r} is the step of a window: give window= too.")
    found = find(source, apart=apart, recursive=recursive)
    tried = chain.from_iterable(_tried(one, over, window, step, axes) for one in found)
    for number, item in enumerate(_fitting(tried)):
        yield replace(item, index=number)


def _fitting(tried: Iterable[_Tried]) -> Iterator[Item]:
    """Give the items; raise where an image does not fit, and none does."""
    held: list[Item] | None = []
    misfit: tuple[Item, TilewiseError] | None = None
    for item, error in tried:
        if isinstance(error, (InvalidAxes, InvalidParameter)):
            misfit = misfit or (item, error)
            item = replace(item, trouble=str(error))
        if held is None:
            yield item
        elif error is None:  # the images that do not fit cost a row each from now on
            yield from (*held, item)
            held = None
        else:
            held.append(item)
    if held and misfit is not None:
        item, error = misfit
        raise type(error)(f"{item.input!r}: {error}")
    yield from held or ()


_Tried: TypeAlias = "tuple[Item, TilewiseError | None]"
"""An item, and why it has not the parts that were asked for."""


def _tried(one: Discovered, over: Any, window: Any, step: Any, axes: Any) -> Iterator[_Tried]:
    """Give an image's items: its parts, or itself where it cannot be cut."""
    names = tuple(str(axis).lower() for axis in axes or ())
    item = Item(0, one.stem, one.source, one.folder, None, names, one.fields)
    if over is None and window is None:
        yield item, None
        return
    try:
        parts = _parts(item, over, window, step, axes)
    except TilewiseError as error:
        yield item, error  # its task says it, in its row
        return
    yield from ((part, None) for part in parts)


def _parts(item: Item, over: Any, window: Any, step: Any, axes: Any) -> Iterator[Item]:
    """Return the parts of an image; raise at once where it has none such."""
    image = open_image(item.source)
    shape = tuple(image.data.shape)
    known = _axes.parse(axes, len(shape)) or image.axes
    along = _along(over, known, len(shape))
    slides = _slides(window, step, shape, known, along)
    ranges: list[Sequence[AxisPart]] = [
        range(n) if axis in along else slides.get(axis, [None]) for axis, n in enumerate(shape)
    ]
    if not all(ranges):
        raise InvalidAxes(f"over={over!r}: there is no position in an image of shape {shape}.")
    called = [known[axis] if known else f"axis{axis}" for axis in range(len(shape))]
    return _cut(item, ranges, called)


def _cut(item: Item, ranges: Sequence[Sequence[AxisPart]], called: Sequence[str]) -> Iterator[Item]:
    for places in product(*ranges):
        starts = {
            name: place[0] if isinstance(place, tuple) else place
            for name, place in zip(called, places, strict=True)
            if place is not None
        }
        stem = "_".join([item.stem, *(f"{name}{start}" for name, start in starts.items())])
        yield _part(item, stem, places, {**item.fields, **starts})


def _part(item: Item, stem: str, places: tuple[AxisPart, ...], fields: Mapping[str, Any]) -> Item:
    if not isinstance(item.source, np.ndarray):
        return replace(item, stem=stem, places=places, fields=fields)
    # A view: another process is sent this part alone.
    key = tuple(slice(*(p or (None,))) if not isinstance(p, int) else p for p in places)
    kept = [a for a, p in zip(item.axes, places, strict=False) if not isinstance(p, int)]
    return replace(item, stem=stem, source=item.source[key], axes=tuple(kept), fields=fields)


def _along(over: Any, known: Sequence[str], ndim: int) -> tuple[int, ...]:
    """Return the axes along which each position is an item."""
    if over is None:
        return ()
    wanted = [over] if isinstance(over, int) else list(over)
    found = []
    for axis in wanted:
        if isinstance(axis, str) and axis.lower() in known:
            found.append(tuple(known).index(axis.lower()))
        elif isinstance(axis, int) and -ndim <= axis < ndim:
            found.append(axis % ndim)
        else:
            names = f"the axes {''.join(known)!r}" if known else f"{ndim} axes without names"
            raise InvalidAxes(
                f"over={over!r}: there is no axis {axis!r} in an image with {names}. Give one of "
                "them, or name them with axes=."
            )
    if len(set(found)) < len(found) or len(found) == ndim:
        raise InvalidAxes(
            f"over={over!r}: expected each axis once, and at least one of the {ndim} left over."
        )
    return tuple(found)


def _slides(
    window: Any, step: Any, shape: Sequence[int], known: Sequence[str], along: Sequence[int]
) -> dict[int, list[AxisPart]]:
    """Return the places of a sliding window along each axis; windows lie within the image."""
    if window is None:
        return {}
    left = [axis for axis in range(len(shape)) if axis not in along]
    space = [axis for axis in left if known and _axes.kind(known[axis]) == "space"] or left
    count = len(space) if isinstance(window, int) else len(window)
    over = left if count == len(left) and not isinstance(window, int) else space
    lengths = _per_axis("window", window, len(over))
    steps = _per_axis("step", window if step is None else step, len(over))
    places: dict[int, list[AxisPart]] = {}
    for axis, length, by in zip(over, lengths, steps, strict=True):
        if length is None:
            continue
        if not 1 <= length <= shape[axis] or by is None or by < 1:
            raise InvalidParameter(
                f"window={window!r}, step={step!r}: expected lengths of 1 to {shape[axis]} and "
                f"steps of at least 1 along axis {axis} of an image of shape {tuple(shape)}."
            )
        places[axis] = [(at, at + length) for at in range(0, shape[axis] - length + 1, by)]
    return places


def _per_axis(what: str, value: Any, count: int) -> list[int | None]:
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count or not all(v is None or isinstance(v, int) for v in values):
        raise InvalidParameter(
            f"{what}={value!r}: expected a whole number, or one for each of {count} axes."
        )
    return values
