"""Postpones Python's full garbage collections while a parameter moves.

A full collection looks at every object of the process: with napari and scikit-image imported, it
holds the window for more than 100 ms. While a parameter moves, the objects that exist are set aside
(`gc.freeze`), so that a full collection sees only the new ones; the collections of young objects go
on as usual. When the parameter rests, the objects are collected again as before, at once if a full
collection fell due meanwhile. Nothing is kept from being freed for longer than that.
"""

from __future__ import annotations

import gc

from qtpy.QtCore import QObject, QTimer

REST = 1000
"""Milliseconds without a change after which objects are collected again."""


class FullCollections(QObject):
    """Postpones full collections.

    Parameters
    ----------
    parent
        Owns it.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._is_postponing = False
        self._count = 0
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST)
        self._rest.timeout.connect(self.resume)

    def postpone(self) -> None:
        """Postpone them until nothing was postponed for a second.

        Objects that something else has set aside are left alone.
        """
        if not self._is_postponing and gc.isenabled() and not gc.get_freeze_count():
            self._is_postponing, self._count = True, _full_collections()
            gc.freeze()
        self._rest.start()

    def resume(self) -> None:
        """Collect objects as before, and now if a full collection fell due meanwhile."""
        self._rest.stop()
        if not self._is_postponing:
            return
        self._is_postponing = False
        gc.unfreeze()
        if _full_collections() > self._count:
            gc.collect()


def _full_collections() -> int:
    """Return how many full collections the process has done."""
    return int(gc.get_stats()[-1]["collections"])
