#!/usr/bin/env bash
# Packages: h5py==3.16.0, numpy==2.4.6
#
# Seen: HDF5's scale-offset filter, asked to store floating-point numbers to two decimals, stores
# NaN as the smallest number of its chunk: what is read is a valid value. If the first value of a
# chunk of float32 is NaN, the chunk is written without a word and cannot be read again: OSError,
# "filter returned failure during read". Infinities and float64 that begin with NaN come back.
#
# A good guess: NaN stays NaN, as infinity stays infinity, or is refused when it is written; a chunk
# that was written can be read. The documentation says that the filter is lossy in the decimals.
#
# Why it matters: Masked pixels become ordinary background and count in every mean and threshold;
# and whether a data set is lost depends on whether a chunk's corner is masked.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "h5py==3.16.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import h5py
import numpy as np

print("h5py", h5py.version.version, "HDF5", h5py.version.hdf5_version)


def returned(values, decimals=2, **options):
    """Write one chunk to two decimals, and read it from the closed file."""
    with h5py.File("a.h5", "w") as file:
        file.create_dataset("a", data=values, chunks=values.shape, scaleoffset=decimals, **options)
    with h5py.File("a.h5") as file:
        return file["a"][...]


for dtype in (np.float32, np.float64):
    line = np.array([10, 11, np.nan, 13, 20], dtype)
    print(np.dtype(dtype), line, "is read as", returned(line))
    assert returned(line).tolist() == [10, 11, 10, 13, 20]

noise = (100 * np.random.default_rng(0).random(1000)).astype(np.float32)
noise[500] = np.nan
back = returned(noise)
print(f"NaN among 1000 numbers is {back[500]:.3f}; the smallest of the others is {np.nanmin(noise):.3f}")
assert abs(back[500] - np.nanmin(noise)) < 0.01
assert np.nanmax(np.abs(back - noise)) < 0.01, "the others are what was asked for"

first = np.array([np.nan, 1, 2, 3, 100], np.float32)
try:
    raise SystemExit(f"read as {returned(first)}")
except OSError as error:
    print(np.dtype(np.float32), first, "is written, and then:", error)

# The contrast: float64, infinity, and other filters.
assert np.array_equal(returned(first.astype(float)), first, equal_nan=True)
for infinity in (np.inf, -np.inf):
    line = np.array([5, infinity, 7, 8], np.float32)
    assert np.array_equal(returned(line), line)
assert np.array_equal(returned(first, None, compression="gzip", shuffle=True), first, equal_nan=True)
EOF
