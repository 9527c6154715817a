"""Columns of a table that outgrow their share of memory are files, read and written in row groups.

A store says where such files go and from which size on. A column of one is read like an array:
slices of rows from the file, anything else by reading it whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.types import Array

GROUP = 2**16
"""Rows that are read or written at a time."""


def root_of(folder: Path | None) -> Path:
    """Return where columns go.

    Parameters
    ----------
    folder
        A folder that outlasts the process; None: a temporary one.
    """
    return folder or Path(tempfile.gettempdir())


class ColumnStore:
    """A place for columns that are too large for memory.

    Parameters
    ----------
    limit
        Bytes that columns may take in memory.
    folder
        A folder that outlasts the process; a temporary one, created when it is needed and removed
        with the last of its columns, unless given.
    """

    def __init__(self, limit: int, folder: Path | None = None) -> None:
        self.limit = limit
        self.is_lasting = folder is not None
        self._folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the limit and a lasting folder."""
        return ColumnStore, (self.limit, self._folder if self.is_lasting else None)

    @property
    def root(self) -> Path:
        """The folder, or where it will be created."""
        return root_of(self._folder)

    @property
    def folder(self) -> Path:
        """The folder."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="napari-tilewise-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def temporary(self) -> ColumnStore:
        """Return a store of the same limit that is removed with its columns."""
        return ColumnStore(self.limit)


class StoredColumn:
    """A column of a table in a file.

    Parameters
    ----------
    store
        Where the file is.
    path
        The file: the rows one after the other.
    dtype, shape
        The column's.
    """

    def __init__(
        self, store: ColumnStore, path: Path, dtype: DTypeLike, shape: tuple[int, ...]
    ) -> None:
        self.store, self.path = store, path
        self.dtype, self.shape = np.dtype(dtype), shape

    @property
    def ndim(self) -> int:
        """Number of axes, of which the rows are the first."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice) or key.step not in (None, 1):
            return np.asarray(self)[key]
        start, stop, _ = key.indices(len(self))
        row = prod(self.shape[1:])
        count, offset = max(0, stop - start) * row, start * row * self.dtype.itemsize
        pixels = np.fromfile(self.path, self.dtype, count, offset=offset)
        return pixels.reshape(-1, *self.shape[1:])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        values: Array = self[:]
        return values if dtype is None else values.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"<column of {len(self)} rows, {self.dtype}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name of a lasting file; the values of a temporary one."""
        if self.store.is_lasting:
            return StoredColumn, (self.store, self.path, self.dtype, self.shape)
        return np.asarray, (np.asarray(self),)


Column = np.ndarray | StoredColumn
"""A column in memory or in a file."""


class ColumnWriter:
    """Columns of equal length that grow by groups of rows: in memory, or as files.

    Parameters
    ----------
    store
        Where files go; None: the columns stay in memory.
    """

    def __init__(self, store: ColumnStore | None) -> None:
        self._store = store
        self._parts: dict[str, list[np.ndarray]] = {}
        self._paths: dict[str, Path] = {}
        self._rows = 0

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows.

        Parameters
        ----------
        columns
            Their values by column, the same columns each time.
        """
        for name, values in columns.items():
            parts = self._parts.setdefault(name, [])
            if self._store is None or values.dtype.hasobject:
                parts.append(values)
                continue
            parts[:] = [values[:0]]
            path = self._paths.setdefault(name, self._store.folder / f"{uuid4().hex}.column")
            with path.open("ab") as file:
                np.ascontiguousarray(values).tofile(file)
        self._rows += len(next(iter(columns.values())))

    def columns(self) -> dict[str, Any]:
        """Return all rows, by column."""
        columns: dict[str, Any] = {}
        for name in list(self._parts):
            parts, path = self._parts.pop(name), self._paths.get(name)
            if self._store is None or path is None:
                columns[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
                continue
            _flush(path)
            (empty,) = parts
            shape = (self._rows, *empty.shape[1:])
            columns[name] = StoredColumn(self._store, path, empty.dtype, shape)
        return columns


def _flush(path: Path) -> None:
    """Have the disk hold a file before anything refers to it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def remove(columns: Sequence[Any]) -> None:
    """Remove the files of columns that nothing refers to.

    Parameters
    ----------
    columns
        The columns; those in memory are nobody's files.
    """
    for column in columns:
        if isinstance(column, StoredColumn):
            column.path.unlink(missing_ok=True)


def row_groups(length: int, rows: int = GROUP) -> Iterator[slice]:
    """Yield the groups in which so many rows are read.

    Parameters
    ----------
    length
        All rows.
    rows
        Rows of a group.
    """
    for start in range(0, length, rows):
        yield slice(start, min(start + rows, length))


def in_memory(value: Any) -> Any:
    """Return a table with columns in memory; any other value as it is.

    Parameters
    ----------
    value
        A result.
    """
    if isinstance(value, dict) and any(isinstance(c, StoredColumn) for c in value.values()):
        return {
            name: np.asarray(column) if isinstance(column, StoredColumn) else column
            for name, column in value.items()
        }
    return value
