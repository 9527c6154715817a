"""A process that one side of a comparison lives in, asked line by line; a turn of its calls."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TURN = 0.5
"""Seconds after which a turn usually ends with the call that runs."""
CALLS = 5
"""The most calls that count in a turn."""


def turn(
    call: Callable[[], Any],
    seconds: float = TURN,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Any, float]:
    """Return what a call returns, and the best seconds of some in a row, the first not counted.

    While others have their turn, a virtual machine gives free memory back to its host; the first
    call after it pays for every page again, which is many times what a quick function takes.
    """
    result, best = call(), float("inf")
    end = time.perf_counter() + seconds
    for _ in range(CALLS):
        begin = clock()
        call()
        best = min(best, clock() - begin)
        if time.perf_counter() > end:
            break
    return result, best


class Side:
    """A process that answers lines on its standard input.

    Parameters
    ----------
    command
        What starts it.
    environment
        Variables that differ from those here.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=pipe, stdout=pipe, text=True
        )

    def seconds(self, line: str) -> float:
        """Return the seconds of one call of the present case, NaN where there is none."""
        return float(self.ask(line))

    def ask(self, line: str) -> str:
        """Return the answer to a line."""
        self.tell(line)
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(1)
        return answer.strip()

    def tell(self, line: str) -> None:
        """Send a line that has no answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
