#!/usr/bin/env bash
# Packages: tifffile==2026.3.3, imagecodecs==2026.3.6, numpy==2.4.6
#
# Seen: Two lossless compressions of TIFF lose NaN without a word. LERC, of which tifffile chooses
# level 0 (no error), turns NaN of float32 and float64 into 0. JPEG XL with lossless=True keeps NaN of
# float32 and turns that of float16 into infinity. All other values keep their bits.
#
# A good guess: what a lossless codec takes it gives back, as Zstandard and JPEG XL of float32 do; LERC
# is a codec of rasters with missing values, so NaN of all things is safe in it, or refused.
#
# Why it matters: NaN stands for "no measurement". Written and read again it is the number 0, which
# counts in every mean, or infinity, which makes the mean infinite.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3" "imagecodecs==2026.3.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import io
from importlib.metadata import version

import numpy as np
import tifffile

print("tifffile", version("tifffile"), "- imagecodecs", version("imagecodecs"))

IMAGE = np.tile([1, np.nan, 3, -0.5], (16, 4))


def written_and_read(dtype, compression, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, IMAGE.astype(dtype), compression=compression, compressionargs=options)
    file.seek(0)
    return tifffile.imread(file)


def row(image):
    return image[0, :4].tolist()


for dtype in ("float32", "float64"):
    lerc = written_and_read(dtype, "lerc")
    print(f"LERC, {dtype}:", row(lerc))
    assert lerc.dtype == dtype and row(lerc) == [1, 0, 3, -0.5]
    np.testing.assert_array_equal(written_and_read(dtype, "zstd"), IMAGE)

half = written_and_read("float16", "jpegxl", lossless=True)
print("JPEG XL, float16:", row(half))
assert half.dtype == "float16" and row(half) == [1, np.inf, 3, -0.5]
single = written_and_read("float32", "jpegxl", lossless=True)
print("JPEG XL, float32:", row(single))
np.testing.assert_array_equal(single, IMAGE)
EOF
