"""Reading PNG, JPEG and similar pictures, which Pillow reads whole."""

from __future__ import annotations

import re
import struct
import threading
from dataclasses import replace
from functools import partial
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.image import KEY, Image, bare
from napari_tilewise.io.metadata.channels import (
    ALPHA,
    GRAY,
    INKS,
    LUMA_CHROMA,
    RED_GREEN_BLUE,
    Channel,
)
from napari_tilewise.io.readers.checked_arrays import DECODE_ERRORS, CheckedArray

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIXES = (
    ".png", ".jpeg", ".jpg", ".bmp", ".gif", ".webp", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm",
    ".pnm", ".avif", ".tga",
)  # fmt: skip
"""Suffixes of pictures that Pillow reads."""
_MODES: Mapping[str, tuple[Channel, ...]] = MappingProxyType(
    {
        "RGB": RED_GREEN_BLUE,
        "RGBA": (*RED_GREEN_BLUE, ALPHA),
        "LA": (GRAY, ALPHA),
        "CMYK": INKS,
        "YCbCr": LUMA_CHROMA,
        "HSV": (Channel("Hue"), Channel("Saturation"), Channel("Value")),
        "LAB": (Channel("L"), Channel("a"), Channel("b")),
    }
)
"""The samples of a pixel in each of Pillow's modes that have several."""
_PALETTES = {"P", "PA"}
_PLAIN = {"L", "LA", "RGB", "RGBA", "I;16"}
"""The modes whose pixels are read as they are stored."""
_ANIMATED = {"image/gif", "image/apng"}
LARGE = 2**24
"""Bytes of pixels from which on a picture is decoded only when it is read."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""


def open_picture(path: Path, name: str, expected: str, *, decodes: bool = True) -> Image:
    """Open a picture, which these formats allow to read only as a whole.

    A large one is decoded when its first pixel is read, so that a plan can say what that takes.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    expected
        The formats that can be read, for the message.
    decodes
        Whether a small one is decoded now; else only what its header says is read.
    """
    import imageio.v3 as iio
    from PIL import Image as pillow

    _refuse_depth(path, name)
    data: np.ndarray | CheckedArray
    try:
        with pillow.open(path) as picture:
            mode, is_animated = picture.mode, picture.get_format_mimetype() in _ANIMATED
            undecoded = _Undecoded(path, mode)
        is_large = undecoded.nbytes > LARGE and mode in _PLAIN and not is_animated
        if decodes and not is_large:
            data = np.asarray(iio.imread(path, plugin="pillow"))
        else:
            data = CheckedArray(undecoded, name, reopen=partial(_reopened, path, name, mode))
    except (*DECODE_ERRORS, pillow.DecompressionBombError) as exc:
        reason = str(exc).partition("\n")[0]
        raise SourceUnreadable(
            f"{name!r} cannot be read as an image ({type(exc).__name__}: {reason}); "
            f"expected one of {expected}: convert it, or restore it from its original."
        ) from exc
    samples = () if data.ndim < 3 else _samples(mode, data.shape[-1])
    axes = "q" * (data.ndim - 2 - bool(samples)) + "yx" + "c" * bool(samples)
    image = bare(data, name, path.suffix.lstrip(".").lower() or "picture", tuple(axes))
    return replace(image, channels=samples)


class _Undecoded:
    """A picture that is decoded, whole, when its first pixel is read."""

    def __init__(self, path: Path, mode: str) -> None:
        import imageio.v3 as iio

        header = iio.improps(path, plugin="pillow")
        self.shape: tuple[int, ...] = header.shape
        # Pillow calls 16 bits of grey in a PNG so, and imageio reads them as what they are.
        self.dtype = np.dtype(np.uint16 if mode == "I" and _is_png(path) else header.dtype)
        self.nbytes = prod(self.shape) * self.dtype.itemsize
        # Pillow has a pixel of several samples in four bytes, and hands out a copy.
        of_pillow = prod(self.shape[:2]) * (4 if len(self.shape) > 2 else self.dtype.itemsize)
        self._needed = self.nbytes + of_pillow
        self._path = path
        self._lock = threading.Lock()
        self._pixels: np.ndarray | None = None

    @property
    def undecoded_bytes(self) -> int:
        """What decoding takes; 0 once that is done."""
        return self._needed if self._pixels is None else 0

    def __getitem__(self, key: Any) -> np.ndarray:
        import imageio.v3 as iio

        with self._lock:
            if self._pixels is None:
                pixels = iio.imread(self._path, plugin="pillow", writeable_output=False)
                if (pixels.shape, pixels.dtype) != (self.shape, self.dtype):
                    raise ValueError(
                        f"its header says {self.shape} {self.dtype}, its pixels are "
                        f"{pixels.shape} {pixels.dtype}"
                    )
                self._pixels = pixels
        return np.asarray(self._pixels[key])


def _reopened(path: Path, name: str, mode: str) -> CheckedArray:
    reopen = partial(_reopened, path, name, mode)
    return CheckedArray(_Undecoded(path, mode), name, reopen=reopen)


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE


def _samples(mode: str, count: int) -> tuple[Channel, ...]:
    """Return what the samples of a pixel are, by Pillow's name of the mode; empty: grey frames."""
    if mode in _PALETTES:  # read as the colours
        return (*RED_GREEN_BLUE, ALPHA)[:count]
    samples = _MODES.get(mode, ())
    return samples if len(samples) == count else ()


