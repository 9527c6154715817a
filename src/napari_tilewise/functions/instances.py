"""Objects that a function labels tile by tile, each found once and numbered over the whole image.

A tile is labelled with its neighbours. An object that lies within that region is known by its first
pixel, which every tile that sees the object finds alike; so the tile that holds this pixel counts
the object, and all others give it the same number, whatever the tiles. An object that reaches the
region's end is longer than the halo: its parts are joined where two tiles see the same pixels along
their common face, by the overlap of what they see. Objects that touch stay apart: each overlaps
with itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_tilewise.errors import InvalidFunction
from napari_tilewise.functions.user_function import plan_tiles
from napari_tilewise.operations.shared.retained import Retained
from napari_tilewise.operations.shared.whole import gather_whole, handed_out
from napari_tilewise.operations.spec.operation import Call, Kind, Plan, Reduce, Tiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Block
    from napari_tilewise.types import Array

OVERLAP = 0.5
"""Parts of an object are joined where the intersection of what two tiles see of it, on the two rows
of pixels along their common face, is more than this share of the union."""
PER_OBJECT = 80
"""Bytes per object of a tile while objects are joined."""

MERGED, ONE_SIDED = "merged", "one-sided"
"""What a record calls the ids of objects that tiles do not see alike."""

Seam: TypeAlias = tuple[int, tuple[int, ...]]
"""The face of a tile, by axis and position, towards the next tile along that axis."""


def plan_instances(call: Call) -> Plan:
    """Yield the passes that number the objects of all tiles, and return the tiles."""
    if call.operation.kind is Kind.WHOLE:
        labels = yield gather_whole(call, lambda block: numbered(_labels(call, block)))
        return handed_out(call, labels)
    halo = call.halo
    _check_halo(call)
    retained = Retained[TileLabels](lambda labels: labels.pixels.nbytes)

    def objects(block: Block) -> JoinedObjects:
        labels = TileLabels.of(block, _labels(call, block))
        joined = JoinedObjects.of(block, labels, call.spatial_shape)
        retained.put(block.position, labels.cropped(block))
        return joined

    instances: Instances = yield Reduce(
        objects,
        JoinedObjects.join,
        halo=halo,
        finish=JoinedObjects.instances,
        in_groups=True,
        description="objects",
    )
    instances.report(call)

    def compute(block: Block) -> Array:
        labels = retained.take(block.position)
        if labels is None:
            labels = TileLabels.of(block, _labels(call, block)).cropped(block)
        return instances.look_up(block.position, labels)

    return Tiles(compute, halo=halo, on_grid=True, scalar=instances.recorded())


def plan_labels(call: Call) -> Plan:
    """Yield passes that try whether ids depend on the tile, and return the tiles."""
    for box in boxes_to_try(call):
        depends = yield Reduce(
            lambda block: ids_depend_on_tile(call, block),
            lambda a, b: a,
            halo=call.halo,
            regions=[box],
            description="ids of labels",
        )
        if depends:
            raise InvalidFunction(
                f"{call.operation.name} declares labels, but gives the same objects other ids when "
                "it sees less of the image: expected ids that do not depend on the tile. Declare "
                "output='instances', which numbers objects over the whole image, or a larger halo."
            )
        if depends is not None:
            break
    return plan_tiles(call)


def _check_halo(call: Call) -> None:
    if any(min(pair) < 1 for pair in call.halo):
        raise InvalidFunction(
            f"{call.operation.name}: its halo is {call.halo} here: expected 1 pixel or more on "
            "every side, so that tiles see the same objects."
        )


def _labels(call: Call, block: Block) -> Array:
    labels: Array = call.function(block.data, **block.images)
    if labels.dtype.kind not in "bui":
        raise TypeError(f"it returned {labels.dtype} pixels: expected integers, one per object")
    return labels.astype(np.uint8) if labels.dtype.kind == "b" else labels


def numbered(labels: Array) -> Array:
    """Return labels whose ids are 1, 2, ... in the order of the objects' first pixels.

    Parameters
    ----------
    labels
        Labels with any ids; 0 and less is background.
    """
    ids, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    objects = np.flatnonzero(ids > 0)
    table = np.zeros(len(ids), np.int32)
    table[objects[np.argsort(first[objects])]] = np.arange(1, len(objects) + 1)
    return table[inverse].reshape(labels.shape)


@dataclass(frozen=True, eq=False)
class TileLabels:
    """The objects of a tile by local numbers, from 1; those beside it have none."""

    pixels: Array
    count: int

    @classmethod
    def of(cls, block: Block, labels: Array) -> TileLabels:
        """Return the local numbers of a region's labels."""
        ids = np.unique(labels[block.core])
        ids = ids[ids > 0]
        if not len(ids):
            return cls(np.zeros(labels.shape, np.int32), 0)
        numbers = np.searchsorted(ids, labels)
        numbers[numbers == len(ids)] = 0
        return cls(np.where(ids[numbers] == labels, numbers + 1, 0).astype(np.int32), len(ids))

    def cropped(self, block: Block) -> TileLabels:
        """Return the labels of the tile alone."""
        return TileLabels(np.ascontiguousarray(self.pixels[block.core]), self.count)


