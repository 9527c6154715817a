"""Connected pieces are labelled tile by tile and joined across tile faces by one union-find.

A tile contributes little: how many pieces it has, where each begins in raster order, a few measures
per piece, and the labels on its faces. From these the whole image's components follow exactly,
numbered by their first pixel as `skimage.measure.label` and `scipy.ndimage.label` number them. The
last pass maps each tile's pieces through a lookup table: those that were retained, or found again.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import label

from napari_tilewise.operations.shared.gathered_rows import GatheredRows, TileNumbers
from napari_tilewise.operations.shared.retained import Retained
from napari_tilewise.operations.spec.operation import Block, HaloLike, Reduce
from napari_tilewise.operations.spec.substitution import accepts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_tilewise.grid import Grid, Position
    from napari_tilewise.kernels import RunLists

LABELLING = "skimage.measure.label"
"""The function that `labelled` stands for."""
PER_PIECE = 72
"""Bytes per piece while the pieces are joined, without measures."""
PER_PAIR = 80
"""Bytes per pair of touching pieces."""
PER_TILE = 16
"""Bytes per tile: its number of pieces before."""
PER_FACES = 2048
"""Bytes per tile that has neighbours to come, beside its faces: its small arrays."""

Faces: TypeAlias = dict[tuple[int, int], np.ndarray]
"""One-pixel faces by (axis, side); side 0 is the low one, -1 the high one."""

Connectivity: TypeAlias = int | np.ndarray
"""Along how many axes neighbours differ, or a structure of three items per axis."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """The connected pieces of one tile: as labels, or as runs where a kernel found them."""

    labels: np.ndarray | RunLists
    """Over the tile itself, without halo: 0 is background, pieces are numbered from 1."""
    count: int
    values: np.ndarray | None = None
    """Pixels join across a face only where these are equal (labelled input); None: always."""
    measures: Mapping[str, np.ndarray] | None = None
    """Numbers per piece, index 0 for the background; joined by the gather's ufuncs."""
    first_pixels: np.ndarray | None = None
    """Each piece's first pixel as an index in the tile, shape (count,); None: not known yet."""

    def label_image(self) -> np.ndarray:
        """Return the labels over the tile."""
        labels = self.labels
        return labels if isinstance(labels, np.ndarray) else labels.labels()

    def look_up(self, table: np.ndarray) -> np.ndarray:
        """Return ``table[label]`` for every pixel of the tile."""
        if isinstance(self.labels, np.ndarray):
            return np.asarray(table[self.labels])
        return self.labels.look_up(table)

    def touched(self, mask: np.ndarray) -> np.ndarray:
        """Return which pieces hold a pixel of a mask; at index 0 whether the background does."""
        if not isinstance(self.labels, np.ndarray):
            return self.labels.touched(mask)
        touched = np.zeros(self.count + 1, bool)
        touched[self.labels[mask]] = True
        return touched

    def faces(self) -> Faces:
        """Return the labels on the tile's faces."""
        labels = self.labels
        faces = _faces(labels) if isinstance(labels, np.ndarray) else labels.faces()
        return {side: face.astype(np.int32) for side, face in faces.items()}

    @property
    def nbytes(self) -> int:
        """What the pieces take, in bytes; without the values, which are the image's."""
        return self.labels.nbytes


class RetainedPieces:
    """The pieces of tiles, found once for two passes as far as they fit into memory.

    Parameters
    ----------
    pieces
        Finds those of one tile.
    """

    def __init__(self, pieces: Callable[[Block], Pieces]) -> None:
        self._pieces = pieces
        self._retained = Retained[Pieces](lambda pieces: pieces.nbytes)

    def first(self, block: Block) -> Pieces:
        """Return a tile's pieces, and retain them for `again`."""
        pieces = self._pieces(block)
        self._retained.put(block.position, replace(pieces, values=None, measures=None))
        return pieces

    def again(self, block: Block) -> Pieces:
        """Return a tile's pieces once more, without values and measures where they were found."""
        pieces = self._retained.take(block.position)
        return self._pieces(block) if pieces is None else pieces