def _refuse_depth(path: Path, name: str) -> None:
    """Refuse colours of more than 8 bits, of which Pillow would silently drop the others."""
    with path.open("rb") as file:
        start = file.read(4096)
    bits = next((bits for depth in (_png, _pnm, _jpeg_2000, _avif) if (bits := depth(start))), 8)
    if bits > 8:
        kind = path.suffix.lstrip(".").upper() or "picture"
        raise SourceUnreadable(
            f"{name!r} is a {kind} of {bits}-bit colours, which cannot be read in full; expected 8 "
            "bits a colour, or grey: convert it to TIFF."
        )


def _png(start: bytes) -> int | None:
    """Return the bits of a colour of a PNG; None for other files and for grey."""
    is_png = start.startswith(PNG_SIGNATURE) and len(start) >= 26
    return start[24] if is_png and start[25] != 0 else None


def _pnm(start: bytes) -> int | None:
    """Return the bits of a colour of a PPM; None for other files and for grey."""
    head = re.match(rb"P6\s+(?:#[^\n]*\n\s*)*\d+\s+\d+\s+(\d+)\s", start)
    return None if head is None else int(head[1]).bit_length()


def _jpeg_2000(start: bytes) -> int | None:
    """Return the bits of a colour of a JPEG 2000; None for other files and for grey."""
    position = start.find(b"\xff\x4f\xff\x51")
    if position < 0 or len(start) < position + 43:
        return None
    (components,) = struct.unpack_from(">H", start, position + 40)
    return (start[position + 42] & 0x7F) + 1 if components > 1 else None


def _avif(start: bytes) -> int | None:
    """Return the bits of a sample of an AVIF; None for other files."""
    position = start.find(b"av1C")
    if start[4:8] != b"ftyp" or position < 0 or len(start) < position + 7:
        return None
    flags = start[position + 6]
    return 12 if flags & 0x20 else 10 if flags & 0x40 else 8


def read_text(path: Path) -> str | None:
    """Return the record, as JSON text, of a PNG that this package wrote; None where there is none.

    Parameters
    ----------
    path
        An existing file.
    """
    with path.open("rb") as file:
        if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            return None
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IDAT":
                return None
            data = file.read(length)
            file.seek(4, 1)
            if kind == b"iTXt" and data.startswith(KEY.encode() + b"\0\0\0\0\0"):
                return data[len(KEY) + 5 :].decode("utf-8", "replace")
    return None
