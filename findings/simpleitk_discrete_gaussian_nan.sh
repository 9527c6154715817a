#!/usr/bin/env bash
# Packages: SimpleITK==2.5.7, numpy==2.4.6
#
# Seen: DiscreteGaussian with a variance of 740 or more (a sigma of 27.2 pixels) returns NaN
# everywhere, for any image, without a word; an 8-bit image becomes black. Below that, the kernel is
# cut off at 32 pixels on each side by default: a variance of 700 has the effect of one of 296.
#
# A good guess: The wider the Gaussian, the smoother the image; SmoothingRecursiveGaussian does it.
# A kernel that does not fit, or whose weights cannot be computed, is an error or at least told.
#
# Why it matters: A background that is estimated with a wide Gaussian and subtracted, the usual
# remedy for uneven light, is empty or not as wide as asked; the limit is met sooner where pixels
# are small, as the variance is in physical units.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "SimpleITK==2.5.7" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import SimpleITK as sitk

print("SimpleITK", sitk.Version.VersionString())


def blurred(pixels, variance, **options):
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(sitk.GetImageFromArray(pixels), variance, **options))


grey = np.full((200, 200), 100)
for dtype in (np.float64, np.float32, np.uint8):
    narrow, wide = (blurred(grey.astype(dtype), variance) for variance in (700.0, 750.0))
    print(f"{np.dtype(dtype)} 100: variance 700 gives {narrow[99, 99]:.0f}, 750 gives {wide[99, 99]:.0f}")
    assert np.allclose(narrow, 100, atol=3)
    assert (wide == 0).all() if dtype is np.uint8 else np.isnan(wide).all()
assert np.isnan(blurred(grey.astype(float), 750.0, maximumKernelWidth=1000)).all()

fine = sitk.GetImageFromArray(grey.astype(float))
fine.SetSpacing((0.1, 0.1))
assert np.isnan(sitk.GetArrayFromImage(sitk.DiscreteGaussian(fine, 7.5))).all(), "of 0.1 mm pixels"

point = np.zeros((3, 1001))
point[:, 500] = 1


def spread(line):
    return ((np.arange(1001) - 500) ** 2 * line).sum() / line.sum()


effects = {v: spread(blurred(point, [float(v), 0.0])[1]) for v in (100, 256, 400, 700)}
print("effective variances:", {asked: round(float(effect)) for asked, effect in effects.items()})
assert effects[100] > 90
assert effects[700] < 300
assert 700 < spread(blurred(point, [700.0, 0.0], maximumKernelWidth=1000)[1]) < 720

# The contrast: the other Gaussian of the same library.
recursive = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(grey.astype(float)), 750.0**0.5)
assert np.allclose(sitk.GetArrayFromImage(recursive), 100)
EOF
