"""The types of rows: of an item in the journal and the report, and of a table."""

from __future__ import annotations

from typing import TypeAlias, TypedDict

from napari_tilewise.io.plain_data import Plain

TableRow: TypeAlias = dict[str, Plain]
"""One row of a table: a value per column."""

CsvRow: TypeAlias = dict[str, str | int | float | bool]
"""One row of a CSV."""


class ItemRow(TypedDict, total=False):
    """What a journal has of one item; the keys are those of its lines of JSON."""

    item: str
    """Its stem."""
    input: str
    """Its source as text."""
    output: str | None
    """Path of its output in the folder of the batch."""
    status: str
    seconds: float
    error: str | None
    values: TableRow
    """Scalars of the recipe's steps, by name."""
    peak_memory: int
    """Peak resident memory of the process, in bytes."""
    fields: TableRow
    """What else is known of the item, such as its well."""
    target: str
    """Path of its output without a suffix."""
    key: str
    """Digest that changes when the result would."""
    objects: int
    """Number of objects, where the result is labels, a table or points."""
    kind: str
    """Kind of the result."""
    units: dict[str, str]
    """Units of the columns of a table that returns to the caller; a file's are in its record."""


def with_objects(entries: ItemRow, objects: int | None) -> ItemRow:
    """Return a row's entries with the number of objects, where the result has any.

    Parameters
    ----------
    entries
        Entries of an item's row.
    objects
        The number; None where the result has no objects.
    """
    return entries if objects is None else {**entries, "objects": objects}
