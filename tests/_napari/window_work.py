"""What the window's thread does while work goes on, counted: a busy machine changes no count."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from qtpy.QtCore import QTimer
from tests._napari.conftest import TIMEOUT

import napari_tilewise

PACKAGE = str(Path(napari_tilewise.__file__).parent)


class WindowWork:
    """Counts the lines of this package that the current thread executes, by function."""

    def __init__(self):
        self.lines = Counter()

    def __enter__(self):
        sys.settrace(self._enter)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _enter(self, frame, event, arg):
        return self._count if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _count(self, frame, event, arg):
        if event == "line":
            self.lines[frame.f_code.co_qualname] += 1
        return self._count


class Beats:
    """Counts the rounds of the window's event loop."""

    def __init__(self):
        self.count = 0
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(0)

    def _beat(self):
        self.count += 1

    def wait(self, qtbot, rounds=100):
        """Wait until the event loop has come round so many times more."""
        end = self.count + rounds
        qtbot.waitUntil(lambda: self.count >= end, timeout=TIMEOUT)

    def stop(self):
        self._timer.stop()
