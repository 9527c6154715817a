#!/usr/bin/env bash
# Packages: opencv-python-headless==5.0.0.93, numpy==2.4.6
#
# Seen: OpenCV 5 takes boolean arrays. `cv2.bitwise_not` of one returns a boolean array that is True
# everywhere: it flips all eight bits, so True becomes 254, which is still true. `bitwise_and`, `or`
# and `xor` of boolean arrays are right.
#
# A good guess: An error, or the negation: the new type is a boolean, and its three sisters treat it
# as one.
#
# Why it matters: An inverted mask that selects everything passes silently through masking, counting
# and statistics; the array even holds bytes (254, 255) that NumPy does not allow in a boolean.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import cv2
import numpy as np

print("OpenCV", cv2.__version__)
mask = np.array([[True, False, True, False]])
inverted = cv2.bitwise_not(mask)
print("not", mask.tolist(), "=", inverted.tolist(), "of", inverted.dtype, "- bytes", inverted.view("u1").tolist())
assert inverted.dtype == bool and inverted.all()
assert inverted.view("u1").tolist() == [[254, 255, 254, 255]]
assert cv2.countNonZero(inverted) == 4

other = np.array([[True, True, False, False]])
assert np.array_equal(cv2.bitwise_and(mask, other), mask & other)
assert np.array_equal(cv2.bitwise_xor(mask, other), mask ^ other)
assert np.array_equal(cv2.bitwise_xor(mask, np.ones_like(mask)), ~mask)
print("and, xor: right; xor with an all-true mask is the inversion that works")
EOF
