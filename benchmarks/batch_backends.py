"""``backend="auto"`` against every fixed choice: many small and few large items, cheap and slow.

Aim: at most 5 % slower than the best fixed choice, and than serial.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from skimage import data
from skimage.feature import hog

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable

BACKENDS = ("serial", "threading", "loky", "auto")


def mean(image: np.ndarray) -> float:
    """Return a number that is cheap to find."""
    return float(image.mean())


def descriptor(image: np.ndarray) -> float:
    """Return a number that Python's loops find, and so hold the global lock."""
    return float(hog(image[:192, :192], pixels_per_cell=(8, 8), visualize=True)[1].sum())


CASES: dict[str, tuple[int, int, Any]] = {
    # name: number of files, pixels a side, what is done
    "small, cheap (mean)": (1000, 256, mean),
    "small, to files (gaussian)": (1000, 256, ("filters.gaussian", {"sigma": 1})),
    "small, slow (tv)": (1000, 256, ("restoration.denoise_tv_chambolle", {"max_num_iter": 30})),
    "small, slow, holds the lock (hog)": (1000, 256, descriptor),
    "large, cheap (gaussian)": (10, 4096, ("filters.gaussian", {"sigma": 1})),
    "large, slow (median)": (10, 4096, ("filters.rank.median", {"footprint": np.ones((9, 9))})),
}


def prepare(folder: Path, count: int, side: int) -> None:
    """Write the files."""
    camera = np.resize(data.camera(), (side, side)) if side <= 512 else None
    image = camera if camera is not None else np.tile(data.camera(), (side // 512, side // 512))
    for number in range(count):
        tifffile.imwrite(folder / f"{number}.tif", np.roll(image, number), tile=(256, 256))


def measure(task: Any, files: Path, out: Path, backend: str, clock: Callable[[], float]) -> float:
    """Return the seconds of a batch in a folder of its own, in which all is done."""
    started = clock()
    destination = None if callable(task) else out
    report = tw.batch(task, files, destination, backend=backend)
    seconds = clock() - started
    assert not report.failed, str(report)
    shutil.rmtree(out, ignore_errors=True)
    return seconds


def main() -> None:
    """Measure every case in every way, in turn, and print the medians of some rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", help="only cases whose name holds this")
    parser.add_argument("--share", type=float, default=1.0, help="do so much of the files only")
    args = parser.parse_args()
    print(f"| case | {' | '.join(BACKENDS)} | auto / best | auto / serial |")
    print(f"|---|{'---|' * (len(BACKENDS) + 2)}")
    for name, (count, side, task) in CASES.items():
        if args.case and args.case not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "in"
            files.mkdir()
            prepare(files, max(4, round(count * args.share)), side)
            _import_all(task, files, Path(folder) / "out")
            rounds = [_round(task, files, number) for number in range(args.rounds)]
        middle = {backend: median(timings[backend] for timings in rounds) for backend in BACKENDS}
        cells = " | ".join(f"{middle[backend]:.2f} s" for backend in BACKENDS)
        # Each round by itself: a machine that was slow for a minute was so for all its neighbours.
        fixed = min(BACKENDS[:-1], key=lambda backend: middle[backend])
        ratios = " | ".join(
            f"{median(timings['auto'] / timings[other] for timings in rounds):.2f}"
            for other in (fixed, "serial")
        )
        print(f"| {name} | {cells} | {ratios} |", flush=True)


def _round(task: Any, files: Path, number: int) -> dict[str, float]:
    """Return the seconds of every way, each round in the other order."""
    timings = {}
    for backend in BACKENDS[:: -1 if number % 2 else 1]:
        _forget_processes()
        out = files.parent / "out"
        timings[backend] = measure(task, files, out, backend, time.perf_counter)
    return timings


def _import_all(task: Any, files: Path, out: Path) -> None:
    """Do a file, so that no measured way pays for what this process imports."""
    tw.batch(task, [next(files.iterdir())], None if callable(task) else out, backend="serial")
    shutil.rmtree(out, ignore_errors=True)


def _forget_processes() -> None:
    """End the processes that joblib keeps, so that every round pays for starting them."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


if __name__ == "__main__":
    main()
