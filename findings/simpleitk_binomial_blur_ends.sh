#!/usr/bin/env bash
# Packages: SimpleITK==2.5.7, numpy==2.4.6, scipy==1.17.1
#
# Seen: BinomialBlur treats the two ends of a line differently. The first pixel becomes (a[0] +
# a[1]) / 2, the last one (a[-2] + 3 a[-1]) / 4: a bright pixel at the start of a line keeps half of
# its value, one at the end three quarters. A mirrored image has another blur, and the edges differ
# the more the more often the filter is repeated.
#
# A good guess: The filter [1, 2, 1] / 4 with one rule for borders at both ends, as every symmetric
# smoothing filter has; so that blurring commutes with mirroring, as it does for SimpleITK's other
# smoothing filters.
#
# Why it matters: Mirrored copies of an image (augmented training data, the other eye, a flipped
# scan) are blurred differently along their borders, and tiles that are processed one by one get
# seams that are not symmetric.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "SimpleITK==2.5.7" "numpy==2.4.6" "scipy==1.17.1"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import SimpleITK as sitk
from scipy import ndimage

print("SimpleITK", sitk.Version.VersionString())


def filtered(function, line):
    image = sitk.GetImageFromArray(np.tile(np.asarray(line, np.float32), (6, 1)))
    return sitk.GetArrayFromImage(function(image))[3]


def blur(line, repetitions=1):
    return filtered(lambda image: sitk.BinomialBlur(image, repetitions), line)


first, last = [100, 0, 0, 0, 0], [0, 0, 0, 0, 100]
print("bright first pixel:", blur(first), " bright last pixel:", blur(last))
assert np.array_equal(blur(first), [50, 25, 0, 0, 0])
assert np.array_equal(blur(last), [0, 0, 0, 25, 75])
# Inside, and at the last pixel, it is [1, 2, 1] / 4 with the border repeated.
assert np.array_equal(blur(last), ndimage.correlate1d(np.float32(last), [0.25, 0.5, 0.25], mode="nearest"))

ramp = np.arange(20)
difference = [np.abs(blur(ramp, n) - (19 - blur(ramp[::-1], n)[::-1])).max() for n in (1, 10, 100)]
noise = np.random.default_rng(0).random(40)
for repetitions in (1, 10, 100):
    here = np.abs(blur(noise, repetitions) - blur(noise[::-1], repetitions)[::-1])
    print(f"{repetitions:3} repetitions: mirrored, {int((here > 1e-5).sum())} of 40 pixels differ, by up to {here.max():.2f}")
assert (here > 1e-5).all()

# The contrast: its other smoothing filters commute with mirroring.
for function in (
    lambda image: sitk.DiscreteGaussian(image, 2.0),
    lambda image: sitk.SmoothingRecursiveGaussian(image, 2.0),
    lambda image: sitk.Mean(image, [2, 0]),
):
    assert np.allclose(filtered(function, noise), filtered(function, noise[::-1])[::-1], atol=1e-5)
EOF
