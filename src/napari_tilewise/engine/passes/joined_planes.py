"""The results of a stack's planes that are not images, joined to one as the planes come.

What outgrows its share of memory is in files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.stored_columns import (
    ColumnStore,
    ColumnWriter,
    StoredColumn,
    row_groups,
)
from napari_tilewise.operations.shared.stored_contours import ContourWriter, StoredContours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_tilewise.grid import Position

    Planes = Iterator[tuple[Position, Any]]
    """The position along the looped axes, and the result, of each plane."""


def in_memory(value: Any) -> Any:
    """Return a result without files: columns and points as arrays, contours as a list.

    Parameters
    ----------
    value
        A result.
    """
    if isinstance(value, StoredContours):
        return value.in_memory()
    if isinstance(value, StoredColumn):
        return np.asarray(value)
    if isinstance(value, dict) and any(isinstance(c, StoredColumn) for c in value.values()):
        return {name: in_memory(column) for name, column in value.items()}
    return value


def join_tables(
    planes: Planes, prefix: Callable[[Position], Mapping[str, Any]], store: ColumnStore
) -> dict[str, Any]:
    """Return one table.

    Parameters
    ----------
    planes
        A table for each plane.
    prefix
        Returns the values of the first columns, the same in all rows of a plane.
    store
        Where columns go that outgrow memory.
    """
    writer = ColumnWriter(store, store.limit // 2)
    for index, table in planes:
        for rows in _groups(len(next(iter(table.values())))):
            columns = {name: np.asarray(column[rows]) for name, column in table.items()}
            length = len(next(iter(columns.values())))
            first = {name: np.repeat(value, length) for name, value in prefix(index).items()}
            writer.append({**first, **columns})
    return writer.columns()


def join_points(planes: Planes, store: ColumnStore) -> Any:
    """Return one array of points, the plane's position before each.

    Parameters
    ----------
    planes
        Points for each plane.
    store
        Where points go that outgrow memory.
    """
    writer = ColumnWriter(store, store.limit // 2)
    for index, points in planes:
        for rows in _groups(len(points)):
            writer.append({"points": _prefixed(index, np.asarray(points[rows]))})
    return writer.columns()["points"]


def join_contours(planes: Planes, store: ColumnStore) -> Any:
    """Return all contours, the plane's position before each point.

    Parameters
    ----------
    planes
        Contours for each plane.
    store
        Where points go that outgrow memory.
    """
    lines: list[np.ndarray] = []
    writer: ContourWriter | None = None
    nbytes = 0
    for index, contours in planes:
        for contour in contours:
            line = _prefixed(index, contour)
            nbytes += line.nbytes + LINE
            if writer is None and nbytes > store.limit // 2:
                writer = ContourWriter(store, line.shape[1])
                for earlier in lines:
                    writer.append([earlier])
                lines.clear()
            if writer is None:
                lines.append(line)
            else:
                writer.append([line])
    return lines if writer is None else writer.contours()


LINE = 120
"""Bytes of an array beside its numbers."""


def _groups(length: int) -> Iterator[slice]:
    """Yield the groups of rows, one without rows where there are none."""
    yield from row_groups(length) if length else [slice(0, 0)]


def _prefixed(index: Position, points: np.ndarray) -> np.ndarray:
    prefix = np.broadcast_to(np.asarray(index, points.dtype), (len(points), len(index)))
    return np.concatenate([prefix, points], axis=1)
