#!/usr/bin/env bash
# Packages: xarray==2026.9.0, bottleneck==1.6.1, numbagg==0.9.6, pandas==3.1.1, numpy==2.4.6
#
# Seen: With bottleneck or numbagg installed, a rolling mean or sum of xarray is NaN from an infinite pixel to the end
# of the axis, not only in the windows that hold it. Without them, or with `set_options` switching both off, the
# windows behind it are right again, as they are in pandas. A finite bright pixel does the like: behind 1e8 in
# float32, the rolling mean of ones is 0.
#
# A good guess: A window's result depends on the values in the window, and an optional accelerator changes the speed.
#
# Why it matters: Infinities come from the logarithm of 0 and from ratios over 0. One of them removes the rest of its
# time series or line profile, or leaves it, depending on what else is installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    "xarray==2026.9.0" "bottleneck==1.6.1" "numbagg==0.9.6" "pandas==3.1.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import pandas as pd
import xarray as xr

print(*(f"{name} {version(name)}" for name in ("xarray", "bottleneck", "numbagg")), sep=", ")
trace = np.ones(8)
trace[2] = np.inf
bright = np.ones(8, np.float32)
bright[2] = 1e8


def rolling_mean(values, **options):
    """The mean of each two neighbours, without the first."""
    with xr.set_options(**options):
        return xr.DataArray(values, dims="t").rolling(t=2).mean().values[1:]


plain = rolling_mean(trace, use_bottleneck=False, use_numbagg=False)
print("no accelerator:", plain)
assert np.isinf(plain[1:3]).all() and (plain[3:] == 1).all()
assert (pd.Series(trace).rolling(2).mean().to_numpy()[4:] == 1).all()

for name in ("bottleneck", "numbagg"):
    options = {"use_bottleneck": name == "bottleneck", "use_numbagg": name == "numbagg"}
    fast = rolling_mean(trace, **options)
    print(f"{name:14}:", fast)
    assert np.isinf(fast[1:3]).all() and np.isnan(fast[3:]).all()
# Nothing has to be switched on for it.
assert np.isnan(rolling_mean(trace)[3:]).all()

fast = rolling_mean(bright, use_bottleneck=True, use_numbagg=False)
plain = rolling_mean(bright, use_bottleneck=False, use_numbagg=False)
print("behind 1e8 in float32:", fast[3:], "without bottleneck", plain[3:])
assert (fast[3:] == 0).all() and (plain[3:] == 1).all()
EOF
