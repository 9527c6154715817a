#!/usr/bin/env bash
# Packages: dask-image==2026.5.0, dask[array]==2026.8.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `dask_image.ndinterp.map_coordinates` raises IndexError for coordinates well inside an image
# that has more rows of chunks than columns of chunks: of 4 x 2 chunks, the lower half cannot be
# sampled. The transposed image, and any square grid of chunks, can.
#
# A good guess: Whether a pixel can be read depends on where it is in the image, not on the shape of
# the grid of chunks.
#
# Why it matters: The tests of a pipeline on square images pass, and a tall scan fails, or fails
# only for the coordinates that fall in its lower chunks.
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
from dask_image.ndinterp import map_coordinates
from scipy import ndimage

print("dask-image", version("dask-image"))
image = np.random.default_rng(0).random((40, 20))
coordinates = np.array([[25.5], [5.25]])
exact = ndimage.map_coordinates(image, coordinates, order=1)


def answer(pixels, chunks, position):
    try:
        return float(map_coordinates(da.from_array(pixels, chunks=chunks), position, order=1).compute()[0])
    except IndexError as error:
        return error


tall = answer(image, (10, 10), coordinates)
wide = answer(image.T, (10, 10), coordinates[::-1])
square = answer(image, (20, 10), coordinates)
upper = answer(image, (10, 10), np.array([[12.5], [5.25]]))
print("SciPy", exact[0], "- 2 x 2 chunks", square, "- transposed, 2 x 4 chunks", wide)
print("4 x 2 chunks:", repr(tall))
assert isinstance(tall, IndexError)
assert np.isclose(wide, exact[0]) and np.isclose(square, exact[0])
assert np.isclose(upper, ndimage.map_coordinates(image, [[12.5], [5.25]], order=1)[0])
EOF
