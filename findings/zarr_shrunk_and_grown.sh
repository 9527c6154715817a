#!/usr/bin/env bash
# Packages: zarr==3.1.5, tensorstore==0.1.80, h5py==3.15.1, numpy==2.4.6
#
# Seen: An array of ten values in chunks of four is shrunk to six and grown to ten again. In Zarr
# the seventh and eighth value come back, and the ninth and tenth are the fill value: what lies in a
# whole chunk beyond the end is deleted, what shares a chunk with a value that stays is only hidden.
# With shards, and in TensorStore, it is the same. In HDF5 all four are the fill value.
#
# A good guess: The documentation says that chunks outside of the new shape are deleted; so values
# beyond the end are gone, and new elements are the fill value, as in HDF5, pandas and SQL.
#
# Why it matters: A time series that is cut at a bad frame and extended again has old frames in it,
# some of them, by the chunk size; a table of labels that was emptied by resize(0) has rows again
# after resize(n), until they are written.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "zarr==3.1.5" "tensorstore==0.1.80" "h5py==3.15.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import h5py
import numpy as np
import tensorstore
import zarr

print(" - ".join(f"{name} {version(name)}" for name in ("zarr", "tensorstore", "h5py")))
values = np.arange(1, 11, dtype="int32")
gone = [1, 2, 3, 4, 5, 6, 0, 0, 0, 0]
hidden = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0]


def resized(array):
    array[:] = values
    array.resize((6,))
    array.resize((10,))
    return array[:].tolist()


for title, options in (
    ("Zarr 3", {"chunks": (4,)}),
    ("Zarr 2", {"chunks": (4,), "zarr_format": 2}),
    ("Zarr 3, shards", {"chunks": (2,), "shards": (4,)}),
):
    array = zarr.create_array({}, shape=(10,), dtype="int32", fill_value=0, **options)
    after = resized(array)
    print(f"{title:16}", after)
    assert after == hidden

spec = {"driver": "zarr3", "kvstore": "memory://"}
layout = tensorstore.ChunkLayout(chunk_shape=[4])
store = tensorstore.open(spec, create=True, dtype="int32", shape=[10], chunk_layout=layout).result()
store[...] = values
for length in (6, 10):
    store = store.resize(exclusive_max=[length]).result()
print(f"{'TensorStore':16}", store.read().result().tolist())
assert store.read().result().tolist() == hidden

with h5py.File("a.h5", "w") as file:
    dataset = file.create_dataset("a", shape=(10,), dtype="int32", maxshape=(None,), chunks=(4,))
    after = resized(dataset)
print(f"{'HDF5':16}", after)
assert after == gone
EOF
