"""A table tells where its objects are: their boxes are measured with it, asked for or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Parameters, Value

NAMES = ("label", "bbox")
"""scikit-image's names of an object's id and its box."""


def with_positions(operation: Operation, params: Parameters) -> dict[str, Value]:
    """Return a step's parameters that measure the objects' boxes too.

    Parameters
    ----------
    operation
        Any operation; only tables of chosen properties change.
    params
        The step's parameters; the defaults are omitted.
    """
    chosen = requested(operation, params)
    missing = [name for name in NAMES if name not in chosen]
    if not chosen or not missing:
        return dict(params)
    return {**params, "properties": (*chosen, *missing)}


def requested(operation: Operation, params: Parameters) -> tuple[str, ...]:
    """Return the properties that a step measures; empty if the operation does not choose any.

    Parameters
    ----------
    operation
        Any operation.
    params
        The step's parameters; the defaults are omitted.
    """
    if operation.output is not Output.TABLE or "properties" not in operation.specs:
        return ()
    names = params.get("properties", operation.parameters["properties"].default)
    return (names,) if isinstance(names, str) else tuple(names)


def is_position(column: str, name: str, params: Parameters) -> bool:
    """Return whether a column holds a property, or one of its numbers.

    Parameters
    ----------
    column
        The column's name.
    name
        The property.
    params
        The step's parameters; the defaults are omitted.
    """
    separator = str(params.get("separator", "-"))
    return column == name or column.startswith(f"{name}{separator}")
