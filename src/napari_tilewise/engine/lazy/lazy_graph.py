"""A lazy result is a dask array whose tasks each pull one tile; what tiles share is done once.

A dask array made here is recognised when it comes back as an input: the next operation then pulls
through it directly, and a chain reads its source once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask._task_spec import TaskRef
from dask.base import get_scheduler, tokenize
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from napari_tilewise.engine.lazy import graph_tasks
from napari_tilewise.engine.lazy.dask_blocks import DaskBlocks
from napari_tilewise.engine.lazy.layers import LoneTask, PassLayer, ReadyLayer, TileLayer
from napari_tilewise.engine.lazy.needed import PassNames
from napari_tilewise.engine.lazy.tokens import planes_token, source_token
from napari_tilewise.engine.materialized import Materialized
from napari_tilewise.engine.source import ChunkedSource
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.operation import Reduce

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.engine.source import Source


def to_dask(stack: Stack) -> da.Array:
    """Return a stack's result as a dask array; nothing is read before it is computed.

    Parameters
    ----------
    stack
        The operation on an image.
    """
    graph = _Graph()
    name = f"tilewise-{stack.call.operation.name}-{result_token(stack)}"
    if not stack.shape:
        graph.add_task(name, graph_tasks.scalar, graph.inputs(stack))
        return da.Array(graph.result(), name, (), dtype=stack.dtype)
    operation, *ready = graph.inputs(stack)
    layer = TileLayer(name, stack, operation, graph.ready(ready))
    graph.add(name, layer, [operation, *ready])
    meta = np.empty((0,) * len(stack.shape), stack.dtype)
    return da.Array(graph.result(), name, stack.grid().chunks(), dtype=stack.dtype, meta=meta)


def value_of(stack: Stack) -> Any:
    """Return points, a table or contours; a dask cluster with a client here computes them.

    Parameters
    ----------
    stack
        The operation on an image.
    """
    get: Any = get_scheduler()
    if not hasattr(getattr(get, "__self__", None), "submit"):  # a `distributed.Client`
        return stack.value()
    graph = _Graph()
    name = f"tilewise-{stack.call.operation.name}-{result_token(stack)}"
    graph.add_task(name, graph_tasks.value, graph.inputs(stack))
    return get(graph.result(), (name,))


def keep_results(stack: Stack) -> None:
    """Have the passes that a result needs keep what they compute for other processes.

    Parameters
    ----------
    stack
        The operation on an image.
    """
    graph = _Graph()
    graph.inputs(stack)
    for layer in graph.result().layers.values():
        if isinstance(layer, PassLayer):
            layer.planes.keep_results()


def stack_of(array: da.Array) -> Stack | None:
    """Return the operation behind a lazy result that nothing was done with; None for another array.

    Parameters
    ----------
    array
        A dask array.
    """
    layer = array.dask.layers.get(array.name)
    return layer.stack if isinstance(layer, TileLayer) else None


def result_token(stack: Stack) -> str:
    """Return the token of a result.

    Parameters
    ----------
    stack
        The operation on an image.
    """
    token: str = source_token(stack)
    return token


class _Graph:
    """The layers of a graph, added one after the other."""

    def __init__(self) -> None:
        self._layers: dict[str, Any] = {}
        self._dependencies: dict[str, set[str]] = {}
        self._names = PassNames()

    def add(self, name: str, layer: Any, dependencies: list[str]) -> None:
        """Add a layer."""
        self._layers[name] = layer
        self._dependencies[name] = set(dependencies)

    def add_task(
        self, name: str, function: Callable[..., Any], inputs: list[str], *arguments: Any
    ) -> None:
        """Add a layer of one task, which is called with the tasks of other layers and arguments."""
        key = (name,)
        task = LoneTask(key, function, *(TaskRef((layer,)) for layer in inputs), *arguments)
        self.add(name, MaterializedLayer({key: task}), inputs)

    def result(self) -> HighLevelGraph:
        """Return the graph."""
        return HighLevelGraph(self._layers, self._dependencies)

    def ready(self, names: list[str]) -> ReadyLayer | None:
        """Return the layer of what tiles need of passes, where there is one."""
        return self._layers[names[0]] if names else None

    def inputs(self, stack: Stack) -> list[str]:
        """Add what the tiles of a result need; return the names of the layers they depend on."""
        passes = self._passes(stack.planes)
        operation = self._operation(stack.planes)
        name = f"tilewise-result-{result_token(stack)}"
        self.add_task(name, graph_tasks.result, [operation], stack.number, stack.has_alpha)
        if not passes:
            return [name]
        ready = f"tilewise-ready-{result_token(stack)}"
        self.add(ready, ReadyLayer(ready, stack, self._names), passes)
        return [name, ready]

    def _operation(self, planes: Planes) -> str:
        name = f"tilewise-operation-{planes_token(planes)}"
        if name not in self._layers:
            self.add_task(name, graph_tasks.operation, [], planes)
        return name

    def _passes(self, planes: Planes) -> list[str]:
        """Add the passes of an operation and of all before it; return the names of the layers."""
        before = [
            name
            for source in (planes.source, *planes.images.values())
            for name in self._passes_of_source(source)
        ]
        first = planes.runner((0,) * len(planes.lengths)).first_pass() if planes.is_any else None
        if first is None:
            return list(dict.fromkeys(before))
        name = f"tilewise-passes-{planes_token(planes)}"
        if name not in self._layers:
            statistics = None
            if isinstance(first, Reduce) and first.share is not None:
                statistics = self._statistics(planes)
            operation = self._operation(planes)
            layer = PassLayer(name, planes, self._names, operation, statistics)
            shared = [] if statistics is None else [statistics]
            self.add(name, layer, [operation, *before, *shared])
            self._names.of_planes[planes.key] = name
        return list(dict.fromkeys([*before, name]))

    def _statistics(self, planes: Planes) -> str:
        call, loops = planes.looped.call, planes.looped.loops
        token = tokenize(source_token(planes.source), loops, call.channel_axis)
        name = f"tilewise-statistics-{token}"
        if name not in self._layers:
            self.add_task(name, graph_tasks.statistics, [self._operation(planes)])
        return name

    def _passes_of_source(self, source: Source) -> list[str]:
        if isinstance(source, PlaneView):
            return self._passes_of_source(source.stack)
        if isinstance(source, WithoutAlpha):
            return self._passes_of_source(source.inner)
        if isinstance(source, Stack | Materialized):
            stack = source.stack if isinstance(source, Materialized) else source
            return self._passes(stack.planes)
        if isinstance(source, ChunkedSource) and isinstance(source.array, DaskBlocks):
            return self._passes_of_expression(source.key, source.array.graph)
        return []

    def _passes_of_expression(self, key: str, graph: HighLevelGraph) -> list[str]:
        """Add the passes in an expression's graph, with all that they depend on."""
        passes = [layer for layer in graph.layers.values() if isinstance(layer, PassLayer)]
        names = [layer.name for layer in passes]
        self._names.of_expressions[key] = tuple((layer.name, layer.lengths) for layer in passes)
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in self._layers:
                self.add(name, graph.layers[name], list(graph.dependencies[name]))
                todo.extend(graph.dependencies[name])
        return names
