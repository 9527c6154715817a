#!/usr/bin/env bash
# Packages: stardist==0.9.2, csbdeep==0.8.2, numpy==2.4.6
#
# Seen: `stardist.matching.matching` of an image without objects and a prediction without objects has precision,
# recall, F1 and accuracy 0. `matching_dataset(by_image=True)` averages that in: perfect predictions for one image
# with objects and one without score 0.5, and with nine without 0.1. By default (by_image=False) they score 1.
#
# A good guess: 1 for a right answer, or NaN and left out of the mean, as scikit-learn's `zero_division` offers.
#
# Why it matters: Test sets have empty fields, and tiling makes many more: the same segmentation of the same slide
# scores lower, the smaller the tiles are, and a model that invents an object in every empty tile scores the same.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "stardist==0.9.2" "csbdeep==0.8.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from stardist.matching import matching, matching_dataset

print("stardist", version("stardist"))
empty = np.zeros((16, 16), int)
cell = empty.copy()
cell[4:9, 4:9] = 1
one = matching(empty, empty)
print("nothing, and nothing found:", f"f1 {one.f1} accuracy {one.accuracy} fp {one.fp} fn {one.fn}")
assert one.f1 == one.accuracy == one.precision == one.recall == 0
assert one.fp == one.fn == one.tp == 0

for others in (0, 1, 9):
    truth = [cell] + [empty] * others
    images = matching_dataset(truth, truth, by_image=True, show_progress=False)
    pooled = matching_dataset(truth, truth, by_image=False, show_progress=False)
    print(f"a perfect result with {others} empty images: f1 by image {images.f1}, pooled {pooled.f1}")
    assert np.isclose(images.f1, 1 / (1 + others))
    assert pooled.f1 == 1

# An invented object in each empty image changes nothing by image.
truth, invented = [cell, empty], [cell, cell]
worse = matching_dataset(truth, invented, by_image=True, show_progress=False)
assert np.isclose(worse.f1, 0.5)
assert matching_dataset(truth, invented, by_image=False, show_progress=False).f1 < 1
EOF