# -- one tile --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sighting:
    """The objects that a tile sees, by their numbers in it, from 1."""

    first: Array
    """The raster index, in the whole image, of each object's first pixel."""
    is_cut: Array
    """Whether the object reaches the end of the tile's region."""


def _sighting(block: Block, local: TileLabels, shape: Sequence[int]) -> Sighting:
    labels, count = local.pixels, local.count
    flat = labels.ravel()
    inside = np.flatnonzero(flat)[::-1]
    first = np.zeros(count + 1, np.int64)
    first[flat[inside]] = inside  # the last one wins: the first pixel in raster order
    index = np.zeros(count, np.int64)
    positions = np.unravel_index(first[1:], labels.shape)
    for position, start, length in zip(positions, block.start, shape, strict=True):
        index = index * length + position + start
    is_cut = np.zeros(count + 1, bool)
    for axis, (span, length) in enumerate(zip(block.region, shape, strict=True)):
        if span.start > 0:
            is_cut[labels.take(0, axis)] = True
        if span.stop < length:
            is_cut[labels.take(-1, axis)] = True
    return Sighting(index, is_cut[1:])


def _seams(block: Block, labels: Array) -> Iterator[tuple[Seam, Array]]:
    """Yield the two rows of pixels along each face that the tile shares, with their seam."""
    for axis, (span, tile) in enumerate(zip(block.core, block.tile, strict=True)):
        before, after = block.core[:axis], block.core[axis + 1 :]
        position = list(block.position)
        if tile.stop < block.grid.shape[axis]:
            rows = (*before, slice(span.stop - 1, span.stop + 1), *after)
            yield (axis, tuple(position)), np.array(np.moveaxis(labels[rows], axis, 0))
        if tile.start > 0:
            position[axis] -= 1
            rows = (*before, slice(span.start - 1, span.start + 1), *after)
            yield (axis, tuple(position)), np.array(np.moveaxis(labels[rows], axis, 0))


# -- all tiles -------------------------------------------------------------------------------------


