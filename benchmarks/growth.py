"""What a tile, and a plane, takes when there are many: seconds and memory of each.

The images are empty Zarrs, so that little but the engine's own work is measured: passes, the
journal of a run that can be resumed, progress. Each count runs in a process of its own. Time of
each should not grow with their number, nor should the memory of the run.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zarr

LENGTH = 64
"""Pixels along a side of a tile and of a plane."""
CASES: dict[str, tuple[Any, str, int]] = {
    "tiles that are read": ("filters.threshold_mean", "out.json", 10**6),
    "tiles that are written": ("exposure.adjust_gamma", "out.ome.zarr", 10**6),
    "planes": ("exposure.rescale_intensity", "out.ome.zarr", 10**4),
}
"""The operation, the output and the largest count of each."""


def run_one(case: str, count: int, folder: Path) -> None:
    """Print how long a run of so many tiles or planes takes, and what it adds to the memory."""
    import napari_tilewise as tw
    from napari_tilewise.engine.budget import peak_resident
    from napari_tilewise.runs import planner

    planner.LONGEST_TILE = {2: LENGTH}  # type: ignore[misc]
    planner.default_chunks = lambda shape, axes, looped: (  # type: ignore[attr-defined]
        *[1] * (len(shape) - 2),
        LENGTH,
        LENGTH,
    )
    planner.cache_bytes = lambda *_: 0  # type: ignore[attr-defined]  # nothing is read again
    operation, output, _ = CASES[case]
    side = math.isqrt(count)
    shape = (count, LENGTH, LENGTH) if case == "planes" else (side * LENGTH, side * LENGTH)
    axes = "tyx"[-len(shape) :]
    source = folder / "in.zarr"
    zarr.create_array(
        source, shape=shape, chunks=(*[1] * (len(shape) - 2), LENGTH, LENGTH), dtype="uint8"
    )
    small = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(*[1] * (len(shape) - 2), LENGTH, LENGTH), dtype="uint8"
    )
    options = {"axes": axes, "spatial": "yx", "workers": 2, "pyramid": False}
    tw.run(operation, small, folder / f"small-{output}", **options)  # imports
    before, started = peak_resident(), time.perf_counter()
    tw.run(operation, source, folder / output, memory="4 GiB", **options)
    print(time.perf_counter() - started, peak_resident() - before)


def main(most: int) -> None:
    """Print a table for each case."""
    for case, (_, _, largest) in CASES.items():
        count = 100
        while count <= min(most, largest):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, __file__, "--case", case, "--count", str(count)]
                child = subprocess.run(
                    [*command, "--folder", folder], capture_output=True, text=True, check=True
                )
            seconds, extra = map(float, child.stdout.split())
            print(
                f"{case}: {count:>8,}: {1e3 * seconds / count:8.3f} ms each, "
                f"{extra / 2**20:6.1f} MiB more, {extra / count:10.0f} bytes each",
                flush=True,
            )
            count *= 10


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10**4, help="the largest count")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is None:
        main(arguments.most)
    else:
        run_one(arguments.case, arguments.count, arguments.folder)
