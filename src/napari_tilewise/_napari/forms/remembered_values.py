"""The values of forms across sessions: the last of each operation, and those saved under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise._napari.forms.form_values import takes_layer
from napari_tilewise._napari.widgets.remembered import recall, remember
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.parameters import ChannelAxis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Parameters, Value

LAST, PRESETS = "forms/last", "forms/presets"


def last_values(operation: Operation, ndim: int) -> dict[str, Value]:
    """Return the values that an operation's form had last, without those that do not fit now.

    Parameters
    ----------
    operation
        The operation.
    ndim
        Number of spatial axes.
    """
    return _fitting(operation, recall(f"{LAST}/{operation.name}", {}), ndim)


def remember_last(operation: Operation, values: Parameters) -> None:
    """Remember the values of an operation's form.

    Parameters
    ----------
    operation
        The operation.
    values
        Valid values by parameter name.
    """
    remember(f"{LAST}/{operation.name}", _plain_values(operation, values))


def preset_names(operation: Operation) -> list[str]:
    """Return the names of an operation's presets, in alphabetical order.

    Parameters
    ----------
    operation
        The operation.
    """
    return sorted(_presets(operation), key=str.casefold)


def preset(operation: Operation, name: str, ndim: int) -> dict[str, Value]:
    """Return the values of a preset, without those that do not fit now.

    Parameters
    ----------
    operation
        The operation.
    name
        One of its presets.
    ndim
        Number of spatial axes.
    """
    return _fitting(operation, _presets(operation).get(name, {}), ndim)


def save_preset(operation: Operation, name: str, values: Parameters) -> None:
    """Save values as a preset; one of the same name is replaced.

    Parameters
    ----------
    operation
        The operation.
    name
        The preset's name.
    values
        Valid values by parameter name.
    """
    presets = {**_presets(operation), name: _plain_values(operation, values)}
    remember(f"{PRESETS}/{operation.name}", presets)


def delete_preset(operation: Operation, name: str) -> None:
    """Delete a preset.

    Parameters
    ----------
    operation
        The operation.
    name
        One of its presets.
    """
    presets = {key: values for key, values in _presets(operation).items() if key != name}
    remember(f"{PRESETS}/{operation.name}", presets)


def _presets(operation: Operation) -> dict[str, Any]:
    presets: dict[str, Any] = recall(f"{PRESETS}/{operation.name}", {})
    return {name: values for name, values in presets.items() if isinstance(values, dict)}


def _plain_values(operation: Operation, values: Parameters) -> dict[str, Any]:
    """Return values as a file holds them; layers, and functions of Python, are left out."""
    plain = {}
    for name, value in values.items():
        if takes_layer(operation.specs[name]):
            continue
        try:
            plain[name] = _plain(value)
        except TypeError:
            continue  # a function: it is no data
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(f"A {type(value).__name__} is not plain data.")


def _fitting(operation: Operation, plain: Mapping[str, Any], ndim: int) -> dict[str, Value]:
    """Return the values that an operation takes, as its forms hold them."""
    values = {}
    for name, stored in plain.items():
        parameter = operation.parameters.get(name)
        if parameter is None or isinstance(parameter.spec, ChannelAxis):
            continue
        value = _tuples(stored)
        try:
            parameter.spec.check(name, value, ndim)
        except TilewiseError:
            continue  # such as one number per axis of another image
        values[name] = value
    return values


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
