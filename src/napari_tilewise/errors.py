"""Every error names the value, says what was expected and gives the remedy.

`TilewiseError` is the base of all of them; each concrete error also inherits the builtin that it
specialises, so that ``except ValueError`` in a script written for scikit-image keeps working.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_OPEN, _IS, _CLOSE = "\ue000", "\ue001", "\ue002"
_OPTION = re.compile(f"{_OPEN}(\\w+)(?:{_IS}(.*?))?{_CLOSE}", re.DOTALL)
_CALL, _OR = "\ue003", "\ue004"
_COMMAND = re.compile(f"{_CALL}(.*?){_OR}(.*?){_CLOSE}", re.DOTALL)
_BREAK = re.compile(r"\s*[\r\n]\s*")
_NO_VALUE: Final = object()


def option(name: str, value: object = _NO_VALUE) -> str:
    """Return an option of this package for a message, marked so that each door names its own.

    Parameters
    ----------
    name
        Its name in Python, such as ``"memory"``, which the shell calls ``--memory``.
    value
        Its value, if the message shows one.
    """
    text = "" if value is _NO_VALUE else f"{_IS}{value!r}"
    return f"{_OPEN}{name}{text}{_CLOSE}"


def command(python: str, shell: str) -> str:
    """Return what to do next for a message, marked so that the shell names its own command.

    Parameters
    ----------
    python
        What to write in Python, such as ``"napari_tilewise.batch"``.
    shell
        What to type in the shell, such as ``"napari-tilewise batch"``.
    """
    return f"{_CALL}{python}{_OR}{shell}{_CLOSE}"


def python_option(name: str, value: str | None) -> str:
    """Return an option as Python has it.

    Parameters
    ----------
    name
        Its name.
    value
        The expression of its value; None for the option as such.
    """
    return f"{name}={value or ''}"


wording: ContextVar[Callable[[str, str | None], str]] = ContextVar("wording", default=python_option)
"""How the door in use names an option: from its name and its value's expression."""


def worded(text: str) -> str:
    """Return a message with its options and commands as the door in use names them.

    Parameters
    ----------
    text
        The message, in which `option` and `command` marked them.
    """
    name = wording.get()
    text = _COMMAND.sub(lambda mark: mark[1 if name is python_option else 2], text)
    return _OPTION.sub(lambda mark: name(mark[1], mark[2]), text)


class TilewiseError(Exception):
    """Base of all errors of this package."""

    def __str__(self) -> str:
        """Return the plain sentence (KeyError and OSError would add quotes or a number)."""
        return worded(self.marked)

    def __repr__(self) -> str:
        """Return the class and the sentence, as notebooks, logs and futures show errors."""
        return f"{type(self).__name__}({str(self)!r})"

    @property
    def marked(self) -> str:
        """The sentence with its options marked, for the message of another error or process.

        It is one line: what a library says of a file may have others.
        """
        return _BREAK.sub(" ", " ".join(str(arg) for arg in self.args))


class UnknownOperation(TilewiseError, KeyError):
    """No operation has this key."""


class UnknownParameter(TilewiseError, TypeError):
    """The operation has no parameter of this name."""


class InvalidParameter(TilewiseError, ValueError):
    """A parameter's value is out of range or not among the choices."""


class InvalidParameterType(InvalidParameter, TypeError):
    """A parameter's value is of the wrong type."""


class InvalidImage(TilewiseError, ValueError):
    """The image's shape, data type or values do not suit the operation."""


class InvalidAxes(TilewiseError, ValueError):
    """The axes do not match the image or the operation."""


class OperationFailed(TilewiseError, ValueError):
    """The function refused the image or failed on one tile."""


class InvalidFunction(TilewiseError, ValueError):
    """A user's function, its file or its declaration is invalid."""


class InvalidRecipe(TilewiseError, ValueError):
    """A recipe cannot be read, or its steps cannot follow one another."""


class SourceNotFound(TilewiseError, FileNotFoundError):
    """There is nothing at the source's path."""


class SourceUnreadable(TilewiseError, OSError):
    """The source exists but cannot be read as an image."""


class SourceChanged(SourceUnreadable):
    """The source was removed or changed while it was read."""


class SourceUnreachable(SourceUnreadable, ConnectionError):
    """The source is behind a network, and its server does not answer."""


class DestinationExists(TilewiseError, FileExistsError):
    """The destination exists and `overwrite` is not set."""


class DestinationUnwritable(TilewiseError, OSError):
    """The destination cannot be written: permissions, space or an unknown format."""


class ChunksRemoved(DestinationUnwritable, FileNotFoundError):
    """Somebody removed chunks of the output while it grew."""


class DestinationUnreachable(DestinationUnwritable, ConnectionError):
    """The destination is behind a network, and its server does not answer."""


class DestinationBusy(TilewiseError, BlockingIOError):
    """Another run is writing to the same destination."""


class ClusterLost(TilewiseError, ConnectionError):
    """The scheduler of a dask cluster was lost while a run used it."""


class MemoryBudgetExceeded(TilewiseError, MemoryError):
    """A run does not fit its memory budget.

    Parameters
    ----------
    problem
        What needs more memory than there is, in a sentence.
    sufficient
        A budget in bytes that suffices, where it can be told.
    """

    def __init__(self, problem: str, sufficient: int | None = None) -> None:
        super().__init__(problem, sufficient)
        self.problem = problem
        self.sufficient = sufficient

    @property
    def marked(self) -> str:
        """The sentence, with the budget that suffices."""
        if self.sufficient is None:
            return self.problem
        mebibytes = -(-self.sufficient // 2**20)
        return f"{self.problem} Raise {option('memory')} to '{mebibytes}MiB' or more."


class Cancelled(TilewiseError, RuntimeError):
    """The run was cancelled; nothing was left under the final name."""


class MissingExtra(TilewiseError, ImportError):
    """An optional dependency is not installed."""


class SourceWarning(UserWarning):
    """A source can be read, and something about it should be known."""


class BatchFailed(UserWarning):
    """Every item of a batch failed."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return a hint with the candidates closest to `name`, or an empty string."""
    name, candidates = str(name), list(candidates)  # a file's key may be a number
    matches = get_close_matches(name, candidates, n=3, cutoff=0.5)
    tails = {key.rsplit(".", 1)[-1]: key for key in candidates}
    tail = name.rsplit(".", 1)[-1]
    matches += [tails[match] for match in get_close_matches(tail, tails, n=3, cutoff=0.5)]
    matches = list(dict.fromkeys(matches))[:3]
    return f" Did you mean {', '.join(map(repr, matches))}?" if matches else ""
