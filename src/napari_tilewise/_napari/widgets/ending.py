"""What is to be done when a widget ends, also if Python's garbage collector frees it.

The collector clears functions that only a widget's signals refer to before Qt emits `destroyed`:
PyQt then calls a function that is gone, and the process crashes. The functions here stay until they
were called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject

_endings: set[_Ending] = set()


def when_destroyed(widget: QObject, act: Callable[[], object]) -> None:
    """Call a function once, when a widget ends.

    Parameters
    ----------
    widget
        A panel, or another object of Qt.
    act
        Must not refer to the widget, which would then never be freed.
    """
    ending = _Ending(act)
    _endings.add(ending)
    widget.destroyed.connect(ending.end)


class _Ending:
    """A function whose method Qt calls: PyQt refers to methods weakly, so nothing clears it."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def end(self, *_: object) -> None:
        """Call the function."""
        _endings.discard(self)
        self._act()
