"""Writing PNG row by row, without loss: one grey plane or one colour picture."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.channels import are_samples, count_of, tidy
from napari_tilewise.io.readers.pictures import PNG_SIGNATURE
from napari_tilewise.io.writers.staged_file import StagedFileWriter, reported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.types import Array

LARGEST = 2**28 // 3
"""Most pixels of a PNG: Pillow, and so most programs, refuse a larger one."""

_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's number for grey, grey with alpha, RGB, RGBA
_EXPECTED = "it holds one plane, grey or with three or four colours"


class PngWriter(StagedFileWriter):
    """Writes ``.png``: one grey plane of 8 or 16 bits, or 8-bit colour."""

    format = "a PNG"

    def check_image(self, image: ImageMetadata) -> tuple[str, ...]:
        """Return the image's axes; refuse channels that would become other colours.

        Parameters
        ----------
        image
            The image.
        """
        axes = super().check_image(image)
        count = count_of(axes, self.shape)
        channels = tidy(image.channels, count)
        is_grey = [(channel.name or "").lower() for channel in channels] == ["gray", "alpha"]
        if count == 2 and not is_grey:
            raise self.refuse(_EXPECTED, self.other_formats)
        if len(channels) > 1 and not is_grey and not are_samples(channels):
            names = ", ".join(repr(channel.name) for channel in channels)
            colours = "it holds red, green, blue and alpha"
            raise self.refuse(f"{colours}, the channels are {names}", self.other_formats)
        return axes

    def check_format(self, axes: tuple[str, ...]) -> None:
        """Refuse all but one plane that fits.

        Parameters
        ----------
        axes
            One letter per axis of the image.
        """
        remedy = self.other_formats
        lengths = dict(zip(axes, self.shape, strict=True))
        samples = lengths.pop("c", 1)
        planes = [n for axis, n in lengths.items() if axis not in "yx"]
        if not {"y", "x"} <= set(lengths) or any(n > 1 for n in planes) or samples not in _COLORS:
            raise self.refuse(_EXPECTED, remedy)
        if self.dtype.name not in {"bool", "uint8"} and (self.dtype != np.uint16 or samples != 1):
            step = ", or convert first (util.img_as_ubyte)"
            raise self.refuse("it holds uint8, and uint16 where it is grey", remedy + step)
        if lengths["y"] * lengths["x"] > LARGEST:
            raise self.refuse(f"most programs open up to {LARGEST} pixels of one", remedy)

    def write_file(self, path: Path, session: Session | None) -> None:
        """Write the file, a row of chunks at a time.

        Parameters
        ----------
        path
            The file.
        session
            Gets the events, and may pause or cancel.
        """
        lengths = dict(zip(self.stored_axes, self.levels[0].shape, strict=True))
        depth = 16 if self.dtype == np.uint16 else 8
        color = _COLORS[lengths.get("c", 1)]
        header = struct.pack(">IIBBBBB", lengths["x"], lengths["y"], depth, color, 0, 0, 0)
        text = json.dumps(self.record).encode("utf-8")
        with path.open("wb") as file:
            file.write(PNG_SIGNATURE)
            _chunk(file, b"IHDR", header)
            _chunk(file, b"iTXt", KEY.encode() + b"\0\0\0\0\0" + text)
            packer = zlib.compressobj(6)
            for rows in self._bands(lengths["y"], session):
                _chunk(file, b"IDAT", packer.compress(rows))
            _chunk(file, b"IDAT", packer.flush())
            _chunk(file, b"IEND", b"")

    def _bands(self, height: int, session: Session | None) -> Iterator[bytes]:
        """Yield the rows of PNG, each after the number of its filter."""
        level = self.levels[0]
        step = level.chunks[self.stored_axes.index("y")]
        starts = range(0, height, step)
        axes = [axis for axis in "yxc" if axis in self.stored_axes]
        for start in reported(session, f"writing {self.path.name}", starts, len(starts)):
            region = tuple(
                slice(start, start + step) if axis == "y" else slice(None)
                for axis in self.stored_axes
            )
            block = np.asarray(level[region])
            others = [axis for axis in self.stored_axes if axis not in axes]
            block = self.transposed(block, [*others, *axes])
            yield _filtered(block.reshape(block.shape[len(others) :]))


def _filtered(rows: Array) -> bytes:
    """Return rows as differences of neighbouring pixels (filter 1), which compress better."""
    deep = rows.astype(">u2" if rows.dtype == np.uint16 else np.uint8)
    pixels = np.ascontiguousarray(deep).reshape(*rows.shape[:2], -1).view(np.uint8)
    previous = np.zeros_like(pixels)
    previous[:, 1:] = pixels[:, :-1]
    flat = (pixels - previous).reshape(len(rows), -1)
    return np.concatenate([np.ones((len(rows), 1), np.uint8), flat], axis=1).tobytes()


def _chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    crc = zlib.crc32(data, zlib.crc32(kind))
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))
