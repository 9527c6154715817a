"""What a file says of an image besides its pixels, sizes and channels, for formats that hold it.

Nothing here decides about a result; it is carried from file to file, as the file has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from napari_tilewise.io.plain_data import Metadata

PlaneValues: TypeAlias = Mapping[str, Sequence[str]]
"""Attributes of OME-XML's planes by name, one value for each plane."""


@dataclass(frozen=True)
class PlaneDetails:
    """What an OME-TIFF says of each of its planes: when and for how long, where the stage was."""

    lengths: tuple[int, int, int]
    """Numbers of times, channels and depths, along which the planes are counted."""
    values: PlaneValues
    """Attributes by OME-XML's names."""


@dataclass(frozen=True)
class Details:
    """What is carried along."""

    title: str | None = None
    """The image's name, where its file has another than its own."""
    axes: Mapping[str, Metadata] = field(default_factory=dict)
    """OME-Zarr's entry of each axis, by its letter."""
    rendering: Metadata = field(default_factory=dict)
    """OME-Zarr's ``omero`` apart from the channels."""
    channels: tuple[Metadata, ...] = ()
    """What ``omero`` says of each channel apart from name, colour and window."""
    label_entries: Metadata = field(default_factory=dict)
    """OME-Zarr's colours and properties of labels."""
    attributes: Metadata = field(default_factory=dict)
    """Other people's attributes of a Zarr."""
    planes: PlaneDetails | None = None
    annotations: Mapping[str, Sequence[Metadata]] = field(default_factory=dict)
    """Other people's annotations in OME-XML, by their kind."""
    info: str = ""
    """ImageJ's text about the image."""

    def of_result(self, *, has_same_labels: bool) -> Details:
        """Return what is still true of an image that was computed.

        Parameters
        ----------
        has_same_labels
            Whether its labels have the numbers of the source's.
        """
        return self if has_same_labels else replace(self, label_entries={})


NO_DETAILS = Details()
"""Nothing is known."""
