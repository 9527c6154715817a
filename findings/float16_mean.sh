#!/usr/bin/env bash
# Packages: dask[array]==2026.8.0, xarray==2026.9.0, numpy==2.4.6
#
# Seen: The mean of 90,000 pixels of value 1 in float16 is 1.0 with NumPy, infinity with xarray, and
# NaN with dask in any chunks: both add in float16, whose largest number is 65,504, and dask counts
# in it too.
#
# A good guess: A wider intermediate type for float16, as NumPy's documentation promises of `mean`,
# in libraries that otherwise copy its rules.
#
# Why it matters: Half-precision images (from networks, from OpenEXR, from zarr stores that save
# space) have no mean as soon as they are larger than 256 x 256, even when every pixel and the mean
# itself are small.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask[array]==2026.8.0" "xarray==2026.9.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import warnings

import dask.array as da
import numpy as np
import xarray as xr

print("dask", version("dask"), "- xarray", version("xarray"), "- numpy", np.__version__)
warnings.simplefilter("ignore", RuntimeWarning)
small, large = np.ones((100, 100), np.float16), np.ones((300, 300), np.float16)
for image in (small, large):
    by_dask = da.from_array(image, chunks=50).mean().compute()
    by_xarray = float(xr.DataArray(image).mean())
    print(image.shape, "NumPy", image.mean(), "- xarray", by_xarray, "- dask", by_dask)
    assert image.mean() == 1
    if image is small:
        assert by_dask == by_xarray == 1
    else:
        assert np.isnan(by_dask) and np.isinf(by_xarray)
assert np.isnan(da.from_array(large, chunks=-1).mean().compute())
assert np.isnan(da.from_array(large, chunks=50).std().compute())
# The remedy: name the wider type.
assert da.from_array(large, chunks=50).mean(dtype="f4").compute() == 1
assert float(xr.DataArray(large).mean(dtype="f4")) == 1
EOF
