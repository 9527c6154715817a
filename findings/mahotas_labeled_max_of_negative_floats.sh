#!/usr/bin/env bash
# Packages: mahotas==1.4.19, scipy==1.17.1, numpy==2.4.6
#
# Seen: In a floating-point image, `mahotas.labeled.labeled_max` of an object whose values are all negative is
# 2.2e-308 (1.2e-38 in float32), the smallest positive number. The same numbers as integers, and `labeled_min` of
# both, are right.
#
# A good guess: The largest value of the object, "equal to np.max(array[labeled == i])" as documented.
#
# Why it matters: After a background subtraction, in log ratios, z-scores and the responses of LoG or DoG filters
# objects are below zero. Their peak prints as nearly 0, and is above every pixel of the image.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "mahotas==1.4.19" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import mahotas
import numpy as np
from scipy import ndimage

print("mahotas", version("mahotas"))
labels = np.array([[0, 1, 1, 2, 2, 2]])
values = np.array([[-9, -3, -5, -7, 4, -2]])
for dtype in (np.int32, np.float32, np.float64):
    largest = mahotas.labeled.labeled_max(values.astype(dtype), labels)
    smallest = mahotas.labeled.labeled_min(values.astype(dtype), labels)
    print(f"{np.dtype(dtype).name:8} labeled_max {largest.tolist()} labeled_min {smallest.tolist()}")
    assert smallest.tolist() == [-9, -5, -7]
    if np.issubdtype(dtype, np.integer):
        assert largest.tolist() == [-9, -3, 4]
    else:
        # One positive pixel makes an object right.
        tiny = np.finfo(dtype).tiny
        assert largest.tolist() == [tiny, tiny, 4]
assert list(ndimage.maximum(values.astype(float), labels, [0, 1, 2])) == [-9, -3, 4]
EOF
