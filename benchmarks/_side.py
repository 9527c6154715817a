"""A process that one side of a comparison lives in, asked line by line."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
