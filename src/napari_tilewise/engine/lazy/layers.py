"""The layers of a lazy result's graph: none costs more to make or to cull for a larger image.

Tiles are one blockwise layer. Every tile needs its operation, which is a key of its own, and the
results of the passes on the planes that it is pulled from: one task per plane does them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from dask._task_spec import List, Task, TaskRef
from dask.blockwise import Blockwise, blockwise_token
from dask.highlevelgraph import Layer, MaterializedLayer
from dask.layers import ArrayBlockIdDep

from napari_tilewise.engine.lazy import graph_tasks
from napari_tilewise.engine.lazy.needed import PassNames, needed_by_block, needed_by_plane

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.grid import Position

Key = Any
"""A key of dask's graphs."""

MATERIALIZED = frozenset({"_cached_dict", "_dims"})
"""Attributes in which blockwise layers keep the tasks that they were asked for."""


class LoneTask(Task):
    """A task that dask does not fuse with others: its key is found again by later computations."""

    __slots__ = ()

    @property
    def block_fusion(self) -> bool:
        """Whether it stays as it is."""
        return True


class TileLayer(Blockwise):
    """The tiles of a result.

    Parameters
    ----------
    name
        The result's name.
    stack
        The operation on an image.
    operation
        The key of the operation.
    ready
        The layer of what tiles need of passes; None where no tile needs any.
    """

    def __init__(self, name: str, stack: Stack, operation: str, ready: ReadyLayer | None) -> None:
        self.stack = stack
        axes = tuple(f".{axis}" for axis in range(len(stack.shape)))
        indices: list[tuple[Any, tuple[str, ...]]] = [(operation, ())]
        numblocks: dict[str, tuple[int, ...]] = {operation: ()}
        if ready is not None:
            indices.append((ready.name, tuple(axes[axis] for axis in ready.axes)))
            numblocks[ready.name] = ready.lengths
        indices.insert(0, (ArrayBlockIdDep(stack.grid().chunks()), axes))
        arguments = [TaskRef(blockwise_token(number)) for number in range(len(indices))]
        super().__init__(name, axes, Task(name, graph_tasks.tile, *arguments), indices, numblocks)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tasks that were made: they are made again where they are needed."""
        return {name: value for name, value in self.__dict__.items() if name not in MATERIALIZED}


class PlannedLayer(Layer):
    """Tasks that are made when they are asked for.

    Parameters
    ----------
    name
        The layer's name.
    lengths
        The number of keys along each of their indices.
    """

    has_legacy_tasks = False

    def __init__(self, name: str, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.name, self.lengths = name, lengths

    def task(self, index: Position) -> Task:
        """Return the task of an index.

        Parameters
        ----------
        index
            The key's numbers.
        """
        raise NotImplementedError

    def __getitem__(self, key: Key) -> Task:
        if key not in self:
            raise KeyError(key)
        return self.task(key[1:])

    def __contains__(self, key: Key) -> bool:
        return (
            isinstance(key, tuple)
            and len(key) == 1 + len(self.lengths)
            and key[0] == self.name
            and all(0 <= i < n for i, n in zip(key[1:], self.lengths, strict=True))
        )

    def __iter__(self) -> Iterator[Key]:
        return itertools.product([self.name], *map(range, self.lengths))

    def __len__(self) -> int:
        count = 1
        for length in self.lengths:
            count *= length
        return count

    def is_materialized(self) -> bool:
        """Return whether all tasks are made: never."""
        return False

    def get_output_keys(self) -> set[Key]:
        """Return all keys."""
        return set(self)

    def cull(
        self, keys: set[Key], all_hlg_keys: Collection[Key]
    ) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Return a layer of some of the tasks, and their dependencies.

        Parameters
        ----------
        keys
            The keys that are needed, of any layer.
        all_hlg_keys
            All keys of the graph; not looked at.
        """
        own = {key: self[key] for key in keys if key in self}
        return MaterializedLayer(own), {key: set(task.dependencies) for key, task in own.items()}


class PassLayer(PlannedLayer):
    """The passes of an operation, one task per plane.

    Parameters
    ----------
    name
        The layer's name.
    planes
        The operation on its images.
    names
        The names of layers of passes.
    operation, statistics
        The keys of the operation, and of what it shares with others.
    """

    def __init__(
        self,
        name: str,
        planes: Planes,
        names: PassNames,
        operation: str,
        statistics: str | None,
    ) -> None:
        super().__init__(name, planes.lengths)
        self.planes, self.names = planes, names
        self._operation, self._statistics = operation, statistics

    def task(self, index: Position) -> Task:
        """Return the task that does the passes on a plane.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        upstream = [TaskRef(key) for key in needed_by_plane(self.planes, index, self.names)]
        shared = None if self._statistics is None else TaskRef((self._statistics,))
        return LoneTask(
            (self.name, *index), graph_tasks.prepare, TaskRef((self._operation,)), index,
            List(*upstream), shared, self.planes.prepared(index),
        )  # fmt: skip


class ReadyLayer(PlannedLayer):
    """What tiles need of passes, one task for all tiles that need the same.

    Parameters
    ----------
    name
        The layer's name.
    stack
        The tiles' stack.
    names
        The names of layers of passes.
    """

    def __init__(self, name: str, stack: Stack, names: PassNames) -> None:
        counts = stack.grid().counts if stack.shape else ()
        self.stack, self.names, self.axes = stack, names, _varying(stack, names)
        super().__init__(name, tuple(counts[axis] for axis in self.axes))

    def task(self, index: Position) -> Task:
        """Return the task that brings the results of passes together.

        Parameters
        ----------
        index
            Positions of the tiles in the grid, along the layer's axes.
        """
        block = dict(zip(self.axes, index, strict=True))
        keys = needed_by_block(self.stack, block, self.names)
        return LoneTask((self.name, *index), graph_tasks.together, List(*map(TaskRef, keys)))


def _varying(stack: Stack, names: PassNames) -> tuple[int, ...]:
    """Return the axes of a result along which its tiles need other passes."""
    looped = stack.looped if stack.shape else ()
    keys = needed_by_block(stack, dict.fromkeys(looped, 0), names)
    is_enough = len(keys) == len({key[0] for key in keys})  # one plane of each operation
    return looped if is_enough else tuple(range(len(stack.shape)))
