"""A node is one operation on one image, and itself an image: pixels are pulled through it.

Reading a box of a node reads the box grown by the halo from its source, which may be another node:
a chain of operations is one pull, halos add up by themselves, and nothing in between is stored.
What a box costs depends on the box, never on the image. Global numbers are gathered once, before
the first box that needs them.
"""

from __future__ import annotations

import itertools
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.engine.order import band_width, banded
from napari_tilewise.engine.source import Source, read_wrapped
from napari_tilewise.errors import OperationFailed, TilewiseError
from napari_tilewise.operations.grid import (
    Grid,
    Halo,
    Region,
    align,
    clip,
    extent,
    grow,
    intersect,
    within,
)
from napari_tilewise.operations.model import Block, Call, Gather, Tiles, Value, normal_halo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.engine.session import Session

_numbers = itertools.count()


class Node:
    """One operation applied to one plane or volume.

    Parameters
    ----------
    call
        The operation with its parameters, bound to the source's shape and dtype.
    source
        Where the pixels come from; of shape `call.shape`.
    images
        The further images (masks, intensities) by parameter name, of the same spatial shape.
    tile
        Tile lengths of the passes, per spatial axis.
    session
        Workers, cancel, progress.
    """

    def __init__(
        self,
        call: Call,
        source: Source,
        images: Mapping[str, Source],
        tile: tuple[int, ...],
        session: Session,
    ) -> None:
        self.call = call
        self.operation = call.operation
        self.source = source
        self.images = images
        self.grid = Grid(call.spatial_shape, tile)
        self.session = session
        self.shape = self.operation.shape_of(call)
        self.dtype: np.dtype[Any] = np.dtype(self.operation.dtype_of(call))
        self._lock = threading.RLock()
        self._final: Tiles | Value | None = None
        self._number = next(_numbers)

    @property
    def channel_axis(self) -> int | None:
        """The channel axis of the result."""
        return None if self.operation.drops_channel else self.call.channel_axis

    @property
    def chunks_of_result(self) -> tuple[int, ...]:
        """The lengths of the result's tiles, channels whole.

        Where the result has another size than the image, its tiles are scaled like it, so that
        each comes from about one tile of the image.
        """
        shape = self.shape or ()
        spatial = [n for axis, n in enumerate(shape) if axis != self.channel_axis]
        scaled = [
            max(1, min(out, round(length * out / n)))
            for length, out, n in zip(self.grid.tile, spatial, self.grid.shape, strict=True)
        ]
        return self.tile_for(scaled)

    def tile_for(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Return array lengths from lengths along the spatial axes."""
        items = list(spatial)
        if self.channel_axis is not None:
            items.insert(self.channel_axis, self.shape[self.channel_axis])  # type: ignore[index]
        return tuple(items)

    # -- passes ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Run the gathering passes, here and upstream."""
        self.final()

    def final(self) -> Tiles | Value:
        """Return the last pass, running those before it when that has not been done yet."""
        with self._lock:
            if self._final is None:
                self.source.prepare()
                for image in self.images.values():
                    image.prepare()
                self._final = self._drive()
            return self._final

    def value(self) -> Any:
        """Return the result that is not an image: a scalar, points or a table."""
        final = self.final()
        if not isinstance(final, Value):
            raise OperationFailed(f"{self.operation.name} makes an image, not a value.")
        return final.value

    def _drive(self) -> Tiles | Value:
        plan = self.operation.plan(self.call)
        gathered: Any = None
        while True:
            try:
                gather = plan.send(gathered)
            except StopIteration as stop:
                final: Tiles | Value = stop.value
                return final
            except TilewiseError:
                raise
            except Exception as error:
                raise OperationFailed(
                    f"{self.operation.name} cannot take this image: {error}"
                ) from error
            gathered = self._gather(gather)

    def _gather(self, gather: Gather) -> Any:
        halo = normal_halo(gather.halo, self.call.ndim)
        if gather.regions is None:
            items = [(self.grid.region(p), p) for p in self._ordered()]
        else:
            items = [(region, (number,)) for number, region in enumerate(gather.regions)]

        def of(item: tuple[Region, tuple[int, ...]]) -> Any:
            tile, position = item
            block = self._block(tile, self._grown(tile, halo, None), position)
            return self._guard(lambda: gather.of(block), tile)

        what = f"{self.operation.name}: {gather.what}"
        total = self.session.reduce(what, of, gather.merge, items)
        return total if gather.finish is None else gather.finish(total)

    def _ordered(self) -> list[tuple[int, ...]]:
        cache = self.session.cache or shared_cache()
        return banded(
            self.grid, band_width(self.grid.tile, self.source.dtype.itemsize, cache.capacity)
        )

    @property
    def final_dtype(self) -> np.dtype[Any]:
        """The dtype of the result, after the passes that may decide it."""
        final = self.final()
        decided = None if isinstance(final, Value) else final.dtype
        return self.dtype if decided is None else np.dtype(decided)

    # -- boxes -------------------------------------------------------------------------------

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
        cache = self.session.cache or shared_cache()
        positions = list(self.grid.covering(region))
        if len(positions) == 1 and self.grid.region(positions[0]) == region:
            return self._compute(final, region, positions[0])
        out = np.empty(self.tile_for(extent(region)), self.dtype)
        for position in positions:
            tile = self.grid.region(position)
            pixels = cache.get(
                ("tile", self._number, position),
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

    def _compute(self, final: Tiles, tile: Region, position: tuple[int, ...]) -> np.ndarray:
        if final.source is not None:
            region = final.source(tile)
            if not self.call.wraps:
                region = clip(region, self.call.spatial_shape)
        else:
            halo = normal_halo(final.halo, self.call.ndim)
            region = self._grown(tile, halo, final.align)
        block = self._block(tile, region, position)
        result: np.ndarray = self._guard(lambda: final.compute(block), tile)
        if final.source is None and not final.on_grid:
            result = result[self._with_channel(block.core)]
        expected = self.dtype if final.dtype is None else np.dtype(final.dtype)
        if result.dtype != expected or result.shape != self.tile_for(extent(tile)):
            raise OperationFailed(
                f"{self.operation.name} made {result.dtype} pixels of shape {result.shape} for "
                f"the tile {words(tile)}: expected {expected} and {self.tile_for(extent(tile))}. "
                "The declaration is wrong; please report it."
            )
        return result

    def _grown(self, tile: Region, halo: Halo, multiple: Sequence[int] | None) -> Region:
        region = grow(tile, halo)
        if multiple is not None:
            region = align(region, tuple(multiple))
        return region if self.call.wraps else clip(region, self.call.spatial_shape)

    def _block(self, tile: Region, region: Region, position: tuple[int, ...]) -> Block:
        data = self._fetch(self.source, self._in_source(region, self.source))
        images = {
            name: self._fetch(image, self._in_source(region, image))
            for name, image in self.images.items()
        }
        return Block(data, images, tile, region, self.grid, position)

    def _in_source(self, region: Region, source: Source) -> Region:
        if len(source.shape) == len(region):
            return region
        channel = self.call.channel_axis
        if channel is not None:
            return self.call.with_channel(region, slice(0, source.shape[channel]))
        # An aligned image with channels behind the spatial axes, such as an RGB intensity image.
        return (*region, *(slice(0, n) for n in source.shape[len(region) :]))

    def _fetch(self, source: Source, region: Region) -> np.ndarray:
        """Return pixels that a function may keep and write to: contiguous, and never the input."""
        inside = all(
            s.start >= 0 and s.stop <= n for s, n in zip(region, source.shape, strict=True)
        )
        pixels = source.read(region) if inside else read_wrapped(source, region)
        if pixels.flags.c_contiguous and pixels.flags.owndata and pixels.flags.writeable:
            return pixels
        return np.array(pixels, order="C")

    def _guard(self, compute: Any, tile: Region) -> Any:
        """Run a tile's computation; an error names the operation and the tile."""
        try:
            return compute()
        except TilewiseError:
            raise
        except MemoryError as error:
            raise OperationFailed(
                f"{self.operation.name} ran out of memory on the tile {words(tile)}; "
                "use smaller tiles."
            ) from error
        except Exception as error:
            raise OperationFailed(
                f"{self.operation.name} failed on the tile {words(tile)}: {error}"
            ) from error


def words(region: Region) -> str:
    """Return a box as ``[0:512, 512:1024]``."""
    return "[" + ", ".join(f"{s.start}:{s.stop}" for s in region) + "]"
