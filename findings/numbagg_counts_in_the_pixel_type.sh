#!/usr/bin/env bash
# Packages: numbagg==0.9.6, numpy==2.4.6
#
# Seen: `numbagg.group_nancount` counts in the data type of the values: a label of 300 pixels in an 8-bit image has 44.
# `group_nanargmax` and `group_nanargmin` return the place of the pixel in it too, modulo 256. The means of the same
# labels are right, and in float64.
#
# A good guess: Counts and places are integers of the platform's size, as they are in NumPy, pandas and SciPy,
# whatever is counted.
#
# Why it matters: The area of each object in an 8-bit image is taken modulo 256, and `values[place]` reads a pixel of
# another object. With small test images every number is right.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numbagg==0.9.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numbagg
import numpy as np

print("numbagg", version("numbagg"))
labels = np.repeat([0, 1], [300, 1000])
values = np.random.default_rng(0).integers(0, 100, labels.size)
values[[290, 1200]] = 120  # the brightest pixel of each object

for dtype in (np.uint8, np.uint16, np.float64):
    pixels = values.astype(dtype)
    count = numbagg.group_nancount(pixels, labels)
    place = numbagg.group_nanargmax(pixels, labels)
    mean = numbagg.group_nanmean(pixels, labels)
    print(f"{np.dtype(dtype).name:8} count {count} brightest at {place} ({count.dtype}) mean {mean} ({mean.dtype})")
    assert count.dtype == place.dtype == dtype
    assert np.allclose(mean, [values[labels == label].mean() for label in (0, 1)])
    if dtype is np.uint8:
        assert count.tolist() == [300 % 256, 1000 % 256]
        assert place.tolist() == [290 % 256, 1200 % 256]
    else:
        assert count.tolist() == [300, 1000] and place.tolist() == [290, 1200]

# The contrast: without groups, the same library counts in int64.
assert numbagg.nancount(values.astype(np.uint8)) == labels.size
EOF