class JoinedObjects:
    """The objects of the tiles seen so far, and which of them are the same across faces."""

    def __init__(self) -> None:
        self._tiles: dict[Position, Sighting] = {}
        self._faces: dict[Seam, tuple[Position, Array]] = {}
        self._matches: list[tuple[Position, Position, Array]] = []
        self._alone = 0
        self._one_sided: list[tuple[Position, Array]] = []
        self._objects = 0

    @classmethod
    def of(cls, block: Block, labels: TileLabels, shape: Sequence[int]) -> JoinedObjects:
        """Return the objects of one tile."""
        joined = cls()
        if labels.count:  # a tile without objects takes nothing
            joined._tiles[block.position] = _sighting(block, labels, shape)
        joined._objects = labels.count
        for seam, rows in _seams(block, labels.pixels):
            joined._faces[seam] = (block.position, rows)
        return joined

    @property
    def nbytes(self) -> int:
        """What joining takes at its peak."""
        faces = sum(rows.nbytes for _, rows in self._faces.values())
        return self._objects * PER_OBJECT + faces

    def join(self, other: JoinedObjects) -> JoinedObjects:
        """Take in other tiles, and return this object."""
        for seam, (position, rows) in other._faces.items():
            if seam not in self._faces:
                self._faces[seam] = (position, rows)
                continue
            own_position, own_rows = self._faces.pop(seam)
            pairs, alone = matches(own_rows, rows)
            if pairs.size:
                self._matches.append((own_position, position, pairs))
            self._alone += max(numbers.size for numbers in alone)
            sides = zip((own_position, position), alone, strict=True)
            self._one_sided += [side for side in sides if side[1].size]
        self._tiles |= other._tiles
        self._matches += other._matches
        self._alone += other._alone
        self._one_sided += other._one_sided
        self._objects += other._objects
        return self

    def instances(self) -> Instances:
        """Return the objects of the whole image, in the order of their first pixels."""
        offsets, total = {}, 0
        for position in sorted(self._tiles):
            offsets[position] = total
            total += len(self._tiles[position].first)
        sightings = [self._tiles[position] for position in offsets]
        first = np.concatenate([np.zeros(0, np.int64), *(s.first for s in sightings)])
        is_cut = np.concatenate([np.zeros(0, bool), *(s.is_cut for s in sightings)])
        edges = [
            pairs + np.array([[offsets[a]], [offsets[b]]]) - 1 for a, b, pairs in self._matches
        ]
        edges.append(_same_first_pixel(first, is_cut))
        pairs = np.concatenate(edges, axis=1)
        from scipy.sparse import coo_array  # takes a tenth of a second to import
        from scipy.sparse.csgraph import connected_components

        graph = coo_array((np.ones(pairs.shape[1], np.int8), tuple(pairs)), shape=(total, total))
        count, group = connected_components(graph, directed=False)
        begins = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(begins, group, first)
        ids = np.empty(count, np.int32)
        ids[np.argsort(begins, kind="stable")] = np.arange(1, count + 1)
        ranges = {p: (start, len(self._tiles[p].first)) for p, start in offsets.items()}
        sides = [offsets[position] + numbers - 1 for position, numbers in self._one_sided]
        one_sided = np.concatenate([np.zeros(0, np.int64), *sides])
        merged, seen_once = (np.unique(ids[group[part]]) for part in (is_cut, one_sided))
        return Instances(ranges, ids[group], int(count), merged, seen_once, self._alone)


def _same_first_pixel(first: Array, is_cut: Array) -> Array:
    """Return pairs of sightings of one object, each of which shows all of it."""
    whole = np.flatnonzero(~is_cut)
    ordered = whole[np.argsort(first[whole], kind="stable")]
    same = first[ordered[1:]] == first[ordered[:-1]]
    return np.stack([ordered[:-1][same], ordered[1:][same]])


def matches(rows: Array, others: Array) -> tuple[Array, list[Array]]:
    """Return which objects of two tiles are the same, from what both see of the same pixels.

    Parameters
    ----------
    rows, others
        The local numbers that two tiles give the two rows of pixels along their common face, the
        face's axis first.

    Returns
    -------
    Array
        Pairs of numbers, shape (2, pairs).
    list of Array
        The numbers of each view's objects that lie on both rows and have no partner.
    """
    a, b = rows.ravel().astype(np.int64), others.ravel().astype(np.int64)
    sizes, other_sizes = np.bincount(a), np.bincount(b)
    width = len(other_sizes)
    both = (a > 0) & (b > 0)
    codes, common = np.unique(a[both] * width + b[both], return_counts=True)
    first, second = codes // width, codes % width
    union = sizes[first] + other_sizes[second] - common
    same = common > OVERLAP * union
    pairs = np.stack([first[same], second[same]])
    crossing = (np.intersect1d(*view) for view in (rows, others))
    alone = [
        np.setdiff1d(numbers[numbers > 0], partners)
        for numbers, partners in zip(crossing, pairs, strict=True)
    ]
    return pairs, alone


