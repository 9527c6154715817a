#!/usr/bin/env bash
# Packages: tifffile==2026.3.3, imagecodecs==2026.3.6, numpy==2.4.6
#
# Seen: imagecodecs encodes uint16 in the other byte order (`>u2` on most machines) as lossless
# JPEG 2000 and HTJ2K as if the bytes were in the machine's order: 1 comes back as 256. tifffile
# writes such a file, without a word, when it is asked for byteorder=">" and JPEG 2000, whatever the
# order of the array: what is read from it is noise. With zlib, or without
# compression, the same file is right.
#
# A good guess: The numbers are encoded, in whatever order their bytes are; or the array is refused, as
# imagecodecs does for PNG, JPEG XL, JPEG XR and LERC, and so tifffile for a file with them.
#
# Why it matters: Big-endian TIFF is what ImageJ writes, and arrays of that order come from FITS and
# from such files. The loss is seen only when somebody reads the file, by any program.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3" "imagecodecs==2026.3.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import imagecodecs
import numpy as np
import tifffile

warnings.simplefilter("error")
print("tifffile", version("tifffile"), "imagecodecs", version("imagecodecs"))
image = np.random.default_rng(0).integers(0, 300, (64, 64)).astype(np.uint16)
image[0, :3] = 1, 2, 256
swapped = image.astype(image.dtype.newbyteorder())
assert (image == swapped).all()

lossless = {"jpeg2k": {"reversible": True, "level": 0}, "htj2k": {}}
for name, options in lossless.items():
    encode, decode = (getattr(imagecodecs, f"{name}_{way}") for way in ("encode", "decode"))
    assert np.array_equal(decode(encode(image, **options)), image)
    back = decode(encode(swapped, **options))
    print(f"{name}: {image[0, :3]} in the other byte order is decoded as {back[0, :3]}")
    assert np.array_equal(back, image.byteswap())

big = ">" if np.dtype(np.uint16).newbyteorder("=").str[0] == "<" else "<"


def stored(compression, array, order, **options):
    tifffile.imwrite("a.tif", array, byteorder=order, compression=compression, compressionargs=options)
    return tifffile.imread("a.tif")


own = "<" if big == ">" else ">"
for array in (image, swapped):
    assert np.array_equal(stored("jpeg2000", array, own, **lossless["jpeg2k"]), image)
    back = stored("jpeg2000", array, big, **lossless["jpeg2k"])
    print(f"a TIFF of {array.dtype.str} with byteorder={big!r}: {(back != image).mean():.0%} of the pixels differ")
    assert np.array_equal(back, image.byteswap())

# The contrast: other compressions are right, or refuse.
for compression in ("zlib", None):
    tifffile.imwrite("a.tif", swapped, byteorder=big, compression=compression)
    assert np.array_equal(tifffile.imread("a.tif"), image)
for compression in ("png", "jpegxl", "jpegxr", "lerc"):
    try:
        raise SystemExit(f"{compression} is written: {stored(compression, swapped, big)}")
    except ValueError as error:
        print(f"{compression}: {error}")
EOF
