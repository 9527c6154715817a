#!/usr/bin/env bash
# Packages: numba==0.68.1, numexpr==2.14.2, numpy==2.4.6
#
# Seen: `np.mean` of 20 million float32 ones is 0.84 in a function compiled by numba, and `np.std` 0.16; `sum` of numexpr
# is 16777216 for them, as is numba's `np.sum`. Both add up in float32, pixel by pixel, which comes to a halt at 2**24.
#
# A good guess: 1 and 0, as the same two calls return when they are not compiled: NumPy adds by pairs. Numba's
# results may differ in the last digits.
#
# Why it matters: Long before that the digits are gone: the mean of a frame of 4 million pixels around 1000 is 1020.
# The error grows with the image, so small test images are right and thresholds set on tiles do not fit the whole.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numba==0.68.1" "numexpr==2.14.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numba
import numexpr
import numpy as np

print("numba", numba.__version__, "numexpr", numexpr.__version__)
ones = np.ones(20_000_000, np.float32)


def statistics(image):
    """Sum, mean and standard deviation."""
    return np.sum(image), np.mean(image), np.std(image)


compiled, plain = numba.njit(statistics)(ones), statistics(ones)
total = float(numexpr.evaluate("sum(ones)"))
print("numba   sum, mean, std:", *(float(number) for number in compiled))
print("NumPy   sum, mean, std:", *(float(number) for number in plain))
print("numexpr sum:           ", total)
assert plain == (20_000_000, 1, 0)
assert compiled[0] == total == 2**24
assert abs(compiled[1] - 2**24 / 20_000_000) < 1e-6
assert compiled[2] > 0.1

# Long before that the digits are gone.
image = np.random.default_rng(0).normal(1000, 5, 4_000_000).astype(np.float32)
mean, exact = float(numba.njit(statistics)(image)[1]), float(image.mean(dtype=np.float64))
print("4 million pixels of 1000: numba", mean, "exact", exact, "NumPy", float(image.mean()))
assert mean > 1010 and abs(float(image.mean()) - exact) < 0.01
EOF
