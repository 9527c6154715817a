"""What a format library logs about a file reaches the user once, in one line, as a warning.

Libraries log what they find odd, for every handle that is opened. The messages of opening a file
are collected; each becomes one `SourceWarning` if the file could be read. If it could not, the
error says it.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_tilewise.errors import SourceWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 200
"""Characters of a message that are shown."""


class _Dispatcher(logging.Handler):
    """Collects what threads log while they open a file; what others log takes its usual way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._of_thread = threading.local()
        self._openings: Counter[logging.Logger] = Counter()
        self._propagated: dict[logging.Logger, bool] = {}
        self._lock_of_openings = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a record of a thread that opens a file."""
        messages = getattr(self._of_thread, "messages", None)
        if messages is None:
            logging.getLogger().handle(record)
            return
        message = " ".join(record.getMessage().split())
        if message not in messages:
            messages.append(message)

    @contextmanager
    def collecting(self, loggers: list[logging.Logger]) -> Iterator[list[str]]:
        """Yield the list of what this thread logs meanwhile.

        Parameters
        ----------
        loggers
            Whose records are collected.
        """
        outer: list[str] | None = getattr(self._of_thread, "messages", None)
        messages: list[str] = []
        for logger in loggers:
            self._begin(logger)
        self._of_thread.messages = messages
        try:
            yield messages
        finally:
            self._of_thread.messages = outer
            for logger in loggers:
                self._end(logger)

    def _begin(self, logger: logging.Logger) -> None:
        with self._lock_of_openings:
            if not self._openings[logger]:
                self._propagated[logger], logger.propagate = logger.propagate, False
                logger.addHandler(self)
            self._openings[logger] += 1

    def _end(self, logger: logging.Logger) -> None:
        with self._lock_of_openings:
            self._openings[logger] -= 1
            if not self._openings[logger]:
                logger.propagate = self._propagated.pop(logger)
                logger.removeHandler(self)


_DISPATCHER = _Dispatcher()


@contextmanager
def library_messages(
    name: str, libraries: tuple[str, ...] = ("tifffile",), *, warn: bool = True
) -> Iterator[list[str]]:
    """Yield the messages that libraries log; they become warnings at the end.

    Parameters
    ----------
    name
        The source, as the user named it.
    libraries
        Names of their loggers.
    warn
        Whether they become warnings; else they are dropped: the file is opened again.
    """
    loggers = [logging.getLogger(library) for library in libraries]
    with _DISPATCHER.collecting(loggers) as messages:
        yield messages
    for message in messages if warn else ():
        text = message if len(message) <= _SHOWN else f"{message[:_SHOWN]}..."
        warnings.warn(f"{name!r}: {libraries[0]}: {text}", SourceWarning, stacklevel=3)
