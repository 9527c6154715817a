"""Last strips of a TIFF that some programs store at full length, with rows below the image.

TIFF lets a last strip end with the image. libtiff reads as many rows as it needs of a longer one;
tifffile's decoders, which expect the exact length, refuse it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from napari_tilewise.io.readers.checked_arrays import DECODE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    import tifffile

    from napari_tilewise.types import Array

_ROWS_PER_STRIP = "RowsPerStrip"
_MOST = 2**26
"""Bytes of a strip that is longer than its image."""


def accept_long_strips(page: tifffile.TiffPage) -> None:
    """Let the decoder of a page accept last strips with as many rows as the others.

    Parameters
    ----------
    page
        The page whose `decode` reads the pixels of a series.
    """
    rows = _rows_of_strip(page)
    if page.is_tiled or rows is None:
        return
    decode: Callable[..., Any] = page.decode

    def decode_strip(data: bytes | None, index: int, /, **options: Any) -> Any:
        try:
            return decode(data, index, **options)
        except DECODE_ERRORS:
            _, start, shape = decode(None, index, **options)
            block = None if data is None else _first_rows(page, rows, data, options)
            if block is None:
                raise
            return block[:, : shape[1]], start, shape

    page.decode = decode_strip


def _rows_of_strip(page: tifffile.TiffPage) -> int | None:
    """Return how many rows a last strip of full length has; None if it has no more than needed."""
    length, width, samples = page.shaped[2:]
    rows = page.tags.valueof(_ROWS_PER_STRIP)
    if not isinstance(rows, int) or rows < 1 or page.dtype is None or not length % rows:
        return None
    is_short = rows > length  # tifffile shortens it then
    return None if is_short and rows * width * samples * page.dtype.itemsize > _MOST else rows


def _first_rows(
    page: tifffile.TiffPage, rows: int, data: bytes, options: dict[str, Any]
) -> Array | None:
    """Return a strip decoded as the only one of a page of its length; None if that fails too."""
    alone = copy.copy(page)
    for cached in ("decode", "hash"):
        alone.__dict__.pop(cached, None)
    alone.shaped = (*page.shaped[:2], rows, *page.shaped[3:])
    alone.rowsperstrip = rows
    try:
        return alone.decode(data, 0, **options)[0]
    except DECODE_ERRORS:
        return None
