"""An open source: pixels, and what is known about them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from napari_tilewise.errors import InvalidParameter, option
from napari_tilewise.io.metadata.details import NO_DETAILS, Details

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import zarr
    from typing_extensions import TypeIs

    from napari_tilewise.io.metadata.channels import Channel
    from napari_tilewise.io.plain_data import Metadata

KEY = "napari-tilewise"
"""The one attribute under which this package keeps its own metadata."""
EMPTY = "empty"
"""What the record of a Zarr of version 2 says that has no chunk, as all its pixels are 0."""


ZarrArray: TypeAlias = "zarr.Array[Any]"
"""A Zarr array of either format."""


def is_zarr_array(value: object) -> TypeIs[ZarrArray]:
    """Return whether a value is a Zarr array; Zarr is not imported for that.

    Parameters
    ----------
    value
        Any object.
    """
    kind = getattr(sys.modules.get("zarr"), "Array", ())  # without the module there is no array
    return isinstance(value, kind)


class Pixels(Protocol):
    """Anything with a shape, a data type and slicing (`chunks` is used when there)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""

    @property
    def dtype(self) -> Any:
        """NumPy data type."""

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class SeriesEntry:
    """One of the images of a file that holds several."""

    number: int
    """Its number in the file, from 0."""
    name: str
    """Its name in the file; empty where it has none."""
    shape: tuple[int, ...]
    axes: str
    """One letter per axis."""
    is_main: bool = True
    """False for labels, macro pictures, thumbnails and smaller levels, which no batch takes."""


@dataclass(frozen=True, eq=False)
class Image:
    """An open image. Nothing was read yet, except from formats that can only be read whole."""

    data: Pixels
    """The pixels, read as they are sliced."""
    axes: tuple[str, ...]
    """One letter per axis; empty where the source does not say."""
    scale: tuple[float, ...]
    """Size of a pixel along each axis; 1.0 where the source does not say."""
    units: tuple[str | None, ...]
    """Unit of the scale along each axis, by its OME-Zarr name."""
    levels: tuple[Pixels, ...]
    """All levels of the pyramid, the finest first; `data` is one of them."""
    labels: bool
    """Whether the values are label ids, which are never averaged."""
    name: str
    """The source, as the user named it."""
    recipe: Metadata | None
    """The recipe that made it, where this package wrote it."""
    format: str
    """``"array"``, ``"zarr"``, ``"ome-zarr 0.5"``, ``"npy"``, ``"tiff"``, ``"ome-tiff"``, ..."""
    level_scales: tuple[tuple[float, ...], ...] = ()
    """Size of a pixel at each level, where the source declares it."""
    channels: tuple[Channel, ...] = ()
    """Names and colours along the axis ``c``, or of the only channel; empty where unknown."""
    has_guessed_axes: bool = False
    """Whether nothing says which axes these are, so that two are taken for ``yx``."""
    sizes_by_axis: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Pixel size and unit by the letters of axes, where the file does not say which axes it has."""
    level_positions: tuple[tuple[float, ...], ...] = ()
    """Position of the first pixel of each level, where the source declares it."""
    series: int = 0
    """Number of the image in a file that holds several, from 0."""
    all_series: tuple[SeriesEntry, ...] = ()
    """All images of the file, if it holds several."""
    details: Details = NO_DETAILS
    """What else the file says, which is carried to formats that hold it."""

    def __repr__(self) -> str:
        shape, axes = " x ".join(map(str, self.data.shape)), "".join(self.axes) or "unknown"
        return f"<Image {self.name!r}: {shape} {self.data.dtype}, axes {axes}>"

    def named(self, axes: Sequence[str] | None) -> Image:
        """Return the image with the pixel sizes that the file gives for these axes.

        Parameters
        ----------
        axes
            The names under which the axes are used; None: unknown.
        """
        if not axes or not self.sizes_by_axis:
            return self
        unknown: tuple[float, str | None] = (1.0, None)
        sizes = [self.sizes_by_axis.get(axis, unknown) for axis in axes]
        scale, units = tuple(size for size, _ in sizes), tuple(unit for _, unit in sizes)
        return replace(self, scale=scale, units=units)

    @property
    def translate(self) -> tuple[float, ...]:
        """Position of the first pixel along each axis; 0.0 unless the source declares it."""
        positions = zip(self.levels, self.level_positions, strict=False)
        unknown = (0.0,) * len(self.data.shape)
        return next((position for level, position in positions if level is self.data), unknown)


def bare(data: Pixels, name: str, file_format: str, axes: Sequence[str] | None = None) -> Image:
    """Return an image of which nothing is known but its pixels and perhaps its axes.

    Parameters
    ----------
    data
        The pixels, read as they are sliced.
    name
        The source, as the user named it.
    file_format
        Name of its format, such as ``"npy"``.
    axes
        One letter per axis; two axes are taken for ``yx`` unless given.
    """
    ndim = len(data.shape)
    is_guess = axes is None
    if axes is None:
        axes = ("y", "x") if ndim == 2 else ()
    return Image(
        data=data,
        axes=tuple(axes),
        scale=(1.0,) * ndim,
        units=(None,) * ndim,
        levels=(data,),
        labels=False,
        name=name,
        recipe=None,
        format=file_format,
        has_guessed_axes=is_guess,
    )


def check_series(number: int, count: int, name: str) -> None:
    """Raise `InvalidParameter` if a file has no image of this number.

    Parameters
    ----------
    number
        The series.
    count
        How many there are.
    name
        The source, as the user named it.
    """
    if not 0 <= number < count:
        expected = "it holds one image, 0" if count == 1 else f"expected 0 to {count - 1}"
        raise InvalidParameter(
            f"{option('series', number)}: {name!r} has no such image; {expected}."
        )
