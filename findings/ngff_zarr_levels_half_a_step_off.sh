#!/usr/bin/env bash
# Packages: ngff-zarr[dask-image]==0.50.0, dask-image==2026.5.0, numpy==2.4.6
#
# Seen: For every downsampling method, `ngff_zarr.to_multiscales` writes the translation of block centres: 0.5 at a
# factor of 2, 3.5 at 8. The methods DASK_IMAGE_GAUSSIAN, DASK_IMAGE_NEAREST and DASK_IMAGE_MODE return the values at
# the first pixel of each block, so their levels are shown up to half a block away from where they belong.
# DASK_BIN_SHRINK and the ITK-Wasm filters for images return what the metadata say.
#
# A good guess: Values and translation fit together whatever the method, or the translation is the method's own.
#
# Why it matters: A ramp that is written with its coordinates reads 24 at the position 27.5. Objects jump by 3.5
# pixels between the levels, and coordinates measured on a coarse level are off, in one direction.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "ngff-zarr[dask-image]==0.50.0" "dask-image==2026.5.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import ngff_zarr
import numpy as np

print("ngff-zarr", version("ngff-zarr"), "dask-image", version("dask-image"))
# Each pixel's value is its own position.
ramp = np.broadcast_to(np.arange(512, dtype=np.float32), (64, 512)).copy()


def distances(method):
    """Position by the metadata minus position by the values, in pixels of level 0, for each coarse level."""
    image = ngff_zarr.to_ngff_image(ramp, dims=["y", "x"], scale={"y": 1.0, "x": 1.0}, translation={"y": 0.0, "x": 0.0})
    found = []
    for level in ngff_zarr.to_multiscales(image, scale_factors=[2, 4, 8], method=method, chunks=64).images[1:]:
        values = np.asarray(level.data)[4]
        column = values.size // 2
        found.append(column * level.scale["x"] + level.translation["x"] - float(values[column]))
    return np.round(found, 3).tolist()


methods = ngff_zarr.Methods
off = {
    method.name: distances(method)
    for method in methods
    if method.name.startswith("DASK") or method.name in ("ITKWASM_GAUSSIAN", "ITKWASM_BIN_SHRINK")
}
for name, values in off.items():
    print(f"{name:20} levels 2, 4, 8 are off by {values} pixels")
assert off["DASK_BIN_SHRINK"] == off["ITKWASM_BIN_SHRINK"] == [0, 0, 0]
assert np.allclose(off["ITKWASM_GAUSSIAN"], 0, atol=0.05)
assert off["DASK_IMAGE_NEAREST"] == off["DASK_IMAGE_MODE"] == [0.5, 1.5, 3.5]
assert np.allclose(off["DASK_IMAGE_GAUSSIAN"], [0.5, 1.5, 3.5], atol=0.05)
EOF
