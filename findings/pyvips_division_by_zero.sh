#!/usr/bin/env bash
# Packages: pyvips==3.0.0, pyvips-binary==8.17.2, numpy==2.4.6
#
# Seen: Division of two images is 0 where the divisor is 0, in float and double images as well, and
# so is a negative power of 0. The result is a float image, and infinity and NaN in it are kept by
# other operations.
#
# A good guess: Infinity, and NaN for 0 / 0: the IEEE rules that floating-point images have in
# NumPy, OpenCV and SimpleITK; the documentation does not say otherwise.
#
# Why it matters: Dead pixels of a flat field, or empty pixels of a ratio image (NDVI, Fura-2,
# F/F0), become the darkest valid ratio and are averaged in, where NaN or infinity would have been
# found and masked.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "pyvips==3.0.0" "pyvips-binary==8.17.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import pyvips

print("pyvips", pyvips.__version__, "- libvips", ".".join(str(pyvips.version(n)) for n in range(3)))
for dtype in ("uint8", "float32", "float64"):
    counts = np.array([[8, -8, 0] if dtype != "uint8" else [8, 8, 0]], dtype)
    flat = np.array([[2, 0, 0]], dtype)
    ratio = pyvips.Image.new_from_array(counts) / pyvips.Image.new_from_array(flat)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = counts / flat
    print(f"{dtype:8} pyvips {ratio.numpy()[0]} ({ratio.format})  NumPy {expected[0]}")
    assert ratio.format in ("float", "double")
    assert ratio.numpy()[0].tolist() == [4, 0, 0]
    assert np.isinf(expected[0, 1]) and np.isnan(expected[0, 2])

power = pyvips.Image.new_from_array(np.zeros((1, 1), np.float32)) ** -1
assert power.numpy().item() == 0

# Infinity and NaN that are there already go through sums and products.
special = pyvips.Image.new_from_array(np.array([[np.inf, np.nan]], np.float32))
kept = (special * 2 + 1).numpy()[0]
assert np.isinf(kept[0]) and np.isnan(kept[1])
EOF
