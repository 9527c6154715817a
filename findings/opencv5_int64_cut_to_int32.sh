#!/usr/bin/env bash
# Packages: opencv-python-headless==5.0.0.93, numpy==2.4.6
#
# Seen: OpenCV 5 announces 64-bit integer matrices, but its Python functions turn NumPy arrays of
# int64 and uint64 into int32 on the way in, modulo 2**32 and without a word: 2**32 + 5 plus 0 is 5,
# 3,000,000,000 becomes negative, and the result's dtype is int32.
#
# A good guess: The result is int64, or the type is refused as other unsupported types are.
#
# Why it matters: int64 is what label images, sums and integral images of NumPy are made of. uint32,
# which is new too, goes through exactly, so the narrower type is the safer one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import cv2
import numpy as np

print("OpenCV", cv2.__version__)
assert hasattr(cv2, "CV_64S") and hasattr(cv2, "CV_64U")
for dtype in ("i8", "u8"):
    samples = np.array([[2**32 + 5, 3_000_000_000]], dtype)
    total = cv2.add(samples, np.zeros_like(samples))
    print(samples.dtype, samples.tolist(), "+ 0 =", total.tolist(), "of", total.dtype, "- maximum", cv2.minMaxLoc(samples)[1])
    assert total.dtype == np.int32
    assert total.tolist() == [[5, 3_000_000_000 - 2**32]]
    assert cv2.minMaxLoc(samples)[1] == 5

unsigned = np.array([[3_000_000_000]], "u4")
assert cv2.add(unsigned, np.zeros_like(unsigned)).tolist() == [[3_000_000_000]]
print("uint32:", cv2.add(unsigned, np.zeros_like(unsigned)).tolist())
try:
    cv2.add(np.ones((1, 2), np.complex64), np.ones((1, 2), np.complex64))
except cv2.error as error:
    print("complex64 is refused")
else:
    raise SystemExit("complex64 was accepted")
EOF
