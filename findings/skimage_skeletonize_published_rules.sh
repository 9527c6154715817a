#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, opencv-contrib-python-headless==5.0.0.93, scipy==1.17.1,
# numpy==2.4.6
#
# Seen: `skimage.morphology.skeletonize(method="zhang")` does not thin by the rules that Zhang and
# Suen published. OpenCV's thinning of the same name does: it erases a square of 2 x 2 pixels, as
# the paper's conditions demand, where scikit-image keeps two pixels; on the horse of scikit-image's
# own data the two skeletons differ in dozens of pixels.
#
# A good guess: Two implementations of one paper's short deterministic rules, both named after it,
# agree pixel for pixel.
#
# Why it matters: Skeletons of the two libraries cannot be compared pixel by pixel, and who writes
# the method again from the paper (for a GPU, for tiles) must copy scikit-image's table of
# neighbourhoods instead. The deviation is kind: no object disappears.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "opencv-contrib-python-headless==5.0.0.93" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import cv2
import numpy as np
from skimage import data, measure, morphology

print("scikit-image", version("scikit-image"), "- OpenCV", cv2.__version__)


def by_opencv(mask):
    return cv2.ximgproc.thinning(mask.astype(np.uint8) * 255, thinningType=cv2.ximgproc.THINNING_ZHANGSUEN) > 0


def by_skimage(mask):
    return morphology.skeletonize(mask, method="zhang")


square = np.pad(np.ones((2, 2), bool), 2)
print("2 x 2 square:", by_opencv(square).sum(), "pixels by OpenCV,", by_skimage(square).sum(), "by scikit-image")
# By the paper each pixel of the square has three neighbours and one step from 0 to 1 around it, and the first
# round of rules takes two corners and the second the other two.
assert by_opencv(square).sum() == 0 and by_skimage(square).sum() == 2

horse = ~data.horse()[::4, ::4]
published, library = by_opencv(horse), by_skimage(horse)
print("horse:", published.sum(), "pixels by OpenCV,", library.sum(), "by scikit-image,",
      (published != library).sum(), "differ")
assert (published != library).sum() > 20
# Both are skeletons: one component each, inside the horse.
assert measure.label(published).max() == measure.label(library).max() == 1
assert not (published & ~horse).any() and not (library & ~horse).any()
EOF
