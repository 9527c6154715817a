"""The peak of memory that a plan states against what the run then held, for every kind of result.

The image is scikit-image's Hubble deep field, mirrored, in a Zarr; each run is a process of its
own, whose whole peak counts, interpreter included. Aim: never more than stated.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import zarr
from run_memory import write_source

from napari_tilewise.sizes import format_size

OTSU = "filters.threshold_otsu"
CASES: dict[str, tuple[list[Any], str]] = {
    "pointwise": ([["exposure.adjust_gamma", {"gamma": 0.5}]], "out.ome.zarr"),
    "neighbourhood": ([["filters.gaussian", {"sigma": 2}]], "out.ome.zarr"),
    "statistic": (["exposure.equalize_hist"], "out.ome.zarr"),
    "number": ([["filters.threshold_li", {}]], "out.json"),
    "geometry": ([["transform.rescale", {"scale": 0.7}]], "out.ome.zarr"),
    "connected": ([["filters.gaussian", {"sigma": 2}], OTSU, "measure.label"], "out.ome.zarr"),
    "iterative": ([OTSU, "morphology.skeletonize"], "out.ome.zarr"),
    "table": (["filters.threshold_mean", "measure.label", "measure.regionprops_table"], "out.csv"),
    "table of shapes": (
        [
            ["filters.gaussian", {"sigma": 2}], OTSU, "measure.label",
            ["measure.regionprops_table", {"properties": ["label", "area", "perimeter"]}],
        ],
        "out.csv",
    ),
    "points": ([["feature.peak_local_max", {"min_distance": 3}]], "out.csv"),
    "contours": (
        [["filters.gaussian", {"sigma": 2}], ["measure.find_contours", {"level": 0.3}]],
        "out.csv",
    ),
    "points everywhere": (
        [["feature.peak_local_max", {"min_distance": 1, "exclude_border": False}]], "out.csv",
    ),
    "spaced points": (
        [["feature.peak_local_max", {"min_distance": 2, "footprint": [[1, 1, 1]] * 3}]], "out.csv",
    ),
    "corners": (
        ["feature.corner_harris", ["feature.corner_peaks", {"min_distance": 2}]], "out.json",
    ),
    "blobs": ([["feature.blob_log", {"max_sigma": 4, "num_sigma": 4}]], "out.csv"),
    "contours of noise": ([["measure.find_contours", {"level": 3000}]], "out.csv"),
    "long contours": ([["measure.find_contours", {"level": 3000}]], "out.json"),
    "whole": ([["filters.butterworth", {"cutoff_frequency_ratio": 0.1}]], "out.ome.zarr"),
    "larger result": ([["transform.rescale", {"scale": 3}]], "out.ome.zarr"),
    "polar": ([["transform.warp_polar", {"radius": 20000}]], "out.ome.zarr"),
    "many channels": (
        [["filters.rank.windowed_histogram", {"footprint": [[1] * 5] * 5, "n_bins": 64}]],
        "out.ome.zarr",
    ),
    "grey levels": (["filters.threshold_multiotsu"], "out.json"),
    "superpixels": ([["segmentation.slic", {"channel_axis": None}]], "out.ome.zarr"),
}  # fmt: skip
"""The steps and the output of each."""
PLANES = {
    "table of planes": CASES["table"],
    "points of planes": CASES["points everywhere"],
    "contours of planes": CASES["contours of noise"],
}
"""The same of each plane of a stack."""
PLANE = 512
"""Length of a plane's side."""
CHILD = """
import json, sys, time
import napari_tilewise as tw
from napari_tilewise.engine.system.resident import peak_resident
steps, source, destination, memory = json.loads(sys.argv[1]), *sys.argv[2:]
recipe = tw.Recipe([step if isinstance(step, str) else tuple(step) for step in steps])
start = time.perf_counter()
try:
    result = tw.run(recipe, source, destination, memory=memory, overwrite=True)
except tw.errors.MemoryBudgetExceeded as error:
    print(json.dumps([str(error)]))
else:
    value = result.value
    rows = next(iter(value.values())) if isinstance(value, dict) else value
    rows = len(rows) if hasattr(rows, "__len__") else 0
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, result.planned_memory, peak_resident(), rows]))
"""


def write_stack(path: Path, image: Path) -> None:
    """Write an image's squares as the planes of a stack."""
    source = zarr.open_array(image, mode="r")
    rows, columns = (n // PLANE for n in source.shape)
    shape = (rows * columns, PLANE, PLANE)
    names = ("t", "y", "x")
    stack = zarr.create_array(
        path, shape=shape, chunks=(1, PLANE, PLANE), dtype=source.dtype, dimension_names=names
    )
    for plane in range(shape[0]):
        y, x = (PLANE * n for n in divmod(plane, columns))
        stack[plane] = source[y : y + PLANE, x : x + PLANE]


def main(size: int, memory: str, names: list[str], folder: Path | None) -> None:
    """Print a table with a row per kind of result."""
    print(f"{size} x {size} uint16, memory={memory!r}")
    print("| result | stated | peak | seconds | rows |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        image, stack = Path(temporary, "source.zarr"), Path(temporary, "stack.zarr")
        write_source(image, size)
        write_stack(stack, image)
        for name in names:
            steps, output = (CASES | PLANES)[name]
            source = stack if name in PLANES else image
            arguments = [json.dumps(steps), source, Path(temporary, output), memory]
            child = subprocess.run(
                [sys.executable, "-c", CHILD, *arguments],
                capture_output=True,
                text=True,
                check=True,
            )
            match json.loads(child.stdout):
                case [refusal]:
                    print(f"| {name} | refused: {refusal} | | | |", flush=True)
                case [seconds, stated, peak, rows]:
                    sizes = f"{format_size(stated)} | {format_size(peak)}"
                    print(f"| {name} | {sizes} | {seconds:.0f} | {rows or ''} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="pixels a side")
    parser.add_argument("--memory", default="768 MiB", help="the budget of each run")
    parser.add_argument("--only", nargs="*", default=[*CASES, *PLANES], help="kinds of results")
    parser.add_argument("--folder", type=Path, help="where images go (else a temporary folder)")
    options = parser.parse_args()
    main(options.size, options.memory, options.only, options.folder)
