"""Blocks are what an operation's functions see: a tile with its surroundings.

They are clipped to the image (or continued where the border mode wraps), and hold the same box of
every further image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.source import Source, overlapping, read_wrapped
from napari_tilewise.engine.stored.stored_image import StoredImage
from napari_tilewise.engine.tile_size import TARGET
from napari_tilewise.grid import Grid, Halo, Position, Region, align, clip, grow
from napari_tilewise.operations.spec.operation import Block, Call
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def is_within(region: Region, shape: tuple[int, ...]) -> bool:
    """Return whether a box lies within an image.

    Parameters
    ----------
    region
        The box.
    shape
        Shape of the image.
    """
    return all(s.start >= 0 and s.stop <= n for s, n in zip(region, shape, strict=True))


class Blocks:
    """Builds the blocks of one operation on one plane or volume.

    Parameters
    ----------
    call
        The operation with its parameters, bound to the source's shape and dtype.
    source
        Where the pixels come from; of shape `call.shape`.
    images
        The further images (masks, intensities) by parameter name.
    grid
        The tiles of the passes.
    """

    def __init__(
        self, call: Call, source: Source, images: Mapping[str, Source], grid: Grid
    ) -> None:
        self.call = call
        self.source = source
        self.grid = grid
        specs = call.operation.specs
        self.others = {k: v for k, v in images.items() if isinstance(specs[k], OtherImage)}
        """Images of their own size, such as a template."""
        self.aligned = {k: v for k, v in images.items() if k not in self.others}
        """Images of the source's size: each block has the same box of them."""
        channels = call.operation.neighbourhood.channels
        self._channels = None if channels is None else channels(call)

    def prepare(self) -> None:
        """Have every source do what it needs before it is read."""
        for source in (self.source, *self.aligned.values(), *self.others.values()):
            source.prepare()

    def grown(self, tile: Region, halo: Halo, multiple: Sequence[int] | None) -> Region:
        """Return a box grown by a halo and aligned, within the image unless it wraps.

        Where a periodic box would hold a whole period of an axis, that axis itself is taken: the
        function continues it by its own border mode.

        Parameters
        ----------
        tile
            The box.
        halo
            By how much, per axis and side.
        multiple
            Numbers of which the box's bounds are multiples; None: of none.
        """
        shape = self.call.spatial_shape
        if not self.call.wraps:
            region = within_image(tile, halo, shape)
            return region if multiple is None else clip(align(region, tuple(multiple)), shape)
        region = grow(tile, halo)
        if multiple is not None:
            return align(region, tuple(multiple))
        return tuple(
            slice(0, n) if span.stop - span.start >= n else span
            for span, n in zip(region, shape, strict=True)
        )

    def block(
        self, tile: Region, region: Region | None, position: Position, *, copies: bool = True
    ) -> Block:
        """Return a tile with the pixels of a region.

        Parameters
        ----------
        tile
            The tile.
        region
            The tile with its surroundings; None: no pixels are read.
        position
            Where the tile is in the grid.
        copies
            Whether the function may change and keep the pixels; else they may be the source's own.
        """
        if region is None:
            empty = np.empty((0,) * len(self.call.shape), self.source.dtype)
            return Block(empty, {}, tile, tile, self.grid, position)
        with overlapping(tile, region):
            data = self._fetch(self.source, self._in_source(region, self.source), copies=copies)
            images = {
                name: self._fetch(image, self._in_source(region, image), copies=copies)
                for name, image in self.aligned.items()
            }
        return Block(data, images, tile, region, self.grid, position)

    @property
    def waits(self) -> bool:
        """Whether any of the images waits to be read."""
        return any(source.waits for source in (self.source, *self.aligned.values()))

    def fetch(self, tile: Region, region: Region | None) -> bool:
        """Begin to read the pixels of a region; False where there is no room for them.

        Parameters
        ----------
        tile
            The tile.
        region
            The tile with its surroundings; None: no pixels are read.
        """
        if region is None:
            return True
        with overlapping(tile, region):
            return all(
                source.fetch(box)
                for source in (self.source, *self.aligned.values())
                if is_within(box := self._in_source(region, source), source.shape)
            )

    def whole_channels(self, region: Region) -> Region:
        """Return a box over the spatial axes as one over all axes.

        Parameters
        ----------
        region
            The box.
        """
        channel = self.call.channel_axis
        length = 0 if channel is None else self.call.shape[channel]
        return self.call.with_channel(region, slice(0, length))

    def _in_source(self, region: Region, source: Source) -> Region:
        if isinstance(source, StoredImage) and any(source.margin):
            region = self.whole_channels(region)
            lines = zip(region, source.margin, strict=True)
            return tuple(slice(span.start, span.stop + 2 * more) for span, more in lines)
        if len(source.shape) == len(region):
            return region
        channel = self.call.channel_axis
        if channel is not None:
            channels = slice(0, source.shape[channel])
            if source is self.source and self._channels is not None:
                channels = self._channels
            return self.call.with_channel(region, channels)
        # An aligned image with channels behind the spatial axes, such as an RGB intensity image.
        return (*region, *(slice(0, n) for n in source.shape[len(region) :]))

    def _fetch(self, source: Source, region: Region, *, copies: bool = True) -> np.ndarray:
        """Return contiguous pixels: a function may keep and change them, unless it only reads."""
        is_inside = is_within(region, source.shape)
        pixels = source.read(region) if is_inside else read_wrapped(source, region)
        if not copies:
            return np.ascontiguousarray(pixels)
        if pixels.flags.c_contiguous and pixels.flags.owndata and pixels.flags.writeable:
            return pixels
        return np.array(pixels, order="C")

    def look_at(self, name: str) -> tuple[Grid, Callable[[Region, Region, Position], Block]]:
        """Return the tiles of a further image of its own size, and how its blocks are made.

        Parameters
        ----------
        name
            The image's parameter.
        """
        image = self.others[name] if name in self.others else self.aligned[name]
        channel = self.call.channel_axis
        has_channel = channel is not None and len(image.shape) == len(self.call.shape)
        spatial = [n for i, n in enumerate(image.shape) if not (has_channel and i == channel)]
        length = TARGET.get(len(spatial), 64)
        grid = Grid(tuple(spatial), tuple(min(length, n) for n in spatial))

        def block_of(tile: Region, region: Region, position: Position) -> Block:
            box = list(region)
            if has_channel and channel is not None:
                box.insert(channel, slice(0, image.shape[channel]))
            return Block(self._fetch(image, tuple(box)), {}, tile, region, grid, position)

        return grid, block_of


def within_image(tile: Region, halo: Halo, shape: Sequence[int]) -> Region:
    """Return a box grown by a halo and clipped to the image.

    What a border mode mirrors at the image's end lies on the other side of the tile: where the
    halo reaches beyond the image, the other side gets at least as many pixels.

    Parameters
    ----------
    tile
        The box.
    halo
        By how much, per axis and side.
    shape
        The image's shape.
    """
    region = []
    for span, (lo, hi), n in zip(tile, halo, shape, strict=True):
        before = max(lo, hi) if span.stop + hi > n else lo
        after = max(lo, hi) if span.start - lo < 0 else hi
        region.append(slice(max(0, span.start - before), min(n, span.stop + after)))
    return tuple(region)
