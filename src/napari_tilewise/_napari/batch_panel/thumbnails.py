"""Small pictures of items, made in one thread for the rows that are shown, the latest asked first.

Rows that were asked for and scrolled away again are forgotten: they are asked for anew when they
come back.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QImage, QPainter, QPixmap

from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_tilewise.batches import Item
    from napari_tilewise.io.image import Image

SIDE = 28
"""Pixels of a picture, at most."""
READ = 1024
"""Pixels along an axis that are read for one, at most: the middle of an image without a pyramid."""
ASKED, KEPT = 100, 2000
"""Rows that wait for their picture, and pictures that are kept, at most."""

INTERVAL = 100
"""Milliseconds between two looks at what was made."""

Key: TypeAlias = tuple[int, int]
"""Which list of items, and which row."""

log = logging.getLogger(__name__)


class Thumbnails(QObject):
    """The pictures of a list of items.

    The thread leaves them in a queue, which the window's looks at: it touches nothing of Qt's that
    may be gone by then.

    Parameters
    ----------
    parent
        What they belong to.
    """

    ready = Signal(int)
    """A row's picture can be shown now."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._items: Sequence[Item] = ()
        self._list = 0
        self._pictures: OrderedDict[int, QPixmap] = OrderedDict()
        self._blank = QPixmap(SIDE, SIDE)
        self._blank.fill(Qt.GlobalColor.transparent)
        self._maker = _Maker()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL)
        self._timer.timeout.connect(self._look)
        self.destroyed.connect(self._maker.close)

    def show(self, items: Sequence[Item]) -> None:
        """Begin with other items.

        Parameters
        ----------
        items
            The items, by row.
        """
        self._items = items
        self._list += 1
        self._pictures.clear()
        self._maker.forget()

    def of(self, row: int) -> QPixmap:
        """Return a row's picture, made in the background; a blank one until it is there.

        Parameters
        ----------
        row
            The row, which can be seen now.
        """
        if row in self._pictures:
            return self._pictures[row]
        self._maker.ask((self._list, row), self._items[row])
        self._timer.start()
        return self._blank

    def _look(self) -> None:
        """Show the pictures that were made meanwhile."""
        if self._maker.is_idle:
            self._timer.stop()
        for (number, row), image in self._maker.made():
            if number == self._list:
                self._keep(row, image)

    def _keep(self, row: int, image: QImage | None) -> None:
        self._pictures[row] = self._blank if image is None else self._framed(image)
        if len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        if image is not None:
            self.ready.emit(row)

    def _framed(self, image: QImage) -> QPixmap:
        """Return a picture in the middle of a square, so that names begin below one another."""
        square = self._blank.copy()
        painter = QPainter(square)
        painter.drawImage((SIDE - image.width()) // 2, (SIDE - image.height()) // 2, image)
        painter.end()
        return square


class _Maker:
    """Makes pictures in one thread, the latest first; of too many the oldest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Key, Item] = OrderedDict()
        self._done: deque[tuple[Key, QImage | None]] = deque()
        self._pool = ThreadPoolExecutor(1, "tilewise-thumbnails")
        self._busy = 0

    def ask(self, key: Key, item: Item) -> None:
        """Have a picture made; once where it is asked for several times before it is.

        Parameters
        ----------
        key
            Which picture.
        item
            Of what.
        """
        with self._lock:
            is_new = key not in self._waiting
            self._waiting[key] = item
            self._waiting.move_to_end(key)
            if len(self._waiting) > ASKED:
                self._waiting.popitem(last=False)
            self._busy += is_new
        if is_new:
            self._pool.submit(self._next)

    @property
    def is_idle(self) -> bool:
        """Whether no picture is to come."""
        return not self._busy

    def made(self) -> Iterator[tuple[Key, QImage | None]]:
        """Give the pictures that were made since this was asked last; None where none can be."""
        for _ in range(len(self._done)):
            yield self._done.popleft()

    def forget(self) -> None:
        """Make none of those that are waited for."""
        with self._lock:
            self._waiting.clear()

    def close(self, *_: object) -> None:
        """Make no more."""
        self.forget()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        with self._lock:
            found = self._waiting.popitem() if self._waiting else None
        if found is not None:
            key, item = found
            self._done.append((key, picture(item)))
        with self._lock:
            self._busy -= 1


def picture(item: Item) -> QImage | None:
    """Return a small picture of an item; None of one that cannot be read, which its run will tell.

    Parameters
    ----------
    item
        The item.
    """
    try:
        return _qimage(_small(open_image(item.open())))
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything; the run tells it
        log.debug("no picture of %s: %s", item.input, error)
        return None


def _small(image: Image) -> np.ndarray[Any, Any]:
    """Return some pixels of the middle plane, rows by columns, and by samples of an RGB image."""
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


def _qimage(pixels: np.ndarray[Any, Any]) -> QImage:
    """Return pixels as a picture, from their darkest to their brightest."""
    values = np.nan_to_num(pixels.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    grey = np.ascontiguousarray((values - low) * (255 / ((high - low) or 1)), dtype=np.uint8)
    is_rgb = grey.ndim == 3
    if is_rgb:
        grey = np.ascontiguousarray(grey[..., :3])
    form = QImage.Format.Format_RGB888 if is_rgb else QImage.Format.Format_Grayscale8
    height, width = grey.shape[:2]
    return QImage(grey.tobytes(), width, height, width * (3 if is_rgb else 1), form).copy()
