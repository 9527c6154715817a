"""A node is one result of one operation on one plane, and itself an image: pixels are pulled.

Reading a box of a node reads the box grown by the halo from its source, which may be another node:
a chain of operations is one pull, halos add up by themselves, and nothing in between is stored.
What a box costs depends on the box, never on the image. Global numbers are gathered once, before
the first box that needs them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.engine.tile_size import result_lengths
from napari_tilewise.errors import OperationFailed
from napari_tilewise.grid import Region, clip, extent, format_region, intersect, within
from napari_tilewise.operations.spec.operation import Parts, Tiles, Value, normal_halo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.engine.passes.pass_runner import PassRunner
    from napari_tilewise.operations.spec.operation import Final, Part
    from napari_tilewise.types import DType


class Node:
    """One of the results of an operation on one plane or volume.

    Parameters
    ----------
    runner
        Runs the passes before the last.
    part
        What the result is.
    number
        Which of several results it is; None where there is one.
    """

    def __init__(self, runner: PassRunner, part: Part, number: int | None = None) -> None:
        self.runner = runner
        self.plane = runner.plane
        self.call = runner.plane.call
        self.operation = runner.plane.operation
        self.grid = runner.plane.grid
        self.shape = part.shape
        self.dtype: DType = np.dtype(part.dtype)
        self.channel_axis = part.channel
        self._part = number
        self._key = ("tile", *runner.key, number)

    def result_tile(self, tile: Sequence[int]) -> tuple[int, ...]:
        """Return the lengths of the result's tiles, channels whole.

        Where the result has another size than the image, its tiles are scaled like it, so that
        each comes from about one tile of the image, or from a part of one where the result is far
        larger.

        Parameters
        ----------
        tile
            Tile lengths of the passes along the spatial axes, in pixels.
        """
        shape = self.shape or ()
        spatial = [n for axis, n in enumerate(shape) if axis != self.channel_axis]
        scaled = [
            max(1, min(out, round(length * out / n)))
            for length, out, n in zip(tile, spatial, self.grid.shape, strict=True)
        ]
        before = 1 if self.call.channel_axis is None else self.call.shape[self.call.channel_axis]
        after = 1 if self.channel_axis is None else shape[self.channel_axis]
        return self.tile_for(result_lengths(scaled, tile, after / max(1, before)))

    def tile_for(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return array lengths from lengths along the spatial axes."""
        items = list(spatial)
        if self.channel_axis is not None:
            items.insert(self.channel_axis, self.shape[self.channel_axis])  # type: ignore[index]  # an image has a shape
        return tuple(items)

    def prepare(self) -> None:
        """Run the gathering passes, here and upstream."""
        self.final()

    def final(self) -> Tiles | Value:
        """Return the last pass of this result, running those before it when not done yet."""
        return self._own(self.runner.final())

    def _own(self, final: Final) -> Tiles | Value:
        return final.parts[self._part or 0] if isinstance(final, Parts) else final

    def fetch(self, region: Region) -> bool:
        """Begin to read what a box needs, where the passes before the last are done.

        Parameters
        ----------
        region
            The box.

        Returns
        -------
        bool
            False where there is no room for it.
        """
        finished = self.runner.finished
        final = None if finished is None else self._own(finished)
        if not isinstance(final, Tiles):
            return True
        tiles = [self._spatial(region)]
        if final.on_grid:
            tiles = [self.grid.region(position) for position in self.grid.covering(tiles[0])]
        blocks = self.plane.blocks
        return all(blocks.fetch(tile, self._region_of(final, tile)) for tile in tiles)

    def value(self) -> Any:
        """Return the result that is not an image: a scalar, points or a table."""
        final = self.final()
        if not isinstance(final, Value):
            raise OperationFailed(f"{self.operation.name} makes an image, not a value.")
        return final.value

    @property
    def final_dtype(self) -> DType:
        """The dtype of the result, after the passes that may decide it."""
        final = self.final()
        decided = None if isinstance(final, Value) else final.dtype
        return self.dtype if decided is None else np.dtype(decided)

    def read(self, region: Region) -> np.ndarray:
        """Return a box of the result."""
        final = self.final()
        if isinstance(final, Value):
            raise OperationFailed(f"{self.operation.name} makes a value, not an image.")
        spatial = self._spatial(region)
        if final.on_grid:
            result = self._assemble(final, spatial)
        else:
            result = self._compute(final, spatial, ())
        channel = self.channel_axis
        if channel is not None and extent(region[channel : channel + 1]) != (
            result.shape[channel],
        ):
            result = result[(slice(None),) * channel + (region[channel],)]
        return result

    def _spatial(self, region: Region) -> Region:
        channel = self.channel_axis
        return tuple(s for axis, s in enumerate(region) if axis != channel)

    def _assemble(self, final: Tiles, region: Region) -> np.ndarray:
        """Return a box put together from whole tiles of the grid."""
        cache = self.plane.session.cache or shared_cache()
        single = self.grid.position_of(region)
        if single is not None:
            return self._compute(final, region, single)
        positions = list(self.grid.covering(region))
        out = np.empty(self.tile_for(extent(region)), self.dtype)
        for position in positions:
            tile = self.grid.region(position)
            pixels = cache.get(
                (*self._key, position),
                partial(self._compute, final, tile, position),
            )
            common = intersect(tile, region)
            out[self._with_channel(within(common, region))] = pixels[
                self._with_channel(within(common, tile))
            ]
        return out

    def _with_channel(self, region: Region) -> Region:
        items = list(region)
        if self.channel_axis is not None:
            items.insert(self.channel_axis, slice(None))
        return tuple(items)

    def _region_of(self, final: Tiles, tile: Region) -> Region | None:
        """Return the box of the image that a tile of the result needs; None: no pixel of it."""
        if final.source is None:
            halo = normal_halo(final.halo, self.call.ndim, self.operation.name)
            return self.plane.blocks.grown(tile, halo, final.align)
        source = final.source  # may call a user's function, such as an inverse map
        region = self.plane.guard(lambda: source(tile), tile)
        if region is None or self.call.wraps:
            return region
        return clip(region, self.call.spatial_shape)

    def _compute(self, final: Tiles, tile: Region, position: tuple[int, ...]) -> np.ndarray:
        region, copies = self._region_of(final, tile), not final.only_reads
        block = self.plane.blocks.block(tile, region, position, copies=copies)
        result: np.ndarray = self.plane.compute(lambda: final.compute(block), tile)
        if final.source is None and not final.on_grid:
            result = result[self._with_channel(block.core)]
        expected = self.dtype if final.dtype is None else np.dtype(final.dtype)
        if result.dtype != expected or result.shape != self.tile_for(extent(tile)):
            raise OperationFailed(
                f"{self.operation.name} made {result.dtype} pixels of shape {result.shape} for "
                f"the tile {format_region(tile)}: expected {expected} and "
                f"{self.tile_for(extent(tile))}. The declaration is wrong; please report it."
            )
        return result
