"""A small process beside a command that answers Ctrl-C when the command itself cannot.

Python handles a signal between two bytecodes of the main thread. A function that holds the global
lock for minutes in one call keeps it from that; this process needs no lock of the other's. It runs
as a script that imports nothing but the standard library, and reads one byte for each signal.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

ACKNOWLEDGED = b"A"
"""Written by the command itself when it has answered."""
PATIENCE = 0.25
"""Seconds that the command has to answer the first signal."""
GRACE = 0.6
"""Seconds after SIGTERM at which the command ends itself, if the tiles still are not done."""
LIMIT = 0.9
"""Seconds after the second signal, or after SIGTERM, at which this process ends the command."""
TILES = 2.0
"""Seconds after the first signal at which a run ends, if its tiles still are not done."""
ENDED = "napari-tilewise: Interrupted."
_LOOK = 2.0
"""Seconds between two looks at whether the command is still there."""


def cancelling(patience: float) -> str:
    """Return the answer to the first signal.

    Parameters
    ----------
    patience
        Seconds after which the process ends in any case; infinity for a batch, which ends what is
        computed and writes its report.
    """
    seconds = TILES if patience == float("inf") else patience
    return (
        f"Cancelling: what is being computed has {seconds:g} s to finish. "
        "Press Ctrl-C again to end at once."
    )


def main(command: int, patience: float) -> None:
    """Read signals from stdin until the command ends.

    Parameters
    ----------
    command
        Process id of the command, which started this one.
    patience
        Seconds after the first signal at which the command ends itself.
    """
    interrupts = 0
    is_acknowledged = False
    answer_at = end_at = float("inf")
    while os.getppid() == command:
        now = time.monotonic()
        if now >= end_at:
            _write(ENDED)
            os.kill(command, signal.SIGKILL)
            return
        if now >= answer_at:
            _write(cancelling(patience))
            is_acknowledged, answer_at = True, float("inf")
        if not select.select([0], [], [], min(_LOOK, answer_at - now, end_at - now))[0]:
            continue
        data = os.read(0, 64)
        if not data:
            return
        now = time.monotonic()
        if ACKNOWLEDGED in data:
            is_acknowledged, answer_at = True, float("inf")
        interrupts += data.count(signal.SIGINT)
        is_terminated = signal.SIGTERM in data
        if interrupts and not is_acknowledged:
            answer_at = min(answer_at, now + PATIENCE)
        if interrupts > 1 or is_terminated:
            end_at = min(end_at, now + LIMIT)
        elif interrupts:
            end_at = min(end_at, now + patience + LIMIT - GRACE)


def _write(line: str) -> None:
    os.write(2, f"{line}\n".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
