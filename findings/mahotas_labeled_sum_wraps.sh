#!/usr/bin/env bash
# Packages: mahotas==1.4.19, scipy==1.17.1, numpy==2.4.6
#
# Seen: `mahotas.labeled_sum` adds in the image's dtype: two pixels of 200 in a uint8 image have the
# sum 144. Its documentation defines the result as `np.sum(array[labeled == i])`, which is 400.
#
# A good guess: What its documentation defines: NumPy's sum, which widens small integers.
#
# Why it matters: The integrated intensity of every object of an 8-bit or 16-bit image is taken
# modulo 256 or 65,536; quotients with the (right) sizes look like dark objects.
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
image = np.array([200, 200, 200, 10], np.uint8)
labels = np.array([0, 1, 1, 2], np.int32)
sums = mahotas.labeled_sum(image, labels)
defined = [int(np.sum(image[labels == label])) for label in range(3)]
print("mahotas", sums.tolist(), "of", sums.dtype, "- as defined", defined, "- SciPy", ndimage.sum_labels(image, labels, [0, 1, 2]))
assert sums.tolist() == [200, 144, 10]
assert defined == [200, 400, 10]
assert mahotas.labeled_sum(image.astype(np.int64), labels).tolist() == defined
assert mahotas.labeled.labeled_size(labels).tolist() == [1, 2, 1]
EOF
