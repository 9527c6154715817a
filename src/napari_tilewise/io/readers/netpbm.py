"""Reading PGM and PPM: values as they are stored, of any depth.

Pillow scales them to 8 or 16 bits, whatever the largest value is that the file declares.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_tilewise.errors import SourceUnreadable, SourceWarning
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.metadata.channels import RED_GREEN_BLUE
from napari_tilewise.io.readers.checked_arrays import (
    DECODE_ERRORS,
    CheckedArray,
    CheckedMap,
    check_length,
    read_error,
)

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = (b"P2", b"P3", b"P5", b"P6")
"""The first bytes of the files that are read here: grey and colours, as text and as bytes."""
_HEAD = 2**16
"""Bytes that a header with its comments may take."""
_FIELD = rb"(?:\s|#[^\n\r]*[\n\r])+(\d{1,9})"
_HEADER = re.compile(rb"P([2356])" + _FIELD * 3 + rb"(?:#[^\n\r]*)?\s")
_MOST = 65535
"""The largest value of the format."""
_CHUNK = 2**20
"""Values of a text that are read at a time."""


class _Header(NamedTuple):
    """What the beginning of a file says."""

    is_text: bool
    shape: tuple[int, ...]
    largest: int
    end: int

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The data type of the pixels as bytes."""
        return np.dtype(">u2" if self.largest > np.iinfo(np.uint8).max else np.uint8)


def open_netpbm(path: Path, name: str) -> Image:
    """Open a PGM or PPM; one of bytes is mapped, one of text is read whole.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.

    Raises
    ------
    SourceUnreadable
        When its header is damaged, or it ends before its pixels do.

    Warns
    -----
    SourceWarning
        When there is more after its first image.
    """
    header = _header(path, name)
    try:
        pixels = _open(path, name, header)
    except DECODE_ERRORS as exc:
        raise read_error(exc, name) from exc
    is_colour = len(header.shape) > 2
    image = bare(pixels, name, path.suffix.lstrip(".").lower() or "netpbm", "yxc"[: 2 + is_colour])
    return replace(image, channels=RED_GREEN_BLUE if is_colour else ())


def _header(path: Path, name: str) -> _Header:
    with path.open("rb") as file:
        match = _HEADER.match(file.read(_HEAD))
    width, height, largest = (0, 0, 0) if match is None else map(int, match.groups()[1:])
    if match is None or not (width and height and 0 < largest <= _MOST):
        raise SourceUnreadable(
            f"{name!r} has no header of a PGM or PPM; expected width, height and a largest value "
            f"of 1 to {_MOST}: restore it from its original."
        )
    kind = int(match[1])
    samples = (3,) if kind in (3, 6) else ()
    return _Header(kind < 5, (height, width, *samples), largest, match.end())


def _open(path: Path, name: str, header: _Header) -> CheckedArray:
    read = _of_text if header.is_text else _mapped
    return CheckedArray(read(path, name, header), name, reopen=partial(_open, path, name, header))


def _mapped(path: Path, name: str, header: _Header) -> CheckedMap:
    check_length(path, header.end + prod(header.shape) * header.dtype.itemsize)
    pixels = np.memmap(path, header.dtype, "r", header.end, header.shape)
    with path.open("rb") as file:
        file.seek(header.end + pixels.nbytes)
        _warn_of_more(file.read(_HEAD), name)
    return CheckedMap(pixels)


def _of_text(path: Path, name: str, header: _Header) -> np.ndarray:
    count = prod(header.shape)
    if count > path.stat().st_size:  # each value takes a digit and a space
        raise EOFError(f"the file is too short for {count} values")
    with path.open("rb") as file:
        file.seek(header.end)
        text = re.sub(rb"#[^\n\r]*", b"", file.read())
    pixels, number = np.empty(count, header.dtype), 0
    # A list of all of them would take many times as much as the text.
    while number < count and text:
        *numerals, text = text.split(None, min(_CHUNK, count - number))
        if len(numerals) < min(_CHUNK, count - number):
            numerals, text = [*numerals, text], b""
        pixels[number : number + len(numerals)] = np.array(numerals, header.dtype)
        number += len(numerals)
    if number < count:
        raise EOFError(f"the file has {number} of {count} values")
    _warn_of_more(text, name)
    return pixels.reshape(header.shape)


def _warn_of_more(rest: bytes, name: str) -> None:
    if rest.strip():
        warnings.warn(
            f"{name!r} goes on after its first image, and what follows is not read: write each "
            "image into a file of its own.",
            SourceWarning,
            stacklevel=2,
        )
