"""What displays of progress share: a thread that shows lines, and bars that disappear at the end.

Lines come from a thread of their own, so that an hour in one tile is no hour of silence.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

LINE_SECONDS = 5.0
"""Time between two lines of progress."""


class Messages(Protocol):
    """Where messages go; a `logging.Logger` is one."""

    def debug(self, template: str, *values: object) -> None:
        """Take one of many steps."""

    def info(self, template: str, *values: object) -> None:
        """Take what a person wants to see."""

    def error(self, template: str, *values: object) -> None:
        """Take a failure."""


class StderrMessages:
    """Messages of a call from Python, on stderr."""

    def debug(self, template: str, *values: object) -> None:
        """Leave out what is one of many steps."""

    def info(self, template: str, *values: object) -> None:
        """Write a line."""
        sys.stderr.write(f"{template % values}\n")

    error = info


class Display:
    """A listener that is open for the length of a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""

    def __call__(self, event: Any) -> None:
        """Show an event of a run, or of a batch."""
        raise NotImplementedError


class TickingDisplay(Display):
    """Shows a line every few seconds as long as it is open.

    Parameters
    ----------
    messages
        Where the lines go.
    """

    def __init__(self, messages: Messages) -> None:
        self.messages = messages
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="tilewise-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._is_over.wait(LINE_SECONDS):
            line = self.line()
            if line:
                self.messages.info("%s", line)

    def line(self) -> str:
        """Return how far the work is; empty if it has not started or is over."""
        raise NotImplementedError


class BarsDisplay(Display):
    """Bars on stderr, or in a notebook's cell, that disappear at the end.

    Parameters
    ----------
    messages
        Where lines above the bars go.
    columns
        What a bar consists of.
    """

    def __init__(self, messages: Messages, *columns: ProgressColumn) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self.messages = messages
        self.bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task: Any = None

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()


def can_show_bars() -> bool:
    """Return whether stderr is a terminal, or this is a notebook."""
    if sys.stderr.isatty():
        return True
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console(stderr=True).is_jupyter
