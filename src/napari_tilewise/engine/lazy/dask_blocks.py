"""A dask array as a source: each of its blocks is computed alone, in the calling thread.

Only the tasks below a block's key are made, layer by layer, so that a block costs the same in an
array of any size. Slicing the array instead would look at its whole graph at every read, and start
a pool per thread.
"""

from __future__ import annotations

import copy
import itertools
import threading
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from dask._task_spec import Alias, DataNode, GraphNode, convert_legacy_graph
from dask.blockwise import Blockwise, optimize_blockwise
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.local import get_sync

from napari_tilewise.engine.lazy import cluster_passes
from napari_tilewise.engine.lazy.expression_token import expression_token
from napari_tilewise.engine.lazy.graph_tasks import within_task
from napari_tilewise.engine.lazy.layers import MATERIALIZED
from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.grid import Region


class DaskBlocks:
    """A dask array as an array-like.

    Parameters
    ----------
    array
        The array.
    """

    shares = False  # a process that waits for another's block may be the one that it waits for
    waits = False  # what other blocks compute at the same time may take any amount of memory

    def __init__(self, array: da.Array) -> None:
        self.name = array.name
        self.graph: HighLevelGraph = array.dask
        self.shape = array.shape
        self.dtype = array.dtype
        if any(np.isnan(n) for lengths in array.chunks for n in lengths):
            raise InvalidImage(
                "The dask array has chunks of unknown size: call its compute_chunk_sizes() first."
            )
        self.chunks = tuple(tuple(int(n) for n in lengths) for lengths in array.chunks)
        self._begin()

    def pixels_token(self) -> str | None:
        """Return a token that is equal only for equal pixels; None where nothing tells that."""
        token = expression_token(self.graph, self.name)
        return None if token is None else f"{token} {self.chunks}"

    def _begin(self) -> None:
        self._starts = [np.cumsum([0, *lengths]) for lengths in self.chunks]
        self._blocks: _BlockGraph | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the graph's layers, without their tasks."""
        layers = {name: _without_tasks(layer) for name, layer in self.graph.layers.items()}
        graph = HighLevelGraph(layers, self.graph.dependencies)
        return {
            "name": self.name,
            "graph": graph,
            "shape": self.shape,
            "dtype": self.dtype,
            "chunks": self.chunks,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __getitem__(self, region: Region) -> np.ndarray:
        """Return a box, put together from the blocks that it meets."""
        spans = [
            range(
                int(np.searchsorted(starts, s.start, "right")) - 1,
                int(np.searchsorted(starts, s.stop, "left")),
            )
            for starts, s in zip(self._starts, region, strict=True)
        ]
        out = np.empty([s.stop - s.start for s in region], self.dtype)
        for position in itertools.product(*spans):
            to, of = [], []
            for starts, p, s in zip(self._starts, position, region, strict=True):
                low, high = max(starts[p], s.start), min(starts[p + 1], s.stop)
                to.append(slice(low - s.start, high - s.start))
                of.append(slice(low - starts[p], high - starts[p]))
            out[tuple(to)] = self._block(position)[tuple(of)]
        return out

    def _block(self, position: tuple[int, ...]) -> np.ndarray:
        with self._lock:
            if self._blocks is None:
                self._blocks = _BlockGraph(self.graph, self.name)
        key = (self.name, *position)
        tasks = self._blocks.below(key)
        with dask.config.set(scheduler="synchronous"), within_task():
            return np.asarray(_computed(tasks, key))


def _computed(tasks: Mapping[Any, Any], key: Any) -> Any:
    """Return the result of a task; of a chain, as most are, without a scheduler and its state.

    Parameters
    ----------
    tasks
        The task and all that it needs.
    key
        Its key.
    """
    chain = [tasks[key]]
    while len(chain[-1].dependencies) == 1:
        (before,) = chain[-1].dependencies
        chain.append(tasks[before])
    if chain[-1].dependencies:
        # Not heard by callbacks, which are the process's: they may not bear several threads.
        return get_sync(tasks, key, callbacks=())
    results: dict[Any, Any] = {}
    while chain:
        task = chain.pop()
        results = {task.key: task(results)}  # what is before is held no longer
    return results[key]


class _BlockGraph:
    """The graph of an array, from which the tasks below one key are taken.

    Parameters
    ----------
    graph
        The graph.
    name
        The array's name.
    """

    def __init__(self, graph: HighLevelGraph, name: str) -> None:
        if any(_has_legacy_tasks(layer) for layer in graph.layers.values()):
            tasks = convert_legacy_graph(dict(graph))
            graph = HighLevelGraph({name: MaterializedLayer(tasks)}, {name: set()})
        fused = optimize_blockwise(graph, keys=[(name,)])
        self._layers = [fused.layers[layer] for layer in reversed(fused._toposort_layers())]

    def below(self, key: Any) -> dict[Any, Any]:
        """Return the tasks that a key needs.

        Parameters
        ----------
        key
            The key.
        """
        tasks: dict[Any, Any] = {}
        missing = {key}
        for layer in self._layers:
            if not missing:
                break
            own = self._tasks_of(layer, missing)
            tasks |= own
            missing -= own.keys()
            missing |= {k for task in own.values() for k in task.dependencies} - tasks.keys()
        return tasks

    def _tasks_of(self, layer: Any, keys: set[Any]) -> dict[Any, Any]:
        """Return the tasks of a layer for those of its keys that are wanted, with all they need.

        Parameters
        ----------
        layer
            A layer of the graph.
        keys
            Keys of any layers.
        """
        if isinstance(layer, Blockwise):
            own = {key for key in keys if key[0] == layer.output}
            return dict(layer._cull({key[1:] for key in own})) if own else {}
        tasks: dict[Any, Any] = {}
        todo = [key for key in keys if key in layer]
        while todo:
            key = todo.pop()
            if key in tasks:
                continue
            task = self._resolved(key, layer[key])
            tasks[key] = task
            todo.extend(k for k in task.dependencies if k in layer)
        return tasks

    def _resolved(self, key: Any, task: Any) -> Any:
        """Return a task; a result that a cluster holds is fetched from there."""
        if hasattr(task, "bind_client"):  # a `distributed.Future`
            return DataNode(key, cluster_passes.fetched(task))
        if isinstance(task, GraphNode):
            return task
        return Alias(key, task) if self._is_key(task) else DataNode(key, task)

    def _is_key(self, value: Any) -> bool:
        """Return whether a value in the place of a task is another's key, as in a concatenation."""
        return isinstance(value, str | tuple) and any(
            value[0] == layer.output if isinstance(layer, Blockwise) else value in layer
            for layer in self._layers
        )


def _has_legacy_tasks(layer: Any) -> bool:
    return isinstance(layer, MaterializedLayer) and any(
        isinstance(task, tuple) and task and callable(task[0]) for task in layer.mapping.values()
    )


def _without_tasks(layer: Any) -> Any:
    """Return a layer without its tasks."""
    if not isinstance(layer, Blockwise) or not any(name in layer.__dict__ for name in MATERIALIZED):
        return layer
    fresh = copy.copy(layer)
    for name in MATERIALIZED:
        fresh.__dict__.pop(name, None)
    return fresh
