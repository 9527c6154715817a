#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: The spatial weights of `skimage.restoration.denoise_bilateral` are no Gaussian around the
# pixel. The table holds one row and one column more than the window, and is read with the window's
# width, so that each row of the window starts one place further left. With the default
# `sigma_spatial=1` the pixel itself has a weight of 0.00003, and the largest, 0.17, belongs to the
# pixel two rows below and two columns to the left. An edge moves by 1.7 pixels at `sigma_spatial=3`,
# and a mirrored image gives another result.
#
# A good guess: The documented weight by "Euclidean distance" is largest at the pixel itself; where
# colours do not matter the filter is the Gaussian one, and mirroring the image mirrors the result.
#
# Why it matters: Everything measured on the filtered image lies one to two pixels off, corners and
# thin lines are mixed with their neighbour at one side, and a port that computes the documented
# formula differs by up to half of the range.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from scipy import ndimage
from skimage import data, restoration

print("scikit-image", version("scikit-image"))

# Where the colours do not matter, the answer to a single bright pixel is the window's weights.
point = np.zeros((15, 15))
point[7, 7] = 1
answer = restoration.denoise_bilateral(point, sigma_color=1e6, sigma_spatial=1)
weights = answer[4:11, 4:11][::-1, ::-1]
peak = np.unravel_index(weights.argmax(), weights.shape)
print("weights per mille, 7 x 7:")
print(np.round(weights * 1000).astype(int))
print("largest at row, column:", [int(at) - 3 for at in peak], "- at the pixel itself:", weights[3, 3].round(6))
assert tuple(peak) == (5, 1) and weights[3, 3] < 1e-4
gaussian = ndimage.gaussian_filter(point, 1, truncate=3)[4:11, 4:11]
assert gaussian.argmax() == 24 and gaussian[3, 3] > 0.15

step = np.zeros((60, 60))
step[30:] = 1


def edge(image):
    return float(np.interp(0.5, image[:, 30], np.arange(60)))


moved = edge(restoration.denoise_bilateral(step, sigma_color=1e6, sigma_spatial=3, mode="edge"))
kept = edge(ndimage.gaussian_filter(step, 3, mode="nearest"))
print("an edge at row 29.5 lies at", round(moved, 2), "- after a Gaussian filter at", round(kept, 2))
assert abs(kept - 29.5) < 1e-6 and 1.5 < kept - moved < 1.9

camera = data.camera()[100:160, 200:290] / 255
mirrored = restoration.denoise_bilateral(camera[::-1].copy())[::-1]
difference = np.abs(mirrored - restoration.denoise_bilateral(camera)).max()
print("filtered upside down, a photograph differs by up to", difference.round(2), "of 1")
assert difference > 0.5
assert np.allclose(ndimage.gaussian_filter(camera[::-1], 1)[::-1], ndimage.gaussian_filter(camera, 1))
EOF
