#!/usr/bin/env bash
# Packages: dask-image==2026.5.0, dask[array]==2026.8.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: In dask-image, `mode="wrap"` wraps the border chunk onto itself instead of the image onto
# its other side: sobel, prewitt, laplace, and the median, minimum, maximum and uniform filters
# differ from SciPy at the image's border as soon as there are two chunks along an axis. `convolve`
# and `correlate` are right: they were mended.
#
# A good guess: A filter of a tiled image does what SciPy does on the whole, in every mode that is
# accepted, the more so as the same package handles "wrap" in two of its filters.
#
# Why it matters: Periodic data (simulations, polar or angular axes) get a seam that depends on the
# chunk size; nothing is raised.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask-image==2026.5.0" "dask[array]==2026.8.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import dask.array as da
import numpy as np
from dask_image import ndfilters
from scipy import ndimage

print("dask-image", version("dask-image"))
image = np.random.default_rng(0).random((24, 24))
lazy = da.from_array(image, chunks=12)
kernel = np.ones((3, 3)) / 9


def disagreement(by_dask, by_scipy):
    return ~np.isclose(by_dask.compute(), by_scipy)


for name, argument in (
    ("sobel", -1), ("laplace", None), ("median_filter", 3), ("maximum_filter", 3), ("uniform_filter", 3),
    ("convolve", kernel), ("correlate", kernel),
):
    arguments = () if argument is None else (argument,)
    wrong = disagreement(
        getattr(ndfilters, name)(lazy, *arguments, mode="wrap"), getattr(ndimage, name)(image, *arguments, mode="wrap")
    )
    print(f"{name:15} pixels that differ from SciPy: {wrong.sum():3}, away from the border: {wrong[1:-1, 1:-1].sum()}")
    assert wrong.any() == (name not in ("convolve", "correlate"))
    assert not wrong[1:-1, 1:-1].any()
    reflected = disagreement(
        getattr(ndfilters, name)(lazy, *arguments, mode="reflect"),
        getattr(ndimage, name)(image, *arguments, mode="reflect"),
    )
    assert not reflected.any()
whole = da.from_array(image, chunks=-1)
assert not disagreement(ndfilters.median_filter(whole, 3, mode="wrap"), ndimage.median_filter(image, 3, mode="wrap")).any()
print("mode reflect, and one chunk: no difference")
EOF
