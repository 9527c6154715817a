"""Pixels grouped by labels as `scipy.ndimage` measures them, and numbers per group, tile by tile.

Without an index there is one group: all pixels, or those with a label. With one id there is one
group too; with several there is one per id, and a tile contributes only to those that it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage, InvalidParameterType
from napari_tilewise.operations.spec.operation import Block, Call, Output, Reduce
from napari_tilewise.operations.spec.parameters import AlignedImage, Either, Number, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.types import DType, Value


@dataclass(frozen=True, kw_only=True)
class Ids(Numbers):
    """Ids of labels: a sequence, a range or an array."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "ui":
            return value  # a million of them are not looked at one by one
        return super()._check(name, value, ndim)


@dataclass(frozen=True, kw_only=True)
class IdOrIds(Number):
    """One id of a label, or several."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if np.ndim(value) == 1:
            return IDS.check(name, value, ndim)
        return super()._check(name, value, ndim)

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an integer, several, or None"


ID = Number(integer=True, usual=(0, 6))
IDS = Ids(item=ID, least=0)
GROUPED: dict[str, Spec] = {
    "labels": AlignedImage(role="labels"),
    "index": Either(options=(Ids(item=ID), ID), optional=True, advanced=True),
}
POSITIONED: dict[str, Spec] = {
    "labels": AlignedImage(role="labels"),
    "index": IdOrIds(integer=True, optional=True, usual=(0, 6), advanced=True),
}


def is_several(call: Call) -> bool:
    """Return whether the call measures several groups."""
    return call["index"] is not None and np.ndim(call["index"]) > 0 and call["labels"] is not None


def is_one_group(call: Call) -> bool:
    """Return whether the call measures the image, all that has a label, or one label."""
    return not is_several(call) and is_grouped(call)


def is_grouped(call: Call) -> bool:
    """Return whether the index, if there is one, is of labels."""
    return call["labels"] is not None or call["index"] is None


def output_of(call: Call) -> Output:
    """Return what the call returns: values of several groups, or a number."""
    return Output.VALUES if is_several(call) else Output.SCALAR


def shape_of(call: Call) -> tuple[int, ...]:
    """Return the shape of the numbers that a call returns."""
    return np.shape(call["index"]) if is_several(call) else ()


def check_labels(call: Call) -> None:
    """Refuse labels that are not integers, and an index without labels."""
    labels = call["labels"]
    if labels is not None and np.dtype(labels.dtype).kind not in "bui":
        raise InvalidParameterType(
            f"{call.operation.name}: labels are of type {labels.dtype}: expected integers. "
            "Convert them first."
        )


@dataclass(frozen=True, eq=False)
class Selected:
    """The pixels of a tile that belong to groups."""

    groups: np.ndarray
    """Numbers of the groups that the tile holds, in order."""
    members: np.ndarray
    """For each pixel, the index of its group in `groups`."""
    pixels: np.ndarray
    """The pixels' values, in raster order."""
    positions: np.ndarray
    """The pixels' indices in the tile, flattened."""

    def summed(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the sums of numbers per group; the counts of pixels without any."""
        return np.bincount(self.members, weights, minlength=len(self.groups))


class Grouping:
    """How a call groups pixels.

    Parameters
    ----------
    call
        The bound operation, with `labels` and `index`.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.several = is_several(call)
        ids = np.asarray(call["index"] if self.several else [0])
        if not len(ids):
            ids = ids.astype(np.int64)
        self.ids, self._order = np.unique(ids, return_inverse=True)

    @property
    def count(self) -> int:
        """The number of groups."""
        return len(self.ids)

    def arranged(self, values: np.ndarray) -> Any:
        """Return numbers per group in the order of the index, or the only one."""
        return values[self._order] if self.several else values[0]

    def select(self, block: Block) -> Selected:
        """Return the pixels of a tile that belong to groups."""
        pixels = block.data[block.core].ravel()
        labels = block.images.get("labels")
        if labels is None:
            return Selected(
                np.zeros(1, np.intp), np.zeros(len(pixels), np.intp), pixels, np.arange(len(pixels))
            )
        flat = np.ascontiguousarray(labels[block.core]).ravel()
        index = self.call["index"]
        if not self.several:
            positions = np.flatnonzero(flat > 0 if index is None else flat == index)
            members = np.zeros(len(positions), np.intp)
            return Selected(np.zeros(1, np.intp), members, pixels[positions], positions)
        positions, numbers = self._numbered(flat)
        groups, members = _compact(numbers)
        return Selected(groups, members, pixels[positions], positions)

    def _numbered(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where labels of groups are, and the groups' numbers there."""
        if not self.count or not labels.size:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        numbers = np.searchsorted(self.ids, labels)
        numbers[numbers == self.count] = 0
        positions = np.flatnonzero(self.ids[numbers] == labels)
        return positions, numbers[positions]


def _compact(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers that occur, in order, and each one's index among them."""
    if not len(numbers):
        return numbers, numbers
    low, high = int(numbers.min()), int(numbers.max())
    if high - low > 4 * len(numbers) + 4096:
        return np.unique(numbers, return_inverse=True)
    occurs = np.bincount(numbers - low, minlength=high - low + 1) > 0
    return np.flatnonzero(occurs) + low, (np.cumsum(occurs) - 1)[numbers - low]


@dataclass(frozen=True, eq=False)
class Column:
    """A number per group: how tiles' numbers are joined, and where it begins."""

    ufunc: np.ufunc
    dtype: Any
    start: Any = 0


class GroupTable:
    """Numbers per group of the tiles seen so far."""

    def __init__(self, grouping: Grouping, columns: Mapping[str, Column]) -> None:
        self._columns = columns
        self.values = {
            name: np.full(grouping.count, column.start, column.dtype)
            for name, column in columns.items()
        }
        self.nbytes = sum(array.nbytes for array in self.values.values())

    def add(self, groups: np.ndarray, numbers: Mapping[str, np.ndarray]) -> None:
        """Take in the numbers of some groups."""
        for name, column in self._columns.items():
            total = self.values[name]
            total[groups] = column.ufunc(total[groups], numbers[name])


@dataclass(frozen=True, eq=False)
class _Contribution:
    """The numbers of the groups that one tile holds."""

    groups: np.ndarray
    numbers: Mapping[str, np.ndarray]
    nbytes: int = field(default=0)


def gather_groups(
    grouping: Grouping,
    columns: Mapping[str, Column],
    measure: Callable[[Selected, Block], Mapping[str, np.ndarray]],
    description: str = "measurements",
) -> Reduce:
    """Return the pass that joins numbers per group; its result is a dict of arrays.

    Parameters
    ----------
    grouping
        The groups.
    columns
        The numbers, by name.
    measure
        Returns them for the groups that a tile holds.
    description
        What is computed, in words, for progress.
    """

    def of(block: Block) -> _Contribution:
        selected = grouping.select(block)
        return _Contribution(selected.groups, measure(selected, block))

    def merge(total: Any, part: _Contribution) -> GroupTable:
        table = _table_of(total)
        table.add(part.groups, part.numbers)
        return table

    def _table_of(total: GroupTable | _Contribution) -> GroupTable:
        if isinstance(total, GroupTable):
            return total
        table = GroupTable(grouping, columns)
        table.add(total.groups, total.numbers)
        return table

    return Reduce(of, merge, finish=lambda total: _table_of(total).values, description=description)


def refuse_empty(call: Call, counts: np.ndarray) -> None:
    """Refuse a group without pixels, which has no smallest one."""
    if not is_several(call) and not counts[0]:
        raise InvalidImage(
            f"{call.operation.name}: no pixel has the label {call['index']!r}: expected one that "
            "occurs."
        )


def lowest_and_highest(dtype: DType) -> tuple[Any, Any]:
    """Return the numbers of a data type below and above all others."""
    if dtype.kind == "b":
        return False, True
    if dtype.kind == "f":
        return dtype.type(-np.inf), dtype.type(np.inf)
    return np.iinfo(dtype).min, np.iinfo(dtype).max
