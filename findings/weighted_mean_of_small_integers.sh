#!/usr/bin/env bash
# Packages: dask[array]==2026.8.0, xarray==2026.9.0, numpy==2.4.6
#
# Seen: With weights of uint8, the weighted mean of a uint8 image wraps: of 250 and 250 with weights
# 1 and 2, `dask.array.average` makes 164.67 and xarray's `weighted(...).mean()` 79.33;
# `numpy.average` makes 250. In xarray the weighted sum wraps even with a boolean mask as weights
# (244 for 500).
#
# A good guess: As `numpy.average`, whose documentation dask repeats: integer input is computed in
# float64. And xarray's plain `sum` of uint8 widens, so its weighted sum does.
#
# Why it matters: A mask or a map of counts in uint8 as weights is the natural way to average part
# of an image; the numbers look plausible and have a float dtype.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask[array]==2026.8.0" "xarray==2026.9.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import dask.array as da
import numpy as np
import xarray as xr

print("dask", version("dask"), "- xarray", version("xarray"), "- numpy", np.__version__)
image, weights = np.array([250, 250], np.uint8), np.array([1, 2], np.uint8)
by_numpy = np.average(image, weights=weights)
by_dask = float(da.average(da.from_array(image, chunks=1), weights=weights).compute())
labelled, labelled_weights = xr.DataArray(image, dims="x"), xr.DataArray(weights, dims="x")
by_xarray = float(labelled.weighted(labelled_weights).mean())
print("weighted mean: NumPy", by_numpy, "- dask", by_dask, "- xarray", by_xarray)
assert by_numpy == 250
assert np.isclose(by_dask, (250 + 500 % 256) / 3)
assert np.isclose(by_xarray, (250 + 500) % 256 / 3)

mask = xr.DataArray(np.array([True, True]), dims="x")
masked_sum = int(labelled.weighted(mask).sum())
print("sum under a boolean mask: xarray", masked_sum, "- the plain sum", int(labelled.sum()))
assert masked_sum == 500 % 256 and int(labelled.sum()) == 500

# The default integer type of the weights is wide enough: right by luck.
assert float(da.average(da.from_array(image, chunks=1), weights=weights.astype(int)).compute()) == 250
assert float(labelled.weighted(labelled_weights.astype(int)).mean()) == 250
EOF
