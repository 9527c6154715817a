"""Compare two outputs tile by tile: whether they are the same, and if not, how much they differ.

Values are compared, not their bits: NaN equals NaN, and -0.0 equals 0.0.
"""

from __future__ import annotations

import csv
import math
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.axes import default_axes
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.grid import Grid
from napari_tilewise.io.readers.checked_arrays import read_error
from napari_tilewise.io.writers.ome_zarr_layout import default_chunks
from napari_tilewise.io.writers.values import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from napari_tilewise.engine.session import Session
    from napari_tilewise.grid import Region
    from napari_tilewise.io.image import Image, Pixels
    from napari_tilewise.types import Array

    Leaf = tuple[str, object]
    """A value and where it is, in words."""


@dataclass
class Difference:
    """How two outputs differ."""

    noun: str
    """What is counted: ``"pixels"`` or ``"values"``."""
    differing: int = 0
    """How many differ."""
    total: int = 0
    """How many were compared."""
    largest: float = 0.0
    """The largest difference between two numbers; NaN where those that differ are not numbers."""
    notes: list[str] = field(default_factory=list)
    """Other differences, such as of shapes: a sentence each, without its full stop."""

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and not self.notes

    def __str__(self) -> str:
        """Return the verdict in one line."""
        if self.identical:
            return "identical"
        sentences = []
        if self.differing:
            size = "" if math.isnan(self.largest) else f", by {self.largest:.6g} at most"
            sentences.append(f"{self.differing} of {self.total} {self.noun} differ{size}")
        return "; ".join([*sentences, *self.notes])

    def count(self, differing: int, total: int, largest: float = math.nan) -> None:
        """Add the counts of a part.

        Parameters
        ----------
        differing
            How many differ.
        total
            How many were compared.
        largest
            The largest difference between two numbers, or NaN.
        """
        self.total += total
        if differing:
            before = [self.largest] if self.differing else []
            sizes = [size for size in (*before, largest) if not math.isnan(size)]
            self.differing += differing
            self.largest = max(sizes, default=math.nan)


# Images -----------------------------------------------------------------------------------------


def compare_images(old: Image, new: Image, session: Session) -> Difference:
    """Return how two images differ, smaller levels included; each worker holds two tiles.

    Parameters
    ----------
    old, new
        Open images.
    session
        The workers, and the listener that gets the events.

    Raises
    ------
    SourceUnreadable
        When a tile of either cannot be read.
    """
    difference = Difference("pixels")
    for field_name in ("axes", "scale", "units", "labels"):
        before, now = getattr(old, field_name), getattr(new, field_name)
        if before != now:
            difference.notes.append(f"{field_name} was {_short(before)}, now {_short(now)}")
    if len(old.levels) != len(new.levels):
        difference.notes.append(f"there were {len(old.levels)} levels, now {len(new.levels)}")
    for number, (before, now) in enumerate(zip(old.levels, new.levels, strict=False)):
        axes = new.axes or default_axes(len(now.shape))
        level = _compare_level(before, now, axes, session, f"compare level {number}")
        if number == 0:
            difference.notes += level.notes
            difference.count(level.differing, level.total, level.largest)
        elif not level.identical:
            difference.notes.append(f"level {number} of the pyramid: {level}")
    return difference


def _compare_level(
    old: Pixels, new: Pixels, axes: tuple[str, ...], session: Session, title: str
) -> Difference:
    difference = Difference("pixels")
    for name, before, now in (
        ("shape", tuple(old.shape), tuple(new.shape)),
        ("type", str(np.dtype(old.dtype)), str(np.dtype(new.dtype))),
    ):
        if before != now:
            difference.notes.append(f"the {name} was {before}, now {now}")
    if difference.notes:
        return difference
    shape = tuple(new.shape)
    grid = Grid(shape, getattr(new, "chunks", None) or default_chunks(shape, axes))
    lock = threading.Lock()

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        counts = _compare_tiles(old, new, region)
        with lock:
            difference.count(*counts)

    session.sweep(title, work, list(grid.positions()))
    return difference


def _compare_tiles(old: Pixels, new: Pixels, region: Region) -> tuple[int, int, float]:
    """Return how many pixels differ, of how many, and by how much at most."""
    before, now = np.asarray(old[region]), np.asarray(new[region])
    differs = before != now
    if before.dtype.kind in "fc":
        differs &= ~(np.isnan(before) & np.isnan(now))
    count = int(np.count_nonzero(differs))
    return count, before.size, _largest(before[differs], now[differs])


def _largest(before: Array, now: Array) -> float:
    """Return the largest difference between numbers; NaN where there is none."""
    wide = np.complex128 if before.dtype.kind == "c" else np.longdouble
    with np.errstate(all="ignore"):  # infinity less infinity
        sizes = np.abs(before.astype(wide) - now.astype(wide))
    sizes = sizes[~np.isnan(sizes)]
    return float(sizes.max()) if sizes.size else math.nan


def _short(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return repr("".join(value))
    return str(value)


# Values -----------------------------------------------------------------------------------------


def compare_values(old: Path, new: Path) -> Difference:
    """Return how two files of values differ; their records are not compared.

    Parameters
    ----------
    old, new
        Existing files, both ``.json`` or both ``.csv``.

    Raises
    ------
    SourceUnreadable
        When one is not a file that `run` writes.
    """
    try:
        with ExitStack() as files:
            return _compare_leaves(*(_values(path, files) for path in (old, new)))
    except SourceUnreadable:
        raise
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise read_error(error, str(old)) from error


def _values(path: Path, files: ExitStack) -> Iterator[Leaf]:
    """Return the values of a file one by one, each with its position in words."""
    if path.suffix.lower() == ".json":
        return _leaves(read_json(path).get("value"))
    return _cells(files.enter_context(path.open(encoding="utf-8", newline="")))


def _compare_leaves(old: Iterator[Leaf], new: Iterator[Leaf]) -> Difference:
    """Compare values in order, up to where one has no counterpart."""
    difference = Difference("values")
    for before, now in zip_longest(old, new, fillvalue=("the end", None)):
        if before[0] != now[0]:
            difference.notes.append(f"{before[0]} became {now[0]}")
            break
        difference.count(*_compare_pair(before[1], now[1]))
    return difference


def _compare_pair(before: object, now: object) -> tuple[int, int, float]:
    """Return the same as `_compare_tiles`, for two values."""
    first, second = _number(before), _number(now)
    if first is None or second is None:
        return int(before != now), 1, math.nan
    if first == second or (first != first and second != second):  # NaN differs from itself
        return 0, 1, 0.0
    return 1, 1, float(abs(first - second))


def _number(value: object) -> int | float | None:
    """Return the number that a value, or a cell's text, is."""
    if isinstance(value, str):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
        return None
    return value if isinstance(value, (int, float)) else None


def _leaves(value: object, path: str = "value") -> Iterator[Leaf]:
    """Yield the scalars, and the empty lists, of JSON data, each with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _cells(lines: Iterable[str]) -> Iterator[Leaf]:
    """Yield a table's cells row by row, each with its row and its column's name."""
    rows = csv.reader(lines)
    header = next(rows, [])
    for name in header:
        yield f"column {name}", name
    for number, row in enumerate(rows, start=1):
        for name, cell in zip_longest(header, row, fillvalue="?"):
            yield f"row {number}, column {name}", cell
