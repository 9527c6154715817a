#!/usr/bin/env bash
# Packages: numcodecs==0.16.6, zarr==3.1.6, numpy==2.4.6
#
# Seen: The filter Delta stores the differences of neighbours and adds them up again, in the array's
# own type. Of float32, almost no value comes back as it was, a small value after a large one is
# lost, and one NaN or infinity turns all that follow in its chunk into NaN. A Zarr array with this
# filter and a lossless compressor says nothing of it, when it is written or when it is read.
#
# A good guess: A filter that prepares data for a lossless compressor loses nothing, as Shuffle and
# Delta of integers do; those that lose (BitRound, Quantize, FixedScaleOffset) say so. The predictor
# for floating point in TIFF, which serves the same purpose, works on bytes and is exact.
#
# Why it matters: An image whose invalid pixels are NaN is stored as one whose chunks are NaN from
# the first such pixel to their end, and the original may be gone by the time somebody looks.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numcodecs==0.16.6" "zarr==3.1.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import numcodecs
import numpy as np
import zarr

warnings.simplefilter("error")
print("numcodecs", version("numcodecs"), "zarr", zarr.__version__)


def returned(codec, values):
    return codec.decode(codec.encode(values))


image = (1000 * np.random.default_rng(0).random((100, 100))).astype(np.float32)
back = returned(numcodecs.Delta("f4"), image.ravel()).reshape(image.shape)
share = (back != image).mean()
print(f"float32, Delta: {share:.0%} of the pixels changed, by up to {np.abs(back - image).max():.1e}")
assert share > 0.9

line = np.array([1e8, 1, 2, 3], np.float32)
print(line, "is returned as", returned(numcodecs.Delta("f4"), line))
assert returned(numcodecs.Delta("f4"), line).tolist() == [1e8, 0, 1, 2]

image[10, 20] = np.nan
array = zarr.create_array(
    "a.zarr", data=image, chunks=(50, 50), zarr_format=2,
    filters=[numcodecs.Delta("f4")], compressors=numcodecs.Zstd(),
)
stored = zarr.open_array("a.zarr", mode="r")[:]
lost = np.isnan(stored).sum(axis=1)
print(f"a Zarr array of 100 x 100 with 1 NaN is read back with {lost.sum()}")
assert lost.sum() == 50 * 50 - (10 * 50 + 20), "all of the chunk after it, in the order in memory"

# The contrast: another filter for the same purpose, and the same filter for integers, are exact.
flat = image.ravel()
assert np.array_equal(returned(numcodecs.Shuffle(4), flat).view("f4"), flat, equal_nan=True)
counts = np.random.default_rng(0).integers(0, 65536, 9999).astype(np.uint16)
assert np.array_equal(returned(numcodecs.Delta("u2"), counts), counts), "though differences wrap"
EOF
