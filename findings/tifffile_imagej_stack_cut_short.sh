#!/usr/bin/env bash
# Packages: tifffile==2026.3.3, numpy==2.4.6
#
# Seen: An ImageJ stack of ten planes whose file ends early (a copy that was interrupted) is read by
# tifffile as a single plane, the first; `imread` raises nothing, it writes a line to the log. A
# stack without ImageJ's description, cut at the same place, raises.
#
# A good guess: An error, as for the other stack, or the planes that are there: five of the ten.
#
# Why it matters: A script that loops over files takes the first plane of a damaged recording for
# the whole; the wrong number of dimensions is the only sign.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import logging
from pathlib import Path

import numpy as np
import tifffile

print("tifffile", version("tifffile"))
logging.getLogger("tifffile").setLevel(logging.CRITICAL)
stack = np.arange(10 * 64 * 64, dtype=np.uint16).reshape(10, 64, 64)


def read_cut(**options):
    tifffile.imwrite("whole.tif", stack, **options)
    content = Path("whole.tif").read_bytes()
    Path("cut.tif").write_bytes(content[: len(content) // 2])
    assert np.array_equal(tifffile.imread("whole.tif"), stack)
    return tifffile.imread("cut.tif")


imagej = read_cut(imagej=True)
print("ImageJ stack, cut in the middle:", imagej.shape)
assert imagej.shape == (64, 64) and np.array_equal(imagej, stack[0])
try:
    plain = read_cut(photometric="minisblack")
except Exception as error:
    print("plain stack, cut in the middle:", repr(error)[:100])
else:
    raise SystemExit(f"the plain stack was read as {plain.shape}")
EOF
