"""Lazy arguments are recognised without importing the libraries that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.images.labelled import is_in_memory, is_labelled

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = (np.ndarray, np.generic, np.dtype, type, str, int, float, complex)


def is_lazy(value: Any) -> bool:
    """Return whether a value is an array that is not in memory: dask, Zarr, HDF5 ...

    Parameters
    ----------
    value
        An argument of any type.
    """
    if value is None or isinstance(value, _PLAIN):
        return False
    if not all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    try:
        np.dtype(value.dtype)
    except TypeError:  # another library's own types, such as a tensor's
        return False
    return True


def is_named_in_memory(value: Any) -> bool:
    """Return whether a value is an array in memory that names its axes, such as xarray's.

    Parameters
    ----------
    value
        An argument of any type.
    """
    return is_labelled(value) and is_in_memory(value)


def has_lazy(values: Iterable[Any]) -> bool:
    """Return whether any value is lazy, or a list or tuple with a lazy item.

    Parameters
    ----------
    values
        The arguments of a call.
    """
    return any(
        any(map(is_lazy, value)) if isinstance(value, list | tuple) else is_lazy(value)
        for value in values
    )


def lazy_arrays(value: Any) -> list[Any]:
    """Return the lazy arrays that a value is or, as a list or tuple, holds.

    Parameters
    ----------
    value
        An argument of any type.
    """
    items = value if isinstance(value, list | tuple) else [value]
    return [item for item in items if is_lazy(item) and not is_named_in_memory(item)]


def computed(value: Any) -> Any:
    """Return a value with its lazy arrays computed; a lazy scalar becomes a NumPy scalar.

    Parameters
    ----------
    value
        An argument of any type.
    """
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(map(computed, value))
    return np.asarray(value)[()] if is_lazy(value) else value


def describe(array: Any) -> str:
    """Return a short description of a lazy array, with its library, type and shape.

    Parameters
    ----------
    array
        The lazy array.
    """
    name = type(array).__module__.partition(".")[0]
    return f"a {name} {type(array).__name__} of shape {tuple(array.shape)}"
