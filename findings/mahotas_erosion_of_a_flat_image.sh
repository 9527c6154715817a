#!/usr/bin/env bash
# Packages: mahotas==1.4.19, scikit-image==0.26.0, numpy==2.4.6
#
# Seen: `mahotas.erode` with its default structuring element makes a grey image darker by one everywhere, and
# `dilate` brighter by one: a flat image of 7 becomes 6, and 8. A boolean structuring element does so too.
# Only 0, and in a dilation the data type's largest number, stay: so `open` takes a region of 1 to 0, and `close`
# a saturated one of 255 to 254.
#
# A good guess: Erosion and dilation by a mask are the smallest and largest value under it, as in SciPy,
# scikit-image and OpenCV: a flat image stays as it is.
#
# Why it matters: The gradient, dilation minus erosion, is 2 in flat regions, and iterating moves the grey values step
# by step. Away from 0 and the top, `open` and `close` undo the offset, so a test with them passes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "mahotas==1.4.19" "scikit-image==0.26.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import mahotas
import numpy as np
from skimage import morphology

print("mahotas", version("mahotas"))
flat = np.full((5, 5), 7, np.uint8)
square = np.ones((3, 3), bool)
eroded, dilated = mahotas.erode(flat), mahotas.dilate(flat)
print("a flat image of 7, eroded:", np.unique(eroded), "dilated:", np.unique(dilated))
assert np.unique(eroded).tolist() == [6] and np.unique(dilated).tolist() == [8]
assert np.unique(mahotas.erode(flat, square)).tolist() == [6]
assert np.unique(mahotas.dilate(flat, square)).tolist() == [8]
assert np.unique(dilated - eroded).tolist() == [2]

image = np.random.default_rng(0).integers(10, 240, (40, 40)).astype(np.uint8)
assert (mahotas.dilate(image, square) == morphology.dilation(image, square) + 1).all()
assert (mahotas.erode(image, square) == morphology.erosion(image, square) - 1).all()
# Opening and closing cancel it.
assert (mahotas.open(image, square) == morphology.opening(image, square)).all()
assert (mahotas.close(image, square) == morphology.closing(image, square)).all()

# At the ends of the range they do not cancel.
for value, expected in ((0, (0, 0, 0, 0)), (1, (0, 2, 0, 1)), (255, (254, 255, 255, 254))):
    ends = np.full((5, 5), value, np.uint8)
    results = (mahotas.erode(ends), mahotas.dilate(ends), mahotas.open(ends), mahotas.close(ends))
    print(f"a flat image of {value}, eroded, dilated, opened, closed:", *(int(result[2, 2]) for result in results))
    assert [np.unique(result).tolist() for result in results] == [[number] for number in expected]
EOF
