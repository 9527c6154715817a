"""What a TIFF promises is compared with what is there: a copy that was interrupted is refused.

A stack whose end is missing would otherwise be read as its first planes, and planes of a file that
is missing from an OME-TIFF set as black.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from math import prod
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO, Literal
from xml.etree import ElementTree

import tifffile

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIZES = ("SizeT", "SizeC", "SizeZ")
PLACES = {273, 279, 324, 325}
"""Codes of the tags that list where strips or tiles are, and their lengths."""
MOST_PLACES, PER_PLACE, MOST_TAGS = 2**22, 80, 2**12
"""Strips or tiles of a page, bytes of memory that one takes, and tags that are looked at."""


def check_places(path: Path, name: str) -> None:
    """Raise `SourceUnreadable` if the list of the first page's strips or tiles would fill memory.

    tifffile reads the whole list when it opens a file, as Python's integers.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    """
    with path.open("rb") as file:
        count = max(_counts_of_places(file), default=0)
    if count > MOST_PLACES:
        raise SourceUnreadable(
            f"{name!r} is stored in {count} strips or tiles, whose list alone takes "
            f"{format_size(PER_PLACE * count)} of memory: expected at most {MOST_PLACES}. Convert "
            "it to one with larger tiles, or to an OME-Zarr, with the program that wrote it."
        )


def _counts_of_places(file: BinaryIO) -> Iterator[int]:
    """Yield how many strips or tiles each tag of the first page lists."""
    magic = file.read(4)
    order: Literal["little", "big"] = "little" if magic[:2] == b"II" else "big"
    is_big = 43 in magic[2:]  # BigTIFF

    def number(length: int) -> int:
        return int.from_bytes(file.read(length), order)

    file.seek(8 if is_big else 4)
    file.seek(number(8 if is_big else 4))
    for _ in range(min(number(8 if is_big else 2), MOST_TAGS)):
        code, _kind, count = number(2), number(2), number(8 if is_big else 4)
        file.seek(8 if is_big else 4, os.SEEK_CUR)
        if code in PLACES:
            yield count


def check_end(tiff: tifffile.TiffFile, name: str) -> None:
    """Raise `SourceUnreadable` if the pages go on behind the end of the file.

    Parameters
    ----------
    tiff
        The file, open.
    name
        The source, as the user named it.
    """
    size, file = tiff.filehandle.size, tiff.filehandle
    form, pages = tiff.tiff, tiff.pages
    if not len(pages):
        raise SourceUnreadable(
            f"{name!r} holds no page: expected a TIFF with an image. Copy it again from its "
            "original."
        )
    last = pages[len(pages) - 1]
    file.seek(last.offset)
    count = int.from_bytes(file.read(form.tagnosize), _order(tiff))
    file.seek(last.offset + form.tagnosize + count * form.tagsize)
    following = int.from_bytes(file.read(form.offsetsize), _order(tiff))
    if following >= size:
        raise SourceUnreadable(
            f"{name!r} ends after {plural(len(pages), 'page')}, at {size} bytes, and the next page "
            f"would begin at {following}: expected the whole file. Copy it again from its original."
        )
    first = tiff.pages.first
    file.seek(first.offset)
    number = int.from_bytes(file.read(form.tagnosize), _order(tiff))
    if number != len(first.tags) and _has_tag_behind(tiff, number, size):
        raise SourceUnreadable(
            f"{name!r} ends at {size} bytes, before its own description: expected the whole file. "
            "Copy it again from its original."
        )


def _order(tiff: tifffile.TiffFile) -> Literal["little", "big"]:
    return "little" if tiff.byteorder == "<" else "big"


def _has_tag_behind(tiff: tifffile.TiffFile, number: int, size: int) -> bool:
    """Return whether the value of a tag of the first page lies behind the end of the file."""
    form, file = tiff.tiff, tiff.filehandle
    file.seek(tiff.pages.first.offset + form.tagnosize)
    data = file.read(number * form.tagsize)
    for start in range(0, len(data), form.tagsize):
        tag = data[start : start + form.tagsize]
        with suppress(ValueError, KeyError):
            kind = int.from_bytes(tag[2:4], _order(tiff))
            width = tifffile.TIFF.DATA_FORMATS[kind]
            count = int.from_bytes(tag[4 : 4 + form.offsetsize], _order(tiff))
            length = count * struct.calcsize(f"<{width}")
            value = int.from_bytes(tag[4 + form.offsetsize :], _order(tiff))
            if length > form.offsetsize and value + length > size:
                return True
    return False


