"""Writing OME-Zarr 0.5 or 0.4: the staging Zarr gets OME's metadata and its final name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.io.metadata.channels import are_samples, to_omero
from napari_tilewise.io.writers import staging as stage
from napari_tilewise.io.writers.image_writer import ImageWriter
from napari_tilewise.io.writers.ome_zarr_layout import axis_entries, check_axes, multiscale
from napari_tilewise.io.writers.output_layout import check_version

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.io.metadata.image_metadata import ImageMetadata
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.io.writers.output_layout import OutputLayout
    from napari_tilewise.io.writers.staging_zarr import StagingZarr

CARRIED = "the source's"
"""What the record says of display windows that were not found from the pixels."""


class OmeZarrWriter(ImageWriter):
    """Writes ``.ome.zarr``, its pyramid as the arrays ``"0"``, ``"1"``, ... of the root group."""

    def check_image(self, image: ImageMetadata) -> tuple[str, ...]:
        """Return the axes, where OME-Zarr can hold them.

        Parameters
        ----------
        image
            The image.
        """
        return check_axes(image.axes, image.ndim, self.path)

    def check_layout(self, layout: OutputLayout) -> OutputLayout:
        """Return the layout, where its version can be written and has shards if they are requested.

        Parameters
        ----------
        layout
            The layout.
        """
        check_version(layout.ome_zarr)
        if layout.shards is not None and layout.ome_zarr == "0.4":
            raise InvalidParameter(
                "ome_zarr='0.4' has no shards, which came with Zarr 3: write OME-Zarr 0.5, or "
                "leave shards out."
            )
        self._version = layout.ome_zarr
        return layout

    def check_vacant(self) -> None:
        """Refuse a destination that exists, unless it is a Zarr that may be overwritten."""
        stage.check_vacant(self.path, overwrite=self.overwrite)

    def finish(self, session: Session | None = None) -> Path:
        """Complete the output, give it its final name and return that.

        Parameters
        ----------
        session
            Not used: this is quick.
        """
        with writing(self.path):
            metadata = ome_metadata(self.zarr, self._version)
        if self._version == "0.5":
            metadata = {"ome": {"version": "0.5", **metadata}}
        if any(channel.window is not None for channel in self.channels):
            self.note(windows=CARRIED)
        others = {k: v for k, v in self.image.details.attributes.items() if k not in metadata}
        self.zarr.complete({**others, **metadata})
        stage.publish(self.staging, self.path, overwrite=self.overwrite)
        self.close()
        return self.path


def ome_metadata(staged: StagingZarr, version: str) -> MetadataDict:
    """Return the metadata of OME-Zarr for complete levels.

    Parameters
    ----------
    staged
        The levels, the image they hold and its channels.
    version
        Version of OME-Zarr.
    """
    image = staged.image
    units = staged.in_stored_order(image.pixel_units)
    levels = range(len(staged.shapes))
    scales = [staged.level_scale(level) for level in levels]
    positions = [staged.level_position(level) for level in levels]
    entries = axis_entries(staged.stored_axes, units, image.details.axes)
    pyramid = multiscale(image.name or "", entries, scales, positions, average=staged.averages)
    if version == "0.4":
        pyramid["version"] = "0.4"
    metadata: MetadataDict = {"multiscales": [pyramid]}
    is_integer = staged.dtype.kind in "iu"
    if image.labels and is_integer:
        own = {"version": "0.4"} if version == "0.4" else {}
        metadata["image-label"] = {**image.details.label_entries, **own}
    if image.channels:
        limits = np.iinfo(staged.dtype) if is_integer else None
        span = None if limits is None else (float(limits.min), float(limits.max))
        windows = [
            channel.window or _contrast_range(staged, number)
            for number, channel in enumerate(image.channels)
        ]
        if are_samples(image.channels):  # which one range for all does not turn into other colours
            windows = [_colour_range(windows, span)] * len(windows)
        channels = [
            replace(channel, window=window)
            for channel, window in zip(image.channels, windows, strict=True)
        ]
        entries = to_omero(channels, span, image.details.channels)
        metadata["omero"] = {**image.details.rendering, "channels": entries}
    return metadata


def _colour_range(
    ranges: list[tuple[float, float]], limits: tuple[float, float] | None
) -> tuple[float, float]:
    """Return the range of red, green and blue: of the data type, of 0 to 1, or of the values."""
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if limits is not None:
        return limits
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _contrast_range(staged: StagingZarr, channel: int) -> tuple[float, float]:
    """Return the lowest and the highest value in the middle of a channel's coarsest level."""
    coarsest = staged.levels[-1]
    plane = tuple(
        channel if axis == "c" else slice(None) if axis in "yx" else n // 2
        for axis, n in zip(staged.stored_axes, coarsest.shape, strict=True)
    )
    values = np.asarray(coarsest[plane])
    values = np.abs(values) if staged.dtype.kind == "c" else values.astype(np.float64)
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
