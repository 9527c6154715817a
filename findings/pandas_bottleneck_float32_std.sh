#!/usr/bin/env bash
# Packages: pandas==3.1.1, bottleneck==1.6.0, numpy==2.4.6
#
# Seen: The standard deviation of a million float32 values around 10,000 with a true deviation of 1
# is 131 according to pandas, if the optional package bottleneck is installed, and 1.0007 if it is
# not (or is switched off). `mean` of the same series is right in both cases, and so is
# `groupby(...).std()`.
#
# A good guess: The optional accelerator changes the speed, and at most the last digits.
#
# Why it matters: Installing an unrelated package (xarray's `accel` extra brings bottleneck) changes
# the published numbers of a table of pixel intensities by a factor of a hundred.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "pandas==3.1.1" "bottleneck==1.6.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import pandas as pd

print("pandas", pd.__version__, "- bottleneck", version("bottleneck"))
intensities = (10_000 + np.random.default_rng(0).normal(size=1_000_000)).astype(np.float32)
series = pd.Series(intensities)
accelerated = float(series.std())
grouped = float(series.groupby(np.zeros(len(series))).std().iloc[0])
with pd.option_context("compute.use_bottleneck", False):
    plain = float(series.std())
print("with bottleneck", accelerated, "- without", plain, "- by groupby", grouped, "- float64", intensities.astype("f8").std())
assert accelerated > 50
assert abs(plain - 1) < 0.01 and abs(grouped - 1) < 0.01
assert abs(float(series.mean()) - 10_000) < 0.1
assert abs(float(series.astype("f8").std()) - 1) < 0.01
assert float(pd.DataFrame({"intensity": intensities}).describe().loc["std", "intensity"]) > 50
EOF
