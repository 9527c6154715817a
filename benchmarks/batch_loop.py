"""A batch of small files against the same pipeline written by hand: a plain loop, and joblib.

TIFF -> Gaussian -> Otsu -> label -> file. Each way has done a few files just before it is measured:
processes wait, for joblib and for the batch alike. ``--cold`` measures scripts with their imports.
Aim: at most 1.1 times joblib's time, never more than the plain loop's, cold at most 1.5 times.

``--files 10000`` is the long batch; it also prints what the memory of this process grows by. The
processor's time is that of all processes, and hardly touched by what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil
import tifffile
from joblib import Parallel, delayed
from skimage import data, filters, measure

import napari_tilewise as tw

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]
COMPRESSED = {"compression": "zlib", "compressionargs": {"level": 3}, "predictor": 2}
"""How a batch writes an OME-TIFF."""
WARM = 20
"""Files that are done before a way is measured."""

IMPORTS = """
import sys
from pathlib import Path
source, out = map(Path, sys.argv[1:])
"""
BY_HAND = f"""{IMPORTS}
import numpy as np
import tifffile
from joblib import Parallel, delayed
from skimage import filters, measure

def process(source, folder):
    smooth = filters.gaussian(tifffile.imread(source), sigma=2)
    labels = measure.label(smooth > filters.threshold_otsu(smooth))
    tifffile.imwrite(folder / source.name, labels.astype(np.int32))

Parallel(n_jobs=-1)(delayed(process)(path, out) for path in source.iterdir())
"""
AS_BATCH = f"""{IMPORTS}
import napari_tilewise as tw
tw.batch({RECIPE!r}, source, out)
"""


def labels_of(source: Path) -> np.ndarray:
    """Return the labels of a file, by hand."""
    smooth = filters.gaussian(tifffile.imread(source), sigma=2)
    labels = measure.label(smooth > filters.threshold_otsu(smooth))
    return np.asarray(labels, np.int32)


def process(source: Path, folder: Path) -> None:
    """Do a file by hand."""
    tifffile.imwrite(folder / source.name, labels_of(source))


def process_compressed(source: Path, folder: Path) -> None:
    """Do a file by hand, and write what a batch writes."""
    tifffile.imwrite(folder / f"{source.stem}.ome.tif", labels_of(source), **COMPRESSED)


def plain_loop(sources: list[Path], folder: Path) -> None:
    """Do one file after another."""
    for source in sources:
        process(source, folder)


def with_joblib(function: Callable[[Path, Path], None]) -> Callable[[list[Path], Path], None]:
    """Return a function that does the files in processes."""

    def run(sources: list[Path], folder: Path) -> None:
        Parallel(n_jobs=-1)(delayed(function)(source, folder) for source in sources)

    return run


def batch_of(name: str, backend: str) -> Callable[[list[Path], Path], None]:
    """Return a function that does the files as a batch."""

    def run(sources: list[Path], folder: Path) -> None:
        report = tw.batch(tw.Recipe(RECIPE), sources, folder, name=name, backend=backend)
        assert report.done == len(sources), str(report)

    return run


class Variant(NamedTuple):
    """Something that does the files."""

    run: Callable[[list[Path], Path], None]
    peer: str = "joblib"
    """The way by hand that it is compared with, which writes as compressed a file."""


VARIANTS = {
    "plain loop": Variant(plain_loop),
    "joblib": Variant(with_joblib(process)),
    "joblib, compressed OME-TIFF": Variant(with_joblib(process_compressed)),
    "batch, OME-Zarr": Variant(batch_of("{stem}", "auto")),
    "batch, OME-Zarr, processes": Variant(batch_of("{stem}", "loky")),
    "batch, OME-TIFF": Variant(batch_of("{stem}.ome.tif", "auto"), "joblib, compressed OME-TIFF"),
    "batch, OME-TIFF, processes": Variant(
        batch_of("{stem}.ome.tif", "loky"), "joblib, compressed OME-TIFF"
    ),
}


class Figures(NamedTuple):
    """What a way took."""

    seconds: float
    processor: float
    memory: int
    """Bytes by which this process grew."""


def prepare(folder: Path, count: int, side: int) -> list[Path]:
    """Write the files."""
    image = np.resize(data.camera(), (side, side)) if side > 512 else data.camera()[:side, :side]
    paths = [folder / f"{number}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        tifffile.imwrite(path, np.roll(image, number % side))
    return paths


def processor_seconds() -> float:
    """Return the processor's time of this process and of those that it started, ended ones too."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    ended = times[0].children_user + times[0].children_system
    return ended + sum(t.user + t.system for t in times)


