"""Tokens say what a lazy result is made of: the same call on the same source has the same keys.

A token is for names in dask's graphs. What a process holds of a source's pixels is kept under keys
that are new for each call: pixels may have changed between two calls on a source of one name.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from dask.base import normalize_token, tokenize

from napari_tilewise.engine.lazy.dask_blocks import DaskBlocks
from napari_tilewise.engine.source import ArraySource, ChunkedSource
from napari_tilewise.engine.stack import Stack
from napari_tilewise.engine.system.from_zero import ViewFromZero
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.engine.views.without_alpha import WithoutAlpha
from napari_tilewise.operations.spec.operation import Operation
from napari_tilewise.operations.spec.parameters import Seed, is_image

if TYPE_CHECKING:
    from napari_tilewise.engine.planes import Planes
    from napari_tilewise.engine.source import Source

_planes_tokens: weakref.WeakKeyDictionary[Planes, str] = weakref.WeakKeyDictionary()
_objects: dict[int, tuple[weakref.ref[Any], str]] = {}
_process = uuid4().hex
_numbers = itertools.count()


def planes_token(planes: Planes) -> str:
    """Return the token of an operation on the planes of an image.

    Parameters
    ----------
    planes
        The operation on its images.
    """
    token = _planes_tokens.get(planes)
    if token is None:
        token = _planes_tokens[planes] = _token_of_planes(planes)
    return token


def _token_of_planes(planes: Planes) -> str:
    call = planes.looped.call
    operation = call.operation
    params = {
        name: uuid4().hex if value is None and isinstance(operation.specs[name], Seed) else value
        for name, value in call.params.items()
        if not is_image(operation.specs[name], value)
    }
    # A user's function may be defined again under its name.
    is_of_catalogue = type(operation) is Operation
    name: Any = (operation.name, operation.is_step) if is_of_catalogue else object_token(operation)
    token: str = tokenize(
        name,
        params,
        (call.shape, call.dtype, call.channel_axis, planes.looped.loops, planes.tile),
        source_token(planes.source),
        {name: source_token(image) for name, image in planes.images.items()},
    )
    return token


def source_token(source: Source) -> str:
    """Return the token of where pixels come from.

    Parameters
    ----------
    source
        The source.
    """
    token: str
    if isinstance(source, Stack):
        token = tokenize(planes_token(source.planes), source.number, source.has_alpha)
    elif isinstance(source, PlaneView):
        token = tokenize(source_token(source.stack), source.fixed)
    elif isinstance(source, WithoutAlpha):
        token = tokenize(source_token(source.inner), source.axis, source.index)
    elif isinstance(source, ArraySource):
        token = tokenize(source.array)
    elif isinstance(source, ChunkedSource):
        token = _array_token(source.array)
    else:
        token = object_token(source)
    return token


def _array_token(array: Any) -> str:
    """Return a token without reading pixels: of a name where there is one, else of the object."""
    token: str
    if isinstance(array, DaskBlocks):
        return str(array.name)
    store, path = getattr(array, "store", None), getattr(array, "path", None)
    if type(array).__module__.startswith("zarr.") and store is not None:
        name = str(store)
        where = object_token(store) if name.startswith("memory") else name
        token = tokenize("zarr", where, path, array.shape, np.dtype(array.dtype), array.chunks)
    elif isinstance(array, ViewFromZero):
        token = tokenize(_array_token(array.array), array.origin)
    elif _names_itself(type(array)):
        token = tokenize(array)
    else:
        token = object_token(array)
    return token


def _names_itself(kind: type) -> bool:
    """Return whether dask names arrays of a kind without reading or pickling their pixels."""
    if kind.__module__.startswith("xarray."):  # reads them
        return False
    rule: Any = normalize_token.dispatch
    return hasattr(kind, "__dask_tokenize__") or rule(kind) is not rule(object)


def object_token(item: Any) -> str:
    """Return a token of an object, the same as long as it lives in this process.

    Parameters
    ----------
    item
        The object.
    """
    number = id(item)
    reference, token = _objects.get(number, (None, ""))
    if reference is not None and reference() is item:
        return token
    token = f"{_process}-{next(_numbers)}"
    try:
        _objects[number] = weakref.ref(item, lambda _: _objects.pop(number, None)), token
    except TypeError:
        pass  # without references to it, it has another token each time
    return token
