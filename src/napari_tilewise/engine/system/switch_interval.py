"""Threads that run Python take turns more often while some work needs it; the work may overlap.

A thread that returns from a kernel, or the window's thread with its many small steps, otherwise
waits for its turn up to ten times as long. The interval is the process's own: it is set by the
first work that needs it, and set back by the last.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TURN = 0.0005
"""Seconds after which a thread that runs Python lets another run; the default is ten times that."""


class _ShortTurns:
    """The works that need short turns, and the interval that was set before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users, self._before = 0, 0.0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take short turns in a context."""
        with self._lock:
            if not self._users:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(TURN, self._before))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    sys.setswitchinterval(self._before)


short_turns = _ShortTurns().taken
