#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: For a pixel with NaN in one channel `skimage.color.rgb2hsv` returns a saturation of 0 and a
# value of 0: a valid black. Its hue is memory that nobody wrote, so it may differ between calls.
# `rgb2lab` and `rgb2gray` give NaN for the same pixel.
#
# A good guess: NaN in, NaN out, as in the other conversions.
#
# Why it matters: A missing pixel (outside of a registered tile, masked by NaN) becomes an ordinary
# dark one that thresholds and means count, and `rgb2hsv(image)` is not equal to itself.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import numpy as np
from skimage import color

print("scikit-image", version("scikit-image"))
warnings.simplefilter("ignore")
image = np.full((64, 64, 3), (0.2, 0.6, 0.4))
image[10, 20, 1] = np.nan
hsv = color.rgb2hsv(image)
print("hsv of NaN:", "saturation", hsv[10, 20, 1], "value", hsv[10, 20, 2])
assert hsv[10, 20, 1] == 0 and hsv[10, 20, 2] == 0
assert np.isfinite(hsv[..., 1:]).all()
lab, grey = color.rgb2lab(image)[10, 20], color.rgb2gray(image)[10, 20]
print("lab of NaN:", lab, "grey of NaN:", grey)
assert np.isnan(lab).all() and np.isnan(grey)
EOF
