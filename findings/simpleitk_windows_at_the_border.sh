#!/usr/bin/env bash
# Packages: SimpleITK==2.5.7, scipy==1.17.1, numpy==2.4.6
#
# Seen: `SimpleITK.Mean` and `Median` repeat the image's border pixels where the window leaves the image;
# `BoxMean` and `Rank`, which compute the same numbers faster, take only the pixels of the window that
# are inside. So Rank of 0.5 is not Median, and BoxMean not Mean, in every pixel next to the border.
#
# A good guess: The same result from filters that differ in their algorithm, as inside of the image;
# no parameter names a boundary in any of the four.
#
# Why it matters: Choosing the faster filter changes the outermost `radius` rows and columns, and in a
# tiled computation the margin has to be cut differently for each of the pair.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "SimpleITK==2.5.7" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import SimpleITK
from scipy import ndimage

print("SimpleITK", SimpleITK.Version.VersionString())
image = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.float32)
source = SimpleITK.GetImageFromArray(image)
radius = [2, 2]


def pixels(result):
    """The image as an array of float64."""
    return SimpleITK.GetArrayFromImage(result).astype(float)


mean, box = pixels(SimpleITK.Mean(source, radius)), pixels(SimpleITK.BoxMean(source, radius))
median, rank = pixels(SimpleITK.Median(source, radius)), pixels(SimpleITK.Rank(source, 0.5, radius))
inside = (slice(2, -2), slice(2, -2))
assert np.allclose(mean[inside], box[inside], rtol=1e-4)
assert (median[inside] == rank[inside]).all()

print("top left corner: Mean", mean[0, 0], "BoxMean", box[0, 0])
print("pixels in which Rank(0.5) is not Median:", int((rank != median).sum()))
assert (rank != median).any()

# Mean and Median repeat the border.
assert np.allclose(mean, ndimage.uniform_filter(image.astype(float), 5, mode="nearest"), rtol=1e-4)
assert (median == ndimage.median_filter(image, 5, mode="nearest")).all()
# BoxMean takes the nine pixels that are there.
assert np.isclose(box[0, 0], image[:3, :3].mean(), rtol=1e-4)
assert not np.isclose(mean[0, 0], box[0, 0], rtol=1e-2)
EOF
