"""Tables of how fast the window is: printed row by row, and written into docs/preview.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = Path(__file__).parents[1] / "docs" / "preview.md"
HEADING = "### "
NEXT = "\n#"


class Table:
    """A table that is printed as it grows.

    Parameters
    ----------
    columns
        Its headings.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._widths = [max(len(column), 26 if number < 2 else 0) for number, column in
                        enumerate(columns)]  # fmt: skip
        self.rows: list[Sequence[str]] = []
        self.add(columns)

    def add(self, cells: Sequence[str]) -> None:
        """Add a row, and print it."""
        self.rows.append(cells)
        padded = (cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        print(" ".join(padded), flush=True)

    def lines(self) -> list[str]:
        """Return the table as Markdown."""
        head, *rows = ["| " + " | ".join(row) + " |" for row in self.rows]
        return [head, "|---" * len(self.rows[0]) + "|", *rows]


def write(title: str, table: Table) -> None:
    """Write a table in the place of the one with the same title.

    Parameters
    ----------
    title
        The heading of the section, which the page has.
    table
        The table; the text between it and the heading stays.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, heading, rest = text.partition(f"{HEADING}{title}\n")
    if not heading:
        raise SystemExit(f"{PAGE} has no section {title!r}.")
    end = rest.find(NEXT)
    section, after = (rest, "") if end < 0 else (rest[:end], rest[end:])
    introduction = section.partition("\n|")[0].rstrip()
    load = f"(Load of the machine meanwhile: {os.getloadavg()[1]:.0f}.)"
    lines = [line for line in introduction.splitlines() if not line.startswith("(Load")]
    body = "\n".join(["\n".join(lines).rstrip(), "", load, "", *table.lines()])
    PAGE.write_text(f"{before}{heading}{body}\n{after}", encoding="utf-8")
