#!/usr/bin/env bash
# Packages: bioio==3.6.0, bioio-ome-tiff==1.4.0, tifffile==2026.3.3, numpy==2.4.6
#
# Seen: bioio's `get_image_data("CYX", C=-1)` returns no channel at all, an array of shape (0, Y,
# X), and nothing is raised. C=-2 returns the channel before the last, C=-1 without "C" in the order
# returns the last plane, and C=[0, -1] returns two channels.
#
# A good guess: -1 is the last channel in every form, as in NumPy and as in the three neighbouring
# forms.
#
# Why it matters: A loop from the end, or "the last channel is the nuclei", goes on with an empty
# image; its sums are 0 and its label count is 0.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "bioio==3.6.0" "bioio-ome-tiff==1.4.0" "tifffile==2026.3.3" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import tifffile
from bioio import BioImage

print("bioio", version("bioio"), "- bioio-ome-tiff", version("bioio-ome-tiff"))
channels = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
tifffile.imwrite("image.ome.tif", channels, metadata={"axes": "CYX"})
image = BioImage("image.ome.tif")

for order, index in (("CYX", 2), ("CYX", -2), ("CYX", -1), ("CYX", [-1]), ("CYX", [0, -1]), ("YX", -1)):
    print(f"get_image_data({order!r}, C={index}):", image.get_image_data(order, C=index).shape)
assert np.array_equal(image.get_image_data("CYX", C=2), channels[2:])
assert np.array_equal(image.get_image_data("CYX", C=-2), channels[1:2])
assert image.get_image_data("CYX", C=-1).shape == (0, 4, 5)
assert image.get_image_data("CYX", C=[-1]).shape == (0, 4, 5)
assert image.get_image_dask_data("CYX", C=-1).shape == (0, 4, 5)
assert np.array_equal(image.get_image_data("CYX", C=[0, -1]), channels[[0, 2]])
assert np.array_equal(image.get_image_data("YX", C=-1), channels[2])
EOF