def figures_of(variant: str, sources: list[Path], folder: Path) -> Figures:
    """Return what a way takes into an empty folder, once its processes have started."""
    for several in (sources[:WARM], sources):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        memory, processor = psutil.Process().memory_info().rss, processor_seconds()
        started = time.perf_counter()
        VARIANTS[variant].run(several, folder)
        figures = Figures(
            time.perf_counter() - started,
            processor_seconds() - processor,
            psutil.Process().memory_info().rss - memory,
        )
    shutil.rmtree(folder)
    return figures


def measure_warm(sources: list[Path], out: Path, variants: list[str], rounds: int) -> None:
    """Measure ways in turn, and print the best of each, and the medians of ratios in a round."""
    results = []
    for number in range(rounds):
        order = variants[:: -1 if number % 2 else 1]
        results.append({variant: figures_of(variant, sources, out) for variant in order})
    print("| way | ms per item | / joblib | / plain loop | processor, ms | / joblib | grows by |")
    print("|---|---|---|---|---|---|---|")
    for variant in variants:
        seconds, processor = (min(r[variant][n] for r in results) for n in range(2))
        cells = [f"{1000 * seconds / len(sources):.1f}"]
        for peer in (VARIANTS[variant].peer, "plain loop"):
            cells.append(f"{median(r[variant].seconds / r[peer].seconds for r in results):.2f}")
        cells.append(f"{1000 * processor / len(sources):.1f}")
        ratios = (r[variant].processor / r[VARIANTS[variant].peer].processor for r in results)
        cells.append(f"{median(ratios):.2f}")
        cells.append(f"{max(r[variant].memory for r in results) / 2**20:.0f} MiB")
        print(f"| {variant} | {' | '.join(cells)} |")


def measure_cold(folder: Path, out: Path, rounds: int) -> None:
    """Print the seconds of both scripts, imports and the start of processes included."""
    seconds: dict[str, list[float]] = {"joblib": [], "batch": []}
    for _ in range(rounds):
        for name, script in (("joblib", BY_HAND), ("batch", AS_BATCH)):
            out.mkdir()
            started = time.perf_counter()
            command = [sys.executable, "-c", script, str(folder), str(out)]
            subprocess.run(command, check=True, env=dict(os.environ))
            seconds[name].append(time.perf_counter() - started)
            shutil.rmtree(out)
    ratio = median(b / j for b, j in zip(seconds["batch"], seconds["joblib"], strict=True))
    best = ", ".join(f"{name} {min(times):.2f} s" for name, times in seconds.items())
    print(f"cold: {best}; batch / joblib {ratio:.2f}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--cold", action="store_true", help="scripts with their imports, too")
    args = parser.parse_args()
    variants = list(
        dict.fromkeys(["plain loop", *(VARIANTS[w].peer for w in args.ways), *args.ways])
    )
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "in", Path(name) / "out"
        folder.mkdir()
        sources = prepare(folder, args.files, args.side)
        print(f"{args.files} files of {args.side} x {args.side}")
        measure_warm(sources, out, variants, args.rounds)
        if args.cold:
            measure_cold(folder, out, args.rounds)


if __name__ == "__main__":
    main()
