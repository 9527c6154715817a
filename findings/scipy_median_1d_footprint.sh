#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6
#
# Seen: In one dimension `scipy.ndimage.median_filter` ignores the holes of a footprint: it counts
# the rank among the footprint's true entries and then picks that rank among ALL entries. And it
# sorts uint64 values above 2**63 as negative numbers. The same line as an image with one row is
# right in both.
#
# A good guess: A footprint with holes takes the median of the samples under its true entries, in
# any number of dimensions, and unsigned integers are ordered as unsigned.
#
# Why it matters: The result is not the median of anything (it is a low rank of the whole window);
# one-dimensional profiles and traces are wrong while images are right.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from scipy import ndimage

print("scipy", version("scipy"))
footprint = np.array([1, 0, 1, 0, 1], bool)
line = np.array([0, 9, 0, 5, 0, 7, 0, 3, 0, 8.0])
median_1d = ndimage.median_filter(line, footprint=footprint)
median_2d = ndimage.median_filter(line[None], footprint=footprint[None])[0]
generic = ndimage.generic_filter(line, np.median, footprint=footprint)
print("1-D     ", median_1d)
print("one row ", median_2d)
assert np.array_equal(median_2d, generic)
assert not np.array_equal(median_1d, generic)
# What it computes: rank 3 // 2 of all five samples.
second_smallest = ndimage.generic_filter(line, lambda window: np.sort(window)[1], size=5)
assert np.array_equal(median_1d, second_smallest)

large = np.array([1, 2**63 + 4096, 3, 2**63 + 8192, 2], np.uint64)
print("uint64 1-D    ", ndimage.median_filter(large, 3))
print("uint64 one row", ndimage.median_filter(large[None], (1, 3))[0])
assert ndimage.median_filter(large, 3)[1] == 1  # of 1, 2**63 + 4096 and 3
assert ndimage.median_filter(large[None], (1, 3))[0, 1] == 3
EOF