def labelled(
    image: np.ndarray, connectivity: int, background: int | None = None, *, sizes: bool = False
) -> Pieces:
    """Return the connected pieces of a tile, as `skimage.measure.label` finds them.

    Parameters
    ----------
    image
        The tile without halo: a mask, or integers of which equal neighbours connect.
    connectivity
        Largest number of axes along which neighbours differ.
    background
        The value of pixels that belong to no piece; 0 by default.
    sizes
        Whether to measure ``"size"``, the number of pixels.
    """
    params = {"background": background, "connectivity": connectivity}
    if accepts(LABELLING, image, **params):
        from napari_tilewise.kernels import RunLists

        runs = RunLists(image, connectivity, int(background or 0))
        measures = {"size": runs.areas} if sizes else None
        return Pieces(runs, runs.count, None, measures, runs.first_pixels[1:])
    labels, count = label(image, return_num=True, **params)
    measures = {"size": np.bincount(labels.ravel(), minlength=count + 1)} if sizes else None
    return Pieces(labels, count, measures=measures)


class _Tile:
    """What is kept of a tile's pieces."""

    def __init__(self, pieces: Pieces, block: Block) -> None:
        self.grid = block.grid
        self.position = block.position
        self.count = pieces.count
        self.measures = dict(pieces.measures or {})
        self.first = _first_pixels(pieces, block)
        values = pieces.values if pieces.count else None
        self.labels = pieces.faces() if pieces.count else {}
        self.values = None if values is None else _faces(values)

    @property
    def nbytes(self) -> int:
        """What is held for neighbours to come."""
        faces = itertools.chain(self.labels.values(), (self.values or {}).values())
        return PER_FACES + sum(face.nbytes for face in faces)

    def take_pieces(self) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return the first pixels and the measures of its pieces, and forget them."""
        first, measures = self.first, self.measures
        self.first, self.measures = first[:0], {}
        return first, measures


def _faces(array: np.ndarray) -> Faces:
    return {
        (axis, side): np.take(array, [side], axis=axis)
        for axis in range(array.ndim)
        for side in (0, -1)
    }


def _first_pixels(pieces: Pieces, block: Block) -> np.ndarray:
    """Return the raster index, in the whole image, of each piece's first pixel."""
    local, shape = pieces.first_pixels, tuple(s.stop - s.start for s in block.tile)
    if local is None:
        flat = pieces.label_image().ravel()
        inside = np.flatnonzero(flat)[::-1]
        numbered = np.zeros(pieces.count + 1, np.int64)
        numbered[flat[inside]] = inside  # the last one wins: the first pixel in raster order
        local = numbered[1:]
    coordinates = np.unravel_index(local, shape)
    index = np.zeros(pieces.count, np.int64)
    for axis, coordinate in enumerate(coordinates):
        index = index * block.grid.shape[axis] + coordinate + block.tile[axis].start
    return index


