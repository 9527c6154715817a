"""The time that an estimate tells against the time that the run then takes, for every kind.

The image is scikit-image's camera, mirrored up. Each run happens in a process of its own, as a
shell's does, after the estimate in the same process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import zarr
from skimage import data

from napari_tilewise.cli.run_demo import mirrored

NUCLEI = [["filters.gaussian", {"sigma": 2}], ["filters.threshold_otsu", {}], ["measure.label", {}]]
RECIPES = {
    "pointwise": [["exposure.adjust_gamma", {"gamma": 2}]],
    "neighbourhood": [["filters.gaussian", {"sigma": 4}]],
    "neighbourhood, slow": [["filters.sato", {"sigmas": [1, 2]}]],
    "statistic": [["exposure.equalize_hist", {}]],
    "connected": [["filters.threshold_otsu", {}], ["measure.label", {}]],
    "geometry": [["transform.rotate", {"angle": 30}]],
    "geometry, own size": [["transform.resize", {"output_shape": [3000, 3000]}]],
    "iterative": [["restoration.denoise_tv_chambolle", {"max_num_iter": 10}]],
    "whole": [["filters.butterworth", {}]],
    "chain": NUCLEI,
    "table": [*NUCLEI, ["measure.regionprops_table", {"properties": ["label", "area"]}]],
}
CHILD = """
import json, sys, time
import napari_tilewise as tw
from napari_tilewise.runs.estimate import estimate
recipe, source, destination = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
steps = tw.Recipe([tuple(step) for step in recipe])
told = estimate(tw.plan(steps, source, resume=True))
started = time.perf_counter()
tw.run(steps, source, destination, overwrite=True)
print(json.dumps([told.seconds, told.took, told.share, time.perf_counter() - started, told.reason]))
"""


def write_source(path: Path, size: int) -> None:
    """Stream the mirrored photograph, 16 bit, to a Zarr array."""
    image = data.camera().astype(np.uint16) * 257
    array = zarr.create_array(
        path, shape=(size, size), chunks=(512, 512), dtype="uint16", dimension_names=("y", "x")
    )
    for start in range(0, size, 512):
        rows = slice(start, min(start + 512, size))
        array[rows] = mirrored(image, size, rows)


def main() -> None:
    """Estimate and run every recipe, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 8192], help="pixels a side")
    parser.add_argument("--only", nargs="*", help="kinds; all unless given")
    args = parser.parse_args()
    print(f"{'kind':22} {'side':>5} {'estimate':>9} {'real':>8} {'ratio':>6}   sample")
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "source.zarr")
            write_source(source, size)
            for kind in args.only or RECIPES:
                suffix = "csv" if kind == "table" else "ome.zarr"
                command = [sys.executable, "-c", CHILD, json.dumps(RECIPES[kind])]
                command += [str(source), str(Path(folder, f"a.{suffix}"))]
                stated, took, share, real, reason = json.loads(subprocess.check_output(command))
                if stated is None:
                    print(f"{kind:22} {size:5} {'none':>9} {real:6.1f} s         {reason}")
                    continue
                print(
                    f"{kind:22} {size:5} {stated:7.1f} s {real:6.1f} s {stated / real:6.2f}   "
                    f"{share:.1%} in {took:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
