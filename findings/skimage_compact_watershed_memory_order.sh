#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.segmentation.watershed(image, markers, compactness=...)` gives other labels for the
# same image held in Fortran order, as a transpose or a MATLAB file gives it: four pixels in five
# differ. Without compactness, or with only the markers in Fortran order, nothing changes.
#
# A good guess: Memory order is no property of an image; equal arrays give equal labels.
#
# Why it matters: A pipeline that transposes, or reads another format, gets other cells, though
# `numpy.array_equal` says that its input is the same. With compactness the distance to the marker is
# taken from the wrong pixel.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from skimage import data, filters
from skimage.segmentation import watershed

print("scikit-image", version("scikit-image"))
image = filters.sobel(data.camera()[:200, :300] / 255)
markers = np.zeros(image.shape, np.int32)
markers[20::40, 20::40] = np.arange(1, 36).reshape(5, 7)


def share(compactness, first, second):
    labels = [watershed(*pair, compactness=compactness) for pair in (first, second)]
    return float(np.mean(labels[0] != labels[1]))


rows = image, markers
columns = np.asfortranarray(image), markers
assert np.array_equal(rows[0], columns[0])
compact = share(0.01, rows, columns)
print(f"compactness 0.01, image in Fortran order: {compact:.0%} of the labels differ")
assert compact > 0.5
plain = share(0, rows, columns)
only_markers = share(0.01, rows, (image, np.asfortranarray(markers)))
print(f"no compactness: {plain:.0%}; markers in Fortran order: {only_markers:.0%}")
assert plain == only_markers == 0
EOF
