"""Cells of a CSV: a spreadsheet shows every text as text, and a reader gets it back as it was.

A spreadsheet computes a cell that begins with ``=``, ``+``, ``-`` or ``@``: such a text is written
after an apostrophe. A text with characters that a spreadsheet or the file's encoding cannot hold is
written as JSON. Numbers stay as they are.
"""

from __future__ import annotations

import json
import re

_FORMULA = re.compile("'*\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20]")  # wide ones are computed too
_UNSHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, ends of lines, changes of direction, and what UTF-8 cannot encode."""


def to_cell(value: object) -> object:
    """Return what is written for a value: a text so that it is shown, anything else unchanged.

    Parameters
    ----------
    value
        A number, a text, or None.
    """
    if not isinstance(value, str):
        return value
    if _UNSHOWN.search(value) or _is_quoted(value):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return f"'{value}" if _FORMULA.match(value) else value


def from_cell(cell: str) -> str:
    """Return the text that a cell was written for; the inverse of `to_cell`.

    Parameters
    ----------
    cell
        The text in the file.
    """
    if _is_quoted(cell):
        try:
            text = json.loads(cell)
        except ValueError:
            return cell  # another program wrote it
        return text if isinstance(text, str) else cell
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text.startswith('"') and text.endswith('"')
