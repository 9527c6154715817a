"""Tile lengths: near a megapixel, in whole source chunks, and long against the halo."""

from __future__ import annotations

from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.operation import Call

TARGET = {1: 2**20, 2: 1024, 3: 128}
"""Preferred tile length by number of spatial axes (64 beyond three)."""

MOST_VOXELS = 2**22
"""Pixels of a tile of a volume that is in memory."""

MANY_CHANNELS = 4
"""Values per pixel from which on a result's tiles are shorter."""

LEAST = 64
"""Length down to which a result's tiles become shorter than what one of the image makes."""

HALO_FACTOR = 4
"""A tile is at least this many halos long: its overhead stays below (1 + 2/4) per axis."""


def choose_tile(
    call: Call, tiles: Any, chunks: Sequence[int] | None, *, workers: int
) -> tuple[int, ...]:
    """Return tile lengths per spatial axis.

    Parameters
    ----------
    call
        The bound operation.
    tiles
        What the user asked for: ``"auto"``, one length, or one per spatial axis.
    chunks
        The source's chunk lengths per array axis, where it has any.
    workers
        Threads that should all find work.

    Raises
    ------
    InvalidParameter
        For anything else in `tiles`.
    """
    if isinstance(tiles, str) and tiles == "auto":
        return _auto(call, chunks, workers)
    lengths = [tiles] * call.ndim if isinstance(tiles, Integral) else list(_sequence(tiles))
    positive = all(isinstance(n, Integral) and int(n) > 0 for n in lengths)
    if len(lengths) != call.ndim or not positive:
        raise InvalidParameter(
            f"tiles={tiles!r}: expected 'auto', one positive length in pixels, or {call.ndim} of "
            "them, one per spatial axis."
        )
    return tuple(min(int(n), s) for n, s in zip(lengths, call.spatial_shape, strict=True))


def _sequence(tiles: Any) -> Sequence[Any]:
    return tiles if isinstance(tiles, tuple | list) else [None]


def _auto(call: Call, chunks: Sequence[int] | None, workers: int) -> tuple[int, ...]:
    shape = call.spatial_shape
    halo = [max(pair) for pair in call.operation.halo_for_tiles(call)]
    target = TARGET.get(call.ndim, 64)
    least = [max(256 if call.ndim < 3 else 32, HALO_FACTOR * h) for h in halo]
    lengths = [max(target, least[i]) for i in range(call.ndim)]
    if chunks is not None:
        along = [chunks[axis] for axis in call.spatial_axes]
        return tuple(
            min(n, whole_chunks(length, chunk))
            for n, length, chunk in zip(shape, lengths, along, strict=True)
        )
    if call.ndim > 2:
        return _halved(shape, halo, least, workers)
    while _count(shape, lengths) < 2 * workers:
        axis = max(range(call.ndim), key=lambda i: min(lengths[i], shape[i]) - least[i])
        if min(lengths[axis], shape[axis]) // 2 < least[axis]:
            break
        lengths[axis] = -(-min(lengths[axis], shape[axis]) // 2)
    return tuple(min(n, length) for n, length in zip(shape, lengths, strict=True))


def _halved(
    shape: Sequence[int], halo: Sequence[int], least: Sequence[int], workers: int
) -> tuple[int, ...]:
    """Return the lengths of equal tiles of a volume in memory, cut along the first axes.

    Few cuts make few halos: a tile is whole along the last axes where the volume is not large.
    """
    lengths = list(shape)
    while prod(lengths) > MOST_VOXELS or _count(shape, lengths) < 2 * workers:
        # For every worker to find work, a halo may take more of a tile.
        idle = _count(shape, lengths) < workers
        limits = [min(n, 2 * h + 1) if idle else n for n, h in zip(least, halo, strict=True)]
        axis = max(range(len(lengths)), key=lambda i: lengths[i] - limits[i])
        half = -(-lengths[axis] // 2)
        if half < limits[axis] or half == lengths[axis]:  # a single pixel is not halved
            break
        lengths[axis] = half
    return tuple(lengths)


def result_lengths(lengths: Sequence[int], tile: Sequence[int], channels: float) -> list[int]:
    """Return tile lengths of a result that is not much larger than a tile of the image.

    Parameters
    ----------
    lengths
        What comes from one tile of the image: too long where the result is far larger than that.
    tile
        Lengths of the image's tiles.
    channels
        Values per pixel of the result for each of the image.
    """
    shorter = list(lengths)
    most = max(prod(tile), TARGET.get(len(tile), 64) ** (len(tile) if len(tile) > 1 else 1))
    weight = max(1.0, channels / MANY_CHANNELS)
    while prod(shorter) * weight > most and max(shorter) > LEAST:
        axis = shorter.index(max(shorter))
        shorter[axis] = -(-shorter[axis] // 2)
    return shorter


def whole_chunks(length: int, chunk: int) -> int:
    """Return the multiple of a chunk nearest to a length, or the length where chunks are longer."""
    return max(1, round(length / chunk)) * chunk if chunk <= 2 * length else length


def tile_over(tile: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return tile lengths for another number of axes: of as many pixels, or fewer.

    Parameters
    ----------
    tile
        Tile lengths in pixels.
    ndim
        The number of axes.
    """
    if len(tile) >= ndim:
        return tuple(tile[len(tile) - ndim :])
    return (max(1, round(prod(tile) ** (1 / ndim))),) * ndim


def _count(shape: Sequence[int], lengths: Sequence[int]) -> int:
    count = 1
    for n, length in zip(shape, lengths, strict=True):
        count *= -(-n // length)
    return count
