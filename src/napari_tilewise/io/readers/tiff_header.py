"""The header of a TIFF, read without building its pages: files with the same header open alike.

All that opening a file of one plain page tells, but its name and its pixels, follows from the bytes
of its header and its length: a batch builds the page of the first of them only. Files whose
metadata lie elsewhere as well are opened anew each time: those of several pages, of OME, of
microscopes. What only tells files apart is here too: the library that reads a TIFF is imported for
one.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.io.readers.checked_arrays import CheckedArray, CheckedMap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from napari_tilewise.io.image import Image
    from napari_tilewise.types import DType

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF and of a BigTIFF."""
SUFFIXES = (
    ".ome.tiff", ".ome.tif", ".ome.btf", ".ome.tf2", ".ome.tf8", ".tiff", ".tif", ".btf", ".tf2",
    ".tf8", ".lsm", ".stk", ".svs", ".ndpi", ".qptiff", ".scn", ".bif", ".zif",
)  # fmt: skip
"""Suffixes of files of this format."""
_DESCRIPTION = 270
"""The tag of a page's description, where OME keeps its metadata."""
_LONGEST = 2**16
"""Bytes of a description that is looked at here."""
_MOST_TAGS = 4096
_FIRST = 4096
"""Bytes at the start of a file that are read at once, in which the header of most files lies."""
MOST_ALIKE = 64
"""Headers that a process remembers."""
_PLAIN_TAGS = frozenset(
    {*range(254, 260), 262, 266, 269, 270, 271, 272, 273, 274, *range(277, 284), 284, 285, 286, 287}
    | {296, 297, 305, 306, 315, 316, 317, 320, 322, 323, 324, 325, 339, 33432}
)
"""Tags whose values are what they say, and no places of further metadata."""
_WIDTHS = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1)) | {13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a number of each type."""


class _Form(NamedTuple):
    """How numbers are stored: formats of `struct`, and the length of a tag in bytes."""

    page: int
    """Where the offset of the page stands."""
    offset: str
    count_format: str
    tag: str


_FORMS = {42: _Form(4, "I", "H", "HHII"), 43: _Form(8, "Q", "Q", "HHQQ")}
"""By the number in the second two bytes: TIFF and BigTIFF."""


def is_one_plain_page(path: Path) -> bool:
    """Return whether a TIFF has one page, and no metadata of OME; False where that is not clear.

    Parameters
    ----------
    path
        An existing file.
    """
    with path.open("rb") as file:
        try:
            return _is_plain(file)
        except (struct.error, ValueError, OSError):  # it ends, or points beyond any file
            return False


def _is_plain(file: BinaryIO) -> bool:
    start = file.read(4)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        return False
    form = _FORMS.get(struct.unpack(f"{order}H", start[2:])[0])
    if form is None:
        return False
    file.seek(form.page)
    file.seek(_number(file, order, form.offset))
    count = _number(file, order, form.count_format)
    if not 0 < count <= _MOST_TAGS:
        return False
    layout = struct.Struct(order + form.tag)
    tags = layout.iter_unpack(file.read(count * layout.size))
    next_page = _number(file, order, form.offset)
    return next_page == 0 and not any(
        tag == _DESCRIPTION and _may_be_ome(file, length, offset, layout.size)
        for tag, _, length, offset in tags
    )


def _number(file: BinaryIO, order: str, form: str) -> int:
    number = struct.Struct(order + form)
    (value,) = number.unpack(file.read(number.size))
    return int(value)


def _may_be_ome(file: BinaryIO, length: int, offset: int, tag_size: int) -> bool:
    """Return whether a description may be OME's: it is too long to look at, or names it."""
    if length <= (4 if tag_size == 12 else 8):
        return False  # so short that it stands in the tag itself
    if length > _LONGEST:
        return True
    file.seek(offset)
    return b"OME" in file.read(length)


def plain_header(path: Path) -> bytes | None:
    """Return what a TIFF of one plain page says of itself, and its length, as bytes.

    Files of the same bytes are alike in all but their pixels.

    Parameters
    ----------
    path
        An existing file.

    Returns
    -------
    bytes or None
        None where more than the tags of one page may tell what the file is.
    """
    with open(path, "rb", buffering=0) as file:
        try:
            return _header(_Start(file))
        except (struct.error, ValueError, OSError, KeyError, OverflowError):  # damaged, or unknown
            return None


class _Start:
    """A file whose first bytes are read at once.

    Parameters
    ----------
    file
        The file, open and unbuffered.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        self._first = file.read(_FIRST)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file; fewer where it ends."""
        if offset + length <= len(self._first):
            return self._first[offset : offset + length]
        self._file.seek(offset)
        return self._file.read(length)


def _header(file: _Start) -> bytes | None:
    start = file.read(0, 16)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    form = _FORMS[struct.unpack_from(f"{order}H", start, 2)[0]]
    count_format, offset_format = struct.Struct(order + form.count_format), order + form.offset
    (offset,) = struct.unpack_from(offset_format, start, form.page)
    (count,) = count_format.unpack(file.read(offset, count_format.size))
    if count > _MOST_TAGS:
        return None
    layout, width = struct.Struct(order + form.tag), struct.calcsize(offset_format)
    page = file.read(offset + count_format.size, count * layout.size + width)
    tags = list(layout.iter_unpack(page[:-width]))
    if len(tags) != count or any(page[-width:]):  # it ends, or there is a further page
        return None
    parts = [start, struct.pack("<QQ", file.size, offset), page]
    if sum(length for _, _, length, _ in tags) > _LONGEST:
        return None
    for tag, kind, length, place in tags:
        if tag not in _PLAIN_TAGS:
            return None
        if length * _WIDTHS[kind] > width:
            parts.append(file.read(place, length * _WIDTHS[kind]))
            if len(parts[-1]) < length * _WIDTHS[kind]:  # the file ends
                return None
            if tag == _DESCRIPTION and b"OME" in parts[-1]:
                return None
    return b"".join(parts)


class MappedPixels(NamedTuple):
    """Where the pixels of a file lie, one after another, and what they are shown as."""

    dtype: DType
    offset: int
    shape: tuple[int, ...]
    shown: Callable[[Any], Any]
    """Turns the numbers of the file into pixels."""
    reopen: Callable[[str, str], Callable[[], CheckedArray]]
    """Returns what opens the array in another process, from a path and a name."""
    is_one_file: bool
    """Whether no other file holds some of them."""

    def open(self, path: str, name: str) -> CheckedArray:
        """Return the pixels of a file, which are not read yet.

        Parameters
        ----------
        path
            An existing file.
        name
            The source, as the user named it.
        """
        pixels = np.memmap(path, self.dtype, "r", self.offset, self.shape)
        array = self.shown(CheckedMap(pixels))
        files = [path] if self.is_one_file else []
        return CheckedArray(array, name, reopen=self.reopen(path, name), files=files)


class _Alike(NamedTuple):
    image: Image
    """The first file with a header; its pixels are not those of the others."""
    pixels: MappedPixels


_alike: OrderedDict[bytes, _Alike] = OrderedDict()
_lock = threading.Lock()


def image_alike(header: bytes | None, path: Path, name: str) -> Image | None:
    """Return a file as an image; None where no file with its header was opened before.

    Parameters
    ----------
    header
        Its header; None where it does not tell all.
    path
        An existing file.
    name
        The source, as the user named it.
    """
    with _lock:
        alike = None if header is None else _alike.get(header)
    if alike is None:
        return None
    data = alike.pixels.open(str(path), name)
    return replace(alike.image, data=data, levels=(data,), name=name)


def remember_alike(header: bytes, image: Image, pixels: MappedPixels) -> None:
    """Let files with the same header open as an image.

    Parameters
    ----------
    header
        The header of its file.
    image
        The image.
    pixels
        Where its pixels lie.
    """
    array: Any = np.broadcast_to(np.zeros((), image.data.dtype), tuple(image.data.shape))
    image = replace(image, data=array, levels=(array,), name="")  # it holds no file open
    with _lock:
        _alike[header] = _Alike(image, pixels)
        while len(_alike) > MOST_ALIKE:
            _alike.popitem(last=False)
