"""Reading PNG, JPEG and similar pictures, which Pillow reads whole."""

from __future__ import annotations

import struct
import threading
import warnings
from dataclasses import replace
from functools import partial
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.errors import SourceUnreadable, SourceWarning
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

    from PIL.Image import Image as Picture

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
_ANIMATED = {"GIF", "PNG", "WEBP", "AVIF"}
"""Pillow's formats whose frames are one image over time, all of one size."""
LARGE = 2**24
"""Bytes of pixels from which on a picture is decoded only when it is read."""
_PNG_COLOURS = {2, 4, 6}
"""PNG's numbers for colours, grey with alpha and colours with alpha."""
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
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
            content = _content(picture, name)
        undecoded = _Undecoded(path, content)
        is_large = undecoded.nbytes > LARGE and content.mode in _PLAIN and content.frames == 1
        if decodes and not is_large:
            data = np.asarray(iio.imread(path, plugin="pillow", **content.options))
        else:
            data = _checked(undecoded, path, name, content)
    except (*DECODE_ERRORS, pillow.DecompressionBombError) as exc:
        reason = str(exc).partition("\n")[0]
        if _is_cut(exc):
            raise SourceUnreadable(
                f"{name!r} ends before its pixels do, after {path.stat().st_size} bytes: "
                f"expected the whole file ({reason}). Copy it again from its original."
            ) from exc
        raise SourceUnreadable(
            f"{name!r} cannot be read as an image ({type(exc).__name__}: {reason}); "
            f"expected one of {expected}: convert it, or restore it from its original."
        ) from exc
    samples = () if data.ndim < 3 else _samples(content.mode, data.shape[-1])
    axes = "q" * (data.ndim - 2 - bool(samples)) + "yx" + "c" * bool(samples)
    image = bare(data, name, path.suffix.lstrip(".").lower() or "picture", tuple(axes))
    return replace(image, channels=samples)


def _is_cut(exc: Exception) -> bool:
    """Return whether Pillow says that a file ends too early."""
    return "truncated" in str(exc).lower()


class _Content(NamedTuple):
    """What a picture holds."""

    mode: str
    """Pillow's name of what a pixel is."""
    frames: int
    """Number of frames that are read."""
    converted: str | None
    """The mode into which it is converted; None: it is read as it is stored."""

    @property
    def options(self) -> dict[str, Any]:
        """How it is decoded: one frame as a plane, and a palette as its colours, alpha too."""
        options: dict[str, Any] = {"index": ... if self.frames > 1 else 0}
        return options if self.converted is None else {**options, "mode": self.converted}


def _content(picture: Picture, name: str) -> _Content:
    count = getattr(picture, "n_frames", 1)
    is_animated = picture.format in _ANIMATED
    if count > 1 and not is_animated:
        warnings.warn(
            f"{name!r} holds {count} pictures, of which the first is read: write each into a file "
            "of its own.",
            SourceWarning,
            stacklevel=3,
        )
    frames = count if is_animated else 1
    if frames > 1:
        converted = _common_mode(picture)
    else:
        is_cleared = picture.mode == "P" and "transparency" in picture.info
        converted = "RGBA" if is_cleared else None
    return _Content(converted or picture.mode, frames, converted)


class _Undecoded:
    """A picture that is decoded, whole, when its first pixel is read."""

    def __init__(self, path: Path, content: _Content) -> None:
        import imageio.v3 as iio

        header = iio.improps(path, plugin="pillow", index=content.options["index"])
        self.shape: tuple[int, ...] = header.shape
        if content.converted is not None:
            planes = header.shape[: 2 + (content.frames > 1)]
            self.shape = (*planes, len(content.converted))
        # Pillow calls 16 bits of grey in a PNG so, and imageio reads them as what they are.
        is_deep = content.mode == "I" and _is_png(path)
        self.dtype = np.dtype(np.uint16 if is_deep else header.dtype)
        self.nbytes = prod(self.shape) * self.dtype.itemsize
        # Pillow has a pixel of several samples in four bytes, and hands out a copy.
        of_pillow = prod(self.shape[:2]) * (4 if len(self.shape) > 2 else self.dtype.itemsize)
        self._needed = self.nbytes + of_pillow
        self._path, self._options = path, content.options
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
                options = self._options | {"writeable_output": False}
                pixels = iio.imread(self._path, plugin="pillow", **options)
                if (pixels.shape, pixels.dtype) != (self.shape, self.dtype):
                    raise ValueError(
                        f"its header says {self.shape} {self.dtype}, its pixels are "
                        f"{pixels.shape} {pixels.dtype}"
                    )
                self._pixels = pixels
        return np.asarray(self._pixels[key])


def _checked(undecoded: _Undecoded, path: Path, name: str, content: _Content) -> CheckedArray:
    reopen = partial(_reopened, path, name, content)
    return CheckedArray(undecoded, name, reopen=reopen, files=[str(path)])


def _reopened(path: Path, name: str, content: _Content) -> CheckedArray:
    return _checked(_Undecoded(path, content), path, name, content)


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE


def _common_mode(picture: Picture) -> str | None:
    """Return the mode that holds the frames of a GIF, which may change theirs; None: the first's.

    Pillow gives frames after the first as colours, with alpha where some pixels are transparent.
    """
    from PIL import ImageSequence

    if picture.format != "GIF":
        return None
    modes = {_colour_mode(frame) for frame in ImageSequence.Iterator(picture)}
    picture.seek(0)
    if "RGBA" in modes:
        return "RGBA"
    return "RGB" if len(modes) > 1 else None


def _colour_mode(frame: Picture) -> str:
    if frame.mode != "P":
        return frame.mode
    return "RGBA" if "transparency" in frame.info else "RGB"


def _samples(mode: str, count: int) -> tuple[Channel, ...]:
    """Return what the samples of a pixel are, by Pillow's name of the mode; empty: grey frames."""
    if mode in _PALETTES:  # read as the colours
        return (*RED_GREEN_BLUE, ALPHA)[:count]
    samples = _MODES.get(mode, ())
    return samples if len(samples) == count else ()


def _refuse_depth(path: Path, name: str) -> None:
    """Refuse values that Pillow would silently cut to 8 bits, or scale."""
    with path.open("rb") as file:
        start = file.read(4096)
    bits = next((bits for depth in (_png, _jpeg_2000, _avif) if (bits := depth(start))), 8)
    if bits != 8:
        kind = path.suffix.lstrip(".").upper() or "picture"
        raise SourceUnreadable(
            f"{name!r} is {'an' if kind[0] in 'AEIOU' else 'a'} {kind} of {bits}-bit values, "
            "which cannot be read as they are; expected 8 bits, or 16 bits of grey: convert it to "
            "TIFF."
        )


def _png(start: bytes) -> int | None:
    """Return the bits of a colour of a PNG; None for other files, for palettes and for grey."""
    is_png = start.startswith(PNG_SIGNATURE) and len(start) >= 26
    return start[24] if is_png and start[25] in _PNG_COLOURS else None


def _jpeg_2000(start: bytes) -> int | None:
    """Return the bits of a sample of a JPEG 2000; None for other files and for 16 bits of grey."""
    position = start.find(b"\xff\x4f\xff\x51")
    if not (position == 0 or start.startswith(_JP2_SIGNATURE)):
        return None  # these bytes are also those of two pixels of grey with alpha
    if position < 0 or len(start) < position + 43:
        return None
    (components,) = struct.unpack_from(">H", start, position + 40)
    bits = (start[position + 42] & 0x7F) + 1
    return None if components == 1 and bits == 16 else bits


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
