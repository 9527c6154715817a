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
from napari_tilewise.io.readers.tiff_promises import (
    end_of_pixels,
    files_cut_short,
    files_of_index,
    ome_text,
    planes_in_file,
    planes_of_ome,
    planes_of_series,
    promise_of_file,
    promise_of_gap,
)
from napari_tilewise.sizes import format_size, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    if not len(tiff.pages):
        _refuse_empty(tiff, name)
    _check_next_page(tiff, name)
    _check_smaller_levels(tiff, name)
    _check_description(tiff, name)


def _refuse_empty(tiff: tifffile.TiffFile, name: str) -> None:
    """Raise `SourceUnreadable` for a file without pages, or one cut off before its first."""
    size, file, form = tiff.filehandle.size, tiff.filehandle, tiff.tiff
    file.seek(form.offsetsize if form.is_bigtiff else 4)
    start = int.from_bytes(file.read(form.offsetsize), _order(tiff))
    if start >= size > form.offsetsize * 2:
        raise SourceUnreadable(
            f"{name!r} holds none of its pages and ends at {size} bytes, before its first "
            f"one, which would begin at {start}: expected the whole file. Copy it again from "
            "its original."
        )
    raise SourceUnreadable(
        f"{name!r} holds no page: expected a TIFF with an image. Copy it again from its original."
    )


def _check_next_page(tiff: tifffile.TiffFile, name: str) -> None:
    """Refuse a file that ends before a page that its last one names."""
    size, file, form = tiff.filehandle.size, tiff.filehandle, tiff.tiff
    last = tiff.pages[len(tiff.pages) - 1]
    file.seek(last.offset)
    count = int.from_bytes(file.read(form.tagnosize), _order(tiff))
    file.seek(last.offset + form.tagnosize + count * form.tagsize)
    following = int.from_bytes(file.read(form.offsetsize), _order(tiff))
    if following >= size:
        _refuse_short(tiff, name, following)
        whole = planes_in_file(tiff, 1)
        raise SourceUnreadable(
            f"{name!r} holds {plural(whole, 'whole page')} and ends at {size} bytes, before its "
            f"next page, which would begin at {following}: expected the whole file. Copy it again "
            "from its original."
        )


def _check_smaller_levels(tiff: tifffile.TiffFile, name: str) -> None:
    """Refuse a file that ends before a level of its pyramid."""
    size = tiff.filehandle.size
    for page in (tiff.pages.first, tiff.pages[len(tiff.pages) - 1]):
        if max(page.subifds or (0,)) >= size:
            raise SourceUnreadable(
                f"{name!r} ends at {size} bytes, before the smaller levels of its pyramid, of "
                f"which one would begin at {max(page.subifds or ())}: expected the whole file. "
                "Copy it again from its original."
            )


def _check_description(tiff: tifffile.TiffFile, name: str) -> None:
    """Refuse a file that ends before what its first page says of it."""
    size, file, first = tiff.filehandle.size, tiff.filehandle, tiff.pages.first
    file.seek(first.offset)
    number = int.from_bytes(file.read(tiff.tiff.tagnosize), _order(tiff))
    if number != len(first.tags) and _has_tag_behind(tiff, number, size):
        _refuse_short(tiff, name, size)
        pages = plural(len(tiff.pages), "page")
        raise SourceUnreadable(
            f"{name!r} holds {planes_in_file(tiff, 1)} of {pages} whole and ends at {size} bytes, "
            "before its own description: expected the whole file. Copy it again from its original."
        )


def _refuse_short(tiff: tifffile.TiffFile, name: str, following: int) -> None:
    """Raise `SourceUnreadable` with both numbers, if a cut file says how many planes it had."""
    promise = promise_of_file(tiff) or promise_of_gap(tiff, following)
    present = 0 if promise is None else planes_in_file(tiff, promise.planes)
    if promise is not None and present < promise.planes:
        raise _short(name, promise.text, promise.planes, present)


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
    """Raise `SourceUnreadable` if planes of a TIFF are said to be outside its folder.

    Parameters
    ----------
    tiff
        The file, open; its series were not asked for yet.
    name
        The source, as the user named it.
    """
    for file in _files_of_set(tiff):
        parts = PureWindowsPath(file)  # which knows both kinds of separators, and drives
        if parts.is_absolute() or parts.root or parts.drive or ".." in parts.parts:
            raise SourceUnreadable(
                f"{name!r} says that planes of it are in {file!r}, outside its folder; "
                "expected the files of its set next to it: put them there, and save it anew."
            )


