"""How long a run goes on after it is cancelled: every executor, operations that are heavy.

Each run is cancelled two seconds after its first pass began, wherever it is then. For processes
and clusters the time includes the end of the workers, and their start where they were not up yet.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from skimage.morphology import disk

import napari_tilewise as tw
from napari_tilewise.engine.events import PassStarted
from napari_tilewise.errors import Cancelled

OPERATIONS: dict[str, dict[str, Any]] = {
    "restoration.denoise_nl_means": {},
    "filters.median": {"footprint": disk(25)},
    "segmentation.chan_vese": {},
    "filters.gaussian": {"sigma": 20},
}
EXECUTORS = ("serial", "threads", "processes", "distributed")


def seconds_to_cancel(name: str, executor: str, side: int, delay: float) -> float | None:
    """Return how long a run goes on after it is cancelled; None where it was done before."""
    image = np.random.default_rng(0).random((side, side))
    cancel, times = threading.Event(), []

    def stop() -> None:
        times.append(time.perf_counter())
        cancel.set()

    timer = threading.Timer(delay, stop)

    def begin(event: object) -> None:
        if isinstance(event, PassStarted) and timer.ident is None:
            timer.start()

    with tempfile.TemporaryDirectory() as folder:
        try:
            tw.run(
                (name, OPERATIONS[name]), image, Path(folder) / "out.ome.zarr", workers=2,
                executor=executor, cancel=cancel, progress=begin, memory="6 GiB",
            )  # fmt: skip
        except Cancelled:
            return time.perf_counter() - times[0]
        finally:
            timer.cancel()
    return None


def main(side: int, delay: float, executors: list[str]) -> None:
    """Print the table."""
    print(f"| operation, {side} x {side} | {' | '.join(executors)} |")
    print("|---|" + "---:|" * len(executors))
    for name in OPERATIONS:
        cells = []
        for executor in executors:
            seconds = seconds_to_cancel(name, executor, side, delay)
            cells.append("done before" if seconds is None else f"{seconds:.2f} s")
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="pixels along a side")
    parser.add_argument("--delay", type=float, default=2.0, help="seconds until it is cancelled")
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=EXECUTORS)
    arguments = parser.parse_args()
    main(arguments.size, arguments.delay, arguments.executors)
