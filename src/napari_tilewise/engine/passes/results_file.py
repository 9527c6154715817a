"""The results of passes on many planes are in a temporary file, whatever their number and length.

What is short altogether stays in memory; columns and contours that are files are not copied.
"""

from __future__ import annotations

import pickle
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.stored.stored_image import TEMPORARY
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.operations.shared.stored_columns import ColumnStore, StoredColumn
from napari_tilewise.operations.shared.stored_contours import StoredContours

if TYPE_CHECKING:
    from typing import IO

IN_MEMORY = 2**20
"""Bytes of all results together that stay in memory."""


class ResultsFile:
    """A file of results, each of which can be read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def put(self, value: Any) -> FiledResult:
        """Write a result.

        Parameters
        ----------
        value
            The result.
        """
        with self._lock, writing(Path(tempfile.gettempdir()), TEMPORARY):
            if self._file is None:
                self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="napari-tilewise-")
                weakref.finalize(self, self._file.close)
            start = self._file.seek(0, 2)
            pickler = _ResultPickler(self._file, pickle.HIGHEST_PROTOCOL)
            pickler.dump(value)
            return FiledResult(self, start, tuple(pickler.files))

    def load(self, start: int, files: Sequence[Any]) -> Any:
        """Return a result.

        Parameters
        ----------
        start
            Where it begins.
        files
            What of it is in files of its own.
        """
        with self._lock:
            if self._file is None:
                raise ValueError("Nothing was written.")
            self._file.seek(start)
            return _ResultUnpickler(self._file, files).load()


@dataclass(frozen=True, eq=False, slots=True)
class FiledResult:
    """The result of a pass in a file."""

    file: ResultsFile
    start: int
    files: tuple[Any, ...]
    """What of it is in files of its own."""

    def load(self) -> Any:
        """Return the result: a new copy each time."""
        return self.file.load(self.start, self.files)


class _ResultPickler(pickle.Pickler):
    """Leaves out what is in files."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.files: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        """Return the number of an object that is in files; None for another one."""
        if not isinstance(obj, StoredColumn | StoredContours | ColumnStore):
            return None
        self.files.append(obj)
        return len(self.files) - 1


class _ResultUnpickler(pickle.Unpickler):
    def __init__(self, file: Any, files: Sequence[Any]) -> None:
        super().__init__(file)
        self._files = files

    def persistent_load(self, number: int) -> Any:
        """Return an object that is in files."""
        return self._files[number]


def held_bytes(value: Any) -> int:
    """Return the bytes of the arrays that a result holds in memory, about.

    Parameters
    ----------
    value
        The result.
    """
    if isinstance(value, StoredColumn | StoredContours | ColumnStore):
        return 0
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "nbytes"):
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(map(held_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(held_bytes, value))
    return held_bytes(vars(value)) if hasattr(value, "__dict__") and not callable(value) else 0
