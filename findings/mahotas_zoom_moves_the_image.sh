#!/usr/bin/env bash
# Packages: mahotas==1.4.19, scipy==1.17.1, numpy==2.4.6
#
# Seen: `mahotas.interpolate.zoom` and `shift`, and `mahotas.resize.imresize`, which calls zoom, move every image up
# and left by one pixel: zoom by 1 and shift by 0 lose the first row and column and end in zeros. The order of the
# spline has no effect: 1, 3 and 5 take the nearest pixel, so that a shift by 1.5 is one by 2.
#
# A good guess: The identity for a zoom by 1 and a shift by 0, and SciPy's interpolation, whose parameters and
# documentation they share.
#
# Why it matters: Masks, labels or channels of which only one is resized no longer lie on each other, by a whole
# pixel of the coarse image (three pixels after a zoom by 3), and subpixel registration has no subpixels.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "mahotas==1.4.19" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from mahotas import interpolate, resize
from scipy import ndimage

print("mahotas", version("mahotas"))
image = np.random.default_rng(0).random((9, 11)) + 1
moved = np.zeros_like(image)
moved[:-1, :-1] = image[1:, 1:]
spot = np.zeros((9, 9))
spot[4, 4] = 1

for order in (1, 3, 5):
    # Zoom by 1 and shift by 0 are no identities.
    assert np.allclose(interpolate.zoom(image, 1.0, order=order), moved)
    assert np.allclose(interpolate.shift(image, (0, 0), order=order), moved)
    # A shift by one and a half pixels is one by two.
    half, whole = (interpolate.shift(spot, (shift, 0), order=order) for shift in (1.5, 2))
    assert np.allclose(half, whole)
    assert np.allclose(interpolate.zoom(image, 2.0, order=order), interpolate.zoom(image, 2.0, order=1))
assert np.allclose(resize.imresize(image, image.shape), moved)

print("a spot at (4, 4) after a shift by (1.5, 0):")
print("  mahotas", np.argwhere(half > 0.1).tolist(), "SciPy", np.argwhere(ndimage.shift(spot, (1.5, 0), order=1) > 0.1).tolist())
assert np.argwhere(half > 0.1).tolist() == [[5, 3]]

# Its centre in an image three times as large should be 13.
larger = interpolate.zoom(spot, 3.0, order=1)
print("its centre after a zoom by 3:", [float(place) for place in ndimage.center_of_mass(larger)])
assert np.allclose(ndimage.center_of_mass(larger), 11)
assert np.allclose(ndimage.center_of_mass(ndimage.zoom(spot, 3.0, order=1)), 13)
EOF
