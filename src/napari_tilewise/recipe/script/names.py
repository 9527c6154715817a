"""Names of variables: what a step was called, or what its operation gives."""

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
    """The variables of a script, each with a name of its own.

    Parameters
    ----------
    taken
        Names that mean something else there.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, *wanted: str) -> str:
        """Return a name that is free: the first of these that is, else the last with a number.

        Parameters
        ----------
        *wanted
            Names, the best first.
        """
        names = [_readable(name) for name in wanted]
        numbered = (f"{names[-1]}_{number}" for number in range(2, len(self._taken) + 3))
        found = next(name for name in (*names, *numbered) if name not in self._taken)
        self._taken.add(found)
        return found


def result_names(operation: str, output: Output) -> tuple[str, ...]:
    """Return names for what an operation gives, the best first.

    Parameters
    ----------
    operation
        Its key.
    output
        What it gives.
    """
    function = operation.rpartition(".")[2]
    converted = _CONVERSION.fullmatch(function)
    if output in (Output.IMAGE, Output.SCALAR, Output.VALUES):
        return (converted[1],) if converted else (function,)
    return output.value, function


def _readable(name: str) -> str:
    """Return a name that Python takes and that hides nothing of its own."""
    name = name.replace("-", "_")
    return f"{name}_" if name in _FORBIDDEN else name
