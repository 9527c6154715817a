"""Writing TIFF as ImageJ does: uncompressed hyperstacks of up to 4 GiB, three data types."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import command
from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.channels import are_samples, to_imagej
from napari_tilewise.io.metadata.units import converted, symbol
from napari_tilewise.io.writers.staged_file import StagedFileWriter
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.types import DType

DTYPES = ("uint8", "uint16", "float32")
"""ImageJ's data types."""
LARGEST = 2**32 - 2**22
"""Most bytes of pixels: offsets in the file are of 32 bits, and the metadata need some room."""

_ORDER = "tzcyx"


class ImageJWriter(StagedFileWriter):
    """Writes ``.tif``; masks become uint8, and the record goes into ImageJ's info."""

    format = "an ImageJ TIFF"

    def check_format(self, axes: tuple[str, ...]) -> None:
        """Refuse what ImageJ cannot hold.

        Parameters
        ----------
        axes
            One letter per axis of the image.
        """
        remedy = self.other_formats
        if self._written.name not in DTYPES:
            conversion = command("util.img_as_float32, ...", "--dtype float32, ...")
            step = f", or convert to one of these first ({conversion})"
            raise self.refuse(f"it holds {', '.join(DTYPES)}", remedy + step)
        if not set("yx") <= set(axes) <= set(_ORDER):
            raise self.refuse("it holds the axes t, z, c, y, x", "name the axes, or write NAME.npy")
        size = prod(self.shape) * self._written.itemsize
        if size > LARGEST:
            raise self.refuse(
                f"it holds up to 4 GiB, and these pixels are {format_size(size)}", remedy
            )

    @property
    def _written(self) -> DType:
        """The data type in the file: ImageJ has no booleans."""
        return np.dtype(np.uint8) if self.dtype.kind == "b" else self.dtype

    def write_file(self, path: Path, session: Session | None) -> None:
        """Write the file through a memory map.

        Parameters
        ----------
        path
            The file.
        session
            Gets the events, and may pause or cancel.
        """
        color = self._written == np.uint8 and len(self.channels) == 3
        color = color and are_samples(self.channels)
        order = "tzyxc" if color else _ORDER
        axes = "".join(axis for axis in order if axis in self.stored_axes)
        lengths = dict(zip(self.stored_axes, self.levels[0].shape, strict=True))
        shape = tuple(lengths[axis] for axis in axes)
        import tifffile  # the format is known long before a file of it is written

        with tifffile.TiffWriter(path, imagej=True) as tiff:
            tiff.write(
                shape=shape,
                dtype=self._written,
                photometric="rgb" if color else "minisblack",
                resolution=(1 / self.sizes["x"][0], 1 / self._length("y")),
                metadata=self._metadata(axes, shape, color),
            )
        pixels = tifffile.memmap(path, mode="r+")
        # tifffile leaves out axes of length one.
        self.fill(pixels.reshape(shape), axes, session)
        if self.zarr.is_on_disk:  # a small file is on the disk when the system has the time
            pixels.flush()

    def _length(self, axis: str) -> float:
        """Return a pixel's size in the unit of x, because ImageJ has only one."""
        size, unit = self.sizes[axis]
        return converted(size, unit, self.sizes["x"][1]) or size

    def _metadata(self, axes: str, shape: tuple[int, ...], color: bool) -> MetadataDict:
        upper, details = axes.upper(), self.image.details
        metadata: MetadataDict = {
            "axes": upper.replace("C", "S") if color else upper,
            "Info": "\n".join(filter(None, (json.dumps({KEY: self.record}), details.info))),
        }
        positions = dict(zip(self.axes, self.image.position, strict=True))
        for axis in "xyz":
            size, position = self.sizes.get(axis, (1.0, None))[0], positions.get(axis, 0.0)
            if position and size:
                metadata[f"{axis}origin"] = 0.0 - position / size  # in pixels
        unit = symbol(self.sizes["x"][1], ascii_only=True)
        if unit is not None:
            metadata["unit"] = unit
        if "z" in axes:
            metadata["spacing"] = self._length("z")
        if "t" in axes and self.sizes["t"][1] is not None:
            size, unit = self.sizes["t"]
            metadata["finterval"], metadata["tunit"] = size, symbol(unit, ascii_only=True)
        if self.channels and not color:
            metadata |= to_imagej(self.channels, prod(shape[:-2]))
            metadata["mode"] = "composite" if len(self.channels) > 1 else "grayscale"
        return metadata
