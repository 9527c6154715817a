"""What the samples of a TIFF's pixels mean, as the file says; never guessed from their number."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_tilewise.errors import SourceUnreadable, SourceWarning
from napari_tilewise.io.metadata.channels import (
    ALPHA,
    GRAY,
    INKS,
    LUMA_CHROMA,
    RED_GREEN_BLUE,
    Channel,
)

if TYPE_CHECKING:
    from napari_tilewise.types import Array

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_DECODED_AS_RGB = {6, 7, 33003, 33005, 34892}
"""Compressions whose decoder turns luma and chroma into red, green and blue: JPEG and its like."""
_TURNED = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "upside down",
    5: "with its axes swapped",
    6: "turned by 90 degrees",
    7: "with its axes swapped and turned by 180 degrees",
    8: "turned by 270 degrees",
}
"""What TIFF's tag says of rows that do not begin at the top left."""
_ASSOCIATED = 1
_IS_ALPHA = {_ASSOCIATED, 2}
"""Extra samples that are an alpha, associated or not."""


def check_samples(page: tifffile.TiffPage, name: str) -> None:
    """Refuse samples whose numbers are not values.

    Parameters
    ----------
    page
        The page.
    name
        The source, as the user named it.

    Raises
    ------
    SourceUnreadable
        When two of them are signed and stored as unsigned, or they are a palette's with others.
    """
    reason = ""
    if page.photometric == _PHOTOMETRIC.PALETTE and page.samplesperpixel > 1:
        reason = f"has a palette and {page.samplesperpixel} samples a pixel"
    if page.photometric == _PHOTOMETRIC.CIELAB and page.samplesperpixel > 1:
        reason = "stores the colours a and b of CIE Lab as signed numbers among unsigned ones"
    if reason:
        raise SourceUnreadable(
            f"{name!r} {reason}, which is not read; expected grey, red, green and blue, or inks: "
            "convert it to RGB."
        )


def warn_of_orientation(page: tifffile.TiffPage, name: str) -> None:
    """Warn of rows that are not stored from the top left, as a camera turned on its side does.

    Parameters
    ----------
    page
        The page.
    name
        The source, as the user named it.
    """
    orientation = page.tags.valueof("Orientation", 1)
    if orientation in _TURNED:
        warnings.warn(
            f"{name!r} is to be shown {_TURNED[orientation]} (its tag Orientation is "
            f"{int(orientation)}); rows and columns are read as they are stored.",
            SourceWarning,
            stacklevel=3,
        )


def warn_of_multiplied_colours(page: tifffile.TiffPage, name: str) -> None:
    """Warn of colours that are stored multiplied by their alpha.

    Parameters
    ----------
    page
        The page.
    name
        The source, as the user named it.
    """
    if _base(page) and _ASSOCIATED in map(int, page.extrasamples):
        warnings.warn(
            f"{name!r} stores colours multiplied by their alpha; they are read, and written, as "
            "they are stored.",
            SourceWarning,
            stacklevel=3,
        )


def has_warnings(page: tifffile.TiffPage) -> bool:
    """Return whether there is something to warn of in a page, for each file that has it.

    Parameters
    ----------
    page
        The page.
    """
    return page.tags.valueof("Orientation", 1) != 1 or bool(tuple(page.extrasamples))


def samples_of_page(page: tifffile.TiffPage, count: int) -> tuple[Channel, ...]:
    """Return the samples of a page's pixels as channels; empty if they are channels of data.

    Parameters
    ----------
    page
        The page.
    count
        Number of channels of the image.
    """
    if count < 2 or page.samplesperpixel != count:
        return ()
    base = _base(page)
    if not base or count < len(base):
        return ()
    extra = tuple(page.extrasamples)
    kinds = (*extra, *[0] * count)[: count - len(base)]
    if base == (GRAY,) and not any(int(kind) in _IS_ALPHA for kind in kinds):
        return ()  # channels of data, interleaved
    return (*base, *(ALPHA if int(kind) in _IS_ALPHA else Channel() for kind in kinds))


def _base(page: tifffile.TiffPage) -> tuple[Channel, ...]:
    photometric = page.photometric
    if photometric == _PHOTOMETRIC.RGB:
        return RED_GREEN_BLUE
    if photometric == _PHOTOMETRIC.YCBCR:
        is_decoded = int(page.compression) in _DECODED_AS_RGB
        return RED_GREEN_BLUE if is_decoded else LUMA_CHROMA
    if photometric == _PHOTOMETRIC.SEPARATED:
        return INKS
    if photometric in (_PHOTOMETRIC.MINISBLACK, _PHOTOMETRIC.MINISWHITE):
        return (GRAY,)
    return ()


class InvertedPixels:
    """Pixels that are stored with 0 as white, with 0 as black.

    Parameters
    ----------
    array
        The pixels as they are stored: booleans or unsigned integers.
    highest
        The highest value that the file's bits hold.
    """

    def __init__(self, array: Any, highest: int) -> None:
        self._array, self._highest = array, highest
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = getattr(array, "chunks", None)

    def __getitem__(self, key: Any) -> Array:
        block = np.asarray(self._array[key])
        if block.dtype.kind == "b":
            return ~block
        inverted: Array = block.dtype.type(self._highest) - block
        return inverted


def is_white_zero(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> bool:
    """Return whether 0 is white in a page; ImageJ marks only how it shows such an image.

    Parameters
    ----------
    tiff
        The file.
    page
        The page.
    """
    is_unsigned = page.dtype is not None and page.dtype.kind in "bu"
    return page.photometric == _PHOTOMETRIC.MINISWHITE and is_unsigned and not tiff.is_imagej


class PalettePixels:
    """Pixels that are stored as numbers of colours, as these colours: red, green, blue.

    Parameters
    ----------
    array
        The numbers.
    colours
        A row for each colour.
    """

    def __init__(self, array: Any, colours: Array) -> None:
        self._array, self._colours = array, colours
        self.shape, self.dtype = (*array.shape, 3), colours.dtype
        chunks = getattr(array, "chunks", None)
        self.chunks = None if chunks is None else (*chunks, 3)

    def __getitem__(self, key: Any) -> Array:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys:
            return np.asarray(self[(slice(None),) * len(self.shape)][key])
        numbers = np.asarray(self._array[keys[: len(self.shape) - 1]])
        samples = keys[len(self.shape) - 1] if len(keys) == len(self.shape) else slice(None)
        if numbers.size and numbers.max() >= len(self._colours):
            raise ValueError(f"its palette has {len(self._colours)} colours, and pixels have more")
        pixels: Array = self._colours[numbers][..., samples]
        return pixels


def palette_of(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Array | None:
    """Return the colours whose numbers a page's pixels are, a row each; None where they are values.

    ImageJ's and OME's lookup tables show intensities.

    Parameters
    ----------
    tiff
        The file.
    page
        The page.
    """
    is_palette = page.photometric == _PHOTOMETRIC.PALETTE and page.samplesperpixel == 1
    if not is_palette or tiff.is_imagej or tiff.is_ome or page.dtype not in ("uint8", "uint16"):
        return None
    table = page.tags.valueof("ColorMap")
    values = np.asarray(() if table is None else table, np.uint16).ravel()
    if not values.size or values.size % 3:
        return None
    colours = values.reshape(3, -1).T
    # Eight bits are written as 0, 257, 514, ... or, by some programs, as 0, 256, 512, ...
    if (colours % 257 == 0).all() or (colours % 256 == 0).all():
        return (colours >> 8).astype(np.uint8)
    return np.ascontiguousarray(colours)
