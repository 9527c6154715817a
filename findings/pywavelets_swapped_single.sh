#!/usr/bin/env bash
# Packages: pywavelets==1.8.0, scikit-image==0.26.0, numpy==2.4.6
#
# Seen: PyWavelets transforms float32 whose bytes are swapped (`>f4` on most machines, what FITS
# files hold) in double precision, and returns float64; the same numbers in the machine's byte
# order stay float32. `skimage.restoration.estimate_sigma` tells another noise level for each order.
#
# A good guess: byte order is how numbers are stored, and decides neither the precision nor the
# type of a result.
#
# Why it matters: An image read from a FITS file takes twice the memory, and gives other numbers
# than the same image saved as TIFF.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "pywavelets==1.8.0" "scikit-image==0.26.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import pywt
from skimage import data, restoration

print("PyWavelets", version("pywavelets"), "scikit-image", version("scikit-image"))
single = (data.camera()[:64, :64] / 255).astype(np.float32)
swapped = single.astype(single.dtype.newbyteorder())
assert (single == swapped).all()

types = [pywt.wavedecn(image, "db2", level=1)[0].dtype for image in (single, swapped)]
print("wavedecn of the same numbers:", *types)
assert types == [np.float32, np.float64]

sigmas = [float(restoration.estimate_sigma(image)) for image in (single, swapped)]
print("estimate_sigma of the same numbers:", *sigmas)
assert sigmas[0] != sigmas[1]

# The contrast: double precision is the same in both orders, and so is NumPy in single precision.
double = single.astype(float)
assert restoration.estimate_sigma(double) == restoration.estimate_sigma(
    double.astype(double.dtype.newbyteorder())
)
assert (swapped * 2).dtype == (single * 2).dtype == np.float32
EOF
