"""An item is one image of a batch, as small as its name: its task opens it.

Items are files, arrays, fields of a plate, and positions or windows of any of these.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.batches.discover import discover
from napari_tilewise.batches.divide import WHOLE_IMAGES, Division, divide
from napari_tilewise.engine.views.cropped import AxisPart, of_remaining_axes
from napari_tilewise.errors import (
    InvalidAxes,
    InvalidParameter,
    SourceUnreadable,
    TilewiseError,
)
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.image import Image
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

    from napari_tilewise.batches.discover import Discovered
    from napari_tilewise.batches.divide import ImagePart
    from napari_tilewise.batches.folder_search import LeftOut
    from napari_tilewise.io.plain_data import Plain
    from napari_tilewise.types import AxisNames


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a batch."""

    index: int
    """Its number in the batch, from 0."""
    stem: str
    """What its outputs are named after: ``cells`` for ``a/cells.ome.tif``, ``cells_t3`` a part."""
    source: Any
    """A path, a URL, an `Image` or an array."""
    folder: str = ""
    """The folder below the one that was searched, with ``/``; outputs go to one of this name."""
    parts: tuple[AxisPart, ...] | None = None
    """The part of each axis of the source; None: the whole image."""
    axes: tuple[str, ...] = ()
    """Names of the source's axes, if the caller declared them."""
    fields: Mapping[str, Plain] = field(default_factory=dict)
    """What else is known of it, such as its position along an axis or its well."""
    problem: str = ""
    """Why the image cannot be divided as requested; empty if it can."""
    whole: str = ""
    """The stem of the whole image, if it is a part of one."""

    def __repr__(self) -> str:
        return f"<Item {self.index}: {self.input}>"

    @property
    def input(self) -> str:
        """Its source as text: the path, and which part."""
        name = self.source if isinstance(self.source, str) else self.stem
        if self.parts is None or not isinstance(self.source, str):
            return name
        return f"{name} [{_text(self.parts)}]"

    @property
    def declared_axes(self) -> tuple[str, ...]:
        """Names of the axes of what `open` returns, if the caller declared them."""
        return of_remaining_axes(self.parts, self.axes) if self.parts and self.axes else self.axes

    def check(self) -> None:
        """Raise `SourceUnreadable` if the image cannot be divided as requested."""
        if self.problem:
            raise SourceUnreadable(self.problem)

    def open(self) -> Any:
        """Return what a run takes: the path, so that the record names it, or an open part."""
        self.check()
        if self.parts is None:
            return self._whole()
        image = open_image(self.source)
        if self.axes:
            image = replace(image, axes=self.axes)
        return crop_image(image, self.parts, self.input, self.source)

    def _whole(self) -> Any:
        if not self.axes:
            return self.source
        image = open_image(self.source)
        return replace(image, axes=_axes.parse(self.axes, len(image.data.shape)) or ())

    def bytes(self) -> int | None:
        """Return roughly how large it is in bytes; None where only opening it would tell."""
        if isinstance(self.source, str):
            if self.parts is not None:
                return None
            try:
                if not os.path.isdir(self.source):
                    return os.stat(self.source).st_size
                data: Any = open_image(self.source).data
            except (OSError, TilewiseError):
                return None  # its task reports it
        else:
            data = self.source.data if isinstance(self.source, Image) else self.source
        return int(np.prod(data.shape, dtype=float)) * int(np.dtype(data.dtype).itemsize)


def _text(parts: Sequence[AxisPart]) -> str:
    texts = (f"{p[0]}:{p[1]}" if isinstance(p, tuple) else ":" if p is None else p for p in parts)
    return ", ".join(map(str, texts))


