"""The report is written as it goes: a line of JSON per item, behind one that says what ran.

A later batch in the same folder reads what is done from it. Lines are only ever added, so that
whatever ends the process costs the last line at most.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.disk import append, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NAME = "batch.jsonl"
"""What the file in the batch's folder is called."""
LOG = "batch.log"
"""The file with the traceback of each failure."""


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Return the last row of each output, by its path in the folder without a suffix.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    return {row["target"]: row for row in each(folder)}


def each(folder: str) -> Iterator[dict[str, Any]]:
    """Give every row of an item, of all batches into a folder; an output's latest comes last.

    Parameters
    ----------
    folder
        The folder of the batches.
    """
    return (row for row in _rows(folder) if "target" in row)


def interrupted(folder: str) -> frozenset[str]:
    """Return the outputs that were begun where nothing stood, and of which nothing came.

    Their process ended: what stands there now may be replaced.

    Parameters
    ----------
    folder
        The batch's folder.
    """
    begun: set[str] = set()
    for row in _rows(folder):
        if "begun" in row:
            begun.add(row["begun"])
        elif "target" in row:
            begun.discard(row["target"])
    return frozenset(begun)


def written(folder: str, rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the paths of the outputs that rows tell of.

    Parameters
    ----------
    folder
        The folder that they are in.
    rows
        The rows.
    """
    outputs = (row.get("output") for row in rows)
    return frozenset(os.path.join(folder, path) for path in outputs if path)


def latest(folder: str) -> tuple[dict[str, Any], int] | None:
    """Return what is said of the last batch in a folder, and of how many items something came.

    Parameters
    ----------
    folder
        The folder of the batch.
    """
    head: dict[str, Any] | None = None
    count = 0
    for row in _rows(folder):
        if "batch" in row:
            head, count = row["batch"], 0
        else:
            count += "target" in row
    return None if head is None else (head, count)


def _rows(folder: str) -> Iterator[dict[str, Any]]:
    """Give what the lines of a journal say; those that are not whole are left out."""
    path = Path(folder, NAME)
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:  # the end of a batch that was killed while it wrote
                continue
            if isinstance(row, dict):
                yield row


class Journal:
    """Adds rows to a folder's journal.

    Parameters
    ----------
    folder
        The batch's folder.
    head
        What is said of the whole batch.
    """

    def __init__(self, folder: str, head: Mapping[str, Any]) -> None:
        self.path = Path(folder, NAME)
        self._lock = threading.Lock()
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
            self._end_line()
        self.add({"batch": dict(head)})

    def _end_line(self) -> None:
        """End a line that a killed batch left half written."""
        if self._file.tell() > 0:
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":
                append(self._file, b"\n")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row, so that it survives this process.

        Parameters
        ----------
        row
            Plain data.
        """
        with self._lock, writing(self.path):
            append(self._file, json.dumps(row, default=str).encode() + b"\n")

    def log(self, text: str) -> None:
        """Write a traceback to the log beside the journal.

        Parameters
        ----------
        text
            The text.
        """
        path = self.path.with_name(LOG)
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(text.rstrip() + "\n\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
