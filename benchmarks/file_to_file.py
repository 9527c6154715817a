"""From file to file, against a plain copy of the same chunks: Zarr to OME-Zarr with its pyramid.

The copy is what one writes by hand: zarr-python, chunk after chunk, in two threads, then each level
from the means of the one below. All ways take turns; with ``--earlier CLONE`` the runs of that
build too. Aim: at most twice the copy with its pyramid.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import zarr
from _page import write_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Variant: TypeAlias = tuple[str, str, bool]
"""A recipe or the copy, the build that runs it, and whether a pyramid is written."""

SMOOTHED = ["filters.gaussian", {"sigma": 2}]
RECIPES: dict[str, list[Any]] = {
    "Gaussian": [SMOOTHED],
    "Otsu mask": ["filters.threshold_otsu"],
    "label": ["measure.label"],
    "Gaussian -> Otsu -> label": [SMOOTHED, "filters.threshold_otsu", "measure.label"],
}
WORKERS = 2
CHILD = """
import json, sys, time
import napari_tilewise as tw
for line in sys.stdin:
    steps, source, destination, pyramid = json.loads(line)
    recipe = tw.Recipe([tuple(s) if isinstance(s, list) else s for s in steps])
    started = time.perf_counter()
    tw.run(recipe, source, destination, workers=2, pyramid=pyramid)
    print(json.dumps(time.perf_counter() - started), flush=True)
"""


def write_source(folder: Path, size: int, chunk: int) -> None:
    """Write an image of blobs on a background, uint16, and the mask of it."""
    rng = np.random.default_rng(0)
    tile = rng.normal(1000, 50, (1024, 1024))
    rows, columns = np.indices(tile.shape)
    tile += 2000 * (np.sin(rows / 20) * np.sin(columns / 20) > 0.6)
    options = {"shape": (size, size), "chunks": (chunk, chunk)}
    image = zarr.create_array(folder / "image.zarr", dtype="uint16", **options)
    mask = zarr.create_array(folder / "mask.zarr", dtype="bool", **options)
    for y in range(0, size, 1024):
        for x in range(0, size, 1024):
            pixels = np.roll(tile, (y // 32, x // 64), (0, 1))[: size - y, : size - x]
            image[y : y + 1024, x : x + 1024] = pixels.astype(np.uint16)
            mask[y : y + 1024, x : x + 1024] = pixels > 2000


def boxes(shape: tuple[int, ...], chunk: int) -> Iterator[tuple[slice, slice]]:
    """Yield the chunks of an image."""
    for y in range(0, shape[0], chunk):
        for x in range(0, shape[1], chunk):
            yield slice(y, min(y + chunk, shape[0])), slice(x, min(x + chunk, shape[1]))


def copied(source: Path, destination: Path, *, pyramid: bool) -> float:
    """Copy an image chunk by chunk; return the seconds."""
    started = time.perf_counter()
    array = zarr.open_array(source, mode="r")
    chunk = array.chunks[0]
    group = zarr.create_group(destination)

    def level(number: int, shape: tuple[int, ...]) -> Any:
        lengths = tuple(min(chunk, n) for n in shape)
        return group.create_array(str(number), shape=shape, chunks=lengths, dtype=array.dtype)

    with ThreadPoolExecutor(WORKERS) as pool:
        below = level(0, array.shape)

        def copy(box: tuple[slice, slice]) -> None:
            below[box] = array[box]

        list(pool.map(copy, boxes(array.shape, chunk)))
        number = 0
        while pyramid and max(below.shape) > chunk:
            number += 1
            fine, below = below, level(number, tuple(-(-n // 2) for n in below.shape))

            def halve(box: tuple[slice, slice], fine: Any = fine, coarse: Any = below) -> None:
                pixels = fine[tuple(slice(2 * s.start, 2 * s.stop) for s in box)]
                pixels = np.pad(pixels, [(0, n % 2) for n in pixels.shape], mode="edge")
                total = sum(pixels[y::2, x::2].astype(np.uint32) for y in (0, 1) for x in (0, 1))
                coarse[box] = (total + 2) // 4

            list(pool.map(halve, boxes(below.shape, chunk)))
    return time.perf_counter() - started


class Build:
    """A build of this package in a process of its own."""

    def __init__(self, source: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(source)},
        )

    def seconds(self, name: str, folder: Path, destination: Path, *, pyramid: bool) -> float:
        """Return how long a run took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        source = folder / ("mask.zarr" if name == "label" else "image.zarr")
        order = [RECIPES[name], str(source), str(destination), pyramid]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def measure(folder: Path, builds: dict[str, Build], options: argparse.Namespace) -> None:
    """Print each round, then the medians and the ratios to the copies within each round."""
    out = folder / "out.ome.zarr"
    seconds: dict[Variant, list[float]] = {}

    def note(variant: Variant, run: Callable[[], float]) -> None:
        for _ in range(2):  # the first brings memory and caches back, and imports
            passed = run()
            shutil.rmtree(out)
        seconds.setdefault(variant, []).append(passed)
        name, build, pyramid = variant
        pyramid_text = "with pyramid" if pyramid else "without"
        print(f"{name:28s}{build:10s}{pyramid_text:14s}{passed:8.2f} s", flush=True)

    names = options.only or list(RECIPES)
    for _ in range(options.rounds):
        for pyramid in (True, False):
            source = folder / "image.zarr"
            note(("copy", "", pyramid), partial(copied, source, out, pyramid=pyramid))
            for name in names:
                for build, process in builds.items():
                    run = partial(process.seconds, name, folder, out, pyramid=pyramid)
                    note((name, build, pyramid), run)
        if options.write:
            write_sections({"From file to file": [*about(options), "", *table(seconds)]})
    print("\n".join(table(seconds)), flush=True)


def about(options: argparse.Namespace) -> list[str]:
    """Return what the page says above the table."""
    return [
        f"{options.size} x {options.size} uint16, Zarr to OME-Zarr, in two threads. The copy is",
        "written by hand: chunk after chunk, then each level from the means of the one below.",
    ]


def table(seconds: Mapping[Variant, list[float]]) -> list[str]:
    """Return the medians of the rounds, and of the ratios to the copies within each."""
    lines = [
        "| way | build | with pyramid (s) | / copy | without (s) | / copy |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, build in dict.fromkeys((name, build) for name, build, _ in seconds):
        cells = []
        for pyramid in (True, False):
            mine, copies = seconds[name, build, pyramid], seconds["copy", "", pyramid]
            ratio = median(a / b for a, b in zip(mine, copies, strict=True))
            cells += [f"{median(mine):.2f}", f"{ratio:.2f}"]
        lines.append(f"| {name} | {build} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Write the source and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(RECIPES))
    parser.add_argument("--earlier", type=Path, help="a clone of an earlier commit")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    builds = {"this": Build(Path(__file__).parents[1] / "src")}
    if options.earlier:
        builds["earlier"] = Build(options.earlier / "src")
    with tempfile.TemporaryDirectory() as name:
        write_source(Path(name), options.size, options.chunk)
        measure(Path(name), builds, options)
    for build in builds.values():
        build.close()


if __name__ == "__main__":
    main()
