"""Code is laid out as a person would: on one line if it fits, otherwise bracket by bracket.

An expression is a text, or a `Group` of expressions between brackets, which is split when it is too
long for a line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_tilewise.operations.spec.parameters import FOOTPRINTS, Numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.operations.spec.parameters import Spec
    from napari_tilewise.types import Array, Parameters, Value

WIDTH = 100
"""Maximum length of a line, unless it contains a longer text."""

_DTYPES = {"int64": "int", "float64": "float", "bool": "bool"}


@dataclass(frozen=True)
class Group:
    """Expressions between brackets; `start` and `end` are the brackets and the code around them."""

    start: str
    items: tuple[Code, ...]
    end: str
    is_call: bool = False
    """Whether the items are arguments, which may all be on one line below the start."""


Code: TypeAlias = "str | Group"


def call(function: str, *arguments: Code) -> Group:
    """Return the code of a call."""
    return Group(f"{function}(", arguments, ")", is_call=True)


def wrap(start: str, code: Code, end: str) -> Code:
    """Return code with text before and after it."""
    if isinstance(code, str):
        return f"{start}{code}{end}"
    return replace(code, start=f"{start}{code.start}", end=f"{code.end}{end}")


def one_line(code: Code) -> str:
    """Return code on one line, whatever its length."""
    if isinstance(code, str):
        return code
    is_single = len(code.items) == 1 and code.start.endswith("(") and not code.is_call
    comma = "," if is_single else ""  # of a tuple
    return f"{code.start}{', '.join(map(one_line, code.items))}{comma}{code.end}"


def lay_out(code: Code, indent: int = 0) -> str:
    """Return code on as many lines as needed."""
    return "\n".join(_lines(code, indent, ""))


def _lines(code: Code, indent: int, end: str) -> Iterator[str]:
    margin = " " * indent
    line = f"{margin}{one_line(code)}{end}"
    if isinstance(code, str) or len(line) <= WIDTH or not code.items:
        yield line
        return
    yield margin + code.start
    inside = f"{margin}    {', '.join(map(one_line, code.items))}"
    if code.is_call and len(inside) <= WIDTH:
        yield inside
    else:
        for item in code.items:
            yield from _lines(item, indent + 4, ",")
    yield f"{margin}{code.end}{end}"


# -- values ----------------------------------------------------------------------------------------


def literal(value: Value) -> Code:
    """Return the code of a plain value."""
    if isinstance(value, str):
        return repr(value) if '"' in value or "\\" in repr(value) else f'"{value}"'
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    if isinstance(value, Mapping):
        items = (wrap(f"{one_line(literal(k))}: ", literal(v), "") for k, v in value.items())
        return Group("{", tuple(items), "}")
    if isinstance(value, Sequence):
        brackets = "()" if isinstance(value, tuple) else "[]"
        return Group(brackets[0], tuple(map(literal, value)), brackets[1])
    return repr(value)


def argument_code(spec: Spec, value: Value) -> Code:
    """Return the code of a step's parameter, as an array if its spec makes it one.

    Parameters
    ----------
    spec
        The spec of the parameter.
    value
        A plain value, as a step holds it.
    """
    if isinstance(value, Mapping) and value.get("shape") in FOOTPRINTS:
        return _footprint(value)
    checked = spec.check("value", value, None)
    if isinstance(checked, np.ndarray):
        return _array(checked)
    if isinstance(checked, tuple) and any(isinstance(item, np.ndarray) for item in checked):
        return Group("(", tuple(map(_array, checked)), ")")
    if isinstance(checked, tuple) and _is_repeated(checked):
        pairs = (Group("(", (_array(array), repr(times)), ")") for array, times in checked)
        return Group("[", tuple(pairs), "]")
    if isinstance(spec, Numbers) and isinstance(value, tuple):
        value = list(value)  # `daisy` adds its sigmas to a list; nothing refuses one
    return literal(value)


def _is_repeated(value: tuple[Value, ...]) -> bool:
    """Return whether the value is a sequence of footprints with their repetitions."""
    pairs = (isinstance(item, tuple) and len(item) == 2 for item in value)
    return all(pairs) and all(isinstance(item[0], np.ndarray) for item in value)


def _footprint(shape: Parameters) -> Code:
    kind = str(shape["shape"])
    size = shape[FOOTPRINTS[kind]]
    if FOOTPRINTS[kind] == "width":
        sides = literal((size,) * (2 if kind == "square" else 3))
        return call("np.ones", sides, "dtype=np.uint8")
    return call(f"ski.morphology.{kind}", repr(size))


def _array(array: Array) -> Code:
    name = array.dtype.name
    dtype = f"dtype={_DTYPES.get(name, f'np.{name}')}"
    if array.size > 1 and (array == 1).all():
        return call("np.ones", literal(array.shape), dtype)
    items = array.tolist()
    is_default_dtype = array.size and np.array(items).dtype == array.dtype
    return call("np.array", literal(items), *([] if is_default_dtype else [dtype]))
