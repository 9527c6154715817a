#!/usr/bin/env bash
# Packages: scikit-image==0.26.0, scipy==1.17.1, numpy==2.4.6
#
# Seen: `skimage.feature.daisy(sigmas=...)` accepts only a list. A NumPy array, which the
# documentation names, is silently added to its own first element, so every blur is larger by
# sigmas[0]. With a list, the last sigma is never used: the first ring repeats the centre's sigma
# and everything else moves out by one ring.
#
# A good guess: An array and a list of the same numbers give the same descriptor, and the last sigma
# smooths the outermost ring, as the documentation says.
#
# Why it matters: Descriptors come out in the right shape with the wrong scales; nothing is raised,
# and who tunes the outermost sigma tunes nothing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scikit-image==0.26.0" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from skimage import data, feature

print("scikit-image", version("scikit-image"))
image = data.camera()[100:180, 100:180] / 255
radii = [5, 10]


def describe(sigmas):
    return feature.daisy(image, sigmas=sigmas, ring_radii=radii, step=20, radius=15, normalization="off")


as_list = describe([1.0, 2.0, 3.0])
as_array = describe(np.array([1.0, 2.0, 3.0]))
print("list and array agree:", np.array_equal(as_list, as_array))
assert not np.allclose(as_list, as_array)

# The array [1, 2, 3] blurs by [2, 3, 4]. The list that blurs by these (its first entry serves twice)
# cannot be written, so compare single parts: the centre, and the rings.
centre, rings = slice(0, 8), slice(8, None)
assert np.array_equal(as_array[..., centre], describe([2.0, 2.0, 2.0])[..., centre])
first_ring, second_ring = slice(8, 72), slice(72, 136)
assert np.array_equal(as_array[..., first_ring], describe([3.0, 9.0, 9.0])[..., first_ring])
assert np.array_equal(as_array[..., second_ring], describe([9.0, 4.0, 9.0])[..., second_ring])
print("the array [1, 2, 3] blurs centre and rings by 2, 3 and 4")

unused_last = np.array_equal(as_list, describe([1.0, 2.0, 30.0]))
used_middle = np.array_equal(as_list, describe([1.0, 20.0, 3.0]))
print("a tenfold last sigma changes nothing:", unused_last, "- the middle one does:", not used_middle)
assert unused_last and not used_middle

try:
    describe((1.0, 2.0, 3.0))
except TypeError as error:
    print("a tuple:", error)
else:
    raise SystemExit("a tuple was accepted")
assert "1D array of float" in feature.daisy.__doc__
EOF
