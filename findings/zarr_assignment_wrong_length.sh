#!/usr/bin/env bash
# Packages: zarr==3.1.6, numpy==2.4.6
#
# Seen: Assigning an array of the wrong length to a zarr array goes by what is left for each chunk.
# Twenty values into ten: cut silently. Six values into ten, in chunks of five: the second chunk
# gets the one value that is left, five times, silently. Seven into ten: an error, after the first
# chunk has been overwritten. And a length of 1 raises.
#
# A good guess: As NumPy: a value that cannot be broadcast to the selection raises before anything
# is written, and a length of 1 fills the selection.
#
# Why it matters: An off-by-one in a writer loses or repeats samples without a word, or leaves a
# store half old and half new; whether it raises depends on the chunk size.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "zarr==3.1.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import zarr

print("zarr", version("zarr"))
# One chunk at a time, so that what is stored before the error does not depend on scheduling.
zarr.config.set({"async.concurrency": 1})


def fresh():
    array = zarr.create_array({}, shape=(10,), chunks=(5,), dtype="i4", compressors=None)
    array[:] = -1
    return array


too_long = fresh()
too_long[:] = np.arange(20)
print("20 values into 10:", too_long[:])
assert np.array_equal(too_long[:], np.arange(10))

one_over = fresh()
one_over[:] = np.arange(6)
print("6 values into 10: ", one_over[:])
assert one_over[:].tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]

too_short = fresh()
try:
    too_short[:] = np.arange(7)
except ValueError as error:
    print("7 values into 10: ", too_short[:], "and", repr(error))
else:
    raise SystemExit("seven values were accepted")
assert too_short[:].tolist() == [0, 1, 2, 3, 4, -1, -1, -1, -1, -1]

single = fresh()
try:
    single[:] = np.array([7])
except ValueError as error:
    print("1 value into 10:  ", repr(error))
else:
    raise SystemExit("a length of 1 was broadcast")

# The contrast: NumPy refuses, and leaves the target alone.
target = np.full(10, -1)
for length in (20, 6, 7):
    try:
        target[:] = np.arange(length)
    except ValueError:
        continue
    raise SystemExit("NumPy accepted a wrong length")
assert (target == -1).all()
target[:] = np.array([7])
assert (target == 7).all()
EOF
