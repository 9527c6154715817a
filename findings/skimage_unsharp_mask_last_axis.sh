#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.filters.unsharp_mask(image, channel_axis=-1)` on an RGB image filters the first
# three ROWS instead of the three channels, and returns the other rows as memory that was never
# written. `channel_axis=2` on the same image is right.
#
# A good guess: -1 and 2 name the same axis of an image with three axes, as in other functions with
# `channel_axis` (-1 is the usual spelling).
#
# Why it matters: The usual spelling returns whatever was in memory for nearly the whole picture, in
# the right shape and dtype, and raises nothing.
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

print("scikit-image", version("scikit-image"))
image = data.astronaut()[:64, :48] / 255
by_number = filters.unsharp_mask(image, radius=2, channel_axis=2)
by_last = filters.unsharp_mask(image, radius=2, channel_axis=-1)
print("agreeing pixels:", f"{(by_number == by_last).mean():.1%}")
assert not np.allclose(by_number, by_last)

# What -1 computes: each of the first three rows, as an image of columns by channels.
for row in range(3):
    row_alone = filters.unsharp_mask(image[row], radius=2)
    assert np.array_equal(by_last[row], row_alone)
print("the first three rows were filtered one by one, across the channels")

# The contrast: a neighbour with the same parameter treats both spellings alike.
blurred = filters.gaussian(image, sigma=2, channel_axis=2)
assert np.array_equal(blurred, filters.gaussian(image, sigma=2, channel_axis=-1))
print("filters.gaussian: -1 and 2 are the same axis")
EOF