def check_folder(tiff: tifffile.TiffFile, name: str) -> None:
    """Raise `SourceUnreadable` if the planes of an OME-TIFF are said to be outside its folder.

    Parameters
    ----------
    tiff
        The file, open; its series were not asked for yet.
    name
        The source, as the user named it.
    """
    if not tiff.is_ome or not tiff.ome_metadata:
        return
    with suppress(ElementTree.ParseError):
        for file in file_names(ElementTree.fromstring(tiff.ome_metadata)):
            parts = PureWindowsPath(file)  # which knows both kinds of separators, and drives
            if parts.is_absolute() or parts.root or parts.drive or ".." in parts.parts:
                raise SourceUnreadable(
                    f"{name!r} says that planes of it are in {file!r}, outside its folder; "
                    "expected the files of its set next to it: put them there, and save it anew."
                )


def check_planes(tiff: tifffile.TiffFile, number: int, name: str) -> None:
    """Raise `SourceUnreadable` if a series has fewer planes than the file's metadata promise.

    Parameters
    ----------
    tiff
        The file, open.
    number
        The series.
    name
        The source, as the user named it.
    """
    series = tiff.series[number]
    if tiff.is_imagej and not tiff.is_ome and number == 0:
        promised = int((tiff.imagej_metadata or {}).get("images", 1))
        planes = prod(series.shape) // max(1, prod(tiff.pages.first.shape))
        if planes < promised:
            raise _short(name, f"ImageJ's images={promised}", promised, planes)
    if not tiff.is_ome:
        return
    with suppress(ElementTree.ParseError):
        root = ElementTree.fromstring(tiff.ome_metadata or "")
        images = root.findall("{*}Image/{*}Pixels")
        if number < len(images):
            _check_ome(tiff, series.shape, images[number], number, name)


def _check_ome(
    tiff: tifffile.TiffFile,
    shape: Sequence[int],
    pixels: ElementTree.Element,
    number: int,
    name: str,
) -> None:
    series = tiff.series[number]
    sizes = {size: int(pixels.get(size, 1)) for size in _SIZES}
    plane = int(pixels.get("SizeY", 0)) * int(pixels.get("SizeX", 0))
    promised, planes = prod(sizes.values()), prod(shape) // plane if plane else 0
    missing = sum(page is None for page in series.pages)
    if missing:
        files = _missing_files(tiff, pixels)
        if files:
            raise SourceUnreadable(
                f"{name!r} is part of an OME-TIFF set, and {', '.join(map(repr, files[:3]))} "
                f"{'is' if len(files) == 1 else 'are'} missing, with {missing} of "
                f"{plural(len(series.pages), 'plane')}: put {'it' if len(files) == 1 else 'them'} "
                "next to it."
            )
        raise _short(name, _text(sizes), promised, promised - missing)
    if plane and planes < promised:
        raise _short(name, _text(sizes), promised, planes)


def _text(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def _short(name: str, promise: str, promised: int, planes: int) -> SourceUnreadable:
    return SourceUnreadable(
        f"{name!r} holds {planes} of the {promised} planes that its metadata promise ({promise}): "
        "expected all of them. Copy it again from its original."
    )


def _missing_files(tiff: tifffile.TiffFile, pixels: ElementTree.Element) -> list[str]:
    """Return the names of the files of a set that are not next to this one."""
    names = dict.fromkeys(file_names(pixels))
    folder = Path(tiff.filehandle.dirname)
    return [name for name in names if not (folder / name).exists()]


def file_names(element: ElementTree.Element) -> list[str]:
    """Return the names of the files that hold the planes of OME metadata.

    Parameters
    ----------
    element
        Any element above TiffData.
    """
    uuids = element.iterfind(".//{*}TiffData/{*}UUID")
    return [name for uuid in uuids if (name := uuid.get("FileName"))]
