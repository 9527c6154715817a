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
    values = [to_plain(row) for row in rows.tolist()]
    if rows.ndim == 1 and rows.dtype.kind in "buifU":
        return json.dumps(values, separators=(line, ": "))[1:-1]
    return line.join(_text(row, indent) for row in values)


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
