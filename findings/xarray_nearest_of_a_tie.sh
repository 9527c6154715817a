#!/usr/bin/env bash
# Packages: xarray==2026.9.0, scipy==1.17.1, pandas==3.1.1, numpy==2.4.6
#
# Seen: Halfway between two pixels, `sel(method="nearest")` and `reindex(method="nearest")` of xarray take the one
# with the larger coordinate, and `interp(method="nearest")` the one with the smaller. At the centres of blocks of
# two pixels (0.5, 2.5, 4.5 ...) every position is such a tie: sel takes the odd pixels, interp the even.
#
# A good guess: One library means one pixel by "nearest"; ties are rare, and are settled alike.
#
# Why it matters: Levels of a pyramid and binned channels have their coordinates at block centres. Reading a label
# image there with one call and the intensities with the other pairs each pixel with its neighbour.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    "xarray==2026.9.0" "scipy==1.17.1" "pandas==3.1.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import xarray as xr

print(*(f"{name} {version(name)}" for name in ("xarray", "scipy", "pandas")), sep=", ")
# Each pixel's value is its position.
line = xr.DataArray(np.arange(8.0), dims="x", coords={"x": np.arange(8.0)})
centres = line.coarsen(x=2).mean()["x"]
print("block centres       ", centres.values)

chosen = line.sel(x=centres, method="nearest").values
filled = line.reindex(x=centres, method="nearest").values
interpolated = line.interp(x=centres, method="nearest").values
print("sel, nearest        ", chosen)
print("reindex, nearest    ", filled)
print("interp, nearest     ", interpolated)
assert chosen.tolist() == filled.tolist() == [1, 3, 5, 7]
assert interpolated.tolist() == [0, 2, 4, 6]

# With the axis running downwards, it is still the larger coordinate, so now the pixel before.
downwards = line.isel(x=slice(None, None, -1))
assert downwards.sel(x=centres, method="nearest").values.tolist() == [1, 3, 5, 7]
assert downwards.interp(x=centres, method="nearest").values.tolist() == [0, 2, 4, 6]

# The contrast: beside the tie they agree.
beside = centres + 0.01
assert (line.sel(x=beside, method="nearest").values == line.interp(x=beside, method="nearest").values).all()
EOF
