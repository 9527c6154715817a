"""Thumbnails of items, made in one thread for the visible rows, the latest request first.

Old requests are dropped: a row that becomes visible again is requested again.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtGui import QImage, QPainter, QPixmap

from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.batches import Item
    from napari_tilewise.io.image import Image
    from napari_tilewise.types import Array

SIDE = 28
"""The most pixels of a thumbnail along an axis."""
READ = 1024
"""The most pixels read along an axis: the middle of an image without a pyramid."""
MOST_WAITING, MOST_CACHED = 100, 2000
"""The most requests that wait, and the most thumbnails in memory."""

INTERVAL = 100
"""Milliseconds between two looks at the finished thumbnails."""

Key: TypeAlias = tuple[int, int]
"""The number of the list of items, and the row."""

log = logging.getLogger(__name__)


class Thumbnails(QObject):
    """The thumbnails of a list of items.

    The thread puts them into a queue that the window's thread polls: no Qt object is used that may
    be deleted by then.

    Parameters
    ----------
    parent
        Its end stops the thread.
    """

    ready = Signal(int)
    """The thumbnail of a row is ready."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._items: Sequence[Item] = ()
        self._list = 0
        self._cache: OrderedDict[int, QPixmap] = OrderedDict()
        self._blank = QPixmap(SIDE, SIDE)
        self._blank.fill(Qt.GlobalColor.transparent)
        self._thread = _ThumbnailThread()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._look)
        self.destroyed.connect(self._thread.close)

    def show(self, items: Sequence[Item]) -> None:
        """Replace the items.

        Parameters
        ----------
        items
            One per row.
        """
        self._items = items
        self._list += 1
        self._cache.clear()
        self._thread.forget()

    def of(self, row: int) -> QPixmap:
        """Return a row's thumbnail; a blank one until it is made in the background.

        Parameters
        ----------
        row
            A visible row.
        """
        if row in self._cache:
            return self._cache[row]
        self._thread.request((self._list, row), self._items[row])
        self._timer.start()
        return self._blank

    def _look(self) -> None:
        """Take in the finished thumbnails."""
        if self._thread.is_idle:
            self._timer.stop()
        for (number, row), image in self._thread.finished():
            if number == self._list:
                self._store(row, image)

    def _store(self, row: int, image: QImage | None) -> None:
        self._cache[row] = self._blank if image is None else self._framed(image)
        if len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)
        if image is not None:
            self.ready.emit(row)

    def _framed(self, image: QImage) -> QPixmap:
        """Return a thumbnail centred in a square, so that the names are aligned."""
        square = self._blank.copy()
        painter = QPainter(square)
        painter.drawImage((SIDE - image.width()) // 2, (SIDE - image.height()) // 2, image)
        painter.end()
        return square


class _ThumbnailThread:
    """Makes thumbnails in one thread, the latest request first; the oldest of many are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Key, Item] = OrderedDict()
        self._done: deque[tuple[Key, QImage | None]] = deque()
        self._pool = ThreadPoolExecutor(1, "tilewise-thumbnails")
        self._busy = 0

    def request(self, key: Key, item: Item) -> None:
        """Request a thumbnail; repeated requests make it once.

        Parameters
        ----------
        key
            Identifies the thumbnail.
        item
            The image.
        """
        with self._lock:
            is_new = key not in self._waiting
            self._waiting[key] = item
            self._waiting.move_to_end(key)
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
            self._busy += is_new
        if is_new:
            self._pool.submit(self._next)

    @property
    def is_idle(self) -> bool:
        """Whether no request waits or runs."""
        return not self._busy

    def finished(self) -> Iterator[tuple[Key, QImage | None]]:
        """Yield the thumbnails made since the last call; None for unreadable images."""
        for _ in range(len(self._done)):
            yield self._done.popleft()

    def forget(self) -> None:
        """Drop all requests."""
        with self._lock:
            self._waiting.clear()

    def close(self, *_: object) -> None:
        """Drop all requests and end the thread."""
        self.forget()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        with self._lock:
            latest = self._waiting.popitem() if self._waiting else None
        if latest is not None:
            key, item = latest
            self._done.append((key, thumbnail(item)))
        with self._lock:
            self._busy -= 1


def thumbnail(item: Item) -> QImage | None:
    """Return a small image of an item; None if it cannot be read.

    Parameters
    ----------
    item
        A file, a layer or a part of one.
    """
    try:
        return _qimage(_small(open_image(item.open())))
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything; the batch reports it
        log.debug("no thumbnail of %s: %s", item.input, error)
        return None


def _small(image: Image) -> Array:
    """Return sampled pixels of the middle plane: rows, columns, and samples of an RGB image."""
    level = image.levels[-1]
    shape, axes = tuple(level.shape), image.axes or ("",) * len(level.shape)
    samples = axes[-1] == "c" and shape[-1] in (3, 4)
    plane = len(shape) - samples
    key = tuple(
        _middle(n) if plane - 2 <= axis < plane else slice(None) if axis >= plane else n // 2
        for axis, n in enumerate(shape)
    )
    pixels = np.asarray(level[key])
    if pixels.ndim < 2:
        pixels = pixels.reshape(1, -1)
    step = max(1, -(-max(pixels.shape[:2]) // SIDE))
    return pixels[::step, ::step]


def _middle(length: int) -> slice:
    start = max(0, (length - READ) // 2)
    return slice(start, min(length, start + READ))


def _qimage(pixels: Array) -> QImage:
    """Return pixels scaled to the full range of an image for Qt."""
    values = np.nan_to_num(pixels.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    grey = np.ascontiguousarray((values - low) * (255 / ((high - low) or 1)), dtype=np.uint8)
    is_rgb = grey.ndim == 3
    if is_rgb:
        grey = np.ascontiguousarray(grey[..., :3])
    pixel_format = QImage.Format.Format_RGB888 if is_rgb else QImage.Format.Format_Grayscale8
    height, width = grey.shape[:2]
    return QImage(grey.tobytes(), width, height, width * (3 if is_rgb else 1), pixel_format).copy()
