"""Writing OME-TIFF: a BigTIFF of compressed tiles, with its pyramid in SubIFDs, in file order."""

from __future__ import annotations

import json
from itertools import product
from math import prod
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.io.image import KEY
from napari_tilewise.io.metadata.channels import are_samples, to_ome, xml_text
from napari_tilewise.io.metadata.units import converted, symbol, unit_name
from napari_tilewise.io.writers.ome_zarr_layout import default_chunks
from napari_tilewise.io.writers.staged_file import OME_DTYPES as DTYPES
from napari_tilewise.io.writers.staged_file import StagedFileWriter, reported

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.io.writers.level_files import WrittenLevel
    from napari_tilewise.types import Array

AXES = "tczyx"

_SIDE = 16  # TIFF: tiles are whole multiples of it
_LONGEST = 512  # of tiles whose lines are chunks of their own
_BATCH = 16 * 2**20
_ATTRIBUTES = {"x": "PhysicalSizeX", "y": "PhysicalSizeY", "z": "PhysicalSizeZ"}


_COLOURS = {"uint8", "uint16", "float32", "float64"}
"""The data types of the samples of a colour picture."""
_FEWEST, _MOST = 1e-3, 2**31
"""Pixels per centimeter that a TIFF's tags can hold with all digits that matter."""


