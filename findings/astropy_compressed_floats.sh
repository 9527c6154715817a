#!/usr/bin/env bash
# Packages: astropy==8.0.2, numpy==2.4.6
#
# Seen: `astropy.io.fits.CompImageHDU` of a float32 image changes nearly every pixel whatever
# `compression_type` is: GZIP_1, GZIP_2 and NOCOMPRESS round to steps of the image's noise, as RICE_1
# does, and a mask of zeros and ones has no one afterwards. `quantize_level=0` turns that off; with
# RICE_1 and HCOMPRESS_1 it cuts off the fraction of every pixel instead.
#
# A good guess: gzip and no compression give back what was written, as for integers; and a level of 0
# is lossless, or refused where the algorithm takes integers only.
#
# Why it matters: Values from 0 to 1 (probabilities, normalised images) become an image of zeros, and
# labels or masks that happen to be floats are not equal to any number afterwards.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "astropy==8.0.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import astropy
import numpy as np
from astropy.io import fits

print("astropy", astropy.__version__)
image = np.random.default_rng(0).random((64, 64), dtype=np.float32)


def read_back(pixels, **options):
    """The pixels of a compressed image that was written and read."""
    units = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, **options)])
    units.writeto("image.fits", overwrite=True)
    with fits.open("image.fits") as opened:
        return np.array(opened[1].data)


for algorithm in ("GZIP_1", "GZIP_2", "NOCOMPRESS", "RICE_1"):
    back = read_back(image, compression_type=algorithm)
    share = (back != image).mean()
    print(f"{algorithm}: {share:.0%} of the pixels have changed, by up to {np.abs(back - image).max():.4f}")
    assert share > 0.99

mask = (image > 0.5).astype(np.float32)
back = read_back(mask, compression_type="GZIP_2")
print("a mask has the values", np.unique(back))
assert (back != 1).all()

for algorithm in ("GZIP_1", "GZIP_2", "NOCOMPRESS"):
    assert (read_back(image, compression_type=algorithm, quantize_level=0) == image).all()
for algorithm in ("RICE_1", "HCOMPRESS_1"):
    back = read_back(10 * image, compression_type=algorithm, quantize_level=0)
    print(f"{algorithm} with quantize_level=0: {np.unique(back).size} values are left of {image.size}")
    assert (back == np.trunc(10 * image)).all()

# The contrast: integers come back as they are.
integers = (65535 * image).astype(np.uint16)
assert (read_back(integers) == integers).all()
EOF
