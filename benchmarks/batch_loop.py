"""A batch of small files against the same pipeline written by hand: a plain loop, and joblib.

TIFF -> Gaussian -> Otsu -> label -> file, warm, in turn. Aim: at most 1.1 times joblib's time, and
never more than the plain loop's.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from joblib import Parallel, delayed
from skimage import data, filters, measure

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]


def process(source: Path, folder: Path) -> None:
    """Do a file by hand."""
    smooth = filters.gaussian(tifffile.imread(source), sigma=2)
    labels = measure.label(smooth > filters.threshold_otsu(smooth))
    tifffile.imwrite(folder / source.name, labels.astype(np.int32))


def plain_loop(sources: list[Path], folder: Path) -> None:
    """Do one file after another."""
    for source in sources:
        process(source, folder)


def with_joblib(sources: list[Path], folder: Path) -> None:
    """Do the files in processes."""
    Parallel(n_jobs=-1)(delayed(process)(source, folder) for source in sources)


def batch_of(name: str, backend: str) -> Callable[[list[Path], Path], None]:
    """Return a function that does the files as a batch."""

    def run(sources: list[Path], folder: Path) -> None:
        report = tw.batch(tw.Recipe(RECIPE), sources, folder, name=name, backend=backend)
        assert report.done == len(sources), str(report)

    return run


WAYS: dict[str, Callable[[list[Path], Path], None]] = {
    "plain loop": plain_loop,
    "joblib": with_joblib,
    "batch, OME-Zarr": batch_of("{stem}", "auto"),
    "batch, OME-TIFF": batch_of("{stem}.ome.tif", "auto"),
}


def prepare(folder: Path, count: int, side: int) -> list[Path]:
    """Write the files."""
    image = np.resize(data.camera(), (side, side)) if side > 512 else data.camera()[:side, :side]
    paths = [folder / f"{number}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        tifffile.imwrite(path, np.roll(image, number))
    return paths


def seconds_of(way: str, sources: list[Path], folder: Path) -> float:
    """Return the seconds of a way into an empty folder."""
    folder.mkdir()
    started = time.perf_counter()
    WAYS[way](sources, folder)
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def main() -> None:
    """Measure every way in turn, and print medians, and ratios within each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        sources = prepare(folder, args.files, args.side)
        for way in WAYS:  # imports, and joblib's processes
            seconds_of(way, sources[:20], out)
        rounds = []
        for number in range(args.rounds):
            order = list(WAYS)[:: -1 if number % 2 else 1]
            rounds.append({way: seconds_of(way, sources, out) for way in order})
    print("| way | seconds | ms per item | / joblib | / plain loop |")
    print("|---|---|---|---|---|")
    for way in WAYS:
        seconds = median(one[way] for one in rounds)
        ratios = [
            median(one[way] / one[other] for one in rounds) for other in ("joblib", "plain loop")
        ]
        cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {way} | {seconds:.2f} | {1000 * seconds / args.files:.1f} | {cells} |")


if __name__ == "__main__":
    main()
