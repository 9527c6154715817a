#!/usr/bin/env bash
# Packages: tensorstore==0.1.86, numpy==2.4.6
#
# Seen: `tensorstore.downsample` by "max" makes -inf of a block in which every value is NaN, and by
# "min" +inf. "mean", "median" and "mode" of the same block are NaN. In a block with some NaN,
# "min", "max" and "median" pass over them, and "mean" is NaN.
#
# A good guess: NaN for a block without a number in all methods, as `numpy.nanmax` (with a warning)
# and `numpy.max`; and one rule for NaN, whatever the method.
#
# Why it matters: NaN marks what lies outside of a mosaic or a mask. In the overviews of a pyramid
# it becomes an infinity, which a viewer's automatic contrast and every later mean take in.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tensorstore==0.1.86" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import tensorstore

print("tensorstore", version("tensorstore"))
row = np.array([1, np.nan, 3, 4, np.nan, np.nan], np.float32)
overview = {}
for method in ("mean", "median", "mode", "min", "max"):
    store = tensorstore.downsample(tensorstore.array(row), [2], method)
    overview[method] = store.read().result()
    print(f"{method:6} of {row}: {overview[method]}")

assert overview["max"][2] == -np.inf
assert overview["min"][2] == np.inf
for method in ("mean", "median", "mode"):
    assert np.isnan(overview[method][2])

# One number and one NaN: two rules.
assert np.isnan(overview["mean"][0])
for method in ("min", "max", "median"):
    assert overview[method][0] == 1
EOF
