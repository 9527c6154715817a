"""Reading PNG, JPEG and similar pictures, which Pillow reads whole."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.image import KEY, Image, bare
from napari_tilewise.io.metadata.channels import of_samples
from napari_tilewise.io.readers.checked_arrays import DECODE_ERRORS

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (
    ".png", ".jpeg", ".jpg", ".bmp", ".gif", ".webp", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm",
    ".pnm", ".avif", ".tga",
)  # fmt: skip
"""Suffixes of pictures that Pillow reads."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""


def open_picture(path: Path, name: str, expected: str) -> Image:
    """Open a picture, which these formats allow to read only as a whole.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    expected
        The formats that can be read, for the message.
    """
    import imageio.v3 as iio
    from PIL.Image import DecompressionBombError

    _refuse_deep_colour(path, name)
    try:
        data = np.asarray(iio.imread(path, plugin="pillow"))
    except (*DECODE_ERRORS, DecompressionBombError) as exc:
        reason = str(exc).partition("\n")[0]
        raise SourceUnreadable(
            f"{name!r} cannot be read as an image ({type(exc).__name__}: {reason}); "
            f"expected one of {expected}: convert it, or restore it from its original."
        ) from exc
    is_color = data.ndim > 2 and data.shape[-1] in {3, 4}
    axes = "q" * (data.ndim - 2 - is_color) + "yx" + "c" * is_color
    image = bare(data, name, path.suffix.lstrip(".").lower() or "picture", tuple(axes))
    return replace(image, channels=of_samples(data.shape[-1]) if is_color else ())


def _refuse_deep_colour(path: Path, name: str) -> None:
    """Refuse a PNG of 16-bit colours, of which Pillow would silently drop 8 bits."""
    with path.open("rb") as file:
        start = file.read(26)
    if start.startswith(PNG_SIGNATURE) and len(start) == 26 and start[24] == 16 and start[25] != 0:
        raise SourceUnreadable(
            f"{name!r} is a PNG of 16-bit colours, which cannot be read in full; expected 8 bits "
            "a colour, or 16-bit grey: convert it to TIFF."
        )


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
