"""How often each chunk of a source is read, whoever computes: aim passes x 1.0 plus 1.3.

The source notes every chunk that any process reads in a file. Each operation runs on one image in
4, 16 and 64 chunks, with threads, dask's processes, and a cluster of two worker processes. Tiles
are the default, or one per chunk: then nothing but shared chunks keeps the numbers small.

`--all` runs every operation of the catalogue on a small image, in tiles of half its length and in
one per chunk; what would take an image as small as this one whole takes it in tiles, as it does a
large one. How many passes come before the last is counted with threads; the table has the most
reads of the three numbers of chunks, and the last line says how many exceed what is aimed at.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.multiprocessing
import numpy as np
import zarr
from distributed import Client, LocalCluster
from skimage import data

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests have an image for each operation

from tests.operations.test_declarations import parameters_for, sample

import napari_tilewise as tw
from napari_tilewise.engine.passes import pass_runner
from napari_tilewise.engine.passes.reductions import ReductionRunner
from napari_tilewise.engine.passes.sweeps import SweepRunner
from napari_tilewise.engine.passes.walks import WalkRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    Schedulers = dict[str, Callable[[], AbstractContextManager[Any]]]

COUNTS = (4, 16, 64)
FINAL = 1.3
"""Reads of each chunk in the last pass, at most, on top of one for each pass before."""
OPERATIONS: dict[str, tuple[dict[str, Any], int]] = {
    # parameters, passes before the last
    "exposure.adjust_gamma": ({"gamma": 0.5}, 0),
    "filters.gaussian": ({"sigma": 2}, 0),
    "transform.resize": ({"output_shape": (1500, 1500)}, 1),
    "exposure.equalize_hist": ({}, 1),
    "exposure.rescale_intensity": ({}, 1),
    "filters.threshold_otsu": ({}, 1),
    "filters.threshold_li": ({}, 1),
    "filters.apply_hysteresis_threshold": ({"low": 80, "high": 150}, 1),
    "measure.label": ({}, 1),
    "morphology.remove_small_objects": ({"max_size": 64}, 1),
    "morphology.local_maxima": ({}, 1),
    "feature.peak_local_max": ({"min_distance": 5}, 2),
}
BINARY = {"measure.label", "morphology.remove_small_objects"}


class LoggedArray:
    """A Zarr array on disk that notes each chunk that is read."""

    def __init__(self, path: str, log: str) -> None:
        self.path, self.log = path, log
        self._array: Any = zarr.open_array(path, mode="r")
        self.shape, self.dtype = self._array.shape, self._array.dtype
        self.chunks = self._array.chunks

    def __reduce__(self) -> tuple[Any, ...]:
        return LoggedArray, (self.path, self.log)

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        """Return a box, and note the chunks that it meets."""
        spans = [
            range(s.start // c, -(-s.stop // c)) for s, c in zip(region, self.chunks, strict=True)
        ]
        lines = "".join(f"{position}\n" for position in itertools.product(*spans))
        with open(self.log, "a") as file:
            file.write(lines)
        return np.asarray(self._array[region])

    def reads(self) -> float:
        """Return how often each chunk was read since the last call."""
        path = Path(self.log)
        count = len(path.read_text().splitlines()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count / prod(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))


def take_in_tiles() -> None:
    """Have this process take small images in tiles that it would take whole."""
    pass_runner.SOON = 0


@contextlib.contextmanager
def schedulers(*, in_tiles: bool) -> Iterator[Schedulers]:
    """Start processes and a cluster; return what has dask compute with each."""
    context, begin = dask.multiprocessing.get_context(), take_in_tiles if in_tiles else None
    with (
        ProcessPoolExecutor(2, context, begin) as pool,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        if in_tiles:
            take_in_tiles()
            client.run(take_in_tiles)
        yield {
            "threads": lambda: dask.config.set(scheduler="threads"),
            "processes": lambda: dask.config.set(scheduler="processes", pool=pool),
            "cluster": client.as_current,
        }


def measure(folder: Path, name: str, size: int, choices: Schedulers) -> None:
    """Print the reads of one operation with every scheduler and number of chunks."""
    params, passes = OPERATIONS[name]
    image = np.tile(data.coins()[:256, :256], (size // 256, size // 256))
    image = image > 120 if name in BINARY else image
    expected = tw.apply(name, image, **params)
    row = []
    for (scheduler, choice), by_chunk in itertools.product(choices.items(), (False, True)):
        reads = []
        for count in COUNTS:
            length = round(size / count**0.5)
            path = folder / f"{name}-{scheduler}-{by_chunk}-{count}.zarr"
            zarr.create_array(path, data=image, chunks=(length, length))
            source = LoggedArray(str(path), str(folder / "log"))
            with choice():
                lazy = tw.apply(name, source, tiles=length if by_chunk else "auto", **params)
                result = np.asarray(lazy)
            np.testing.assert_array_equal(result, expected)
            reads.append(f"{source.reads():.2f}")
        row.append(" ".join(reads))
    print(f"| {name} | {passes} | {' | '.join(row)} |", flush=True)


@contextlib.contextmanager
def counted_passes() -> Iterator[list[str]]:
    """Return a list that gets a name for each pass that this process runs in the block."""
    passes: list[str] = []
    runners: tuple[Any, ...] = (ReductionRunner, SweepRunner, WalkRunner)
    originals = [runner.run for runner in runners]

    def counting(run: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(self: Any, *arguments: Any) -> Any:
            passes.append(name)
            return run(self, *arguments)

        return counted

    for runner, run in zip(runners, originals, strict=True):
        runner.run = counting(run, runner.__name__)
    try:
        yield passes
    finally:
        for runner, run in zip(runners, originals, strict=True):
            runner.run = run


def image_for(name: str, side: int) -> np.ndarray:
    """Return a small image that an operation takes."""
    image = sample(name, "uint8")
    spans = [slice(0, side if n > 64 else n) for n in image.shape]
    op = tw.OPERATIONS[name]
    image = np.ascontiguousarray(image[tuple(spans)])
    if op.limits.nearest_shape is not None:
        image = image[tuple(slice(0, n) for n in op.limits.nearest_shape(image.shape))]
    try:
        dask.compute(tw.apply(name, image, **parameters_for(op, image)))
    except tw.TilewiseError:
        return image > image.mean()  # what takes nothing but masks
    return image


def most_reads(folder: Path, name: str, image: np.ndarray, *, by_chunk: bool) -> tuple[float, int]:
    """Return the most reads of a chunk, and the passes that this process ran for them."""
    op = tw.OPERATIONS[name]
    params = parameters_for(op, image)
    channel = op.parameters[op.channel].default if op.channel else None
    spatial = [i for i in range(image.ndim) if channel is None or i != channel % image.ndim]
    reads, passes = 0.0, 0
    for count in COUNTS:
        chunks = [max(1, round(n / count**0.5)) for n in image.shape[:2]] + list(image.shape[2:])
        path = folder / f"{len(list(folder.iterdir()))}.zarr"
        zarr.create_array(path, data=image, chunks=tuple(chunks))
        source = LoggedArray(str(path), str(folder / "log"))
        tiles = tuple(chunks[i] if by_chunk else -(-image.shape[i] // 2) for i in spatial)
        with counted_passes() as run:
            dask.compute(tw.apply(name, source, tiles=tiles, **params))
        reads, passes = max(reads, source.reads()), max(passes, len(run))
    return reads, passes


def measure_all(names: Sequence[str], side: int, choices: Schedulers) -> None:
    """Print the reads of each operation."""
    exceeding, total = [], 0
    for name in names:
        cells, passes = [], 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = image_for(name, side)
            for (scheduler, choice), by_chunk in itertools.product(choices.items(), (False, True)):
                with tempfile.TemporaryDirectory() as folder, choice():
                    reads, run = most_reads(Path(folder), name, image, by_chunk=by_chunk)
                passes = max(passes, run) if scheduler == "threads" else passes
                cells.append(reads)
        total += 1
        if max(cells[::2]) > passes + FINAL:
            exceeding.append(name)
        shown = " | ".join(f"{reads:.2f}" for reads in cells)
        print(f"| `{name}` | {passes} | {shown} |", flush=True)
    print(f"{len(exceeding)} of {total} exceed passes + {FINAL} in large tiles: {exceeding}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, help="length of the image's axes: 2048, or 128")
    parser.add_argument("--only", nargs="*", help="operations")
    parser.add_argument("--all", action="store_true", help="every operation of the catalogue")
    options = parser.parse_args()
    size = options.size or (128 if options.all else 2048)
    headings = [
        f"{scheduler}, {tiles}"
        for scheduler in ("threads", "processes", "cluster")
        for tiles in ("large tiles" if options.all else "auto", "a tile per chunk")
    ]
    print(f"Reads of each chunk at {COUNTS} chunks of {size} x {size}.")
    print(f"| operation | passes before the last | {' | '.join(headings)} |")
    print("|---" * (2 + len(headings)) + "|")
    with schedulers(in_tiles=options.all) as running, tempfile.TemporaryDirectory() as temporary:
        if options.all:
            measure_all(options.only or list(tw.OPERATIONS), size, running)
        else:
            for operation in options.only or OPERATIONS:
                measure(Path(temporary), operation, size, running)
