#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.filters.threshold_triangle` of the coins image is 80 as uint8, about 51 as float,
# and 36 (scaled back) as the same image in 16 bits. The other histogram thresholds agree over the
# three to within a grey level.
#
# A good guess: The threshold is a place in the grey levels: the same image in another dtype has the
# same threshold, up to the width of a bin.
#
# Why it matters: A pipeline that is tuned on 8-bit previews segments something else on the 16-bit
# originals. The method measures the distance to a line in a histogram, so empty bins between the
# levels move the answer.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from skimage import data, filters, util

print("scikit-image", version("scikit-image"))
image = data.coins()


def grey_levels(method):
    return (
        float(method(image)),
        float(method(util.img_as_float(image))) * 255,
        float(method(util.img_as_uint(image))) / 257,
    )


for name in ("otsu", "yen", "li", "isodata", "triangle"):
    levels = grey_levels(getattr(filters, f"threshold_{name}"))
    print(f"{name:9} uint8 {levels[0]:6.2f}   float {levels[1]:6.2f}   uint16 {levels[2]:6.2f}")
    spread = max(levels) - min(levels)
    if name == "triangle":
        assert round(levels[0]) == 80 and round(levels[2]) == 36 and 40 < levels[1] < 60
    else:
        assert spread < 2

# More than a third of the pixels change sides.
foreground = [(image > level).mean() for level in grey_levels(filters.threshold_triangle)]
print("foreground:", [f"{share:.0%}" for share in foreground])
assert max(foreground) - min(foreground) > 0.3
EOF
