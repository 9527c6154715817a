"""scikit-image's tutorial on nuclei, with only its imports changed, on a lazy image of any size.

The lines between the imports and the pictures are those of *Segment human cells (in mitosis)*. They
run on a Zarr through dask and, up to the size given by ``--whole``, once more by scikit-image and
SciPy on the whole image; each in a process of its own. The labels are compared pixel by pixel.
``--sides 20000`` takes an hour of processor time or so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

TILE, CELL = 1000, 40
"""Pixels along the side of a chunk, and between nuclei."""

TUTORIAL = """
thresholds = ski.filters.threshold_multiotsu(image, classes=3)
cells = image > thresholds[0]
dividing = image > thresholds[1]
labeled_cells = ski.measure.label(cells)
labeled_dividing = ski.measure.label(dividing)
naive_mi = labeled_dividing.max() / labeled_cells.max()

higher_threshold = 125
dividing = image > higher_threshold
smoother_dividing = ski.filters.rank.mean(
    ski.util.img_as_ubyte(dividing), ski.morphology.disk(4)
)
binary_smoother_dividing = smoother_dividing > 20
cleaned_dividing = ski.measure.label(binary_smoother_dividing)
n_dividing = cleaned_dividing.max()

distance = ndi.distance_transform_edt(cells)
local_max_coords = ski.feature.peak_local_max(
    distance, min_distance=7, exclude_border=False
)
local_max_mask = np.zeros(distance.shape, dtype=bool)
local_max_mask[tuple(local_max_coords.T)] = True
markers = ski.measure.label(local_max_mask)
segmented_cells = ski.segmentation.watershed(-distance, markers, mask=cells)
"""
TILED = "import napari_tilewise.skimage as ski\nimport napari_tilewise.ndimage as ndi\n"
WHOLE = "import skimage as ski\nfrom scipy import ndimage as ndi\n"


def write_nuclei(path: Path, side: int) -> None:
    """Write an image of 8 bits with nuclei of many sizes and brightnesses, some of which touch."""
    image = zarr.create_array(path, shape=(side, side), chunks=(min(TILE, side),) * 2, dtype="u1")
    y, x = np.indices((TILE, TILE))
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            rng = np.random.default_rng((top, left))
            pixels = rng.integers(0, 12, (TILE, TILE)).astype(float)
            cells = TILE // CELL
            middle = rng.integers(12, CELL - 12, (2, cells, cells)).repeat(CELL, 1).repeat(CELL, 2)
            radius = rng.integers(7, 17, (cells, cells)).repeat(CELL, 0).repeat(CELL, 1)
            bright = rng.choice([60, 75, 160], (cells, cells), p=[0.5, 0.4, 0.1])
            away = (y % CELL - middle[0]) ** 2 + (x % CELL - middle[1]) ** 2
            pixels += np.where(away < radius**2, bright.repeat(CELL, 0).repeat(CELL, 1), 0)
            box = np.s_[top : min(side, top + TILE), left : min(side, left + TILE)]
            height, width = (part.stop - part.start for part in box)
            image[box] = pixels[:height, :width].astype(np.uint8)


def run_tutorial(folder: Path, *, tiled: bool) -> None:
    """Run the lines, store the labels, and print what it took."""
    import dask.array as da

    from napari_tilewise.engine.system.resident import peak_resident

    started, computed = time.perf_counter(), time.process_time()
    image: Any = da.from_zarr(str(folder / "image.zarr"))
    names: dict[str, Any] = {"np": np, "image": image if tiled else image.compute()}
    exec((TILED if tiled else WHOLE) + TUTORIAL, names)
    cells, numbers = names["segmented_cells"], [names["naive_mi"], names["n_dividing"]]
    destination = folder / f"{'tiled' if tiled else 'whole'}.zarr"
    if tiled:
        cells.to_zarr(str(destination))
    else:
        zarr.create_array(destination, data=cells, chunks=(min(TILE, len(cells)),) * 2)
    figures = {
        "seconds": time.perf_counter() - started,
        "busy": time.process_time() - computed,
        "peak": peak_resident(),
        "numbers": [float(number) for number in numbers],
        "cells": len(names["local_max_coords"]),
    }
    print(json.dumps(figures))


def measured(folder: Path, name: str) -> dict[str, Any]:
    """Run the tutorial in a process of its own and return its figures."""
    command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode:
        raise SystemExit(child.stderr)
    figures: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return figures


def is_same(folder: Path) -> bool:
    """Compare the labels, some rows of chunks at a time."""
    tiled, whole = (zarr.open_array(folder / f"{name}.zarr") for name in ("tiled", "whole"))
    rows = range(0, tiled.shape[0], TILE)
    return all(np.array_equal(tiled[top : top + TILE], whole[top : top + TILE]) for top in rows)


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    print("| side | by | seconds | processor (s) | peak (MiB) | cells | result |")
    print("|---:|---|---:|---:|---:|---:|---|", flush=True)
    for side in arguments.sides:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as text:
            folder = Path(text)
            write_nuclei(folder / "image.zarr", side)
            names = ["whole", "tiled"] if side <= arguments.whole else ["tiled"]
            results = {name: measured(folder, name) for name in names}
            for name, figures in results.items():
                verdict = ""
                if name == "tiled":
                    verdict = "not compared"
                    if "whole" in results:
                        same = results["whole"]["numbers"] == figures["numbers"] and is_same(folder)
                        verdict = "the same numbers and labels" if same else "DIFFERENT"
                print(
                    f"| {side} | {name} | {figures['seconds']:.0f} | {figures['busy']:.0f} | "
                    f"{figures['peak'] / 2**20:.0f} | {figures['cells']} | {verdict} |",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="*", default=[2000], metavar="SIDE")
    parser.add_argument("--whole", type=int, default=4000, help="largest side that is compared")
    parser.add_argument("--scratch", help="a folder with room for the images")
    parser.add_argument("--one", choices=("tiled", "whole"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_tutorial(options.folder, tiled=options.one == "tiled")
    else:
        main(options)
