"""What a format library logs about a file reaches the user once, in one line, as a warning.

Libraries log what they find odd, for every handle that is opened. The messages of opening a file
are collected; each becomes one `SourceWarning` if the file could be read. If it could not, the
error says it.
"""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_tilewise.errors import SourceWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 200
"""Characters of a message that are shown."""


class _Collector(logging.Handler):
    """Collects what this thread logs; what others log takes its usual way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a record of this thread."""
        if record.thread == self._thread:
            message = " ".join(record.getMessage().split())
            if message not in self.messages:
                self.messages.append(message)
        else:
            logging.getLogger().handle(record)


@contextmanager
def library_messages(
    name: str, library: str = "tifffile", *, warn: bool = True
) -> Iterator[list[str]]:
    """Yield the messages that a library logs; they become warnings at the end.

    Parameters
    ----------
    name
        The source, as the user named it.
    library
        Name of its logger.
    warn
        Whether they become warnings; else they are dropped: the file is opened again.
    """
    logger, collector = logging.getLogger(library), _Collector()
    logger.addHandler(collector)
    propagate, logger.propagate = logger.propagate, False
    try:
        yield collector.messages
    finally:
        logger.propagate = propagate
        logger.removeHandler(collector)
    for message in collector.messages if warn else ():
        text = message if len(message) <= _SHOWN else f"{message[:_SHOWN]}..."
        warnings.warn(f"{name!r}: {library}: {text}", SourceWarning, stacklevel=3)
