#!/usr/bin/env bash
# Packages: mahotas==1.4.19, scipy==1.17.1, numpy==2.4.6
#
# Seen: `mahotas.convolve` and `convolve1d` do not flip the kernel: they compute the correlation. An
# impulse comes out as the mirrored kernel, where NumPy's and SciPy's functions of the same name
# return the kernel.
#
# A good guess: An impulse convolved with a kernel is the kernel; mahotas' documentation says
# "convolution", and has no function called correlate.
#
# Why it matters: Every unsymmetric kernel (a derivative, a point spread function, a shift) acts the
# wrong way round: edges change sign and images move in the other direction.
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
impulse = np.array([0, 0, 1.0, 0, 0])
kernel = np.array([1.0, 2.0, 3.0])
print("mahotas", mahotas.convolve(impulse, kernel), " SciPy", ndimage.convolve(impulse, kernel))
assert np.array_equal(np.convolve(impulse, kernel, "same"), [0, 1, 2, 3, 0])
assert np.array_equal(ndimage.convolve(impulse, kernel), [0, 1, 2, 3, 0])
assert np.array_equal(mahotas.convolve(impulse, kernel), [0, 3, 2, 1, 0])
assert np.array_equal(mahotas.convolve1d(impulse, kernel, 0), [0, 3, 2, 1, 0])

image = np.random.default_rng(0).random((20, 30))
kernel = np.random.default_rng(1).random((3, 5))
assert np.allclose(mahotas.convolve(image, kernel), ndimage.correlate(image, kernel))
assert not np.allclose(mahotas.convolve(image, kernel), ndimage.convolve(image, kernel))
assert not hasattr(mahotas, "correlate")
EOF
