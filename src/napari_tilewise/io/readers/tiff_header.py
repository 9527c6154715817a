"""The first bytes of a TIFF: whether it is one plain page, told without building its pages.

What only tells files apart is here too: the library that reads a TIFF is imported for one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

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
