"""What is to be done when a widget ends, whether Qt or Python's garbage collector frees it.

The collector clears functions that only a widget's signals refer to before Qt emits `destroyed`:
PyQt then calls a function that is gone, and the process crashes. A finalizer is also referred to by
Python's list of them until it was called, and by the signal as long as that is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import finalize

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject


def when_destroyed(widget: QObject, act: Callable[[], object]) -> None:
    """Call a function once, when a widget ends.

    Parameters
    ----------
    widget
        A panel, or another object of Qt.
    act
        Must not refer to the widget, which would then never be freed.
    """
    finalizer = finalize(widget, act)
    finalizer.atexit = False
    widget.destroyed.connect(finalizer)
