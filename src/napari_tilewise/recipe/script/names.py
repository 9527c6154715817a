"""Names of variables: a step's name, or the name of its result."""

from __future__ import annotations

import builtins
import keyword
import re
from typing import TYPE_CHECKING

from napari_tilewise.operations.spec.kinds import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONVERSION = re.compile(r"[a-z]+2([a-z]+)")
_FORBIDDEN = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins)})


class Variables:
    """The variables of a script, each with a unique name.

    Parameters
    ----------
    taken
        Names that have another meaning in the script.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, *candidates: str) -> str:
        """Return the first of these names that is free, or the last one with a number.

        Parameters
        ----------
        *candidates
            Possible names, the best one first.
        """
        names = [_readable(name) for name in candidates]
        numbered = (f"{names[-1]}_{number}" for number in range(2, len(self._taken) + 3))
        unused = next(name for name in (*names, *numbered) if name not in self._taken)
        self._taken.add(unused)
        return unused


def result_names(operation: str, output: Output) -> tuple[str, ...]:
    """Return names for an operation's result, the best one first.

    Parameters
    ----------
    operation
        The operation's key.
    output
        Type of the result.
    """
    function = operation.rpartition(".")[2]
    conversion = _CONVERSION.fullmatch(function)
    if output in (Output.IMAGE, Output.SCALAR, Output.VALUES):
        return (conversion[1],) if conversion else (function,)
    return output.value, function


def _readable(name: str) -> str:
    """Return a name that is valid in Python and hides no keyword or builtin."""
    name = name.replace("-", "_")
    return f"{name}_" if name in _FORBIDDEN else name
