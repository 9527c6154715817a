#!/usr/bin/env bash
# Packages: blosc2==4.14.1, numpy==2.4.6
#
# Seen: In an expression of blosc2 arrays `//` rounds towards minus infinity, as NumPy does, and `%` has
# the sign of the dividend, as C does: of -7 and 3 the quotient is -3 and the remainder -1. So
# quotient * divisor + remainder is -10. Floats are the same: -2.5 % 1 is -0.5.
#
# A good guess: The two belong together, as in NumPy and Python (-3 and 2); blosc2's array functions
# follow the array API standard, which gives the remainder the sign of the divisor.
#
# Why it matters: Folding a phase, an angle or an index into a range (`angle % 360`) leaves negative
# numbers, but only where the image has some.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "blosc2==4.14.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import blosc2
import numpy as np

print("blosc2", version("blosc2"))
numbers = np.array([-7, 7, -1], np.int32)
stored = blosc2.asarray(numbers)
quotient, remainder = (stored // 3)[:], (stored % 3)[:]
print("numbers", numbers, "quotient by 3", quotient, "remainder", remainder)
assert (quotient == numbers // 3).all()
assert (remainder == np.fmod(numbers, 3)).all()
assert remainder[0] == -1
assert numbers[0] % 3 == 2
assert quotient[0] * 3 + remainder[0] == -10

floats = np.array([-2.5, 2.5], np.float32)
print("numbers", floats, "remainder by 1", (blosc2.asarray(floats) % 1)[:])
assert (blosc2.asarray(floats) % 1)[:][0] == -0.5
EOF
