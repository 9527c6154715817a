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

    def append(self, values: np.ndarray) -> None:
        """Add rows at the end, which the file's writer does.

        Parameters
        ----------
        values
            The rows.
        """
        with self.path.open("ab") as file:
            np.ascontiguousarray(values, self.dtype).tofile(file)
        self.shape = (len(self) + len(values), *self.shape[1:])

    def temporary(self) -> StoredColumn:
        """Return the column in a file that is removed with it, where this one is not."""
        if not self.store.is_lasting:
            return self
        store = self.store.temporary()
        path = store.folder / self.path.name
        try:
            os.link(self.path, path)
        except OSError:  # another disk, or one without links
            shutil.copyfile(self.path, path)
        return StoredColumn(store, path, self.dtype, self.shape)

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
    in_memory
        Bytes up to which the columns stay in memory; files from the first rows on unless given.
    """

    def __init__(self, store: ColumnStore | None, in_memory: int = -1) -> None:
        self._store = store
        self._in_memory = in_memory
        self._parts: dict[str, list[np.ndarray]] = {}
        self._files: dict[str, StoredColumn] = {}
        self._nbytes = 0

    def append(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows.

        Parameters
        ----------
        columns
            Their values by column, the same columns each time.
        """
        for name, values in columns.items():
            self._parts.setdefault(name, []).append(values)
            self._nbytes += values.nbytes
        if self._store is not None and (self._files or self._nbytes > self._in_memory):
            for name, parts in self._parts.items():
                self._write(name, parts, self._store)

    def _write(self, name: str, parts: list[np.ndarray], store: ColumnStore) -> None:
        """Move the rows of a column to its file; Python's objects stay in memory."""
        file = self._files.get(name)
        dtypes = [part.dtype for part in parts] + ([] if file is None else [file.dtype])
        dtype = np.result_type(*dtypes)
        if dtype.hasobject:
            if file is not None:
                parts.insert(0, np.asarray(self._files.pop(name)))
                remove([file])
            return
        if file is None or file.dtype != dtype:
            earlier = file
            path = store.folder / f"{uuid4().hex}.column"
            file = StoredColumn(store, path, dtype, (0, *parts[0].shape[1:]))
            for rows in row_groups(0 if earlier is None else len(earlier)):
                file.append(earlier[rows])  # type: ignore[index]  # there are rows
            remove([earlier])
        for part in parts:
            file.append(part)
        self._files[name] = file
        parts.clear()

    def written(self) -> Mapping[str, StoredColumn]:
        """Return the rows so far of the columns that are files."""
        return self._files

    def columns(self) -> dict[str, Any]:
        """Return all rows, by column."""
        columns: dict[str, Any] = {}
        for name in list(self._parts):
            parts, file = self._parts.pop(name), self._files.get(name)
            if file is not None:
                _flush(file.path)
                columns[name] = file
            else:
                columns[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
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
