"""What is known about an image that is to be written, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_tilewise import types
from napari_tilewise.io.metadata.details import NO_DETAILS, Details

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.plain_data import Metadata
    from napari_tilewise.types import DType


@dataclass(frozen=True, eq=False)
class ImageMetadata:
    """Shape, data type, axes and calibration of an image, and the record of how it is made."""

    shape: tuple[int, ...]
    """Length of each axis in pixels."""
    dtype: DTypeLike
    """Data type of the pixels."""
    axes: tuple[str, ...]
    """One letter per axis."""
    scale: tuple[float, ...] | None = None
    """Size of a pixel along each axis; None: 1."""
    units: tuple[str | None, ...] | None = None
    """OME-Zarr's name of the scale's unit along each axis; None: unknown."""
    translate: tuple[float, ...] | None = None
    """Position of the first pixel along each axis, in the scale's unit; None: 0."""
    channels: Sequence[Channel] = ()
    """Names and colours of the channels; empty where unknown."""
    labels: bool = False
    """Whether the values are label ids, which smaller levels never average."""
    name: str | None = None
    """Name of the image; None: that of its source, or of its file."""
    details: Details = NO_DETAILS
    """What else its source says, for formats that hold it."""
    record: Metadata = field(default_factory=dict)
    """How the image is made, such as its recipe and versions."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def pixel_sizes(self) -> tuple[float, ...]:
        """Size of a pixel along each axis."""
        return self.scale or (1.0,) * self.ndim

    @property
    def position(self) -> tuple[float, ...]:
        """Position of the first pixel along each axis."""
        return self.translate or (0.0,) * self.ndim

    @property
    def pixel_units(self) -> tuple[str | None, ...]:
        """Unit of the size along each axis."""
        return self.units or (None,) * self.ndim

    @property
    def native_dtype(self) -> DType:
        """Data type in this machine's byte order."""
        return types.native_dtype(self.dtype)
