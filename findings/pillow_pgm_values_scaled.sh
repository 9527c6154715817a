#!/usr/bin/env bash
# Packages: Pillow==12.0.0, opencv-python-headless==5.0.0.93, numpy==2.4.6
#
# Seen: Pillow does not give the values that a PGM holds unless its largest value is declared as 255
# or 65535. With 1000, as cameras of 10 or 12 bits write, 500 becomes 32768; with 100, 50 becomes
# 128; and 16-bit numbers in text are scaled alike. OpenCV gives the numbers of the binary files.
#
# A good guess: The declared largest value says how bright a pixel is to be shown; an array of the
# image holds the file's numbers, as for a 12-bit TIFF.
#
# Why it matters: Counts become other counts without a word, thresholds and calibrations that were
# found on the numbers do not fit, and who writes the array again does not get the file back.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "Pillow==12.0.0" "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import cv2
import numpy as np
from PIL import Image

print("Pillow", version("Pillow"), "- OpenCV", version("opencv-python-headless"))


def write(name, numbers, largest):
    dtype = ">u2" if largest > 255 else "u1"
    with open(name, "wb") as file:
        file.write(b"P5\n%d 1\n%d\n" % (len(numbers), largest) + np.array(numbers, dtype).tobytes())


for largest, numbers in ((1000, [0, 1, 500, 1000]), (100, [0, 1, 50, 100]), (65535, [0, 1, 500, 65535])):
    write("image.pgm", numbers, largest)
    by_pillow = np.asarray(Image.open("image.pgm")).ravel().tolist()
    by_opencv = cv2.imread("image.pgm", cv2.IMREAD_UNCHANGED).ravel().tolist()
    print(f"largest value {largest:5}: the file {numbers}, Pillow {by_pillow}, OpenCV {by_opencv}")
    assert by_opencv == numbers
    assert (by_pillow == numbers) == (largest == 65535)
with open("text.pgm", "w") as file:
    file.write("P2\n3 1\n1000\n0 500 1000\n")
as_text = np.asarray(Image.open("text.pgm")).ravel().tolist()
print("as text, largest value 1000:", as_text)
assert as_text != [0, 500, 1000]
EOF
