#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6
#
# Seen: Where several pixels of a label have its largest value, maximum_position and extrema name
# another one when the label is asked for as `[1]` instead of `1`: the first as a number; the last, or
# in images of more than a few pixels any of them, in a list. Which one it is depends on the data
# type, for the same values. minimum_position does the same.
#
# A good guess: The first one in the order of the pixels, as numpy.argmax gives it, and one answer for
# one label however it is asked for; `maximum` of the same arguments is the same either way.
#
# Why it matters: In images with few grey levels, or with saturated pixels, ties are the rule. The
# seeds of a watershed, one pixel for each label, move when an image is converted to another type.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import scipy
from scipy import ndimage

print("SciPy", scipy.__version__, "NumPy", np.__version__)


def column(positions):
    """Return the column of the only position."""
    ((_, found),) = np.reshape(positions, (1, 2))
    return int(found)


line, labels = np.array([[0, 9, 3, 9, 9, 0]]), np.array([[0, 1, 1, 1, 1, 0]])
for dtype in (np.uint8, np.int64, np.float32):
    image = line.astype(dtype)
    number, listed = (column(ndimage.maximum_position(image, labels, index)) for index in (1, [1]))
    print(f"{np.dtype(dtype)}: the maximum of label 1 is in column {number}, of labels [1] in column {listed}")
    assert (number, listed) == (1, 4)
    extrema = [column(ndimage.extrema(image, labels, index)[3]) for index in (1, [1])]
    assert extrema == [1, 4]

# A larger image with two labels: what is named is a maximum, and nothing else is sure.
rng = np.random.default_rng(0)
image, labels = rng.integers(0, 4, (40, 40)), np.zeros((40, 40), int)
labels[5:20, 5:20], labels[22:38, 3:30] = 1, 2
masked = np.where(labels == 1, image, -1)
first = tuple(map(int, np.unravel_index(masked.argmax(), masked.shape)))
positions = {"as a number": tuple(map(int, ndimage.maximum_position(image, labels, 1)))}
for dtype in (np.uint8, np.float64):
    position = ndimage.maximum_position(image.astype(dtype), labels, [1, 2])[0]
    positions[f"in a list, {np.dtype(dtype)}"] = tuple(map(int, position))
print("the maximum of a label of 225 pixels:", positions)
assert positions["as a number"] == first
assert all(image[position] == 3 and labels[position] == 1 for position in positions.values())
assert set(positions.values()) != {first}

lowest = [tuple(map(int, ndimage.minimum_position(image, labels, 1)))]
lowest += [tuple(map(int, ndimage.minimum_position(image, labels, [1, 2])[0]))]
print("its minimum, as a number and in a list:", *lowest)
assert lowest[0] != lowest[1]

# The contrast: the value itself.
assert ndimage.maximum(image, labels, 1) == ndimage.maximum(image, labels, [1, 2])[0] == 3
EOF
