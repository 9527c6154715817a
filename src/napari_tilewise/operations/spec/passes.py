"""What a plan consists of: blocks of pixels, reductions, sweeps, walks, the pass of tiles."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np

from napari_tilewise.errors import InvalidFunction, OperationFailed

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Grid, Halo, Region
    from napari_tilewise.operations.spec.kinds import Output


@dataclass(frozen=True, eq=False)
class Block:
    """The pixels of one tile with its surroundings, and where they lie.

    `tile` and `region` are boxes over the spatial axes in absolute coordinates; `region` holds the
    tile, its halo and what alignment added, clipped to the image (`wrap` reaches beyond it).
    """

    data: np.ndarray
    """The region's pixels, C-contiguous, the channel axis whole."""
    images: Mapping[str, np.ndarray]
    """The same region of every aligned image that was given."""
    tile: Region
    region: Region
    grid: Grid
    position: tuple[int, ...]
    """The tile's position in the grid."""

    @property
    def core(self) -> Region:
        """The tile's box within the region (spatial axes only)."""
        return tuple(
            slice(t.start - r.start, t.stop - r.start)
            for t, r in zip(self.tile, self.region, strict=True)
        )

    @property
    def start(self) -> tuple[int, ...]:
        """The region's first pixel."""
        return tuple(s.start for s in self.region)


