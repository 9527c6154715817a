#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6, edt==3.1.2
#
# Seen: A mask without background has no distances to background. SciPy's exact transform returns
# plausible ones all the same: the distance to a pixel at (-1, 0), one row above the array's first
# pixel. Its two sisters return -1 (chamfer) and 1.3e154 (brute force); the package edt returns
# infinity.
#
# A good guess: Infinity, or an error; and the same from three functions of one module.
#
# Why it matters: A tile or a crop that lies wholly inside an object gets a smooth, finite, wrong
# distance map that grows from its upper left corner; a watershed on it puts seeds where nothing is.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6" "edt==3.1.2"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import edt
import numpy as np
from scipy import ndimage

print("scipy", version("scipy"), "- edt", version("edt"))
mask = np.ones((4, 6), bool)
exact = ndimage.distance_transform_edt(mask)
rows, columns = np.indices(mask.shape)
to_phantom = np.hypot(rows + 1, columns)
print("distance_transform_edt, first row:", exact[0].round(3))
assert np.allclose(exact, to_phantom)

chamfer = ndimage.distance_transform_cdt(mask)
brute_force = ndimage.distance_transform_bf(mask)
print("distance_transform_cdt:", np.unique(chamfer), " distance_transform_bf:", np.unique(brute_force))
assert (chamfer == -1).all() and (brute_force > 1e150).all()
assert np.isinf(edt.edt(mask)).all()

# One background pixel anywhere, and the three agree where they should.
mask[3, 5] = False
assert np.allclose(ndimage.distance_transform_edt(mask), ndimage.distance_transform_bf(mask))
EOF
