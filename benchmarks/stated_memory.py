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
}  # fmt: skip
"""The steps and the output of each."""
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
    rows = 0 if result.value is None or not isinstance(result.value, dict) else len(
        next(iter(result.value.values()))
    )
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, result.planned_memory, peak_resident(), rows]))
"""


def main(size: int, memory: str, names: list[str], folder: Path | None) -> None:
    """Print a table with a row per kind of result."""
    print(f"{size} x {size} uint16, memory={memory!r}")
    print("| result | stated | peak | seconds | rows |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        source = Path(temporary, "source.zarr")
        write_source(source, size)
        for name in names:
            steps, output = CASES[name]
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
    parser.add_argument("--only", nargs="*", default=list(CASES), help="kinds of results")
    parser.add_argument("--folder", type=Path, help="where images go (else a temporary folder)")
    options = parser.parse_args()
    main(options.size, options.memory, options.only, options.folder)
