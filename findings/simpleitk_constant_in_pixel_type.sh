#!/usr/bin/env bash
# Packages: SimpleITK==2.5.7, numpy==2.4.6
#
# Seen: With SimpleITK, half of a uint8 image is black: the constant in `image * 0.5` is first cut
# to the pixel type, 0. Likewise `image * 1.9` is the image, `image + 1.7` adds 1, and `image ==
# 10.4` finds pixels of value 10. Yet `image / 2.5` is a float64 image, but of the quotient by 2.
#
# A good guess: The result is promoted to float, as by NumPy, or is computed in real numbers and cut
# (100 for half of 200).
#
# Why it matters: Scaling an intensity by a fraction is the first thing many scripts do; the
# operators look like NumPy's, and division next to them answers in float64, so the type gives no
# warning either.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "SimpleITK==2.5.7" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import SimpleITK as sitk

print("SimpleITK", version("SimpleITK"))
samples = np.array([[200, 10]], np.uint8)
image = sitk.GetImageFromArray(samples)


def pixels(result):
    return sitk.GetArrayFromImage(result)


for text, result in (
    ("image * 0.5", image * 0.5), ("image * 1.9", image * 1.9), ("image + 1.7", image + 1.7),
    ("image == 10.4", image == 10.4), ("image / 2.5", image / 2.5),
):
    print(f"{text:14}", pixels(result), pixels(result).dtype)
assert (pixels(image * 0.5) == 0).all()
assert np.array_equal(pixels(image * 1.9), samples)
assert np.array_equal(pixels(image + 1.7), samples + 1)
assert pixels(image == 10.4).tolist() == [[0, 1]]
assert pixels(image / 2.5).dtype == np.float64 and np.array_equal(pixels(image / 2.5), samples / 2)
# The contrast: the same product of a float image.
assert np.allclose(pixels(sitk.Cast(image, sitk.sitkFloat32) * 0.5), samples * 0.5)
EOF
