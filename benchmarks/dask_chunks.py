"""What a chunk of a lazy result costs beside dask's own `map_blocks` of the same function.

The chunks are small, so that little but the graph, the scheduler and our own work is measured. Both
take turns in one process, in two of dask's threads; the processor's time is the least of several
rounds. Aim: at most twice what `map_blocks` takes.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from skimage import util

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 64
"""Pixels along a side of a chunk."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor's time of some work, and what it returns."""
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def main(side: int, rounds: int) -> None:
    """Print the table for an image of so many chunks along each side."""
    image = da.zeros((side * LENGTH, side * LENGTH), chunks=LENGTH, dtype=np.uint8)
    builders: dict[str, Callable[[], da.Array]] = {
        "napari-tilewise": lambda: tw.apply("util.invert", image, tiles=LENGTH),
        "map_blocks": lambda: image.map_blocks(util.invert, dtype=np.uint8),
    }
    least: dict[tuple[str, str], float] = {}
    with dask.config.set(scheduler="threads", num_workers=2):
        for _ in range(rounds):
            for name, build in builders.items():
                built, result = timed(build)
                graphed, _ = timed(lambda result=result: dict(result.__dask_graph__()))  # type: ignore[misc]
                computed, _ = timed(result.compute)
                for part, seconds in (("build", built), ("graph", graphed), ("compute", computed)):
                    least[part, name] = min(least.get((part, name), seconds), seconds)
    print("| each chunk (ms) | napari-tilewise | map_blocks | ratio |")
    print("|---|---:|---:|---:|")
    for part in ("build", "graph", "compute"):
        ours, theirs = (1e3 * least[part, name] / side**2 for name in builders)
        print(f"| {part} | {ours:.4f} | {theirs:.4f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=100, help="chunks along each side")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.side, arguments.rounds)
