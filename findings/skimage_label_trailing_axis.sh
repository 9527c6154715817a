#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.measure.label` numbers the objects of an integer image in another order when the
# image has a trailing axis of length 1. A boolean image, and a leading axis of length 1, keep the
# order.
#
# A good guess: An axis of length 1 changes neither the objects nor the order in which a scan meets
# them, whatever the dtype and wherever the axis is.
#
# Why it matters: Two-dimensional slices that are labelled as thin volumes, (Y, X, 1), get labels
# that no longer match the labels of the plane, so tables joined by label mix up objects.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from skimage import measure

print("scikit-image", version("scikit-image"))
image = np.zeros((3, 3), np.uint8)
image[0, 2] = image[1, 0] = 1
plane = measure.label(image)
trailing = measure.label(image[:, :, None])[:, :, 0]
leading = measure.label(image[None])[0]
middle = measure.label(image[:, None, :])[:, 0, :]
print("plane      ", plane.tolist())
print("(Y, X, 1)  ", trailing.tolist())
assert plane[0, 2] == 1 and plane[1, 0] == 2
assert trailing[0, 2] == 2 and trailing[1, 0] == 1
assert np.array_equal(plane, leading) and np.array_equal(plane, middle)

mask = image.astype(bool)
assert np.array_equal(measure.label(mask), measure.label(mask[:, :, None])[:, :, 0])
print("boolean image, leading axis, middle axis: the plane's order")
EOF
