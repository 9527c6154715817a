"""How often each chunk of a source is read, whoever computes: aim passes x 1.0 plus 1.3.

The source notes every chunk that any process reads in a file. Each operation runs on one image in
4, 16 and 64 chunks, with threads, dask's processes, and a cluster of two worker processes. Tiles
are the default, or one per chunk: then nothing but shared chunks keeps the numbers small.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import tempfile
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

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Schedulers = dict[str, Callable[[], AbstractContextManager[Any]]]

COUNTS = (4, 16, 64)
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


@contextlib.contextmanager
def schedulers() -> Iterator[Schedulers]:
    """Start processes and a cluster; return what has dask compute with each."""
    with (
        ProcessPoolExecutor(2, dask.multiprocessing.get_context()) as pool,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="length of the image's axes")
    parser.add_argument("--only", nargs="*", default=OPERATIONS, help="operations")
    options = parser.parse_args()
    headings = [
        f"{scheduler}, {tiles}"
        for scheduler in ("threads", "processes", "cluster")
        for tiles in ("auto", "a tile per chunk")
    ]
    print(f"Reads of each chunk at {COUNTS} chunks of {options.size} x {options.size}.")
    print(f"| operation | passes before the last | {' | '.join(headings)} |")
    print("|---" * (2 + len(headings)) + "|")
    with schedulers() as running, tempfile.TemporaryDirectory() as temporary:
        for operation in options.only:
            measure(Path(temporary), operation, options.size, running)
