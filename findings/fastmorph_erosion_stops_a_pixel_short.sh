#!/usr/bin/env bash
# Packages: fastmorph==1.10.0, scikit-image==0.26.0, numpy==2.4.6
#
# Seen: `fastmorph.spherical_dilate(labels, r)` takes in what is at a distance of r, and
# `spherical_erode(labels, r)` leaves standing what is at a distance of r from the background. So a
# cube of 15 dilated by 1 grows on all sides, eroded by 1 it stays as it is, and closed by 1 it is
# the dilated cube. Erosions by 2 and 3 are scikit-image's by 1 and 2.
#
# A good guess: The two are dual, as the common "inclusive range" of both documentations says and as
# scikit-image's `isotropic_dilation` and `isotropic_erosion` are: eroding the object is dilating the
# background, and closing a convex object changes nothing.
#
# Why it matters: A closing by the radius of the gaps makes every object thicker by a voxel, and an
# opening by 1 removes nothing; volumes and counts of a neuron or nucleus segmentation shift silently.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "fastmorph==1.10.0" "scikit-image==0.26.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import fastmorph
import numpy as np
from skimage import morphology

print(*(f"{name} {version(name)}" for name in ("fastmorph", "scikit-image")), sep=", ")
cube = np.zeros((31, 31, 31), np.uint8)
cube[8:23, 8:23, 8:23] = 1
mask = cube.astype(bool)

for radius in (1, 2, 3):
    grown = fastmorph.spherical_dilate(cube, radius)
    shrunk = fastmorph.spherical_erode(cube, radius)
    print(f"radius {radius}: {cube.sum()} voxels, dilated {grown.sum()}, eroded {shrunk.sum()}")
    # The contrast: scikit-image's dilation is the same, its erosion goes one voxel further.
    assert (grown.astype(bool) == morphology.isotropic_dilation(mask, radius)).all()
    shorter = morphology.isotropic_erosion(mask, radius - 1) if radius > 1 else mask
    assert (shrunk.astype(bool) == shorter).all()
    assert not (shrunk.astype(bool) == morphology.isotropic_erosion(mask, radius)).all()

closed = fastmorph.spherical_close(cube, 1)
print("closed by 1:", closed.sum(), "scikit-image:", morphology.isotropic_closing(mask, 1).sum())
assert (closed == fastmorph.spherical_dilate(cube, 1)).all()
assert (morphology.isotropic_closing(mask, 1) == mask).all()
EOF
