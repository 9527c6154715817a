"""What came of a batch: a row per item, and one table of all that was measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.batches.tables import Table, read_csv, rows_of
from napari_tilewise.batches.tasks import CANCELLED, DONE, FAILED, SKIPPED
from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence, Set
    from pathlib import Path

_TABLES = (Output.TABLE, Output.POINTS, Output.CONTOURS)
_COLUMNS = ("item", "input", "output", "status", "seconds", "error", "peak_memory")
"""The report's own columns: nothing that was measured takes their place."""


@dataclass(frozen=True, eq=False)
class Report:
    """What came of a batch."""

    items: Sequence[Mapping[str, Any]]
    """A row per item as it stands in the journal."""
    folder: Path | None = None
    """Where the outputs are; None where the results came back."""
    results: Sequence[Any] = field(default_factory=tuple, repr=False)
    """The results that came back, an item's each; None where it failed."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per item: input, output, status, seconds, error, and every number it met.

        A number that is called as a column that is there already stands in ``NAME (result)``.
        """
        own = self._known.union(_COLUMNS)
        return [self._row(item, own) for item in self.items]

    def _row(self, item: Mapping[str, Any], own: Set[str]) -> dict[str, Any]:
        row = {name: item.get(name) for name in _COLUMNS}
        if self.folder is not None and row["output"] is not None:
            row["output"] = str(self.folder / row["output"])
        known = _beside(set(_COLUMNS), item.get("fields", {}), "known")
        return {**row, **known, **_beside(own, item.get("values") or {})}

    @property
    def _known(self) -> set[str]:
        """The names of what is known of any item: a column holds one thing in all rows."""
        return {name for item in self.items for name in item.get("fields", {})}

    def _count(self, status: str) -> int:
        return sum(item["status"] == status for item in self.items)

    @property
    def done(self) -> int:
        """How many items were done."""
        return self._count(DONE)

    @property
    def failed(self) -> int:
        """How many items failed."""
        return self._count(FAILED)

    @property
    def skipped(self) -> int:
        """How many items were left as they were."""
        return self._count(SKIPPED)

    @property
    def cancelled(self) -> int:
        """How many items were not begun, as the batch was cancelled."""
        return self._count(CANCELLED)

    def __str__(self) -> str:
        """Return the counts in words."""
        words = f"{self.done} done, {self.failed} failed, {self.skipped} skipped"
        return f"{words}, {self.cancelled} not begun" if self.cancelled else words

    @property
    def table(self) -> Table:
        """All tables and points of the items as one, the item's name on each row."""
        return Table(self._measured)

    def _measured(self) -> Iterator[dict[str, Any]]:
        own = self._known | {"item"}
        for number, item in enumerate(self.items):
            if item.get("kind") not in _TABLES or item["status"] not in (DONE, SKIPPED):
                continue
            first = {"item": item["item"], **_beside({"item"}, item.get("fields", {}), "known")}
            if self.folder is not None:
                rows = read_csv(self.folder / item["output"])
            else:
                rows = rows_of(self.results[number])
            for row in rows:
                yield {**first, **_beside(own, row)}

    @property
    def stack(self) -> np.ndarray[Any, Any]:
        """The images that came back as one array, the items along its first axis.

        Raises
        ------
        InvalidImage
            When an item failed, gave no image, or their shapes differ.
        """
        found = [np.shape(one) if isinstance(one, np.ndarray) else None for one in self.results]
        if not found or None in found or len(set(found)) > 1:
            bad = next(
                (i for i, shape in enumerate(found) if shape is None or shape != found[0]), 0
            )
            name = self.items[bad]["item"] if found else "none"
            raise InvalidImage(
                f"The results cannot be stacked: {name!r} gave "
                f"{'no image' if not found or found[bad] is None else f'shape {found[bad]}'}; "
                "expected images of one shape, given back with destination=None."
            )
        return np.stack(list(self.results))

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the rows to a CSV.

        Parameters
        ----------
        path
            The file.
        overwrite
            Whether an old file may be replaced.
        """
        return Table(lambda: self.rows).to_csv(path, overwrite=overwrite)

    def to_parquet(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write the rows to a Parquet file; needs the extra ``parquet``.

        Parameters
        ----------
        path
            The file.
        overwrite
            Whether an old file may be replaced.
        """
        return Table(lambda: self.rows).to_parquet(path, overwrite=overwrite)


def _beside(own: Set[str], values: Mapping[str, Any], what: str = "result") -> dict[str, Any]:
    """Return values under names that are not taken: ``status`` becomes ``status (result)``."""
    found = {}
    for name, value in values.items():
        called = name
        while called in own or (called != name and called in values):
            called = f"{called} ({what})"
        found[called] = value
    return found
