"""Annotations as the objects they mean, one by one: one that cannot be told spoils no other."""

from __future__ import annotations

from inspect import Parameter, unwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def resolved(function: Callable[..., Any], parameter: Parameter) -> Any:
    """Return a parameter's annotation; the text itself where its names are unknown.

    Parameters
    ----------
    function
        The function, whose module tells the names.
    parameter
        The parameter.
    """
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    alone = SimpleNamespace(__annotations__={"it": annotation})
    known = getattr(unwrap(function), "__globals__", {})
    try:
        return get_type_hints(alone, globalns=known, include_extras=True)["it"]
    except (NameError, AttributeError, SyntaxError, TypeError):
        return annotation