class Joined:
    """The pieces of the tiles seen so far, with the pairs that touch across faces."""

    def __init__(
        self, grid: Grid, connectivity: Connectivity, ufuncs: Mapping[str, np.ufunc]
    ) -> None:
        self.grid = grid
        self.total = 0
        self.offsets = TileNumbers(grid.counts)
        self._connectivity = connectivity
        self._ufuncs = ufuncs
        self._frontier: dict[Position, _Tile] = {}
        self._faces = 0
        self._pairs = GatheredRows(*np.empty((2, 0), np.int64))
        self._first = GatheredRows(np.empty(0, np.int64))
        self._measures: dict[str, GatheredRows] = {}
        self._backgrounds: dict[str, GatheredRows] = {}
        self._pair_count = 0

    @property
    def nbytes(self) -> int:
        """What joining takes at its peak, in bytes: the lists here, their joins, a sparse graph."""
        per_piece = PER_PIECE + 32 * len(self._ufuncs)
        per_tile = PER_TILE + 8 * len(self._ufuncs)
        tables = self.total * per_piece + self._pair_count * PER_PAIR
        return tables + len(self.offsets) * per_tile + self._faces

    def add(self, tile: _Tile) -> None:
        """Take in a tile, whatever the order."""
        self.offsets[tile.position] = self.total
        neighbours = list(self._neighbours(tile.position))
        for step, position in neighbours:
            if (other := self._frontier.get(position)) is not None:
                self._touch(tile, self.total, other, step)
        self.total += tile.count
        self._take_pieces(tile)
        self._frontier[tile.position] = tile
        self._faces += tile.nbytes
        for position in [tile.position, *(p for _, p in neighbours)]:
            self._settle(position)

    def _take_pieces(self, tile: _Tile) -> None:
        """Take the first pixels and measures of a tile's pieces: not for its neighbours."""
        first, measures = tile.take_pieces()
        self._first.append(first)
        for name in self._ufuncs:
            numbers = measures[name]
            for rows, part in ((self._measures, numbers[1:]), (self._backgrounds, numbers[:1])):
                if name in rows:
                    rows[name].append(part)
                else:
                    rows[name] = GatheredRows(part)

    def join(self, other: Joined) -> None:
        """Take in the tiles of another join, none of which is here.

        Parameters
        ----------
        other
            The other join, not to be used any more.
        """
        for position, tile in other._frontier.items():
            for step, neighbour in self._neighbours(position):
                if (mine := self._frontier.get(neighbour)) is not None:
                    self._touch(tile, self.total + other.offsets[position], mine, step)
        self._pairs.append(*(numbers + self.total for numbers in other._pairs.columns()))
        self._pair_count += other._pair_count
        for position, offset in other.offsets.items():
            self.offsets[position] = self.total + offset
        self.total += other.total
        self._first.extend(other._first)
        for name in self._ufuncs:
            self._measures[name].extend(other._measures[name])
            self._backgrounds[name].extend(other._backgrounds[name])
        self._frontier |= other._frontier
        self._faces += other._faces
        for position in list(self._frontier):
            self._settle(position)

    def _settle(self, position: Position) -> None:
        """Forget a tile whose neighbours are all here: nobody will ask for its faces again."""
        if all(p in self.offsets for _, p in self._neighbours(position)):
            tile = self._frontier.pop(position, None)
            self._faces -= 0 if tile is None else tile.nbytes

    def _neighbours(self, position: Position) -> Iterator[tuple[Position, Position]]:
        """Yield (step, position) of the tiles that share a face, an edge or a corner."""
        for step in itertools.product((-1, 0, 1), repeat=len(position)):
            other = tuple(p + s for p, s in zip(position, step, strict=True))
            if any(step) and all(0 <= p < n for p, n in zip(other, self.grid.counts, strict=True)):
                yield step, other

    def _touch(self, tile: _Tile, offset: int, other: _Tile, step: tuple[int, ...]) -> None:
        """Record which pieces of a tile touch which of the neighbour in the direction of step.

        The offset is the tile's own: its pieces are counted from there.
        """
        if not (tile.labels and other.labels):  # one of them has no pieces
            return
        free = [axis for axis, s in enumerate(step) if s == 0]
        for shift in itertools.product((-1, 0, 1), repeat=len(free)):
            rest = iter(shift)
            if not _connects(tuple(s or next(rest) for s in step), self._connectivity):
                continue
            own, others = _contact(step, dict(zip(free, shift, strict=True)))
            face = next(axis for axis, s in enumerate(step) if s)
            own_face, other_face = (
                (face, 0 if step[face] < 0 else -1),
                (face, -1 if step[face] < 0 else 0),
            )
            a, b = tile.labels[own_face][own], other.labels[other_face][others]
            joined = (a > 0) & (b > 0)
            if tile.values is not None and other.values is not None:
                joined &= tile.values[own_face][own] == other.values[other_face][others]
            if joined.any():
                numbers = np.stack([a[joined], b[joined]]).astype(np.int64)
                numbers += np.array([[offset], [self.offsets[other.position]]])
                pairs = np.unique(numbers, axis=1)
                self._pairs.append(*pairs)
                self._pair_count += pairs.shape[1]

    def components(self) -> Components:
        """Return the whole image's components."""
        first = np.concatenate([np.zeros(1, np.int64), *self._first.columns()])
        count, group = self._groups()
        begins = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(begins, group, first)
        begins[group[0]] = -1  # the background is number 0
        ids = np.empty(count, np.int64)
        ids[np.argsort(begins, kind="stable")] = np.arange(count)
        return Components(self.offsets, ids[group], count - 1, self._join_measures(ids[group]))

    def _groups(self) -> tuple[int, np.ndarray]:
        """Return how many components there are, the background included, and that of each piece."""
        if not self._pair_count:  # such as of an image of one tile
            return self.total + 1, np.arange(self.total + 1)
        pieces, others = self._pairs.columns()
        graph = coo_array(
            (np.ones(len(pieces), np.int8), (pieces, others)),
            shape=(self.total + 1, self.total + 1),
        )
        count, group = connected_components(graph, directed=False)
        return int(count), group

    def _join_measures(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        joined = {}
        for name, ufunc in self._ufuncs.items():
            (pieces,), (background,) = (
                rows[name].columns() for rows in (self._measures, self._backgrounds)
            )
            target = np.full(int(ids.max()) + 1, ufunc.identity, pieces.dtype)
            ufunc.at(target, ids[1:], pieces)
            target[0] = ufunc.reduce(background)
            joined[name] = target
        return joined


@dataclass(frozen=True, eq=False)
class Components:
    """The whole image's components and how each tile's pieces map to them."""

    _offsets: Mapping[Position, int]
    _ids: np.ndarray
    count: int
    """Number of components."""
    measures: Mapping[str, np.ndarray]
    """Joined measures by component number; index 0 is the background."""

    def look_up(self, table: np.ndarray, position: Position, pieces: Pieces) -> np.ndarray:
        """Return ``table[component number]`` for every pixel of a tile."""
        start = self._offsets[position]
        numbers = np.empty(pieces.count + 1, np.int64)
        numbers[0] = 0
        numbers[1:] = self._ids[start + 1 : start + 1 + pieces.count]
        return pieces.look_up(table[numbers])


def _connects(offset: tuple[int, ...], connectivity: Connectivity) -> bool:
    """Return whether pixels at this offset from each other are neighbours."""
    if isinstance(connectivity, np.ndarray):
        return bool(connectivity[tuple(1 + o for o in offset)])
    return sum(map(abs, offset)) <= connectivity


def _contact(
    step: tuple[int, ...], shift: Mapping[int, int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the parts of two facing faces whose pixels touch when moved by a shift.

    Along an axis of the step only the last pixel towards the neighbour can touch; along the other
    axes the two tiles span the same pixels and are moved against each other by -1, 0 or 1.
    """
    mine, theirs = [], []
    for axis, s in enumerate(step):
        if s:
            low, high = slice(0, 1), slice(-1, None)
            mine.append(low if s < 0 else high)
            theirs.append(high if s < 0 else low)
        else:
            by = shift[axis]
            mine.append(slice(max(0, -by), None if by <= 0 else -by))
            theirs.append(slice(max(0, by), None if by >= 0 else by))
    return tuple(mine), tuple(theirs)


def gather_components(
    pieces: Callable[[Block], Pieces],
    connectivity: Connectivity,
    *,
    halo: HaloLike = 0,
    ufuncs: Mapping[str, np.ufunc] | None = None,
) -> Reduce:
    """Return the pass that joins the tiles' pieces; its result is a `Components`.

    Parameters
    ----------
    pieces
        Labels one tile.
    connectivity
        Largest number of axes along which neighbouring pixels differ, or which of a pixel's
        neighbours are connected to it: an array of three items per axis, as SciPy has it.
    halo
        What `pieces` needs around the tile.
    ufuncs
        How the measures of joined pieces combine (np.add, np.logical_or, np.maximum).
    """
    joins = ufuncs or {}

    def of(block: Block) -> Any:
        return _Tile(pieces(block), block)

    def merge(joined: Any, tile: Any) -> Joined:
        begun = _begun(joined, connectivity, joins)
        if isinstance(tile, Joined):
            begun.join(tile)
        else:
            begun.add(tile)
        return begun

    def finish(joined: Any) -> Components:
        return _begun(joined, connectivity, joins).components()

    return Reduce(
        of, merge, halo=halo, finish=finish, in_groups=True, description="connected pieces"
    )


def _begun(
    joined: Joined | _Tile, connectivity: Connectivity, ufuncs: Mapping[str, np.ufunc]
) -> Joined:
    """Return the join itself, or a new one that holds the first tile."""
    if isinstance(joined, Joined):
        return joined
    begun = Joined(joined.grid, connectivity, ufuncs)
    begun.add(joined)
    return begun
