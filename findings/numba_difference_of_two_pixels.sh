#!/usr/bin/env bash
# Packages: numba==0.68.1, numpy==2.4.6
#
# Seen: In a function compiled by numba, the difference of the uint8 pixels 5 and 6 is 18446744073709551615, and so is
# its `abs`. The same expression of two arrays is 255 there, as it is in NumPy; in NumPy the difference of the two
# pixels is 255 as well. Compiled and not, one function returns two numbers.
#
# A good guess: 255, by NumPy's rules, or -1, as in C and Cython, whose small integers become signed; and at least
# the same number for a loop over the pixels as for the array expression.
#
# Why it matters: Gradients, local contrasts and sums of absolute differences in a loop over the pixels are right
# where the image rises, and 1.8e19 where it falls; a comparison with a threshold is then true.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numba==0.68.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" -W ignore - <<'EOF'
import numba
import numpy as np

print("numba", numba.__version__)


def pixel_difference(image):
    """The difference of the first two pixels."""
    return image[0] - image[1]


def absolute_difference(image):
    """Its magnitude."""
    return abs(image[0] - image[1])


def array_difference(image):
    """The difference of each pixel and the next."""
    return image[:-1] - image[1:]


falling = {dtype: np.array([5, 6], dtype) for dtype in (np.uint8, np.uint16, np.uint32, np.int16)}
for dtype, image in falling.items():
    compiled, plain = numba.njit(pixel_difference)(image), pixel_difference(image)
    magnitude = numba.njit(absolute_difference)(image)
    whole = numba.njit(array_difference)(image)
    print(f"{np.dtype(dtype).name:7} pixels: compiled {compiled}, abs {magnitude}, NumPy {plain}; arrays: compiled {whole[0]}")
    assert whole[0] == plain == array_difference(image)[0]
    if dtype is np.int16:
        assert compiled == plain == -1 and magnitude == 1
    else:
        assert compiled == magnitude == 2**64 - 1
        assert plain == np.iinfo(dtype).max
EOF