@dataclass(frozen=True, eq=False)
class Instances:
    """The objects of the whole image, and their numbers in every tile."""

    _offsets: Mapping[Position, tuple[int, int]]
    """The number of objects in the tiles before, and in the tile; not of tiles without any."""
    _ids: Array
    count: int
    merged: Array
    """The ids of objects that are longer than the halo, in ascending order."""
    one_sided: Array
    """The ids of objects that one of two tiles does not see across their common face."""
    alone: int
    """Objects that only one of two tiles sees across their common face."""

    def look_up(self, position: Position, labels: TileLabels) -> Array:
        """Return a tile's labels with the whole image's ids.

        Parameters
        ----------
        position
            The tile.
        labels
            Its local labels.
        """
        offset, expected = self._offsets.get(position, (0, 0))
        if labels.count != expected:
            raise ValueError(
                f"it labelled {labels.count} objects where it labelled {expected} before: expected "
                "the same labels for the same pixels. Fix its seed"
            )
        table = np.concatenate([np.zeros(1, np.int32), self._ids[offset : offset + expected]])
        return np.asarray(table[labels.pixels])

    def recorded(self) -> dict[str, Any]:
        """Return what a record tells: the number of objects, and the ids of doubtful ones."""
        doubtful = {MERGED: self.merged, ONE_SIDED: self.one_sided}
        return {"": self.count} | {name: ids.tolist() for name, ids in doubtful.items() if ids.size}

    def report(self, call: Call) -> None:
        """Warn of objects that the halo is too short for."""
        reasons = []
        if self.merged.size:
            reasons.append(
                f"{_objects(self.merged.size)} longer than the halo; the parts that tiles see are "
                f"joined where they overlap by more than {OVERLAP:.0%}"
            )
        if self.alone:
            reasons.append(f"{_objects(self.alone)} seen by only one of two tiles at a face")
        if reasons:
            warnings.warn(
                f"{call.operation.name}: of {self.count} objects, {'; '.join(reasons)}. Declare a "
                "larger halo if these should not depend on the tiles.",
                stacklevel=2,
            )


def _objects(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


# -- labels that are not instances -----------------------------------------------------------------

MOST_BOXES = 16
"""Boxes in which evidence is searched for whether ids depend on where a tile begins."""
SIDE = {1: 2**16, 2: 256, 3: 48}


def ids_depend_on_tile(call: Call, block: Block) -> bool | None:
    """Return whether a function numbers the same objects differently in a part of a block.

    Parameters
    ----------
    call
        The bound operation.
    block
        A box of the image with its halo.

    Returns
    -------
    bool or None
        None: there is too little in the block to tell.
    """
    length = block.data.shape[call.spatial_axes[0]]
    before = call.halo[0][0]
    cut = max(1, length // 2 - before)
    part = tuple(
        slice(cut, None) if axis == call.spatial_axes[0] else slice(None)
        for axis in range(block.data.ndim)
    )
    if cut + before >= length:
        return None
    whole = call.function(block.data, **block.images)
    images = {name: np.ascontiguousarray(image[part]) for name, image in block.images.items()}
    alone = call.function(np.ascontiguousarray(block.data[part]), **images)
    compared = (slice(cut + before, None), *(slice(None),) * (whole.ndim - 1))
    inside = (slice(before, None), *(slice(None),) * (whole.ndim - 1))
    if not whole[:cut].any() or not whole[compared].any():
        return None
    return not np.array_equal(whole[compared], alone[inside])


def boxes_to_try(call: Call) -> list[tuple[slice, ...]]:
    """Return a few boxes of the image, those in its middle first."""
    side = SIDE.get(call.ndim, 16)
    lengths = [min(n, side) for n in call.spatial_shape]
    counts = [max(1, n // length) for n, length in zip(call.spatial_shape, lengths, strict=True)]
    middle = prod(counts) // 2
    numbers = sorted(range(min(prod(counts), 4096)), key=lambda i: abs(i - middle))[:MOST_BOXES]
    boxes = []
    for number in numbers:
        position = np.unravel_index(number, counts)
        boxes.append(
            tuple(slice(int(p) * n, int(p) * n + n) for p, n in zip(position, lengths, strict=True))
        )
    return boxes
