#!/usr/bin/env bash
# Packages: tifffile==2026.3.3, imagecodecs==2026.3.6, numpy==2.4.6
#
# Seen: tifffile's `compression="jpeg2000"` is lossless by default for integers, and is so for
# values of up to 24 bits. With 25 bits some pixels change, and from 26 bits nearly every pixel is
# noise. Nothing is raised on writing or on reading, and the file says 32 bits.
#
# A good guess: Lossless means lossless for the dtype that is accepted, as with 8 and 16 bits, or
# the dtype is refused, as float is.
#
# Why it matters: Sums, hashes and label ids above 2**24 in uint32 are destroyed on disk, while a
# test on small values passes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3" "imagecodecs==2026.3.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import tifffile

print("tifffile", version("tifffile"), "- imagecodecs", version("imagecodecs"))
random = np.random.default_rng(0)


def changed(image):
    tifffile.imwrite("image.tif", image, compression="jpeg2000")
    with tifffile.TiffFile("image.tif") as file:
        assert file.pages[0].dtype == image.dtype
        return float((file.asarray() != image).mean())


shares = {}
for bits in (8, 16, 24, 25, 26, 28):
    image = random.integers(0, 2**bits, (64, 64)).astype(np.uint32)
    shares[bits] = changed(image)
    print(f"uint32 with values of {bits} bits: {shares[bits]:.1%} of the pixels changed")
assert shares[8] == shares[16] == shares[24] == 0
assert shares[25] > 0.05 and shares[26] > 0.9 and shares[28] > 0.9
assert changed(random.integers(0, 2**16, (64, 64)).astype(np.uint16)) == 0

for compression in ("zlib", "zstd", "lerc"):
    tifffile.imwrite("image.tif", image, compression=compression)
    assert np.array_equal(tifffile.imread("image.tif"), image)
try:
    tifffile.imwrite("image.tif", image.astype(np.float32), compression="jpeg2000")
except ValueError as error:
    print("float32:", error)
else:
    raise SystemExit("float32 was accepted")
EOF
