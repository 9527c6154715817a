#!/usr/bin/env bash
# Packages: xarray==2026.9.0, dask==2026.8.0, numpy==2.4.6, pandas==3.0.0
#
# Seen: A fill value that the data type cannot hold is taken modulo 256: where(mask, -1),
# reindex(fill_value=-1), shift and pad of a uint8 image fill with 255, the brightest value.
# np.int64(-1) in the place of -1 gives int64 and -1. With dask's chunks, shift and pad raise
# OverflowError, and where and reindex still fill with 255. np.where is the same in NumPy 2.4; 2.5
# raises.
#
# A good guess: -1, in a wider type, as pandas has it and as where(mask) by itself turns integers to
# floats to hold NaN; or an OverflowError, which image + (-1) raises.
#
# Why it matters: -1 and 65535 are common marks for "no data". Masked pixels of an 8-bit image
# become saturated ones, without a warning, and whether that happens depends on whether the mark is
# Python's or NumPy's integer, and on whether the image is lazy.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "xarray==2026.9.0" "dask==2026.8.0" "numpy==2.4.6" "pandas==3.0.0"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
import xarray as xr

warnings.simplefilter("ignore")
print("xarray", version("xarray"), "- dask", version("dask"), "- pandas", version("pandas"))
pixels = np.array([200, 100, 50], np.uint8)
image = xr.DataArray(pixels, dims="x", coords={"x": [0, 1, 2]})
calls = {
    "where": lambda image: image.where(image > 60, -1),
    "reindex": lambda image: image.reindex(x=[0, 1, 9], fill_value=-1),
    "shift": lambda image: image.shift(x=-1, fill_value=-1),
    "pad": lambda image: image.isel(x=[0, 1]).pad(x=(0, 1), constant_values=-1),
}
for name, call in calls.items():
    filled = call(image)
    try:
        lazy = int(call(image.chunk(x=1)).compute()[-1])
    except OverflowError:
        lazy = "OverflowError"
    print(f"{name:8} {filled.dtype}, last pixel {int(filled[-1])}; with dask {lazy}")
    assert filled.dtype == np.uint8 and filled[-1] == 255
    assert lazy == (255 if name in ("where", "reindex") else "OverflowError")

# The same number of another class, and the same question to NumPy and pandas.
wide = image.where(image > 60, np.int64(-1))
assert wide.dtype == np.int64 and wide[-1] == -1
assert image.where(image > 60).dtype.kind == "f"
assert np.where(pixels > 60, pixels, -1)[-1] == 255
try:
    image + (-1)
    raise SystemExit("a sum takes a number that its type cannot hold")
except OverflowError:
    pass
series = pd.Series(pixels)
assert series.where(series > 60, -1).tolist() == [200, 100, -1]
EOF
