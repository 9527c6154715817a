"""A driver runs the passes of one operation on one plane, once, up to the last.

It builds the blocks that an operation's functions see: a tile with its surroundings, clipped to the
image (or continued where the border mode wraps), and the same box of every further image.
"""

from __future__ import annotations

import threading
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.engine.crew import GatherTask
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.engine.order import band_width, banded
from napari_tilewise.engine.source import Source, read_wrapped
from napari_tilewise.engine.sweeping import Sweeping
from napari_tilewise.engine.tiling import TARGET
from napari_tilewise.errors import MemoryBudgetExceeded, OperationFailed, TilewiseError
from napari_tilewise.operations.grid import Grid, Halo, Region, align, clip, grow, size, words
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

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.stored import StoredImage
    from napari_tilewise.operations.model import Plan

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
    address
        The step of a chain and the plane, by which an account and a crew know these passes; they
        are not noted, and done in this process, unless given.
    """

    def __init__(
        self,
        call: Call,
        source: Source,
        images: Mapping[str, Source],
        tile: tuple[int, ...],
        session: Session,
        address: tuple[int, Position] | None = None,
    ) -> None:
        self.address = address
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
        self._plan: Plan | None = None
        self._passes: list[Gather | Sweep] = []
        self._final: Final | None = None

    def final(self) -> Final:
        """Return the last pass, running those before it when that has not been done yet."""
        with self._lock:
            if self._final is None:
                for source in (self.source, *self._aligned.values(), *self._others.values()):
                    source.prepare()
                self._walk(None)
            assert self._final is not None
            return self._final

    def pass_at(self, number: int) -> Gather | Sweep:
        """Return one of the passes before the last, once those before it are done.

        Parameters
        ----------
        number
            Which, from 0.
        """
        with self._lock:
            self._walk(number)
            return self._passes[number]

    def _walk(self, number: int | None) -> None:
        """Go through the plan up to a pass (not doing that one), or to its end."""
        try:
            if self._plan is None:
                if self.operation.kind is Kind.WHOLE:
                    self._refuse_what_does_not_fit(prod(self.call.spatial_shape))
                self._plan = self.operation.plan(self.call)
                self._send(None)
            while self._final is None and (number is None or len(self._passes) <= number):
                self._send(self._done(len(self._passes) - 1))
        except BaseException:
            self._plan, self._passes, self._final = None, [], None  # begun anew when asked again
            raise

    def _send(self, found: Any) -> None:
        """Give the plan what its pass found; take in the next pass, or the last."""
        assert self._plan is not None
        try:
            self._passes.append(self._plan.send(found))
        except StopIteration as stop:
            self._final = stop.value
        except TilewiseError:
            raise
        except Exception as error:
            raise OperationFailed(
                f"{self.operation.name} cannot take this image: {error}"
            ) from error

    def _done(self, number: int) -> Any:
        """Return what a pass finds, or what it had found before the run was killed."""
        step = self._passes[number]
        name = self.name_of(number)
        account = self.session.account if name is not None else None
        if isinstance(step, Sweep):
            return Sweeping(self, step, number).run()
        if account is None or name is None:
            return self._gather(step, number)
        before = account.found(name)
        if before is not None:
            return before[0]
        found = self._gather(step, number)
        account.keep(name, found)
        return found

    def name_of(self, number: int) -> str | None:
        """Return what the session's account calls a pass; None where it does not know it.

        Parameters
        ----------
        number
            Which pass.
        """
        if self.address is None:
            return None
        step, index = self.address
        return "-".join(map(str, ("step", step, *index, "pass", number)))

    def _refuse_what_does_not_fit(self, pixels: int) -> None:
        """Stop before a region that has to be in memory at once takes more than there is."""
        if pixels <= ALWAYS:
            return
        channel = self.call.channel_axis
        channels = 1 if channel is None else self.call.shape[channel]
        needed = int(pixels * channels * 8 * self.operation.working)
        limit = self.session.memory or available_memory()
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
        limit = self.session.tables or available_memory()
        if needed > limit:
            raise MemoryBudgetExceeded(
                f"{self.operation.name}: the {what} of this image take more than "
                f"{format_size(needed)}; {format_size(limit)} of the budget are set aside for "
                "them. Raise memory=, or smooth the image so that it has fewer."
            )

    # -- passes ------------------------------------------------------------------------------

    def _gather(self, gather: Gather, number: int) -> Any:
        session, name = self.session, self.name_of(number)
        account = session.account if name is not None else None
        items = self._items(gather)
        what = f"{self.operation.name}: {gather.what}"
        total = session.reduce(
            what,
            lambda position: self.contribution(gather, position),
            self._merge(gather),
            items,
            None if account is None or name is None else account.so_far(name),
            None if self.address is None else partial(self._asked, number),
        )
        return total if gather.finish is None else gather.finish(total)

    def _asked(self, number: int, positions: Sequence[Position]) -> Sequence[Any]:
        """Return what others found in some tiles."""
        assert self.session.crew is not None
        assert self.address is not None
        found: Sequence[Any] = self.session.crew.ask(
            GatherTask(tuple(positions), *self.address, number)
        )
        return found

    def _items(self, gather: Gather) -> list[Position]:
        """Return where a pass looks: the tiles' positions, or the numbers of its regions."""
        if gather.regions is not None:
            self._refuse_what_does_not_fit(max(map(size, gather.regions), default=0))
            return [(number,) for number in range(len(gather.regions))]
        if gather.image is not None:
            return list(self._look_at(gather.image)[0].positions())
        return self.ordered()

    def contributions(self, number: int, positions: Sequence[Position]) -> list[Any]:
        """Return what some tiles contribute to a pass, merged as far as may be.

        Parameters
        ----------
        number
            Which pass.
        positions
            The tiles, neighbours in the order of the pass.
        """
        gather = self.pass_at(number)
        assert isinstance(gather, Gather)
        parts = (self.contribution(gather, position) for position in positions)
        return [reduce(self._merge(gather), parts)] if gather.in_groups else list(parts)

    def contribution(self, gather: Gather, position: Position) -> Any:
        """Return what one tile contributes.

        Parameters
        ----------
        gather
            The pass.
        position
            The tile's position, or its number among the pass's regions.
        """
        halo = normal_halo(gather.halo, self.call.ndim)
        if gather.image is not None:
            grid, block_of = self._look_at(gather.image)
            tile = grid.region(position) if gather.regions is None else gather.regions[position[0]]
            region = within_image(tile, halo, grid.shape)
        else:
            block_of = self.block
            tile = (
                self.grid.region(position)
                if gather.regions is None
                else gather.regions[position[0]]
            )
            region = self.grown(tile, halo, None)
        block = block_of(tile, region, position)
        return self.guard(lambda: gather.of(block), tile)

    def _merge(self, gather: Gather) -> Callable[[Any, Any], Any]:
        def merge(total: Any, part: Any) -> Any:
            total = gather.merge(total, part)
            self._refuse_more_than_was_set_aside(total, gather.what)
            return total

        return merge

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

    def stored(self, name: str) -> StoredImage | None:
        """Return the image that passes made under a name; None where there is none yet.

        Parameters
        ----------
        name
            The name.
        """
        found: Any = self._aligned.get(name)
        return found  # type: ignore[no-any-return]

    def store(self, name: str, image: StoredImage | None) -> None:
        """Have later passes see an image under a name, or no longer.

        Parameters
        ----------
        name
            The name.
        image
            The image; None: no longer.
        """
        self._aligned.pop(name, None)
        if image is not None:
            self._aligned[name] = image

    def ordered(self) -> list[Position]:
        """Return the tiles in the order in which passes visit them."""
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
