"""Annotations are resolved one by one, so that one that cannot be resolved affects no other."""

from __future__ import annotations

from inspect import Parameter, unwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from napari_tilewise.types import AnyFunction


def resolve_annotation(function: AnyFunction, parameter: Parameter) -> Any:
    """Return a parameter's annotation; the text itself if its names are unknown.

    Parameters
    ----------
    function
        The function, whose module defines the names.
    parameter
        One of its parameters, annotated with a type or with text.
    """
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    holder = SimpleNamespace(__annotations__={"parameter": annotation})
    names = getattr(unwrap(function), "__globals__", {})
    try:
        return get_type_hints(holder, globalns=names, include_extras=True)["parameter"]
    except (NameError, AttributeError, SyntaxError, TypeError):
        return annotation
