"""A driver runs the passes of one operation on one plane, once, up to the last.

It builds the blocks that an operation's functions see: a tile with its surroundings, clipped to the
image (or continued where the border mode wraps), and the same box of every further image.
"""

from __future__ import annotations

import threading
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.engine.order import band_width, banded
from napari_tilewise.engine.source import Source, read_wrapped
from napari_tilewise.engine.stored import StoredImage
from napari_tilewise.engine.tiling import TARGET
from napari_tilewise.errors import MemoryBudgetExceeded, OperationFailed, TilewiseError
from napari_tilewise.operations.grid import (
    Grid,
    Halo,
    Region,
    align,
    clip,
    grow,
    size,
    words,
)
from napari_tilewise.operations.model import (
    Block,
    Call,
    Final,
    Gather,
    Kind,
    Sweep,
    normal_halo,
)
from napari_tilewise.operations.parameters import OtherImage
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_tilewise.engine.account import SoFar
    from napari_tilewise.engine.session import Session

UNNOTICED = 2**20
"""Bytes of gathered numbers below which nobody asks how much memory there is."""

ALWAYS = 2**16
"""Pixels that are always taken at once."""

Position = tuple[int, ...]


class Driver:
    """The passes of one operation on one plane or volume.

    Parameters
    ----------
    call
        The operation with its parameters, bound to the source's shape and dtype.
    source
        Where the pixels come from; of shape `call.shape`.
    images
        The further images (masks, intensities) by parameter name.
    tile
        Tile lengths of the passes, per spatial axis.
    session
        Workers, cancel, progress.
    name
        What the session's account calls these passes; none of them are noted unless given.
    """

    def __init__(
        self,
        call: Call,
        source: Source,
        images: Mapping[str, Source],
        tile: tuple[int, ...],
        session: Session,
        name: str = "",
    ) -> None:
        self.name = name
        self._passes = 0
        self.call = call
        self.operation = call.operation
        self.source = source
        self.grid = Grid(call.spatial_shape, tile)
        self.session = session
        specs = self.operation.specs
        self._others = {k: v for k, v in images.items() if isinstance(specs[k], OtherImage)}
        self._aligned: dict[str, Source] = {
            k: v for k, v in images.items() if k not in self._others
        }
        self._lock = threading.RLock()
        self._final: Final | None = None

    def final(self) -> Final:
        """Return the last pass, running those before it when that has not been done yet."""
        with self._lock:
            if self._final is None:
                for source in (self.source, *self._aligned.values(), *self._others.values()):
                    source.prepare()
                self._final = self._drive()
            return self._final

    def _drive(self) -> Final:
        if self.operation.kind is Kind.WHOLE:
            self._refuse_what_does_not_fit(prod(self.call.spatial_shape))
        plan = self.operation.plan(self.call)
        found: Any = None
        while True:
            try:
                step = plan.send(found)
            except StopIteration as stop:
                final: Final = stop.value
                return final
            except TilewiseError:
                raise
            except Exception as error:
                raise OperationFailed(
                    f"{self.operation.name} cannot take this image: {error}"
                ) from error
            found = self._sweep(step) if isinstance(step, Sweep) else self._noted(step)

    def _noted(self, gather: Gather) -> Any:
        """Return what a pass gathers, or what it had gathered before the run was killed."""
        account = self.session.account
        if account is None or not self.name:
            return self._gather(gather, None)
        what = f"{self.name}-pass-{self._passes}"
        self._passes += 1
        before = account.found(what)
        if before is not None:
            return before[0]
        found = self._gather(gather, account.so_far(what))
        account.keep(what, found)
        return found

    def _refuse_what_does_not_fit(self, pixels: int) -> None:
        """Stop before a region that has to be in memory at once takes more than there is."""
        if pixels <= ALWAYS:
            return
        channel = self.call.channel_axis
        channels = 1 if channel is None else self.call.shape[channel]
        needed = int(pixels * channels * 8 * self.operation.working)
        limit = self.session.memory or int(psutil.virtual_memory().available)
        if needed > limit:
            whole = pixels == prod(self.call.spatial_shape)
            what = "the whole image" if whole else f"a region of {pixels} pixels"
            raise MemoryBudgetExceeded(
                f"{self.operation.name} needs {what} at once, in an image of shape "
                f"{self.call.shape}: that takes {format_size(needed)}, and there are "
                f"{format_size(limit)}. Crop or downscale the image first."
            )

    def _refuse_more_than_was_set_aside(self, total: Any, what: str) -> None:
        """Stop before gathered numbers, which only the pixels tell, take more than was stated."""
        needed = getattr(total, "nbytes", 0)
        if needed < UNNOTICED:
            return
        limit = self.session.tables or int(psutil.virtual_memory().available)
        if needed > limit:
            raise MemoryBudgetExceeded(
                f"{self.operation.name}: the {what} of this image take more than "
                f"{format_size(needed)}; {format_size(limit)} of the budget are set aside for "
                "them. Raise memory=, or smooth the image so that it has fewer."
            )

    # -- passes ------------------------------------------------------------------------------

    def _gather(self, gather: Gather, so_far: SoFar | None) -> Any:
        halo = normal_halo(gather.halo, self.call.ndim)
        grid = self.grid
        block_of: Callable[[Region, Region, Position], Block] = self.block
        if gather.image is not None:
            grid, block_of = self._look_at(gather.image)
        items: list[tuple[Region, Position]]
        if gather.regions is not None:
            items = [(region, (number,)) for number, region in enumerate(gather.regions)]
            self._refuse_what_does_not_fit(max(map(size, gather.regions), default=0))
        elif gather.image is not None:
            items = [(grid.region(p), p) for p in grid.positions()]
        else:
            items = [(grid.region(p), p) for p in self._ordered()]

        def of(item: tuple[Region, Position]) -> Any:
            tile, position = item
            if gather.image is None:
                region = self.grown(tile, halo, None)
            else:
                region = within_image(tile, halo, grid.shape)
            block = block_of(tile, region, position)
            return self.guard(lambda: gather.of(block), tile)

        def merge(total: Any, part: Any) -> Any:
            total = gather.merge(total, part)
            self._refuse_more_than_was_set_aside(total, gather.what)
            return total

        what = f"{self.operation.name}: {gather.what}"
        total = self.session.reduce(what, of, merge, items, so_far)
        return total if gather.finish is None else gather.finish(total)

    def _look_at(self, name: str) -> tuple[Grid, Callable[[Region, Region, Position], Block]]:
        """Return the tiles of a further image of its own size, and how its blocks are made."""
        image = self._others[name] if name in self._others else self._aligned[name]
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

    def _sweep(self, sweep: Sweep) -> int:
        """Make or go on with the stored image; return how many sweeps changed something."""
        halo = normal_halo(sweep.halo, self.call.ndim)
        if sweep.start is not None:
            stored = self._started(sweep, sweep.start, halo)
        else:
            stored = self._stored(sweep.name)
        what = f"{self.operation.name}: {sweep.what}"
        changed: list[Position] = []

        def work(position: Position) -> None:
            new = self._swept(sweep.compute, position, halo, stored.dtype)
            old = stored.read(self._box_of(position))
            if not np.array_equal(old, new, equal_nan=new.dtype.kind in "fc"):
                stored.stage(position, new)
                changed.append(position)

        todo = self._ordered()
        count = 0
        while todo and (sweep.most is None or count < sweep.most):
            self.session.sweep(what, work, todo)
            stored.commit()
            count += bool(changed)
            todo = self._touched(changed, halo)
            changed.clear()
        return count

    def _stored(self, name: str) -> StoredImage:
        stored = self._aligned[name]
        assert isinstance(stored, StoredImage)
        return stored

    def _started(
        self, sweep: Sweep, start: Callable[[Block], np.ndarray], halo: Halo
    ) -> StoredImage:
        tile = self.call.with_channel(
            self.grid.tile,
            0 if self.call.channel_axis is None else self.call.shape[self.call.channel_axis],
        )
        stored = StoredImage(self.call.shape, sweep.dtype, tile)
        self._aligned.pop(sweep.name, None)

        def work(position: Position) -> None:
            stored.stage(position, self._swept(start, position, halo, stored.dtype))

        self.session.sweep(f"{self.operation.name}: {sweep.what}", work, self._ordered())
        stored.commit()
        self._aligned[sweep.name] = stored
        return stored

    def _swept(
        self,
        compute: Callable[[Block], np.ndarray],
        position: Position,
        halo: Halo,
        dtype: np.dtype[Any],
    ) -> np.ndarray:
        tile = self.grid.region(position)
        region = self.grown(tile, halo, None)
        block = self.block(tile, region, position)
        result: np.ndarray = self.guard(lambda: compute(block), tile)
        box = self.call.with_channel(block.core, slice(None))
        return np.asarray(result[box], dtype)

    def _box_of(self, position: Position) -> Region:
        return self._whole_channels(self.grid.region(position))

    def _touched(self, changed: Sequence[Position], halo: Halo) -> list[Position]:
        """Return the tiles that see any of the changed ones, in the order of passes."""
        if self.call.wraps:
            return self._ordered() if changed else []
        back = tuple((hi, lo) for lo, hi in halo)
        seen: set[Position] = set()
        for position in changed:
            region = clip(grow(self.grid.region(position), back), self.grid.shape)
            seen.update(self.grid.covering(region))
        return [position for position in self._ordered() if position in seen] if seen else []

    def _ordered(self) -> list[Position]:
        cache = self.session.cache or shared_cache()
        return banded(
            self.grid, band_width(self.grid.tile, self.source.dtype.itemsize, cache.capacity)
        )

    # -- blocks ------------------------------------------------------------------------------

    def grown(self, tile: Region, halo: Halo, multiple: Sequence[int] | None) -> Region:
        """Return a box grown by a halo and aligned, within the image unless it wraps.

        Where a periodic box would hold a whole period of an axis, that axis itself is taken: the
        function continues it by its own border mode.
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

    def block(self, tile: Region, region: Region | None, position: Position) -> Block:
        """Return a tile with the pixels of a region (none of them where it is None)."""
        if region is None:
            empty = np.empty((0,) * len(self.call.shape), self.source.dtype)
            return Block(empty, {}, tile, tile, self.grid, position)
        data = self._fetch(self.source, self._in_source(region, self.source))
        images = {
            name: self._fetch(image, self._in_source(region, image))
            for name, image in self._aligned.items()
        }
        return Block(data, images, tile, region, self.grid, position)

    def _whole_channels(self, region: Region) -> Region:
        channel = self.call.channel_axis
        length = 0 if channel is None else self.call.shape[channel]
        return self.call.with_channel(region, slice(0, length))

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

    def guard(self, compute: Callable[[], Any], tile: Region) -> Any:
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


def within_image(tile: Region, halo: Halo, shape: Sequence[int]) -> Region:
    """Return a box grown by a halo and clipped to the image.

    What a border mode mirrors at the image's end lies on the other side of the tile: where the
    halo reaches beyond the image, the other side gets at least as many pixels.
    """
    region = []
    for span, (lo, hi), n in zip(tile, halo, shape, strict=True):
        before = max(lo, hi) if span.stop + hi > n else lo
        after = max(lo, hi) if span.start - lo < 0 else hi
        region.append(slice(max(0, span.start - before), min(n, span.stop + after)))
    return tuple(region)
