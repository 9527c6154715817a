"""What a command says beside its results: on stderr, and in a log file if one is named.

Everything is a record of Python's `logging`. Ours are shown as they come; what libraries log, such
as a reader that finds a damaged file, is shown once, in one line, unless the command's own error
says it anyway.
"""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import DestinationUnwritable, InvalidParameter, SourceWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELL = logging.getLogger("napari_tilewise.cli")
"""The logger of what a command says: debug if verbose, info, and errors."""
_PACKAGE = logging.getLogger("napari_tilewise")
_WARNINGS = logging.getLogger("warnings")
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Stderr(logging.Handler):
    """Writes records to stderr, each on one line; of our own, those from `threshold` on."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Start anew, as a new process would."""
        self.threshold = logging.INFO
        self._pending: list[str] = []
        self._shown: set[str] = set()
        self._takes_warnings = True

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record of ours; put a library's aside until the next one of ours, or the end."""
        message = " ".join(record.getMessage().split())
        if record.name == SHELL.name:
            if record.levelno >= self.threshold:
                self.show_pending()
                self._write(message)
        elif not self._takes_warnings or not message:
            return
        elif record.levelno >= logging.WARNING and message not in self._shown:
            self._shown.add(message)
            source = "" if record.name == _WARNINGS.name else f"{record.name.partition('.')[0]}: "
            self._pending.append(f"warning: {source}{message}")

    def show_pending(self) -> None:
        """Show what libraries said, unless the command is to be quiet."""
        pending, self._pending = self._pending, []
        if self.threshold <= logging.INFO:
            for line in pending:
                self._write(line)

    def drop_warnings(self) -> None:
        """Forget what libraries said, and say until the end: the error that follows says it."""
        self._pending, self._takes_warnings = [], False

    def _write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


_STDERR = _Stderr()


@contextmanager
def messages() -> Iterator[None]:
    """Show messages while a command runs; then logging is as it was."""
    root, level = logging.getLogger(), _PACKAGE.level
    _STDERR.reset()
    root.addHandler(_STDERR)
    _PACKAGE.setLevel(logging.DEBUG)
    handlers = list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("always", SourceWarning)  # each is shown once all the same
        warnings.showwarning = _show_warning
        try:
            yield
            _STDERR.show_pending()
        finally:
            _PACKAGE.setLevel(level)
            root.removeHandler(_STDERR)
            for handler in set(root.handlers).difference(handlers):
                root.removeHandler(handler)
                handler.close()


def _show_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    _WARNINGS.warning("%s", message)


def is_quiet() -> bool:
    """Return whether nothing but errors is shown."""
    return _STDERR.threshold > logging.INFO


def be_quiet(is_set: bool) -> bool:
    """Show nothing but errors from now on, if the option is set."""
    if is_set:
        _refuse_both(logging.DEBUG)
        _STDERR.threshold = logging.ERROR
    return is_set


def be_verbose(is_set: bool) -> bool:
    """Show every event from now on, if the option is set."""
    if is_set:
        _refuse_both(logging.ERROR)
        _STDERR.threshold = logging.DEBUG
    return is_set


def _refuse_both(other: int) -> None:
    if _STDERR.threshold == other:
        raise InvalidParameter("--quiet and --verbose exclude each other: give one of them.")


def log_to(path: Path | None) -> Path | None:
    """Append everything from now on to a file too, if the option names one."""
    if path is None:
        return None
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise DestinationUnwritable(
            f"The log file {str(path)!r} cannot be written ({error.strerror}): give another file "
            "to --log."
        ) from error
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or _is_ours(record))
    logging.getLogger().addHandler(handler)
    SHELL.debug("started: %s", " ".join(sys.argv[1:]))
    return path


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == _PACKAGE.name


def show_error(message: str, *, says_it_all: bool = False) -> None:
    """Show in one line what failed.

    Parameters
    ----------
    message
        A sentence.
    says_it_all
        Whether it includes what a library said before, and says on the way out.
    """
    if says_it_all:
        _STDERR.drop_warnings()
    SHELL.error("napari-tilewise: %s", " ".join(message.split()))
