#!/usr/bin/env bash
# Packages: fastremap==1.21.0, numpy==2.4.6
#
# Seen: `fastremap.minmax` of 1, NaN, 3 is (1, 3); of NaN, 1, 3 it is (NaN, NaN). Only a NaN in the
# first place counts.
#
# A good guess: One rule for the array, wherever the NaN stands: NaN as `numpy.min` and `numpy.max`,
# or the numbers as `numpy.nanmin` and `numpy.nanmax`.
#
# Why it matters: The first pixel is a corner of the image, where a mosaic or a rotated image has its
# NaN: a range taken tile by tile is a number in the middle tiles and NaN in the corner ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "fastremap==1.21.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import fastremap
import numpy as np

print("fastremap", version("fastremap"))
inside = np.array([1, np.nan, 3], np.float32)
first = np.array([np.nan, 1, 3], np.float32)
for row in (inside, first):
    print(row, fastremap.minmax(row))
assert fastremap.minmax(inside) == (1, 3)
assert fastremap.minmax(inside.reshape(3, 1)) == (1, 3)
assert np.isnan(fastremap.minmax(first)).all()
assert np.isnan(inside.min()) and np.isnan(first.min())
EOF
