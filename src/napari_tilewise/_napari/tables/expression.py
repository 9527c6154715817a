"""Filters of tables: conditions such as ``area > 50 and eccentricity < 0.8``, never executed.

An expression is parsed, and only comparisons, arithmetic and the table's columns are understood.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"abs": np.abs, "sqrt": np.sqrt, "log": np.log}
_NAME = re.compile(r"[^\W\d]\w*(?:-\d+)*")
_QUOTED = re.compile(r"('[^']*'|\"[^\"]*\")")
LONGEST = 1000
"""The most characters of an expression."""


def matching(
    text: str, columns: Mapping[str, NDArray[Any]], titles: Mapping[str, str] | None = None
) -> NDArray[np.bool_]:
    """Return which rows fulfil a condition; all if the text is empty.

    Parameters
    ----------
    text
        Such as ``area > 50 and centroid-0 < 100``; a single ``=`` means equality. Capitals do not
        matter.
    columns
        The table.
    titles
        Other names of columns, such as those with a unit: a column's name by its title.

    Raises
    ------
    InvalidParameter
        If the condition cannot be understood.
    """
    count = len(next(iter(columns.values()), ()))
    if not text.strip():
        return np.ones(count, bool)
    if len(text) > LONGEST:
        raise InvalidParameter(f"The filter is longer than {LONGEST} characters: shorten it.")
    names = {_identifier(name): name for name in columns}
    parts = _QUOTED.split(text.strip())
    parts[::2] = [_plain(part, columns, titles or {}) for part in parts[::2]]
    plain = "".join(parts)
    try:
        tree = ast.parse(plain, mode="eval")
        with np.errstate(all="ignore"):
            rows = _Filter(names, columns).value(tree.body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidParameter(
            f"The filter {text!r} cannot be read: write a condition such as area > 50 and "
            "eccentricity < 0.8."
        ) from error
    except InvalidParameter:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidParameter(
            f"The filter {text!r} compares a number with a text, or counts with texts: numbers "
            "have no quotes."
        ) from error
    if np.shape(rows) not in {(), (count,)} or np.asarray(rows).dtype != bool:
        raise InvalidParameter(f"The filter {text!r} is not a condition: compare it, as in > 0.")
    return np.broadcast_to(np.asarray(rows, bool), count)


def _plain(part: str, columns: Mapping[str, object], titles: Mapping[str, str]) -> str:
    """Return a part of a condition, outside of quotes, as Python writes it."""
    for title in sorted(titles, key=len, reverse=True):
        if title != titles[title]:
            part = re.sub(re.escape(title), f" {_identifier(titles[title])} ", part, flags=re.I)
    part = _NAME.sub(lambda match: _column_identifier(match[0], columns), part)
    part = re.sub(r"\b(?:and|or|not)\b", lambda word: word[0].lower(), part, flags=re.I)
    return re.sub(r"(?<![<>=!])=(?!=)", "==", part).strip()


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _column_identifier(name: str, columns: Mapping[str, object]) -> str:
    """Return a column's name as an identifier; ``centroid-0`` is one name if it is a column."""
    return _identifier(name) if name in columns else name


class _Filter:
    """Evaluates a parsed condition on whole columns."""

    def __init__(self, names: Mapping[str, str], columns: Mapping[str, NDArray[Any]]) -> None:
        lower = {identifier.lower(): name for identifier, name in names.items()}
        self._names, self._columns = {**lower, **names}, columns

    def value(self, node: ast.expr) -> Any:
        """Return the value of a part of the condition."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                return node.value
            case ast.Name():
                return self._column(node.id)
            case ast.UnaryOp(op=ast.USub()):
                return -self.value(node.operand)
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                return ~np.asarray(self.value(node.operand), bool)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return _ARITHMETIC[type(node.op)](self.value(node.left), self.value(node.right))
            case ast.BoolOp():
                join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                return join.reduce(np.broadcast_arrays(*map(self.value, node.values)))
            case ast.Compare():
                return self._compared(node)
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]):
                if function in _FUNCTIONS:
                    return _FUNCTIONS[function](self.value(argument))
        raise InvalidParameter(
            f"The filter does not understand {ast.unparse(node)!r}: use columns, numbers, "
            "comparisons, and, or, not."
        )

    def _compared(self, node: ast.Compare) -> Any:
        values = [self.value(part) for part in (node.left, *node.comparators)]
        result: Any = True
        for op, first, second in zip(node.ops, values, values[1:], strict=False):
            if type(op) not in _COMPARISONS:
                raise InvalidParameter("The filter compares with <, <=, >, >=, == and != only.")
            result = np.logical_and(result, _COMPARISONS[type(op)](first, second))
        return result

    def _column(self, identifier: str) -> NDArray[Any]:
        name = self._names.get(identifier, self._names.get(identifier.lower()))
        if name is None:
            raise InvalidParameter(
                f"The table has no column {identifier!r}. It has "
                f"{', '.join(map(repr, self._columns))}."
            )
        return self._columns[name]
