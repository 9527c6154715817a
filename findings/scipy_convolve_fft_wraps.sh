#!/usr/bin/env bash
# Packages: scipy==1.17.1, numpy==2.4.6
#
# Seen: scipy.signal.convolve(image, window, method="fft") of uint8 arrays gives uint8, modulo 256: the
# sum of 81 pixels of 20 is 84. fftconvolve, which it calls, gives 1620 for the same arrays, as
# oaconvolve does. With method="auto" and "direct", and in correlate, the sums are modulo 256 too.
#
# A good guess: method="fft" is fftconvolve, as the documentation says ("the Fourier Transform is used
# to perform the convolution (calls `fftconvolve`)"); only the direct sums are those of the type.
#
# Why it matters: a local mean by convolve and a division is right in one spelling and noise in the
# other. Whoever replaced fftconvolve by convolve, as its documentation advises for the choice of the
# faster method, has other results for every 8-bit image.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from scipy import signal

print("scipy", version("scipy"))

image, window = np.full((64, 64), 20, np.uint8), np.ones((9, 9), np.uint8)
for method in ("direct", "fft", "auto"):
    sums = signal.convolve(image, window, "same", method=method)
    print(f"convolve, {method:7}", sums.dtype, sums[30, 30])
    assert sums.dtype == np.uint8 and sums[30, 30] == 81 * 20 % 256 == 84
    assert signal.correlate(image, window, "same", method=method)[30, 30] == 84
for function in (signal.fftconvolve, signal.oaconvolve):
    sums = function(image, window, "same")
    print(f"{function.__name__:17}", sums.dtype, sums[30, 30])
    assert sums.dtype == np.float64 and abs(sums[30, 30] - 1620) < 1e-6
floats = signal.convolve(image, window.astype(float), "same", method="fft")
assert abs(floats[30, 30] - 1620) < 1e-6
EOF
