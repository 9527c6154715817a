"""Values as JSON, of which only some rows are Python objects and text at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.io.plain_data import to_plain
from napari_tilewise.operations.shared.stored_columns import StoredColumn, row_groups
from napari_tilewise.operations.shared.stored_contours import StoredContours

if TYPE_CHECKING:
    from napari_tilewise.types import Array

CONVERTED = 2**14
"""Rows that are converted at a time."""
STEP = 2
"""Spaces by which each level is indented."""


def json_pieces(value: Any, indent: int = 0) -> Iterator[str]:
    """Yield the text that `json.dumps` makes of a value's plain data, with an indent of two spaces.

    Parameters
    ----------
    value
        A result, or anything else that `to_plain` takes.
    indent
        Spaces before the lines behind the first.
    """
    items: Iterable[tuple[str, Iterable[str]]]
    deeper = indent + STEP
    if isinstance(value, Mapping) and value:
        items = (
            (f"{json.dumps(str(key))}: ", json_pieces(item, deeper)) for key, item in value.items()
        )
        yield from _enclosed("{}", items, indent)
    elif isinstance(value, StoredContours) or (isinstance(value, list) and value):
        items = (("", json_pieces(item, deeper)) for item in value)
        yield from _enclosed("[]", items, indent)
    elif isinstance(value, StoredColumn | np.ndarray) and value.ndim and len(value):
        items = (("", (_rows(value[rows], deeper),)) for rows in row_groups(len(value), CONVERTED))
        yield from _enclosed("[]", items, indent)
    else:
        yield _text(value, indent)


def _rows(rows: Array, indent: int) -> str:
    """Return the text of rows, each in a line of its own."""
    line = ",\n" + " " * indent
    if rows.ndim == 1 and rows.dtype.kind in "buifU":
        return _joined(rows, line)
    if rows.ndim == 2 and rows.shape[1] and rows.dtype.kind in "buif":
        # json encodes one list quickly, and lists with an indent number by number.
        numbers, length = _joined(rows.reshape(-1), "\0").split("\0"), rows.shape[1]
        begin, end = "[\n" + " " * (indent + STEP), "\n" + " " * indent + "]"
        comma = ",\n" + " " * (indent + STEP)
        starts = range(0, len(numbers), length)
        texts = (comma.join(numbers[start : start + length]) for start in starts)
        return line.join(f"{begin}{text}{end}" for text in texts)
    return line.join(_text(row, indent) for row in rows.tolist())


def _joined(values: Array, separator: str) -> str:
    """Return numbers or texts as JSON has them, with a separator between them."""
    return json.dumps(values.tolist(), separators=(separator, ": "))[1:-1]


def _enclosed(
    brackets: str, items: Iterable[tuple[str, Iterable[str]]], indent: int
) -> Iterator[str]:
    """Yield the text of items, each in a line of its own, in brackets."""
    line = "\n" + " " * (indent + STEP)
    separator = brackets[0] + line
    for name, pieces in items:
        yield separator + name
        yield from pieces
        separator = "," + line
    yield ("\n" + " " * indent if separator[0] == "," else brackets[0]) + brackets[1]


def _text(value: Any, indent: int) -> str:
    return json.dumps(to_plain(value), indent=STEP).replace("\n", "\n" + " " * indent)
