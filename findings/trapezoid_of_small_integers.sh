#!/usr/bin/env bash
# Packages: numpy==2.4.6, scipy==1.17.1, xarray==2026.9.0
#
# Seen: The integral of 200, 200, 200 in uint8 is 144 in numpy.trapezoid, scipy.integrate.trapezoid and
# DataArray.integrate: two neighbours are added in their own type before they are halved. The result
# is a float64, so that nothing tells. int8 and uint16 wrap in the same way.
#
# A good guess: 400, as scipy.integrate.simpson, numpy.gradient, numpy.mean and DataArray.mean of the
# same arrays compute in floats.
#
# Why it matters: the area under a profile or a histogram of an 8-bit image is wrong where it is
# brighter than 127 on average: the brightest band has the smallest area.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numpy==2.4.6" "scipy==1.17.1" "xarray==2026.9.0"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import xarray
from scipy import integrate

print("numpy", version("numpy"), "- scipy", version("scipy"), "- xarray", version("xarray"))

functions = {
    "numpy.trapezoid": np.trapezoid,
    "scipy.integrate.trapezoid": integrate.trapezoid,
    "scipy.integrate.cumulative_trapezoid": lambda y: integrate.cumulative_trapezoid(y)[-1],
    "DataArray.integrate": lambda y: xarray.DataArray(
        y, dims="x", coords={"x": np.arange(len(y))}
    ).integrate("x").item(),
    "scipy.integrate.simpson": integrate.simpson,
}
for name, function in functions.items():
    bright = np.full(3, 200, np.uint8)
    dark = np.full(3, 100, np.uint8)
    value, right = float(function(bright)), float(function(bright.astype(float)))
    print(f"{name:38} {value:6} of uint8, {right} of float64")
    assert right == 400 and float(function(dark)) == 200
    assert value == (400 if name.endswith("simpson") else 144)
    assert isinstance(function(bright), float)

signed = np.full(3, 100, np.int8)
assert np.trapezoid(signed) == -56 and integrate.simpson(signed) == 200
large = np.full(3, 40_000, np.uint16)
assert np.trapezoid(large) == 14_464 and integrate.simpson(large) == 80_000
assert np.gradient(np.array([200, 100, 0], np.uint8)).tolist() == [-100, -100, -100]
EOF
