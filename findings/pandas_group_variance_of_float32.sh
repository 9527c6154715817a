#!/usr/bin/env bash
# Packages: pandas==3.1.1, numpy==2.4.6
#
# Seen: `groupby().var()` of a float32 column is added up in float32, `groupby().std()` of the same column is not:
# of 40 million pixels with a variance of 100 the first is 90, the square of the second 100. It shrinks further with
# each pixel, since a sum of squares of that size no longer takes in new ones. With one million pixels it is off in
# the fourth digit.
#
# A good guess: The standard deviation is the root of the variance, whatever the data type, and more pixels make
# both more exact.
#
# Why it matters: A table of all pixels by label has a label with tens of millions of pixels, the background; noise
# estimates from its variance are too small, by an amount that grows with the image.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "pandas==3.1.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import pandas as pd

print("pandas", pd.__version__)
source = np.random.default_rng(0)
for count in (1_000_000, 10_000_000, 40_000_000):
    pixels = source.normal(100, 10, count).astype(np.float32)
    table = pd.DataFrame({"label": np.zeros(count, np.uint8), "value": pixels}, copy=False)
    groups = table.groupby("label")["value"]
    variance, deviation = float(groups.var().iloc[0]), float(groups.std().iloc[0])
    exact = float(pixels.var(dtype=np.float64, ddof=1))
    print(f"{count:9} pixels: var {variance:.3f}  std squared {deviation**2:.3f}  exact {exact:.3f}")
    assert abs(deviation**2 - exact) < 1e-2
    if count == 1_000_000:
        assert abs(variance - exact) > 5 * abs(deviation**2 - exact)
assert variance < 95 < exact

# The contrast: the same numbers in float64.
doubled = table.astype({"value": np.float64}).groupby("label")["value"].var()
assert abs(float(doubled.iloc[0]) - exact) < 1e-6
EOF
