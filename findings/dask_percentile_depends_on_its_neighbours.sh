#!/usr/bin/env bash
# Packages: dask[array]==2026.8.0, numpy==2.4.6
#
# Seen: The median that `dask.array.percentile` finds depends on which other percentiles are asked for. Of a million
# values that are spread evenly over 0 to 255, in chunks of 1000, it is 142.5 when asked for alone, and 129 as one of
# all 101. With chunks of 100 it is 174.5. The error does not shrink with more chunks, and is upwards: each chunk
# keeps only the percentiles asked for, its minimum and its maximum.
#
# A good guess: "Approximate", as documented: an error of a few tenths of a percent, without a direction, the same
# whatever else is asked for, and smaller with more data.
#
# Why it matters: Contrast limits, background levels and thresholds at a percentile are too high by an amount that
# the storage's chunks decide: an offset that is 14 grey values here, and different after rechunking.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask[array]==2026.8.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import dask.array as da
import numpy as np

print("dask", version("dask"))
values = np.random.default_rng(0).integers(0, 256, 1_000_000).astype(np.uint8)


def median(chunk, asked=(50,), count=1_000_000):
    """The median as one of the percentiles asked for."""
    found = da.percentile(da.from_array(values[:count], chunks=chunk), list(asked)).compute()
    return float(found[list(asked).index(50)])


print("exact", np.median(values))
alone, among_all = median(1000), median(1000, range(101))
print("chunks of 1000: alone", alone, "- among all 101 percentiles", among_all)
assert np.median(values) in (127, 127.5, 128)
assert alone > 140 and among_all < 130

for count in (10_000, 100_000, 1_000_000):
    print(f"chunks of 100, {count:7} values:", median(100, count=count))
    assert median(100, count=count) > 150

# The same for floats: it is no matter of rounding.
floats = da.from_array(values.astype(np.float64), chunks=1000)
assert float(da.percentile(floats, [50]).compute()[0]) > 140

# The contrast: one chunk, or an exact answer along an axis.
assert median(1_000_000) == np.median(values)
exact = da.median(da.from_array(values[None], chunks=(1, 1000)), axis=1).compute()
assert exact[0] == np.median(values)
EOF