def items_of(
    source: object,
    *,
    over: str | int | Sequence[str | int] | None = None,
    window: int | Sequence[int | None] | None = None,
    step: int | Sequence[int | None] | None = None,
    axes: AxisNames | None = None,
) -> tuple[Item, ...]:
    """Return the items that a batch over a source would process, in natural order.

    No pixel is read.

    Parameters
    ----------
    source
        A file, a folder, a pattern such as ``"plates/*.tif"``, an OME-Zarr plate, an array, or a
        list or mapping of these.
    over
        Axes along which each position is an item of its own: letters such as ``"t"`` or ``"tc"``,
        or axis numbers.
    window
        Shape in pixels of a sliding window, each position of which is an item: one length, or one
        per axis (per spatial axis if there are other axes); None takes the whole axis.
    step
        How far the window moves, in pixels; its own shape by default.
    axes
        Names of the axes, for sources that do not name them themselves.

    Returns
    -------
    tuple of Item
        Each with its `source`, and the `parts` of it along each axis.

    Raises
    ------
    SourceNotFound
        When the source names no image.
    InvalidParameter, InvalidAxes
        When the axes or the window fit no image; an image that they do not fit among others that
        they do is an item of its own, which reports it when it is opened.
    """
    return tuple(each_item(source, Division(over, window, step, axes)))


def each_item(
    source: object,
    division: Division = WHOLE_IMAGES,
    *,
    excluded: Set[str] = frozenset(),
    recursive: bool = True,
    left_out: LeftOut | None = None,
) -> Iterator[Item]:
    """Yield the items of `items_of` as they are found, without waiting for all.

    Parameters
    ----------
    source
        See `items_of`, which also documents what is raised.
    division
        How images are divided.
    excluded
        Paths that are not items: earlier outputs of the batch.
    recursive
        Whether a folder includes the folders below it.
    left_out
        Counts the files that are no items.
    """
    images = discover(source, excluded=excluded, recursive=recursive, left_out=left_out)
    attempts = chain.from_iterable(_attempts(image, division) for image in images)
    for number, item in enumerate(_without_misfits(attempts)):
        yield replace(item, index=number)


_Attempt: TypeAlias = "tuple[Item, TilewiseError | None]"
"""An item, and the error if its image could not be divided."""


def _without_misfits(attempts: Iterable[_Attempt]) -> Iterator[Item]:
    """Yield the items; raise if the division fits none of the images."""
    pending: list[Item] | None = []
    misfit: tuple[Item, TilewiseError] | None = None
    for item, error in attempts:
        if isinstance(error, (InvalidAxes, InvalidParameter)):
            misfit = misfit or (item, error)
            item = replace(item, problem=error.marked)
        if pending is None:
            yield item
        elif error is None:  # from now on, an image that does not fit costs one row
            yield from (*pending, item)
            pending = None
        else:
            pending.append(item)
    if pending and misfit is not None:
        item, error = misfit
        raise type(error)(f"{item.input!r}: {error.marked}")
    yield from pending or ()


def _attempts(image: Discovered, division: Division) -> Iterator[_Attempt]:
    """Yield the items of an image: its parts, or itself if it cannot be divided."""
    names = tuple(str(axis).lower() for axis in division.axes or ())
    item = Item(0, image.stem, image.source, image.folder, None, names, image.fields, image.problem)
    if division.is_none or item.problem:
        yield item, None
        return
    try:
        parts = divide(open_image(item.source), division)
    except TilewiseError as error:
        yield item, error  # its task reports it, in its row
        return
    yield from ((_part(item, part), None) for part in parts)


def _part(item: Item, part: ImagePart) -> Item:
    stem = "_".join([item.stem, *(f"{name}{start}" for name, start in part.starts.items())])
    fields = {**item.fields, **part.fields}
    if not isinstance(item.source, np.ndarray):
        return replace(item, stem=stem, parts=part.parts, fields=fields, whole=item.stem)
    # A view: another process receives this part alone.
    key = tuple(slice(*(p or (None,))) if not isinstance(p, int) else p for p in part.parts)
    axes = of_remaining_axes(part.parts, item.axes) if item.axes else ()
    return replace(
        item, stem=stem, source=item.source[key], axes=axes, fields=fields, whole=item.stem
    )
