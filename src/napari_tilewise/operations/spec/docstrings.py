"""The libraries' own words: functions, signatures, titles and tooltips by key."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module
from inspect import Parameter
from typing import TYPE_CHECKING, Any

import numpy as np
from docstring_parser import DocstringStyle, parse

from napari_tilewise.operations.spec.libraries import function_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.types import AnyFunction

UFUNC_OF_TWO = (
    Parameter("x1", Parameter.POSITIONAL_ONLY),
    Parameter("x2", Parameter.POSITIONAL_ONLY),
    Parameter("out", Parameter.POSITIONAL_OR_KEYWORD, default=None),
    *(
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in {
            "where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True,
            "signature": None,
        }.items()
    ),
)  # fmt: skip
"""The parameters of a ufunc of two arrays, which NumPy tells from 2.4 on."""


@cache
def resolve(name: str) -> AnyFunction:
    """Return the library's function from an operation's key."""
    module, _, function = function_path(name).rpartition(".")
    resolved: AnyFunction = getattr(import_module(module), function)
    return resolved


@cache
def signature(function: AnyFunction) -> Mapping[str, inspect.Parameter]:
    """Return the function's parameters by name."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        ufunc = inspect.unwrap(function)
        if not (isinstance(ufunc, np.ufunc) and ufunc.nin == 2):
            raise
        return {parameter.name: parameter for parameter in UFUNC_OF_TWO}


@cache
def _parsed(function: AnyFunction) -> Any:
    # scikit-image spells this heading with a small p, which the parser does not know.
    text = (inspect.getdoc(function) or "").replace("\nOther parameters\n", "\nOther Parameters\n")
    return parse(text, style=DocstringStyle.NUMPYDOC)


def summary(function: AnyFunction) -> str:
    """Return the docstring's first sentence on one line; a ufunc's begins with its signature."""
    parsed = _parsed(function)
    text = " ".join((parsed.short_description or "").split())
    if text.startswith(f"{getattr(function, '__name__', '')}("):
        text = " ".join((parsed.long_description or "").split("\n\n")[0].split())
    return text


@cache
def result_names(function: AnyFunction) -> tuple[str, ...]:
    """Return the names that the docstring gives the results, in order."""
    names = (item.return_name or "" for item in _parsed(function).many_returns)
    return tuple(part.strip() for name in names for part in name.split(","))


@cache
def parameter_texts(function: AnyFunction) -> Mapping[str, str]:
    """Return what the docstring says of each parameter."""
    texts = {}
    for item in _parsed(function).params:
        for name in item.arg_name.split(","):
            # Sphinx's notes (".. versionadded:: 0.18") stand at the end and mean nothing here.
            text = (item.description or "").split("\n.. ")[0]
            texts[name.strip()] = " ".join(text.split())
    return texts
