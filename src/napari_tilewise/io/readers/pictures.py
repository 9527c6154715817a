"""PNG, JPEG and their like: read whole by Pillow; PNG is written row by row, and never a loss."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.image import KEY, Image, bare
from napari_tilewise.io.metadata.channels import of_samples
from napari_tilewise.io.readers.guarded import DECODE_ERRORS
from napari_tilewise.io.writers.staged_file import StagedFileWriter, followed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.engine.session import Session

LARGEST = 2**28 // 3
"""Most pixels of a PNG: Pillow, and so most programs, distrust a larger one."""

_PNG = b"\x89PNG\r\n\x1a\n"
_COLORS = {1: 0, 3: 2, 4: 6}  # PNG's number for grey, RGB, RGBA


def open_picture(path: Path, name: str, expected: str) -> Image:
    """Open a picture: it is read at once, as these formats can only be.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    expected
        The formats known, for the message.
    """
    import imageio.v3 as iio
    from PIL.Image import DecompressionBombError

    _refuse_deep_colour(path, name)
    try:
        data = np.asarray(iio.imread(path, plugin="pillow"))
    except (*DECODE_ERRORS, DecompressionBombError) as exc:
        why = str(exc).partition("\n")[0]
        raise SourceUnreadable(
            f"{name!r} cannot be read as an image ({type(exc).__name__}: {why}); "
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
    if start.startswith(_PNG) and len(start) == 26 and start[24] == 16 and start[25] != 0:
        raise SourceUnreadable(
            f"{name!r} is a PNG of 16-bit colours, which cannot be read in full; expected 8 bits "
            "a colour, or 16-bit grey: convert it to TIFF."
        )


class PngWriter(StagedFileWriter):
    """Writes ``.png``: one grey plane of 8 or 16 bits, or 8-bit colour."""

    format = "a PNG"

    def check(self) -> None:
        """Refuse all but one plane that fits."""
        instead = "write NAME.ome.tif or NAME.ome.zarr"
        lengths = dict(zip(self.axes, self.shape, strict=True))
        samples = lengths.pop("c", 1)
        planes = [n for axis, n in lengths.items() if axis not in "yx"]
        if not {"y", "x"} <= set(lengths) or any(n > 1 for n in planes) or samples not in _COLORS:
            raise self.refuse("it holds one plane, grey or with three or four colours", instead)
        if self.dtype.name not in {"bool", "uint8"} and (self.dtype != np.uint16 or samples != 1):
            step = ", or convert first (util.img_as_ubyte)"
            raise self.refuse("it holds uint8, and uint16 where it is grey", instead + step)
        if lengths["y"] * lengths["x"] > LARGEST:
            raise self.refuse(f"most programs open up to {LARGEST} pixels of one", instead)

    def pour(self, path: Path, session: Session | None) -> None:
        """Write the file, a row of chunks at a time.

        Parameters
        ----------
        path
            The file.
        session
            Whom to tell of progress, and who may cancel.
        """
        lengths = dict(zip(self.stored_axes, self.levels[0].shape, strict=True))
        depth = 16 if self.dtype == np.uint16 else 8
        color = _COLORS[lengths.get("c", 1)]
        header = struct.pack(">IIBBBBB", lengths["x"], lengths["y"], depth, color, 0, 0, 0)
        text = json.dumps(self.record).encode("utf-8")
        with path.open("wb") as file:
            file.write(_PNG)
            _chunk(file, b"IHDR", header)
            _chunk(file, b"iTXt", KEY.encode() + b"\0\0\0\0\0" + text)
            packer = zlib.compressobj(6)
            for rows in self._bands(lengths["y"], session):
                _chunk(file, b"IDAT", packer.compress(rows))
            _chunk(file, b"IDAT", packer.flush())
            _chunk(file, b"IEND", b"")

    def _bands(self, height: int, session: Session | None) -> Iterator[bytes]:
        """Yield the rows of PNG, each behind the number of its filter."""
        level = self.levels[0]
        step = level.chunks[self.stored_axes.index("y")]
        starts = range(0, height, step)
        axes = [axis for axis in "yxc" if axis in self.stored_axes]
        for start in followed(session, f"writing {self.path.name}", starts, len(starts)):
            where = tuple(
                slice(start, start + step) if axis == "y" else slice(None)
                for axis in self.stored_axes
            )
            block = np.asarray(level[where])
            others = [axis for axis in self.stored_axes if axis not in axes]
            block = self.moved(block, [*others, *axes])
            yield _filtered(block.reshape(block.shape[len(others) :]))


def _filtered(rows: np.ndarray[Any, Any]) -> bytes:
    """Return rows as differences of neighbouring pixels (filter 1), which compress better."""
    deep = rows.astype(">u2" if rows.dtype == np.uint16 else np.uint8)
    pixels = np.ascontiguousarray(deep).reshape(*rows.shape[:2], -1).view(np.uint8)
    left = np.zeros_like(pixels)
    left[:, 1:] = pixels[:, :-1]
    flat = (pixels - left).reshape(len(rows), -1)
    return np.concatenate([np.ones((len(rows), 1), np.uint8), flat], axis=1).tobytes()


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    crc = zlib.crc32(data, zlib.crc32(kind))
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))


def read_text(path: Path) -> str | None:
    """Return what a PNG that this package wrote says of its making.

    Parameters
    ----------
    path
        An existing file.
    """
    with path.open("rb") as file:
        if file.read(len(_PNG)) != _PNG:
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
