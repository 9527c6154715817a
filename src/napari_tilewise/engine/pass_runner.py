"""A driver runs the passes of one operation on one plane, once, up to the last."""

from __future__ import annotations

import threading
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.blocks import Blocks, within_image
from napari_tilewise.engine.cache import shared_cache
from napari_tilewise.engine.machine import available_memory
from napari_tilewise.engine.sweeps import Sweeping
from napari_tilewise.engine.tile_order import band_width, banded
from napari_tilewise.engine.tile_tasks import ReduceTask
from napari_tilewise.errors import MemoryBudgetExceeded, OperationFailed, TilewiseError
from napari_tilewise.grid import Grid, Region, size, words
from napari_tilewise.operations.spec.operation import (
    Call,
    Final,
    Gather,
    Kind,
    Sweep,
    normal_halo,
)
from napari_tilewise.sizes import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.engine.stored_image import StoredImage
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Plan

UNNOTICED = 2**20
"""Bytes of gathered numbers below which nobody asks how much memory there is."""

ALWAYS = 2**16
"""Pixels that are always taken at once."""


class PassRunner:
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
        self.blocks = Blocks(call, source, images, self.grid)
        self._lock = threading.RLock()
        self._plan: Plan | None = None
        self._passes: list[Gather | Sweep] = []
        self._final: Final | None = None

    def final(self) -> Final:
        """Return the last pass, running those before it when that has not been done yet."""
        with self._lock:
            if self._final is None:
                self.blocks.prepare()
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
        needed = int(pixels * channels * 8 * self.operation.cost.memory)
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
            ReduceTask(tuple(positions), *self.address, number)
        )
        return found

    def _items(self, gather: Gather) -> list[Position]:
        """Return where a pass looks: the tiles' positions, or the numbers of its regions."""
        if gather.regions is not None:
            self._refuse_what_does_not_fit(max(map(size, gather.regions), default=0))
            return [(number,) for number in range(len(gather.regions))]
        if gather.image is not None:
            return list(self.blocks.look_at(gather.image)[0].positions())
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
        halo = normal_halo(gather.halo, self.call.ndim, self.call.operation.name)
        if gather.image is not None:
            grid, block_of = self.blocks.look_at(gather.image)
            tile = grid.region(position) if gather.regions is None else gather.regions[position[0]]
            region = within_image(tile, halo, grid.shape)
        else:
            block_of = self.blocks.block
            tile = (
                self.grid.region(position)
                if gather.regions is None
                else gather.regions[position[0]]
            )
            region = self.blocks.grown(tile, halo, None)
        block = block_of(tile, region, position)
        return self.guard(lambda: gather.of(block), tile)

    def _merge(self, gather: Gather) -> Callable[[Any, Any], Any]:
        def merge(total: Any, part: Any) -> Any:
            total = gather.merge(total, part)
            self._refuse_more_than_was_set_aside(total, gather.what)
            return total

        return merge

    def stored(self, name: str) -> StoredImage | None:
        """Return the image that passes made under a name; None where there is none yet.

        Parameters
        ----------
        name
            The name.
        """
        found: Any = self.blocks.aligned.get(name)
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
        self.blocks.aligned.pop(name, None)
        if image is not None:
            self.blocks.aligned[name] = image

    def ordered(self) -> list[Position]:
        """Return the tiles in the order in which passes visit them."""
        cache = self.session.cache or shared_cache()
        return banded(
            self.grid, band_width(self.grid.tile, self.source.dtype.itemsize, cache.capacity)
        )

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
