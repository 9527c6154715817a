#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.restoration.denoise_tv_bregman` of an image with one row returns numbers from memory
# that is not the image's: what lies behind the image in a larger array decides about the result, as
# when a row is sliced from an image. With two rows it does not.
#
# A good guess: a row is denoised along itself, as `denoise_tv_chambolle` does.
#
# Why it matters: a line profile, or a stack's plane that was reduced to one row, gets values such as
# 1e160 or NaN, or plausible ones that change from run to run, and nothing is raised.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from skimage.restoration import denoise_tv_bregman, denoise_tv_chambolle

print("scikit-image", version("scikit-image"))
rng = np.random.default_rng(0)


def answers(function, rows):
    """Denoise the first rows of arrays that differ behind them only."""
    results = []
    for beyond in (0.0, 1.0, 1000.0):
        array = np.full((rows + 4, 9), beyond)
        array[:rows] = rng_rows[:rows]
        results.append(function(array[:rows]))
    return results


rng_rows = rng.random((2, 9))
for function, rows in ((denoise_tv_bregman, 1), (denoise_tv_bregman, 2), (denoise_tv_chambolle, 1)):
    first, *others = answers(function, rows)
    same = all(np.array_equal(first, other) for other in others)
    print(f"{function.__name__}, {rows} row(s): the same whatever lies behind: {same}")
    assert same == ((function, rows) != (denoise_tv_bregman, 1))
EOF
