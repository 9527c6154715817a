#!/usr/bin/env bash
# Packages: flox==0.11.2, numpy==2.4.6
#
# Seen: `flox.groupby_reduce(..., func="sum", expected_groups=...)` gives a label that no pixel has
# the lowest integer of the result's type: -9223372036854775808 for int16, int64 and bool. For uint8
# the same call gives 0, for float32 NaN. `max` and `min` of int16 give -32768, of uint8 0.
#
# A good guess: 0, the sum of nothing, as `numpy.bincount`, `scipy.ndimage.sum_labels` and pandas'
# `groupby(...).sum()` over a category without members; or NaN in floats throughout.
#
# Why it matters: Expected groups are there for labels that may be absent (a frame without a cell,
# a tile without an object). The number is valid to every later step, and the total of the table
# is off by 2^63.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "flox==0.11.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import flox
import numpy as np

print("flox", version("flox"))
labels = np.array([0, 0, 2, 2])
pixels = np.array([1, 0, 1, 1])


def absent(dtype, reduction):
    """The number of label 1, which no pixel has."""
    result, *_ = flox.groupby_reduce(
        pixels.astype(dtype), labels, func=reduction, expected_groups=np.arange(3)
    )
    return result[1]


for dtype in (bool, np.int16, np.int64, np.uint8, np.float32):
    print(np.dtype(dtype).name, "sum of no pixels:", absent(dtype, "sum"))
for dtype in (bool, np.int16, np.int64):
    assert absent(dtype, "sum") == np.iinfo(np.int64).min
assert absent(np.uint8, "sum") == 0
assert np.isnan(absent(np.float32, "sum"))
for reduction in ("max", "min"):
    print("int16", reduction, absent(np.int16, reduction), "uint8", absent(np.uint8, reduction))
    assert absent(np.int16, reduction) == -32768
    assert absent(np.uint8, reduction) == 0

# The contrasts: a count, a product and NumPy's sums know what nothing is.
assert absent(np.int16, "count") == 0
assert absent(np.int16, "prod") == 1
assert np.bincount(labels, pixels)[1] == 0
EOF
