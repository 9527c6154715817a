"""Many files as one stack: ``frames/*.tif`` is an image with the files along its first axis."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidAxes, SourceNotFound, SourceUnreadable, command
from napari_tilewise.io.readers.file_patterns import matches
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.io.readers.natural_order import natural
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_tilewise.io.image import Image, Pixels
    from napari_tilewise.types import Array

OPEN_FILES = 16
"""Most files of a series that stay open."""
AXES = "tzc"
"""What the files may stand for, the first that the images themselves do not have."""


def is_series(location: str) -> bool:
    """Return whether a location is a pattern of several files; a file of that name is none.

    Parameters
    ----------
    location
        A path or URL.
    """
    is_pattern = "*" in location or "?" in location
    return is_pattern and "://" not in location and not os.path.lexists(home_path(location))


def series_files(location: str) -> list[str]:
    """Return the files of a series in natural order: ``a2`` before ``a10``.

    Parameters
    ----------
    location
        The pattern.

    Raises
    ------
    SourceNotFound
        When there is none.
    """
    files = sorted(map(str, matches(str(home_path(location)))), key=natural)
    if not files:
        raise SourceNotFound(
            f"No file matches {location!r} (looked from {os.getcwd()!r}); check the spelling of "
            "the pattern."
        )
    return files


def open_series(location: str, open_file: Callable[[str], Image]) -> Image:
    """Return the files of a series as one image, of which only the first is opened.

    Parameters
    ----------
    location
        The pattern.
    open_file
        Opens one of the files; can be pickled.

    Raises
    ------
    SourceNotFound
        When no file matches.
    InvalidAxes
        When the files have all the axes that they could be stacked along.
    """
    files = series_files(location)
    first = open_file(files[0])
    axis = next((name for name in AXES if name not in first.axes), None)
    if axis is None:
        raise InvalidAxes(
            f"The files {location!r} have the axes {''.join(first.axes)!r} each, so there is none "
            "left to stack them along: expected files without t, z or c. Use "
            f"{command('napari_tilewise.batch', 'napari-tilewise batch')} for one result per file."
        )
    stack = FileSeries(files, first.data, open_file)
    return replace(
        first,
        data=stack,
        levels=(stack,),
        axes=(axis, *first.axes) if first.axes else (),
        scale=(1.0, *first.scale),
        units=(None, *first.units),
        level_scales=(),
        level_positions=((0.0, *first.translate),),
        name=location,
        format=f"series of {first.format}",
        series=0,
        all_series=(),
    )


class FileSeries:
    """The images of several files along a new first axis; a file is opened when it is read.

    Parameters
    ----------
    files
        Their paths.
    first
        The pixels of the first file, whose shape and data type all files have.
    open_file
        Opens one of the files.
    """

    def __init__(
        self, files: Sequence[str], first: Pixels, open_file: Callable[[str], Image]
    ) -> None:
        self.files = tuple(files)
        self._open_file = open_file
        self._frame_shape = tuple(first.shape)
        self.shape: tuple[int, ...] = (len(self.files), *self._frame_shape)
        self.dtype = native_dtype(first.dtype)
        chunks = getattr(first, "chunks", None) or self._frame_shape
        lengths = (max(c) if isinstance(c, tuple) else int(c) for c in chunks)
        self.chunks = (1, *lengths)
        self.waits = getattr(first, "waits", None)
        self._opened: OrderedDict[int, Pixels] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: no open file."""
        return {**self.__dict__, "_opened": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned."""
        self.__dict__.update(state)
        self._lock = threading.Lock()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> Array:
        keys = key if isinstance(key, tuple) else (key,)
        if keys and keys[0] is Ellipsis:
            keys = (slice(None),) * (self.ndim - len(keys) + 1) + keys[1:]
        number, *rest = keys or (slice(None),)
        inner = tuple(rest) or (slice(None),) * len(self._frame_shape)
        if not isinstance(number, slice):
            return np.asarray(self._frame(range(len(self.files))[number])[inner])
        frames = [self._frame(n)[inner] for n in range(*number.indices(len(self.files)))]
        if not frames:
            return np.empty((0, *np.empty(self._frame_shape, bool)[inner].shape), self.dtype)
        return np.stack([np.asarray(frame) for frame in frames])

    def _frame(self, number: int) -> Pixels:
        with self._lock:
            if number in self._opened:
                self._opened.move_to_end(number)
                return self._opened[number]
        data = self._open_file(self.files[number]).data
        if tuple(data.shape) != self._frame_shape or native_dtype(data.dtype) != self.dtype:
            raise SourceUnreadable(
                f"{self.files[number]!r} has shape {tuple(data.shape)} and type {data.dtype}: "
                f"expected {self._frame_shape} and {self.dtype}, those of {self.files[0]!r}, the "
                "first file of the series. Take it out of the folder, or narrow the pattern."
            )
        with self._lock:
            self._opened[number] = data
            while len(self._opened) > OPEN_FILES:
                self._opened.popitem(last=False)
        return data
