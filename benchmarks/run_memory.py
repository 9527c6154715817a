"""A run on an image far larger than its memory budget: Gaussian -> Otsu -> label, peak resident.

The image is scikit-image's Hubble deep field, mirrored, streamed to a Zarr array; the run happens
in a child process, whose whole peak (interpreter included) is what is printed.
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

from napari_tilewise.cli.run_demo import mirrored, photograph
from napari_tilewise.sizes import format_size

CHUNK = 1024
CHILD = """
import json, sys, time
import napari_tilewise as tw
from napari_tilewise.engine.system.resident import peak_resident
recipe = tw.Recipe([("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"])
start = time.perf_counter()
before = peak_resident()
result = tw.run(recipe, sys.argv[1], sys.argv[2], memory=sys.argv[3], overwrite=True)
seconds = time.perf_counter() - start
print(json.dumps([seconds, before, peak_resident(), result.planned_memory, result.tiles]))
"""


def write_source(path: Path, size: int) -> None:
    """Stream the mirrored photograph, 16 bit, to a Zarr array."""
    image = photograph().astype(np.uint16) * 257
    array = zarr.create_array(path, shape=(size, size), chunks=(CHUNK, CHUNK), dtype="uint16")
    for start in range(0, size, CHUNK):
        rows = slice(start, min(start + CHUNK, size))
        array[rows] = mirrored(image, size, rows)


def count(path: Path) -> int:
    """Return the largest label of the finest level."""
    level = zarr.open_group(path, mode="r")["0"]
    return max(int(level[y : y + CHUNK].max()) for y in range(0, level.shape[0], CHUNK))


def main() -> None:
    """Write the source, run, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8192, help="pixels a side (issue 2: 32768)")
    parser.add_argument("--memory", default="1 GiB")
    parser.add_argument("--folder", type=Path, help="where the images go (else a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source, destination = Path(folder, "source.zarr"), Path(folder, "labels.ome.zarr")
        write_source(source, args.size)
        out = subprocess.check_output(
            [sys.executable, "-c", CHILD, str(source), str(destination), args.memory]
        )
        seconds, before, peak, stated, tiles = json.loads(out)
        objects = count(destination)
    print(
        f"{args.size} x {args.size} uint16 ({format_size(args.size**2 * 2)}), memory="
        f"{args.memory!r}: {seconds:.0f} s, {tiles} tiles, {objects} objects, peak resident "
        f"{format_size(peak)} (stated {format_size(stated)}, interpreter {format_size(before)})"
    )


if __name__ == "__main__":
    main()
