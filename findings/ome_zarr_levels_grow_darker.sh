#!/usr/bin/env bash
# Packages: ome-zarr==0.18.0, zarr==3.1.6, dask[array]==2026.8.0, scikit-image==0.26.0, numpy==2.4.6
#
# Seen: The levels that `ome_zarr.writer.write_image` makes of an integer image lose half a grey value
# each, in the mean: averages are cut, not rounded, and the next level is made from the cut one.
# After six levels an 8-bit image of noise is three grey values darker than level 0.
#
# A good guess: Averages are rounded, so that the mean of every level stays within a few hundredths
# of the image's, as in the levels of tensorstore, ngff-zarr and GDAL.
#
# Why it matters: In dim 12-bit or 16-bit images the background has a few counts: a threshold or a
# mean that is set on a coarse level does not fit the full resolution, and the shift is of one sign.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "ome-zarr==0.18.0" "zarr==3.1.6" "dask[array]==2026.8.0" "scikit-image==0.26.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import zarr
from ome_zarr.writer import write_image

print("ome-zarr", version("ome-zarr"))


def means(image, name):
    """The mean of every level of the file that is written."""
    write_image(
        image,
        zarr.open_group(name, mode="w"),
        axes="yx",
        scale_factors=[{"y": 2**level, "x": 2**level} for level in range(1, 7)],
    )
    group = zarr.open_group(name, mode="r")
    paths = sorted(group.array_keys(), key=lambda key: -group[key].shape[0])
    return [float(group[path][:].mean()) for path in paths]


noise = np.random.default_rng(0).integers(0, 256, (1024, 1024)).astype(np.uint8)
integers = means(noise, "integers.zarr")
floats = means(noise.astype(np.float32), "floats.zarr")
print("uint8  ", *(f"{mean:.2f}" for mean in integers))
print("float32", *(f"{mean:.2f}" for mean in floats))
assert len(integers) == len(floats) == 7
assert all(0.4 < finer - coarser < 0.6 for finer, coarser in zip(integers, integers[1:]))
assert integers[0] - integers[-1] > 2.5

# The contrast: the same levels of the same numbers in floats keep the mean.
assert abs(floats[0] - floats[-1]) < 0.2
EOF
