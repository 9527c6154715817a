#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6
#
# Seen: `scipy.ndimage.median` of a label that does not occur returns a pixel of another label (the
# smallest value under the lowest label, usually background). `mean` and `standard_deviation` return
# NaN for it, `maximum` and `minimum` return 0.
#
# A good guess: NaN, as its neighbours in the same module.
#
# Why it matters: Tables over a fixed range of labels (a tile, a frame in which a cell is absent)
# get a believable median for an object that is not there, and one that changes with the background.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import warnings

import numpy as np
from scipy import ndimage

print("scipy", version("scipy"))
warnings.simplefilter("ignore", RuntimeWarning)
labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
values = np.array([37.0, 90, 95, 1, 2, 3, 7, 8, 9])
index = [1, 2, 3]  # there is no label 3
for name in ("mean", "standard_deviation", "maximum", "minimum", "median"):
    print(f"{name:18}", [float(number) for number in getattr(ndimage, name)(values, labels, index)])
medians = ndimage.median(values, labels, index)
assert [float(number) for number in medians] == [2, 8, 37]
assert np.isnan(ndimage.mean(values, labels, index)[2])
assert np.isnan(ndimage.standard_deviation(values, labels, index)[2])
assert ndimage.maximum(values, labels, index)[2] == 0

values[0] = 50
assert ndimage.median(values, labels, index)[2] == 50
print("with another background pixel the absent label's median is", float(ndimage.median(values, labels, index)[2]))
EOF
