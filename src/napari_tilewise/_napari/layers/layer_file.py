"""The file behind a layer that another reader opened, so that any process can resume its run.

Such a layer holds dask arrays or NumPy arrays, which exist in this process only. If the file that
the layer names has the same pixels, a run reads the file, and its record says which part of it.
"""

from __future__ import annotations

import logging
import threading
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr

from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.metadata.channels import names_of
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise._napari.layers.snapshot import Snapshot
    from napari_tilewise.io.image import Image
    from napari_tilewise.types import ArrayLike

log = logging.getLogger(__name__)

BLOCK = 32
"""Pixels along each of the last two axes of a block that is compared."""
SLAB = 2**24
"""Bytes of a part that is compared of a layer in memory."""
_FRACTIONS = (0.0, 0.4, 1.0)
"""Where the blocks are, along each of the last two axes; the others are passed through once."""


def image_behind(source: Snapshot, cancel: threading.Event | None = None) -> Image | None:
    """Return the image in a file whose pixels a layer shows; None if there is none.

    It is the whole image, or one channel of it: readers make a layer of each. A few blocks of a
    lazy layer are compared, and all pixels of one in memory, which may have been edited: call it
    in a worker.

    Parameters
    ----------
    source
        The layer's snapshot.
    cancel
        Set to stop soon.

    Raises
    ------
    Cancelled
        If `cancel` is set.
    """
    if source.path is None or isinstance(source.finest, zarr.Array):
        return None
    cancel = cancel or threading.Event()
    for location in _locations(source):
        try:
            image = open_image(location, series=0)
            matches = [
                part for part in _parts(image, location, source) if _is_same(part, source, cancel)
            ]
        except Cancelled:
            raise
        except (TilewiseError, OSError) as error:
            log.debug("%s is not what %r shows: %s", location, source.name, error)
            continue
        if len(matches) == 1:
            return matches[0]
    return None


def file_like(source: Snapshot) -> str | None:
    """Return the path of a local file with the shape and data type of a layer; reads no pixel.

    Parameters
    ----------
    source
        The layer's snapshot.
    """
    for location in _locations(source):
        if not Path(location).exists():
            continue
        try:
            data = open_image(location, series=0).data
        except (TilewiseError, OSError) as error:
            log.debug("%s is not what %r shows: %s", location, source.name, error)
            continue
        if tuple(data.shape) == source.shape and np.dtype(data.dtype) == source.dtype:
            return location
    return None


def channels_in(path: str, axes: tuple[str, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the channels in a file with as many as a layer; empty without any.

    Parameters
    ----------
    path
        The path or URL that a layer was opened from.
    axes
        One letter per axis of the layer's arrays.
    shape
        Their shape.
    """
    try:
        image = open_image(path, series=0)
    except (TilewiseError, OSError) as error:
        log.debug("%s cannot name the channels of a layer: %s", path, error)
        return ()
    return names_of(image.channels, axes, shape)


def _locations(source: Snapshot) -> Iterator[str]:
    """Yield where the pixels may be: at the layer's path, or in the labels of an OME-Zarr there."""
    if source.path is None:
        return
    if source.is_labels:
        yield f"{source.path.rstrip('/')}/labels/{source.name}"
    yield source.path


def _parts(image: Image, location: str, source: Snapshot) -> Iterator[Image]:
    """Yield the image, or its channels, if these have the layer's shape and data type."""
    shape = tuple(image.data.shape)
    if np.dtype(image.data.dtype) != source.dtype:
        return
    if shape == source.shape:
        yield image
    elif "c" in image.axes:
        axis = image.axes.index("c")
        if shape[:axis] + shape[axis + 1 :] == source.shape:
            for channel in range(shape[axis]):
                parts = [channel if i == axis else None for i in range(len(shape))]
                yield crop_image(image, parts, f"channel {channel} of {location}", location)


def _is_same(image: Image, source: Snapshot, cancel: threading.Event) -> bool:
    """Return whether blocks of an image have the layer's pixels, bit for bit."""
    in_memory = isinstance(source.finest, np.ndarray)
    for block in _slabs(source) if in_memory else _blocks(source.shape):
        if cancel.is_set():
            raise Cancelled("Cancelled: nothing was written.")
        if _bytes(image.data, block) != _bytes(source.finest, block):
            return False
    return True


def _slabs(source: Snapshot) -> Iterator[tuple[slice, ...]]:
    """Yield parts that cover a layer, each of a few megabytes."""
    length, *others = source.shape
    count = max(1, SLAB // max(1, prod(others) * source.dtype.itemsize))
    for start in range(0, length, count):
        yield (slice(start, min(start + count, length)), *(slice(0, n) for n in others))


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    for fractions in product(_FRACTIONS, repeat=min(2, len(shape))):
        block = []
        for axis, length in enumerate(shape):
            from_end = len(shape) - axis
            side = min(length, BLOCK if from_end <= 2 else 1)
            start = round((length - side) * fractions[-min(from_end, len(fractions))])
            block.append(slice(start, start + side))
        yield tuple(block)


def _bytes(pixels: ArrayLike, block: tuple[slice, ...]) -> bytes:
    values: np.ndarray = np.asarray(pixels[block])
    return values.astype(values.dtype.newbyteorder("="), copy=False).tobytes()
