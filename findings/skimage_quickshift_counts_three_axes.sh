#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.segmentation.quickshift` of a grey image of two axes counts `channel_axis` over
# three. -1 (the default) and 2 give labels of the image's shape; 1 and -2 take the columns for
# channels, and return one label per row.
#
# A good guess: of two axes, -1 and 1 are the same one, and 2 is an error, as in the neighbouring
# `felzenszwalb`.
#
# Why it matters: Code that replaces negative axes by positive ones (`axis % image.ndim`) before it
# calls gets labels of another shape, and no error.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from skimage import data, segmentation

print("scikit-image", version("scikit-image"))
image = data.coins()[40:60, 40:70] / 255
shapes = {
    axis: segmentation.quickshift(image, channel_axis=axis, convert2lab=False, rng=0).shape
    for axis in (-1, 2, 1, -2, 0, -3)
}
print("image", image.shape, "labels", shapes)
assert shapes[-1] == shapes[2] == image.shape
assert shapes[1] == shapes[-2] == (20, 1)
assert shapes[0] == shapes[-3] == (30, 1)

# The contrast: a neighbour counts the axes that the image has.
last, second = (segmentation.felzenszwalb(image, channel_axis=axis) for axis in (-1, 1))
assert (last == second).all()
try:
    segmentation.felzenszwalb(image, channel_axis=2)
except ValueError as error:
    print(f"felzenszwalb: -1 and 1 are the same axis, 2 raises {type(error).__name__}")
else:
    raise SystemExit("felzenszwalb takes 2")
EOF
