"""Plain data are numbers, texts, lists and mappings: values as JSON and YAML hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import numpy as np

from napari_tilewise.types import Parameters

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""A value that JSON holds."""

Metadata: TypeAlias = Parameters
"""Plain data by name, as a file or a library holds them."""

MetadataDict: TypeAlias = dict[str, Any]
"""Metadata that are being put together."""


_PLAIN: frozenset[Any] = frozenset({str, int, float, bool, type(None)})


def to_plain(value: object) -> Plain:
    """Return a value as plain data.

    NumPy's scalars and arrays become numbers and lists, tuples become lists, and a complex number
    becomes its real and imaginary parts by name. NaN and infinity stay floats.

    Parameters
    ----------
    value
        Any value; one that JSON does not hold, such as a path, becomes its text.
    """
    if type(value) in _PLAIN:
        return cast("Plain", value)
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, Mapping):
        return plain_mapping(value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, complex):
        return {"real": value.real, "imag": value.imag}
    if isinstance(value, bool | int | float | str | None):
        return value
    return to_plain(np.asarray(value)) if hasattr(value, "__array__") else str(value)


DEEPEST = 100
"""Most lists and mappings inside each other in the metadata of a file."""


def is_too_deep(data: object) -> bool:
    """Return whether plain data are nested more than `DEEPEST` deep.

    Parameters
    ----------
    data
        Metadata, as a file holds them.
    """
    level = [data]
    for _ in range(DEEPEST + 1):
        level = [item for container in level for item in _items(container)]
        if not level:
            return False
    return True


def _items(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def plain_mapping(values: Mapping[str, object]) -> dict[str, Plain]:
    """Return a mapping with its values, nested ones too, as plain data.

    Parameters
    ----------
    values
        Values by name.
    """
    return {str(key): to_plain(value) for key, value in values.items()}
