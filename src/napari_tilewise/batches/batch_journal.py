"""The journal of a batch's folder: what ran, then a row per item, written as each is done.

A later batch into the same folder reads from it what is done.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast

from napari_tilewise.batches.inside import is_inside
from napari_tilewise.engine.checkpoints.journal import Journal, read_entries
from napari_tilewise.engine.system.disk import writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.engine.checkpoints.journal import JournalEntry

_LOG = logging.getLogger(__name__)
NAME = "batch.jsonl"
"""Name of the journal in the batch's folder."""
_OPTIONAL = type(None)
_ROW_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "item": str,
    "input": str,
    "output": (str, _OPTIONAL),
    "status": str,
    "seconds": (int, float),
    "error": (str, _OPTIONAL),
    "values": (dict, _OPTIONAL),
    "fields": (dict, _OPTIONAL),
    "target": str,
    "key": (str, _OPTIONAL),
    "kind": (str, _OPTIONAL),
}
"""Types of the entries of a row; those that may be missing are optional."""
LOG = "batch.log"
"""Name of the file with the traceback of each failure."""


def last_rows(folder: str) -> dict[str, ItemRow]:
    """Return the last row of each output, by its path in the folder without a suffix.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    return {row["target"]: row for row in each_row(folder)}


def each_row(folder: str) -> Iterator[ItemRow]:
    """Yield the row of every item, of all batches into a folder; an output's latest comes last.

    Parameters
    ----------
    folder
        The folder of the batches.
    """
    return (cast("ItemRow", entry) for entry in _entries(folder) if "target" in entry)


def interrupted_outputs(folder: str) -> frozenset[str]:
    """Return the outputs that were started where no file was, and never finished.

    Their process ended: what a batch finds at their paths now may be replaced.

    Damaged lines are logged by `last_rows`, which a batch reads before.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    started: set[str] = set()
    for entry in _entries(folder, logs=False):
        if "begun" in entry:
            started.add(entry["begun"])
        elif "target" in entry:
            started.discard(entry["target"])
    return frozenset(started)


def unfinished_outputs(folder: str) -> dict[str, str]:
    """Return the outputs that were started and never finished, and the suffix of each as an image.

    What they left beside their paths is of no use, once their process has ended.

    Damaged lines are logged by `last_rows`, which a batch reads before.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    started: dict[str, str] = {}
    for entry in _entries(folder, logs=False):
        base = entry.get("begun") or entry.get("replaced")
        if base is not None:
            started[base] = entry.get("suffix", "")
        elif "target" in entry:
            started.pop(entry["target"], None)
    return started


def output_paths(folder: str, rows: Iterable[ItemRow]) -> frozenset[str]:
    """Return the paths of the outputs that rows name.

    Parameters
    ----------
    folder
        The folder that they are in.
    rows
        Rows of its journal.
    """
    outputs = (row.get("output") for row in rows)
    return frozenset(os.path.join(folder, path) for path in outputs if path)


def latest_batch(folder: str) -> tuple[JournalEntry, int] | None:
    """Return the description of the last batch into a folder, and its number of finished items.

    Parameters
    ----------
    folder
        The folder of the batch.

    Returns
    -------
    tuple or None
        None where the folder has no journal.
    """
    description: JournalEntry | None = None
    count = 0
    for entry in _entries(folder):
        if "batch" in entry:
            description, count = entry["batch"], 0
        else:
            count += "target" in entry
    return None if description is None else (description, count)


def _entries(folder: str, *, logs: bool = True) -> Iterator[JournalEntry]:
    """Yield the entries that a batch can have written; others are left out, and logged."""
    path = Path(folder, NAME)
    for entry in read_entries(path, logs=logs):
        if _is_valid(entry):
            yield entry
        elif logs:
            _LOG.warning("An entry of %s was not written by a batch; it is ignored.", path)


def _is_valid(entry: JournalEntry) -> bool:
    """Return whether an entry is a row, a batch or an item's start, and stays in the folder."""
    if "target" not in entry:
        batch = entry.get("batch", {})
        starts = [entry[name] for name in ("begun", "replaced") if name in entry]
        suffix = entry.get("suffix", "")
        return (
            all(is_inside(path) for path in starts)
            and (suffix == "" or (is_inside(suffix) and "/" not in suffix))
            and isinstance(batch, dict)
            and isinstance(batch.get("asked", {}), dict)
            and isinstance(batch.get("items", 0), int)
        )
    has_types = all(isinstance(entry.get(name), kinds) for name, kinds in _ROW_TYPES.items())
    paths = (entry["target"], entry.get("output")) if has_types else ()
    return has_types and all(is_inside(path) for path in paths if path is not None)


class BatchJournal:
    """Adds rows to a folder's journal; several threads may call it.

    Parameters
    ----------
    folder
        The batch's folder.
    description
        What the batch as a whole runs, as plain data.
    """

    def __init__(self, folder: str, description: Mapping[str, object]) -> None:
        self._lock = threading.Lock()
        self._journal = Journal(Path(folder, NAME))
        self.add({"batch": dict(description)})

    def add(self, row: Mapping[str, object]) -> None:
        """Write one row, so that it survives this process.

        Parameters
        ----------
        row
            Plain data.
        """
        with self._lock:
            self._journal.append(row)

    def log(self, text: str) -> None:
        """Write a traceback to the log beside the journal.

        Parameters
        ----------
        text
            Any number of lines.
        """
        path = self._journal.path.with_name(LOG)
        with writing(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text.rstrip() + "\n\n")

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
