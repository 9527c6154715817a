#!/usr/bin/env bash
# Packages: h5py==3.16.0, zarr==3.1.6, tensorstore==0.1.86, numpy==2.4.6
#
# Seen: The same assignment of out-of-range samples to an array of uint8 on disk has three outcomes:
# h5py stores the nearest representable value (300 becomes 255, -1 becomes 0), zarr stores the value
# modulo 256 (44, 255), and tensorstore refuses. A Python list instead of an array raises in all
# three.
#
# A good guess: All three hand the conversion to NumPy, so 300 becomes 44 everywhere.
#
# Why it matters: A computed image that is written to HDF5 and to zarr gives two different files,
# and a switch of the format turns saturated highlights into dark pixels.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "h5py==3.16.0" "zarr==3.1.6" "tensorstore==0.1.86" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import h5py
import numpy as np
import tensorstore
import zarr

for name in ("h5py", "zarr", "tensorstore"):
    print(name, version(name))

hdf = h5py.File("memory.h5", "w", driver="core", backing_store=False).create_dataset("image", (4,), "u1")
in_zarr = zarr.create_array({}, shape=(4,), chunks=(4,), dtype="u1")
in_tensorstore = tensorstore.open(
    {"driver": "zarr3", "kvstore": "memory://", "metadata": {"shape": [4], "data_type": "uint8"}}, create=True
).result()

samples = np.array([300, -1, 256, 1000])
hdf[...] = samples
in_zarr[...] = samples
print("h5py:", hdf[...], " zarr:", in_zarr[...])
assert hdf[...].tolist() == [255, 0, 255, 255]
assert in_zarr[...].tolist() == samples.astype("u1").tolist() == [44, 255, 0, 232]
try:
    in_tensorstore[...] = samples
except TypeError as error:
    print("tensorstore:", str(error).splitlines()[0])
else:
    raise SystemExit("tensorstore accepted int64 samples")

for store in (hdf, in_zarr, in_tensorstore):
    try:
        store[...] = samples.tolist()
    except (OverflowError, TypeError, ValueError):
        continue
    raise SystemExit("a list of out-of-range numbers was accepted")
EOF