def check_set(tiff: tifffile.TiffFile, name: str) -> None:
    """Raise `SourceUnreadable` if another file that a TIFF needs is missing or incomplete.

    Parameters
    ----------
    tiff
        The file, open; its series were not asked for yet.
    name
        The source, as the user named it.
    """
    check_folder(tiff, name)
    if tiff.is_ndtiff:
        _check_index(tiff, name)


def _files_of_set(tiff: tifffile.TiffFile) -> Iterator[str]:
    """Yield the names of the files that hold planes of a TIFF, as its metadata say."""
    if tiff.is_ome and tiff.ome_metadata:
        with suppress(ElementTree.ParseError):
            yield from file_names(ElementTree.fromstring(tiff.ome_metadata))
    if tiff.is_ndtiff:
        yield from dict.fromkeys(files_of_index(tiff))


def _check_index(tiff: tifffile.TiffFile, name: str) -> None:
    """Raise `SourceUnreadable` if the index of an NDTiff lacks pages, or lists a missing file."""
    files = list(files_of_index(tiff))
    for file in dict.fromkeys(files):
        if not (Path(tiff.filehandle.dirname) / file).exists():
            raise SourceUnreadable(
                f"{name!r} is part of an NDTiff set, and {file!r} is missing, with "
                f"{files.count(file)} of {plural(len(files), 'plane')}: put it next to it."
            )
    listed = files.count(tiff.filename)
    if listed < len(tiff.pages):
        raise SourceUnreadable(
            f"{name!r} has {plural(len(tiff.pages), 'page')}, of which its NDTiff.index lists "
            f"{listed}: expected all of them. Copy the index again from its original."
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
    if tiff.is_ome:
        with suppress(ElementTree.ParseError):
            root = ElementTree.fromstring(tiff.ome_metadata or "")
            images = root.findall("{*}Image/{*}Pixels")
            if number < len(images):
                _check_ome(tiff, images[number], number, name)
    _check_pixels(tiff, number, name)


def _check_ome(
    tiff: tifffile.TiffFile, pixels: ElementTree.Element, number: int, name: str
) -> None:
    series = tiff.series[number]
    missing = sum(page is None for page in series)
    files = _missing_files(tiff, pixels) if missing else []
    if files:
        raise SourceUnreadable(
            f"{name!r} is part of an OME-TIFF set, and {', '.join(map(repr, files[:3]))} "
            f"{'is' if len(files) == 1 else 'are'} missing, with {missing} of "
            f"{plural(len(series), 'plane')}: put {'it' if len(files) == 1 else 'them'} "
            "next to it."
        )
    plane = int(pixels.get("SizeY", 0)) * int(pixels.get("SizeX", 0))
    if not plane:
        return
    samples = max(1, series.keyframe.samplesperpixel)
    promised = planes_of_ome(pixels, samples)
    planes = prod(series.shape) // plane // samples - missing
    if planes < promised:
        raise _short(name, ome_text(pixels), promised, planes)


def _check_pixels(tiff: tifffile.TiffFile, number: int, name: str) -> None:
    """Raise `SourceUnreadable` if pixels of a series, or of a level, are missing."""
    for number_of_level, level in enumerate(tiff.series[number].levels):
        promised, present = planes_of_series(level)
        if present < promised:
            if promised == 1:
                raise _short_page(tiff, name, level.keyframe)
            promise = promise_of_file(tiff)
            text = f"its shape {tuple(map(int, level.shape))}"
            if level.is_multifile and (files := files_cut_short(level)):
                text += f"; cut short: {', '.join(map(repr, files[:3]))}"
            if number_of_level:
                text += f" of level {number_of_level}"
            elif promise is not None and promise.planes == promised and not level.is_multifile:
                text = promise.text
            raise _short(name, text, promised, present)


def _short(name: str, promise: str, promised: int, planes: int) -> SourceUnreadable:
    return SourceUnreadable(
        f"{name!r} holds {planes} of the {promised} planes that its metadata promise ({promise}): "
        "expected all of them. Copy it again from its original."
    )


def _short_page(tiff: tifffile.TiffFile, name: str, page: tifffile.TiffPage) -> SourceUnreadable:
    return SourceUnreadable(
        f"{name!r} is {tiff.filehandle.size} bytes long, its pixels end at byte "
        f"{end_of_pixels(page)}: expected the whole file. Copy it again from its original."
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
