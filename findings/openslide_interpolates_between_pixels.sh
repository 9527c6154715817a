#!/usr/bin/env bash
# Packages: openslide-python==1.4.7, openslide-bin==4.0.1.2, tiffslide==3.0.1, tifffile==2026.3.3, imagecodecs==2026.3.6, numpy==2.4.6
#
# Seen: `OpenSlide.read_region(location, level, size)` takes a location in pixels of level 0. Where it
# is no multiple of the level's downsampling, the region is interpolated between the pixels of the
# level (bilinear): no pixel of the result is one of the file. tiffslide returns stored pixels.
#
# A good guess: The pixels that the file has at that level, from the nearest or next lower one on.
#
# Why it matters: Regions read on a grid that is not aligned to the level (tiles of 1000, a crop
# from an annotation) are blurred by up to half a pixel each way, differently from tile to tile:
# noise falls, sharp edges soften, and textures or classifiers see another image than in the aligned
# tile.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "openslide-python==1.4.7" "openslide-bin==4.0.1.2" "tiffslide==3.0.1" "tifffile==2026.3.3" "imagecodecs==2026.3.6" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
import openslide
import tiffslide
import tifffile

print(*(f"{name} {version(name)}" for name in ("openslide-python", "tiffslide")), sep=", ")
print("OpenSlide", openslide.__library_version__)
full = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
quarter = np.ascontiguousarray(full[::4, ::4])
with tifffile.TiffWriter("slide.tif") as writer:
    for level, image in enumerate((full, quarter)):
        writer.write(
            image,
            tile=(256, 256),
            photometric="rgb",
            compression="deflate",
            subfiletype=1 if level else 0,
        )

slides = {"OpenSlide": openslide.OpenSlide("slide.tif"), "tiffslide": tiffslide.TiffSlide("slide.tif")}
for slide in slides.values():
    assert tuple(slide.level_downsamples) == (1, 4)


def region(library, x, y):
    """Eight by eight pixels of level 1, in RGB."""
    return np.asarray(slides[library].read_region((x, y), 1, (8, 8)))[..., :3]


for library in slides:
    assert (region(library, 8, 4) == quarter[1:9, 2:10]).all()

# Two pixels of level 0 are half a pixel of level 1.
between = region("OpenSlide", 2, 2).astype(float)
stored = quarter[:9, :9].astype(float)
means = (stored[:-1, :-1] + stored[:-1, 1:] + stored[1:, :-1] + stored[1:, 1:]) / 4
spread = {"stored": quarter[:8, :8].std(), "read at (2, 2)": between.std()}
print("standard deviation of noise:", {name: round(float(value), 1) for name, value in spread.items()})
assert np.abs(between - means).max() <= 1
assert spread["read at (2, 2)"] < 0.7 * spread["stored"]
assert (region("tiffslide", 2, 2) == quarter[:8, :8]).all()
EOF
