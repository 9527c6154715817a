#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6, scikit-image==0.26.0
#
# Seen: The gradient magnitude of an 8-bit image is squared in 8 bits: an edge from 0 to 200 has a
# magnitude of 8 where the same image in uint16 has 72, and float 72.8. A weaker edge, from 0 to 40,
# has 14: more than the stronger one. uint16 wraps in the same way from gradients of 256 on.
# scikit-image's inverse_gaussian_gradient passes its image on as it is.
#
# A good guess: The magnitude in the image's type, cut to whole numbers, or a float image, as
# scikit-image's own filters give; in any case a stronger edge has the larger value.
#
# Why it matters: inverse_gaussian_gradient is the first step of
# morphological_geodesic_active_contour. Of an 8-bit image the strongest edges stop the contour less
# than weak ones do, and other images of the same object give other contours by their data type.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6" "scikit-image==0.26.0"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from scipy import ndimage
from skimage.segmentation import inverse_gaussian_gradient

print("scipy", version("scipy"), "- scikit-image", version("scikit-image"))


def step(height, dtype):
    image = np.zeros((9, 40), dtype)
    image[:, 20:] = height
    return image


def strength(height, dtype):
    return float(ndimage.gaussian_gradient_magnitude(step(height, dtype), sigma=1).max())


for dtype in ("uint8", "uint16", "float32"):
    print(f"{dtype:8}", {height: round(strength(height, dtype), 1) for height in (40, 100, 200)})
assert strength(200, "uint8") == 8 and strength(200, "uint16") == 72
assert strength(200, "uint8") < strength(40, "uint8") == strength(40, "uint16") == 14
assert abs(strength(200, "float32") - 72.8) < 0.1
assert strength(2000, "uint16") == 243 and round(strength(2000, "float32")) == 728

# What an active contour is stopped by: small is an edge, 1 is none.
edge = {dtype: inverse_gaussian_gradient(step(200, dtype), sigma=1).min() for dtype in ("uint8", "uint16")}
print("inverse_gaussian_gradient at the edge:", {dtype: round(float(value), 3) for dtype, value in edge.items()})
assert edge["uint8"] > 2.5 * edge["uint16"]
assert edge["uint8"] > inverse_gaussian_gradient(step(40, "uint8"), sigma=1).min()
EOF