HaloLike: TypeAlias = int | Sequence[int] | Sequence[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Reduce:
    """A reduction: one pass over all tiles that ends in a small value of the whole image."""

    of: Callable[[Block], Any]
    """What one tile contributes. The block's data holds the halo too: crop with `Block.core`."""
    merge: Callable[[Any, Any], Any]
    """Joins two contributions, the running one first; always called in the same order of tiles,
    which is not raster order. A running total that grows with what is in the image (pieces, points)
    says in its attribute `nbytes` what it takes, and is held to the memory set aside for it."""
    halo: HaloLike = 0
    regions: Sequence[Region] | None = None
    """Boxes (spatial axes) to visit instead of the tiles of the grid."""
    image: str | None = None
    """Visit the tiles of this further image (an `OtherImage`) instead: `Block.data` is its."""
    in_groups: bool = False
    """Whether totals of neighbours in that order may be merged too, to the same bits (integers,
    extrema): then other processes answer with one for several tiles, else with one for each."""
    finish: Callable[[Any], Any] | None = None
    """Applied to the merged contributions before the plan receives them."""
    description: str = "statistics"
    """What is computed, in words, for progress."""
    only_reads: bool = False
    """Whether `of` neither changes the block's pixels nor keeps any: it may get the source's own,
    uncopied."""
    share: Hashable = None
    """A name for what is computed from the image's pixels and nothing else, no further image: all
    operations that name it so get the same result; None: nobody else's."""
    form: str = ""
    """A word for the form of the result, where the pass of this number had another result in an
    earlier release: what a checkpoint of that release holds is then not taken for it."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """Passes over all tiles that make an image and rewrite it until nothing changes.

    The image is kept (in memory, or on disk when large) until the node is gone, has the pixels of
    `call.shape`, and is seen by this and every later pass as ``block.images[name]``. All tiles see
    the image as it was before the sweep. A tile is computed again only when something in its region
    changed in the sweep before: `compute` must depend on nothing else that varies. The plan
    receives how many sweeps changed something.
    """

    compute: Callable[[Block], np.ndarray]
    """Returns the new pixels of the block's region (the engine crops them to the tile)."""
    dtype: Any
    start: Callable[[Block], np.ndarray] | None = None
    """Returns the first pixels of the block's region, without having an image of this name; None:
    the image stored by an earlier `Sweep` of this name goes on."""
    halo: HaloLike = 1
    most: int | None = None
    """At most so many sweeps (0: only `start`); None: until nothing changes."""
    name: str = "state"
    description: str = "sweeps"
    """What is done, in words, for progress."""


class Workspace(Protocol):
    """The arrays that a `Walk` works in, by name, as large as the image.

    They are in memory where they fit, else files, of which pages are in memory while they are used.
    An array is asked for again after each step: it may lie elsewhere then.
    """

    size: int
    """How many pixels a step should go through: fewer where they are scattered over large files."""

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array."""

    def create(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, *, beside: int = 0
    ) -> None:
        """Make an array of zeros: in memory if it fits there beside so many further bytes."""

    def lengthen(self, name: str, length: int) -> None:
        """Give an array with one axis another length, its values kept."""

    def remove(self, name: str) -> None:
        """Forget an array."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Walk:
    """A pass that makes an image in an order of its own, which no tile knows.

    It takes the pixels of all tiles into arrays of its own, goes through these step by step in one
    thread of one process, and hands out the image, which every later pass sees as
    ``block.images[name]``.
    """

    load: Callable[[Block, Workspace], None]
    """Takes a tile's pixels into the arrays; several tiles may be taken at a time."""
    create: Callable[[Workspace], None]
    """Makes the arrays, before any tile is taken."""
    steps: Callable[[Workspace], Iterator[float]]
    """Goes through the pixels; yields after each step which share of the way is behind it."""
    pixels: Callable[[Region, Workspace], np.ndarray]
    """Returns the pixels of a box of the result, once all steps are done."""
    dtype: Any
    name: str
    description: str
    """What is done, in words, for progress."""
    margin: tuple[int, ...] = ()
    """By how many pixels the result is larger than the image, on both sides of each spatial axis;
    where it is, the first pixel of ``block.images[name]`` lies so many before the region's, and the
    last so many behind. Empty: it is not larger."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """The last pass: how the tiles of the output are made."""

    compute: Callable[[Block], np.ndarray]
    """Returns the result for the block's region (the engine crops it to the tile), or, where
    `source` or `on_grid` is given, for the tile itself."""
    halo: HaloLike = 0
    align: Sequence[int] | None = None
    """Grow regions outward to multiples of these lengths (grids anchored at the image's origin)."""
    source: Callable[[Region], Region | None] | None = None
    """Geometry: which input box an output box needs (spatial axes; the engine clips it, or
    where the border mode wraps continues the image); None: no pixel of the input."""
    dtype: Any = None
    """The dtype, where the pixels decided it; None: the declared one."""
    on_grid: bool = False
    """Whether `compute` must see the very tiles of the passes before (connected pieces)."""
    only_reads: bool = False
    """Whether `compute` neither changes the block's pixels nor returns or keeps any of them: it may
    get the source's own, uncopied."""
    scalar: Any = None
    """A number that earlier passes computed and a record states, such as a threshold."""


@dataclass(frozen=True, eq=False)
class Value:
    """A result that is not an image: a scalar, points or a table."""

    value: Any


@dataclass(frozen=True, eq=False)
class Parts:
    """Several results, in the order of `Operation.parts_of`."""

    parts: tuple[Tiles | Value, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """What one of several results is, known before any pixel is read."""

    output: Output
    dtype: Any = None
    shape: tuple[int, ...] | None = None
    channel: int | None = None
    """Which axis of the result is no spatial axis."""


Final: TypeAlias = Tiles | Value | Parts
T = TypeVar("T")


def tiles_of(final: Final, operation: str) -> Tiles:
    """Return the last pass of an operation that gives one image.

    Parameters
    ----------
    final
        The last pass.
    operation
        The operation's name.

    Raises
    ------
    OperationFailed
        If it gives a value, or several results.
    """
    if isinstance(final, Tiles):
        return final
    raise OperationFailed(
        f"{operation} ends in {type(final).__name__}: expected one image. The declaration is "
        "wrong; please report it."
    )


Passes: TypeAlias = Generator[Reduce, Any, T]
"""Reductions in order, each sent its value; the generator returns what they come to."""

Plan: TypeAlias = Generator[Reduce | Sweep | Walk, Any, Final]


def normal_halo(halo: HaloLike, ndim: int, declared_by: str = "A pass") -> Halo:
    """Return a halo as ``((before, after), ...)`` from a number, one per axis, or pairs.

    Parameters
    ----------
    halo
        The pixels that a tile needs around it.
    ndim
        The number of spatial axes.
    declared_by
        The operation, for messages.

    Raises
    ------
    InvalidFunction
        When there are not as many items as spatial axes, or one is negative.
    """
    pairs = [_pair(item) for item in _items(halo, ndim)]
    if len(pairs) != ndim or any(min(pair) < 0 for pair in pairs):
        raise InvalidFunction(
            f"{declared_by} declares a halo of {halo!r}: expected 0 or more pixels, or as many "
            f"items as there are spatial axes, {ndim}."
        )
    return tuple(pairs)


def _items(halo: HaloLike, ndim: int) -> Sequence[int | tuple[int, int]]:
    return (halo,) * ndim if isinstance(halo, int | np.integer) else halo


def _pair(item: int | tuple[int, int]) -> tuple[int, int]:
    before, after = (item, item) if isinstance(item, int | np.integer) else item
    return int(before), int(after)
