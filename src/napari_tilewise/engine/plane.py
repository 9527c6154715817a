"""One plane or volume of an image as an operation sees it: tiles, blocks and images by name."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.blocks import Blocks
from napari_tilewise.engine.stored.stored_image import StoredImage
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.engine.system.pool import abandonable
from napari_tilewise.engine.tile_order import band_width, banded
from napari_tilewise.errors import OperationFailed, TilewiseError
from napari_tilewise.grid import Grid, Region, extent, format_region
from napari_tilewise.operations.spec.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import TypeVar

    from napari_tilewise.engine.checkpoints.pass_results import PartialResult
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Call

    T = TypeVar("T")

QUICK = 2**16
"""Pixels of a region that a cancel waits for, whatever is computed: as many as are timed, in the
thread that asks for them, to cut tiles."""


class Plane:
    """An operation on one plane or volume.

    Parameters
    ----------
    call
        The operation with its parameters, bound to the source's shape and dtype.
    source
        The pixels, of shape `call.shape`.
    images
        Further images (masks, intensities) by parameter name.
    tile
        Tile lengths of the passes along the spatial axes, in pixels.
    session
        Workers, memory and control of the passes.
    address
        The step of a pipeline and the plane's position along the looped axes, by which a
        checkpoint and workers know its passes; without it they are not noted, and run in this
        process.
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
        self.call = call
        self.operation = call.operation
        self.source = source
        self.grid = Grid(call.spatial_shape, tile)
        self.session = session
        self.address = address
        self.blocks = Blocks(call, source, images, self.grid)

    def name_of(self, number: int) -> str | None:
        """Return the checkpoint's name of a pass; None where passes are not noted.

        Parameters
        ----------
        number
            The pass, from 0.
        """
        if self.address is None:
            return None
        step, index = self.address
        return "-".join(map(str, ("step", step, *index, "pass", number)))

    def folder_of(self, name: str) -> Path | None:
        """Return the folder of an image that passes store; None where no checkpoint has one.

        Parameters
        ----------
        name
            The image's name, as blocks have it.
        """
        checkpoint = self.session.checkpoint
        if checkpoint is None or self.address is None:
            return None
        return checkpoint.subfolder(self.folder_name(name))

    def folder_name(self, name: str) -> str:
        """Return the name of that folder in a checkpoint.

        Parameters
        ----------
        name
            The image's name, as blocks have it.
        """
        step, index = self.address or (0, ())
        return "-".join(map(str, ("step", step, *index, name)))

    def ordered(self, partial: PartialResult | None = None) -> Sequence[Position]:
        """Return the tiles in the order in which passes visit them.

        Parameters
        ----------
        partial
            What an earlier run merged, with other memory perhaps: its order is kept to.
        """
        cache = self.session.cache or shared_cache()
        width = band_width(self.grid.tile, self.source.dtype.itemsize, cache.capacity)
        return banded(self.grid, width if partial is None else partial.band(width))

    @property
    def everything(self) -> Region:
        """All pixels, along the spatial axes."""
        return tuple(slice(0, n) for n in self.call.spatial_shape)

    def compute(self, work: Callable[[], T], tile: Region) -> T:
        """Compute a tile as `guard` does; a cancel does not wait for one that may take long.

        Parameters
        ----------
        work
            The computation, which changes nothing that others see.
        tile
            The tile, or another region: the whole image or a large part of it.
        """
        lengths, session, call = extent(tile), self.session, self.call
        channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
        # Of an image of shape (n, m), scikit-image may take m for channels. None of these is timed.
        is_whole = self.operation.kind is Kind.WHOLE
        if prod(lengths) * (channels if is_whole else 1) <= QUICK:
            return self.guard(work, tile)
        cancel = session.control.cancel
        is_tile = all(n <= most for n, most in zip(lengths, self.grid.tile, strict=False))
        is_short = cancel is None or session.seconds_of_tile is not None
        if is_tile and is_short and tile != self.everything:
            return self.guard(work, tile)
        return self.guard(lambda: abandonable(work, cancel), tile)

    def guard(self, compute: Callable[[], T], tile: Region) -> T:
        """Run a tile's computation; an error names the operation and the tile.

        Parameters
        ----------
        compute
            The computation.
        tile
            The tile.
        """
        try:
            return compute()
        except TilewiseError:
            raise
        except MemoryError as error:
            raise OperationFailed(
                f"{self.operation.name} ran out of memory on the tile {format_region(tile)}; "
                "use smaller tiles."
            ) from error
        except Exception as error:
            raise OperationFailed(
                f"{self.operation.name} failed on the tile {format_region(tile)}: {error}"
            ) from error

    def stored(self, name: str) -> StoredImage | None:
        """Return the image that earlier passes stored under a name; None where there is none.

        Parameters
        ----------
        name
            The name, as blocks have it.
        """
        image: Any = self.blocks.aligned.get(name)
        return image if isinstance(image, StoredImage) else None

    def store(self, name: str, image: StoredImage | None) -> None:
        """Let blocks of later passes have an image under a name, or no longer.

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
