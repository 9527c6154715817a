"""A token of a dask expression's pixels: of its tasks, and of the files that they read.

A name says which tasks an expression has, and stays when a file behind it changes; it may also be
anybody's own. So all tasks count, and all of them must be known: arrays whose files tell their
state, and functions of dask, NumPy and Python that return the same for the same pixels.
"""

from __future__ import annotations

import functools
import sys
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from dask._task_spec import Alias, DataNode, Task, TaskRef
from dask.array.core import getter, getter_inline, getter_nofancy
from dask.blockwise import Blockwise
from dask.highlevelgraph import MaterializedLayer
from dask.layers import ArraySliceDep

from napari_tilewise.engine.system.source_files import files_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask.highlevelgraph import HighLevelGraph

MOST_PARTS = 2**16
"""Parts of tasks that are looked at: some tenths of a second."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), slice, np.generic, np.dtype)
_GETTERS = (getter, getter_inline, getter_nofancy)
_MODULES = {"operator", "_operator", "dask.array.chunk", "dask.array.ufunc"}
"""Modules all functions of which depend on nothing but their arguments."""
_FUNCTIONS = {
    "dask.array.core": {"_enforce_dtype", "concatenate3", "concatenate_shaped"},
    "numpy": {
        "broadcast_to", "clip", "concatenate", "expand_dims", "flip", "moveaxis", "squeeze",
        "stack", "transpose", "where",
    },
}  # fmt: skip
"""Further ones, by module."""


class _UnknownError(Exception):
    """A part of a task of which nothing tells what it computes."""


def expression_token(graph: HighLevelGraph, name: str) -> str | None:
    """Return a token that is equal only for equal pixels; None where nothing cheap tells that.

    Parameters
    ----------
    graph
        The graph of the expression.
    name
        The name of its array.
    """
    digest = blake2b(name.encode(), digest_size=16)
    pending, layers = [name], set[str]()
    while pending:
        layer = pending.pop()
        if layer not in layers:
            layers.add(layer)
            pending.extend(graph.dependencies.get(layer, ()))
    texts = (text for layer in sorted(layers) for text in _layer(layer, graph.layers.get(layer)))
    try:
        for number, text in enumerate(islice(texts, MOST_PARTS + 1)):
            if number == MOST_PARTS:
                return None
            digest.update(text.encode("utf-8", "surrogatepass"))
            digest.update(b"\0")
    except _UnknownError:
        return None
    return digest.hexdigest()


def _layer(name: str, layer: Any) -> Iterator[str]:
    """Yield the parts of a layer's tasks as text."""
    yield name
    if isinstance(layer, MaterializedLayer):
        yield from _value(layer.mapping)
    elif isinstance(layer, Blockwise) and isinstance(getattr(layer, "task", None), Task):
        yield from _value([layer.task, layer.output_indices, layer.indices, layer.numblocks])
        yield from _value([layer.concatenate, layer.new_axes, layer.io_deps])
    else:
        raise _UnknownError


def _value(value: Any) -> Iterator[str]:
    """Yield the parts of a value in a task as text."""
    if isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__} {len(value)}"
        for item in value:
            yield from _value(item)
    elif isinstance(value, dict):
        yield f"dict {len(value)}"
        for key, item in value.items():
            yield from _value(key)
            yield from _value(item)
    elif isinstance(value, Alias | TaskRef | DataNode | Task):
        yield from _task(value)
    elif isinstance(value, ArraySliceDep):
        yield f"slices {value.starts!r}"
    elif isinstance(value, functools.partial):
        yield "partial"
        yield from _value([value.func, value.args, value.keywords])
    elif isinstance(value, type) or callable(value):
        yield _function(value)
    else:
        yield _array(value)


def _task(value: Any) -> Iterator[str]:
    yield type(value).__name__
    if isinstance(value, Alias):
        yield from _value(value.target)
    elif isinstance(value, TaskRef):
        yield from _value(value.key)
    elif isinstance(value, DataNode):
        yield from _value(value.value)
    elif type(value) is not Task and type(value).__module__ == Task.__module__:  # a container
        yield from _value(list(value.args))
    else:
        yield from _value([value.func, value.args, value.kwargs])


def _function(value: Any) -> str:
    """Return the name of a function that depends on nothing but its arguments."""
    name = str(getattr(value, "__name__", ""))
    if isinstance(value, type) and issubclass(value, np.generic | bool | int | float | complex):
        return f"type {name}"
    module = "numpy" if isinstance(value, np.ufunc) else str(getattr(value, "__module__", ""))
    is_known = (
        isinstance(value, np.ufunc)
        or module in _MODULES
        or name in _FUNCTIONS.get(module, ())
        or value in _GETTERS
    )
    if is_known and getattr(sys.modules[module], name, None) is value:  # anybody can make a ufunc
        return f"{module}.{name}"
    raise _UnknownError


def _array(value: Any) -> str:
    """Return the token of the files of an array."""
    token = files_token(value) if hasattr(value, "shape") and hasattr(value, "dtype") else None
    if token is None or isinstance(value, np.ndarray):
        raise _UnknownError
    return token
