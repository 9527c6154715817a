"""How values look in a notebook: small tables of text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def html_table(
    caption: str, rows: Iterable[Sequence[object]], header: Sequence[str] = (), note: str = ""
) -> str:
    """Return a table as HTML, whatever characters its texts have.

    Parameters
    ----------
    caption
        What it shows.
    rows
        The cells of each row.
    header
        Names of the columns; by default, the first cell of a row is its name.
    note
        A sentence below the table.
    """
    names = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = [f"<table><caption>{escape(caption)}</caption>"]
    if header:
        lines.append(f"<thead><tr>{names}</tr></thead>")
    lines.append("<tbody>")
    for first, *others in rows:
        tag = "td" if header else "th"
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in others)
        lines.append(f"<tr><{tag}>{escape(str(first))}</{tag}>{cells}</tr>")
    lines.append("</tbody></table>")
    return "".join([*lines, f"<p>{escape(note)}</p>" if note else ""])