class OmeTiffWriter(StagedFileWriter):
    """Writes ``.ome.tif``; the record is an annotation in the OME-XML."""

    format = "an OME-TIFF"
    has_pyramid = True

    def check_format(self, axes: tuple[str, ...]) -> None:
        """Refuse data types and axes that OME-XML does not know.

        Parameters
        ----------
        axes
            One letter per axis of the image.
        """
        if self.dtype.name not in DTYPES:
            remedy = self.other_formats
            if self.dtype.kind not in "iu":  # such a step would scale 64-bit label ids
                remedy += ", or convert to one of these with a step such as util.img_as_float32"
            raise self.refuse(f"it holds {', '.join(DTYPES)}", remedy)
        if not set("yx") <= set(axes) <= set(AXES):
            raise self.refuse(
                "it holds the axes t, c, z, y, x, and needs y and x",
                "name the axes, or write NAME.npy",
            )

    def chunks_for(self, chunks: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return chunks that are tiles: of one plane each, and whole multiples of 16.

        Lines that are computed one by one, as where planes span z and x, stay chunks of their own.

        Parameters
        ----------
        chunks
            The chunks requested, if any.
        """
        shape, axes, lengths = self.shape, self.axes, []
        for axis, chunk, n in zip(axes, chunks or default_chunks(shape, axes), shape, strict=True):
            if axis in "yx" and 1 < chunk < n and chunk % _SIDE:
                raise InvalidParameter(
                    f"chunks={chunks}: a TIFF's tiles are whole multiples of {_SIDE} pixels along "
                    "y and x."
                )
            lengths.append(chunk if axis in "yx" else 1)
        return tuple(lengths)

    def write_file(self, path: Path, session: Session | None) -> None:
        """Write the file, tile by tile in its own order.

        Parameters
        ----------
        path
            The file.
        session
            Gets the events, and may pause or cancel.
        """
        finest = self.levels[0]
        tile = tuple(
            -(-(chunk if chunk > 1 else min(_LONGEST, n)) // _SIDE) * _SIDE
            for axis, chunk, n in zip(self.stored_axes, finest.chunks, finest.shape, strict=True)
            if axis in "yx"
        )
        color = self._is_color()
        options = self._options(tile, color, None if session is None else session.workers)
        import tifffile  # the format is known long before a file of it is written

        with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
            for number, level in enumerate(self.levels):
                tags: MetadataDict = {"subfiletype": 1, "metadata": None}
                if number == 0:
                    tags = {"subifds": len(self.levels) - 1, "metadata": self._metadata()}
                title = f"writing {self.path.name}, level {number}"
                pages = self._pages(level.shape, tile, color)
                boxes = reported(session, title, product(*pages), prod(map(len, pages)))
                tiles = (self._tile(level, box, color) for box in boxes)
                shape = self._shape(level.shape, color)
                tags |= self._resolution(level.shape)
                tiff.write(tiles, shape=shape, dtype=self.dtype, **tags, **options)
                next(boxes, None)  # the last event: tifffile stops before the end of the iterator

    def _resolution(self, shape: tuple[int, ...]) -> MetadataDict:
        """Return the tags of the pixel size, for readers of slides, which know no OME-XML."""
        finest = dict(zip(self.stored_axes, self.levels[0].shape, strict=True))
        lengths = dict(zip(self.stored_axes, shape, strict=True))
        resolution = []
        for axis in "xy":
            size, unit = self.sizes[axis]
            length = None if unit is None else converted(size, unit, "centimeter")
            if not length:
                return {}
            resolution.append(lengths[axis] / finest[axis] / length)
        if not all(_FEWEST <= number < _MOST for number in resolution):
            return {}
        return {"resolution": tuple(resolution), "resolutionunit": "CENTIMETER"}

    def _is_color(self) -> bool:
        """Return whether channels are stored as the samples of pixels."""
        return self.dtype.name in _COLOURS and are_samples(self.channels)

    def _options(self, tile: tuple[int, ...], color: bool, workers: int | None) -> MetadataDict:
        options: MetadataDict = {
            "tile": tile,
            "compression": "zlib",
            "compressionargs": {"level": 3},
            "predictor": 2 if self.dtype.kind in "iu" else None,
            "photometric": "rgb" if color else "minisblack",
            "maxworkers": workers or 1,
            "buffersize": _BATCH,
        }
        if color:
            options["planarconfig"] = "contig"
            options["extrasamples"] = ("unassalpha",) if len(self.channels) == 4 else None
        return options

    def _shape(self, shape: tuple[int, ...], color: bool) -> tuple[int, ...]:
        if not color:
            return shape
        lengths = dict(zip(self.stored_axes, shape, strict=True))
        channels = lengths.pop("c")
        return (*lengths.values(), channels)

    def _pages(
        self, shape: tuple[int, ...], tile: tuple[int, ...], color: bool
    ) -> list[list[slice]]:
        """Return the boxes of the tiles along each axis: page by page, row by row."""
        lengths = dict.fromkeys(self.stored_axes, 1) | {"y": tile[0], "x": tile[1]}
        if color:
            lengths["c"] = len(self.channels)
        axes = zip(shape, (lengths[axis] for axis in self.stored_axes), strict=True)
        return [[slice(i, i + step) for i in range(0, n, step)] for n, step in axes]

    def _tile(self, level: WrittenLevel, box: Sequence[slice], color: bool) -> Array:
        block = np.asarray(level[tuple(box)])
        block = block.reshape(-1, *block.shape[-2:])
        return np.ascontiguousarray(np.moveaxis(block, 0, -1)) if color else block[0]

    def _planes(self, color: bool) -> MetadataDict:
        """Return what is said of each plane: its position, and what its source says of it."""
        lengths = dict(zip(self.stored_axes, self.levels[0].shape, strict=True))
        if color:
            lengths["c"] = 1
        counts = tuple(lengths.get(axis, 1) for axis in "tcz")
        source = self.image.details.planes
        values: MetadataDict = {}
        if source is not None and source.lengths == counts:
            values = dict(source.values)
        positions = dict(zip(self.axes, self.image.position, strict=True))
        if not any(positions.values()):
            return values
        depths = np.indices(counts)[2].ravel()
        for axis in "xyz":
            size, unit = self.sizes.get(axis, (1.0, None))
            position = positions.get(axis, 0.0) + size * (depths if axis == "z" else 0 * depths)
            if axis not in self.stored_axes or self._is_first(values, axis, positions[axis]):
                continue
            values[f"Position{axis.upper()}"] = [float(p) for p in position]
            values[f"Position{axis.upper()}Unit"] = [symbol(unit) or "pixel"] * len(depths)
        return values

    def _is_first(self, values: MetadataDict, axis: str, position: float) -> bool:
        """Return whether planes already have positions, of which the first is the image's."""
        name = f"Position{axis.upper()}"
        if name not in values or f"{name}Unit" not in values:
            return False
        unit = unit_name(values[f"{name}Unit"][0])
        first = converted(float(values[name][0]), unit, self.sizes[axis][1])
        return first is not None and abs(first - position) <= 1e-9 * max(1.0, abs(position))

    def _metadata(self) -> MetadataDict:
        color = self._is_color()
        axes = "".join(axis for axis in self.stored_axes if not (axis == "c" and color)).upper()
        metadata: MetadataDict = {
            "axes": axes + "S" * color,
            "Name": xml_text(self.image.name or "") or None,
            # The same output has the same bytes whenever it is written.
            "UUID": str(uuid5(NAMESPACE_URL, json.dumps(self.record, sort_keys=True))),
            **self.image.details.annotations,
        }
        comments = list(self.image.details.annotations.get("CommentAnnotation", ()))
        own = {"Namespace": KEY, "Value": json.dumps(self.record)}
        metadata["CommentAnnotation"] = [own, *comments] if comments else own
        planes = self._planes(color)
        if planes:
            metadata["Plane"] = planes
        for axis, (size, unit) in self.sizes.items():
            if axis in _ATTRIBUTES and (size, unit) != (1.0, None):
                metadata[_ATTRIBUTES[axis]] = size
                metadata[f"{_ATTRIBUTES[axis]}Unit"] = symbol(unit) or "pixel"
            elif axis == "t" and unit is not None:
                metadata["TimeIncrement"], metadata["TimeIncrementUnit"] = size, symbol(unit)
        if self.channels and not color:
            metadata["Channel"] = to_ome(self.channels)
        return metadata
