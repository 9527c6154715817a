"""What a tile, a plane and an item take when there are many: seconds and memory of each.

The images are empty Zarrs but for two cases, and the items' are tiny, so that little but our own
work is measured: passes, the journal of a run that can be resumed, progress, a batch's rows. Each
count runs in a process of its own, which says how far it is. Time of each should not grow with
their number, nor memory; the processor's time is hardly touched by what else the machine does.

What is our own in it: beside the tiles that are written, a bare loop reads, computes and writes the
same chunks by hand in one thread of the same process, with the same compressor and file by file
under its final name at once. It has no journal, no progress and no checks, and is cut off after a
crash. "Own" is the processor's time of a tile beyond that of the loop.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import zarr

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 64
"""Pixels along a side of a tile, of a plane and of an item, unless a case says another."""
MOST_BY_HAND = 10**4
"""Tiles that the loop beside a run goes over at most."""


class Case(NamedTuple):
    """An operation that is run over many of something."""

    operation: str
    output: str
    least: int
    """The smallest count."""
    most: int
    """The largest."""
    executor: str = "threads"
    """What computes."""
    length: int = LENGTH
    """Pixels along a side of a tile."""
    has_pixels: bool = False
    """Whether the source has chunk files, which all hold the same noise."""
    has_loop: bool = False
    """Whether a loop by hand does the same beside it."""


CASES = {
    "tiles that are read": Case("filters.threshold_mean", "out.json", 10**3, 10**6),
    "tiles that are written": Case(
        "exposure.adjust_gamma", "out.ome.zarr", 10**3, 10**6, has_loop=True
    ),
    "tiles with pixels": Case(
        "util.invert", "out.ome.zarr", 10**3, 10**6, has_pixels=True, has_loop=True
    ),
    "large tiles with pixels": Case(
        "util.invert", "out.ome.zarr", 10**2, 10**4, length=512, has_pixels=True, has_loop=True
    ),
    "tiles by processes": Case("exposure.adjust_gamma", "out.ome.zarr", 10**3, 10**6, "processes"),
    "tiles of sweeps": Case("morphology.skeletonize", "out.ome.zarr", 10**3, 10**6),
    "planes": Case("exposure.rescale_intensity", "out.ome.zarr", 10**2, 10**5),
    "items": Case("exposure.adjust_gamma", "{stem}.ome.zarr", 10**2, 10**5),
}


def run_tiles(case: Case, count: int, folder: Path, *, are_planes: bool) -> Callable[[], Any]:
    """Return a run of so many tiles or planes; its imports are done."""
    import napari_tilewise as tw
    from napari_tilewise.engine.passes import stored_pass
    from napari_tilewise.engine.stored import stored_image
    from napari_tilewise.runs import planner

    length = case.length
    planner.LONGEST_TILE = {2: length}  # type: ignore[misc]
    planner.default_chunks = lambda shape, axes, looped: (  # type: ignore[attr-defined]
        *[1] * (len(shape) - 2),
        length,
        length,
    )
    planner.cache_bytes = lambda *_: 0  # type: ignore[attr-defined]  # nothing is read again
    stored_image.IN_MEMORY = stored_pass.IN_MEMORY = 0  # type: ignore[attr-defined]  # as large images
    side = math.isqrt(count)
    shape = (count, length, length) if are_planes else (side * length, side * length)
    chunks = (*[1] * (len(shape) - 2), length, length)
    source = folder / "in.zarr"
    array = zarr.create_array(source, shape=shape, chunks=chunks, dtype="uint8")
    if case.has_pixels:
        fill(array, source)
    small = folder / "small.zarr"
    zarr.create_array(small, shape=chunks, dtype="uint8")
    options: dict[str, Any] = {"axes": "tyx"[-len(shape) :], "spatial": "yx"}
    options |= {"workers": 2, "pyramid": False, "memory": "4 GiB"}
    options |= {"executor": case.executor}
    tw.run(case.operation, small, folder / f"small-{case.output}", **options)
    return lambda: tw.run(case.operation, source, folder / case.output, progress=True, **options)


def fill(array: zarr.Array[Any], folder: Path) -> None:
    """Give every chunk of an image the same file of noise."""
    import numpy as np

    noise = np.random.default_rng(0).integers(1, 255, array.chunks, np.uint8)
    array[tuple(slice(n) for n in array.chunks)] = noise
    content = (folder / "c/0/0").read_bytes()
    for row in range(array.shape[0] // array.chunks[0]):
        (folder / f"c/{row}").mkdir(exist_ok=True)
        for column in range(array.shape[1] // array.chunks[1]):
            (folder / f"c/{row}/{column}").write_bytes(content)


def run_by_hand(case: Case, count: int, folder: Path) -> float:
    """Read, compute and write the chunks in a plain loop; return the processor's time of each."""
    import numpy as np
    from numcodecs.zstd import Zstd

    group, _, name = case.operation.partition(".")
    function = getattr(importlib.import_module(f"skimage.{group}"), name)
    side, decoder, encoder = math.isqrt(count), Zstd(0), Zstd(level=1, checksum=True)
    shape, rows = (case.length, case.length), min(math.isqrt(count), MOST_BY_HAND // side)
    started = time.process_time()
    for row in range(rows):
        os.makedirs(folder / f"by-hand/{row}")
        for column in range(side):
            try:
                with open(f"{folder}/in.zarr/c/{row}/{column}", "rb", buffering=0) as file:
                    pixels = np.frombuffer(decoder.decode(file.read()), np.uint8).reshape(shape)
            except FileNotFoundError:
                pixels = np.zeros(shape, np.uint8)
            result = np.ascontiguousarray(function(pixels))
            if result.any():
                path = f"{folder}/by-hand/{row}/{column}"
                with open(f"{path}.partial", "wb", buffering=0) as file:
                    file.write(encoder.encode(result))
                os.replace(f"{path}.partial", path)
    return (time.process_time() - started) / (rows * side)


def run_items(case: Case, count: int, folder: Path) -> Callable[[], Any]:
    """Return a batch of so many items; its imports are done."""
    import numpy as np
    import tifffile

    import napari_tilewise as tw

    (folder / "in").mkdir()
    tifffile.imwrite(folder / "in" / "0.tif", np.zeros((LENGTH, LENGTH), np.uint8))
    content = (folder / "in" / "0.tif").read_bytes()
    for number in range(1, count):
        (folder / "in" / f"{number}.tif").write_bytes(content)
    options: dict[str, Any] = {"name": case.output, "backend": "threading", "n_jobs": 2}
    options |= {"memory": "4 GiB", "pyramid": False}
    tw.batch(case.operation, folder / "in" / "0.tif", folder / "small", **options)
    return lambda: tw.batch(
        case.operation, folder / "in" / "*.tif", folder / "out", progress=True, **options
    )


def run_one(name: str, count: int, folder: Path) -> None:
    """Print the seconds of a run, the processor's, the memory added, and the loop's of a tile."""
    from napari_tilewise.engine.system.resident import peak_resident

    case = CASES[name]
    if name == "items":
        run = run_items(case, count, folder)
    else:
        run = run_tiles(case, count, folder, are_planes=name == "planes")
    before, started, computed = peak_resident(), time.perf_counter(), time.process_time()
    run()
    seconds, busy = time.perf_counter() - started, time.process_time() - computed
    added = peak_resident() - before
    print(seconds, busy, added, run_by_hand(case, count, folder) if case.has_loop else math.nan)


def main(most: int, only: str | None) -> None:
    """Print the table."""
    print(
        "| many | count | each (ms) | processor, each (ms) | of it by hand (ms) | own (ms) | "
        "memory added (MiB) | each (bytes) |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, case in CASES.items():
        count = min(case.least, most)
        while count <= min(most, case.most) and only in (None, name):
            with tempfile.TemporaryDirectory(prefix="growth-") as folder:
                command = [sys.executable, __file__, "--case", name, "--count", str(count)]
                child = subprocess.run(
                    [*command, "--folder", folder], stdout=subprocess.PIPE, text=True, check=True
                )
            seconds, busy, extra, by_hand = map(float, child.stdout.split())
            own = "|".join(
                f" {1e3 * value:.3f} " if value == value else " "
                for value in (by_hand, busy / count - by_hand)
            )
            print(
                f"| {name} | {count:,} | {1e3 * seconds / count:.2f} | {1e3 * busy / count:.3f} |"
                f"{own}| {extra / 2**20:.1f} | {extra / count:.0f} |",
                flush=True,
            )
            count *= 10


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10**4, help="the largest count")
    parser.add_argument("--only", choices=CASES, help="one of the rows")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case is None:
        main(arguments.most, arguments.only)
    else:
        run_one(arguments.case, arguments.count, arguments.folder)
