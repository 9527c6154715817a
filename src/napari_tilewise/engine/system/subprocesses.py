"""Other processes of this machine, which end with the one that they work for, however it ends.

A pool ends its processes when it is closed; one that is killed closes nothing, and those that
worked for it would wait for tasks, and hold their memory, for ever.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import Any

import psutil
from joblib.externals.loky.process_executor import ProcessPoolExecutor

LOOK = 1.0
"""Seconds between two looks at the other process."""


def pool(processes: int) -> Any:
    """Return a pool of loky's processes.

    Parameters
    ----------
    processes
        Their number.
    """
    return ProcessPoolExecutor(processes, initializer=end_with, initargs=(os.getpid(),))


def end(processes: Any) -> None:
    """End the processes of a pool, whatever they compute.

    Parameters
    ----------
    processes
        A pool of loky's, also one that joblib keeps.
    """
    # loky forgets what no process has begun, and may look for it afterwards: its thread would end
    # with a KeyError on stderr.
    with suppress(queue.Empty):
        while True:
            processes._work_ids.get_nowait()
    processes.shutdown(wait=True, kill_workers=True)


def end_with(parent: int) -> None:
    """End this process once another is gone; an initializer of pools.

    Parameters
    ----------
    parent
        The number of the process that this one works for.
    """
    try:
        other = psutil.Process(parent)
    except psutil.NoSuchProcess:
        os._exit(1)
    threading.Thread(target=_watch, args=(other,), daemon=True, name="tilewise-parent").start()


def _watch(other: psutil.Process) -> None:
    while other.is_running():
        threading.Event().wait(LOOK)
    os._exit(1)
