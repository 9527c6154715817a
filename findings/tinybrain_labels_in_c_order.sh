#!/usr/bin/env bash
# Packages: tinybrain==1.7.0, numpy==2.4.6
#
# Seen: `tinybrain.downsample_segmentation` by (2, 2, 2) of a C-ordered volume returns the mode of other voxels: the
# axes of its result are swapped, so that an object near the z end of the volume comes to lie near the x end. In a
# volume that is no cube the labels are torn to pieces. By (2, 2, 1), and in Fortran order, every voxel is right.
#
# A good guess: The same voxels in either order. The order decides about the speed, as the package says of its
# averages, which are the same in both, and as it is for `downsample_with_averaging` by (2, 2, 2).
#
# Why it matters: C order is what NumPy, tifffile and zarr return. The shape and the set of labels are right, so the
# coarse levels of a cubic block show plausible objects in wrong places.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tinybrain==1.7.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import tinybrain

print("tinybrain", version("tinybrain"))
volume = np.zeros((8, 8, 8), np.uint32)
volume[0:2, 4:8, 6:8] = 7  # whole blocks of 2 x 2 x 2, so that the mode is no matter of taste
expected = volume[::2, ::2, ::2]


def mode(labels, factor):
    """The first coarse level."""
    return tinybrain.downsample_segmentation(labels, factor)[0]


fortran = mode(np.asfortranarray(volume), (2, 2, 2))
c_order = mode(np.ascontiguousarray(volume), (2, 2, 2))
print("Fortran order:", np.argwhere(fortran).tolist())
print("C order:      ", np.argwhere(c_order).tolist())
assert (fortran == expected).all()
assert (c_order == expected.T).all() and (c_order != expected).any()

# No cube: ten slabs of one label each are mixed.
slices = np.broadcast_to(np.arange(1, 11, dtype=np.uint32), (4, 6, 10)).copy()
fortran = mode(np.asfortranarray(slices.repeat(2, axis=2)), (2, 2, 2))
c_order = mode(slices.repeat(2, axis=2), (2, 2, 2))
print("labels of the first slice: Fortran order", np.unique(fortran[:, :, 0]), "C order", np.unique(c_order[:, :, 0]))
assert fortran.shape == c_order.shape == (2, 3, 10)
assert np.unique(fortran[:, :, 0]).tolist() == [1]
assert len(np.unique(c_order[:, :, 0])) > 1

# The contrast: the planar mode and the averages do not depend on the order.
for factor in ((2, 2, 1), (2, 2, 2)):
    averages = [
        tinybrain.downsample_with_averaging(array(volume.astype(np.float32)), factor)[0]
        for array in (np.asfortranarray, np.ascontiguousarray)
    ]
    assert (averages[0] == averages[1]).all()
assert (mode(np.ascontiguousarray(volume), (2, 2, 1)) == volume[::2, ::2]).all()
EOF
