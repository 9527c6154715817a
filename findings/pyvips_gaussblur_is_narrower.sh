#!/usr/bin/env bash
# Packages: pyvips==3.2.0, pyvips-binary==8.18.7, scipy==1.17.1, numpy==2.4.6
#
# Seen: The blur of `pyvips.Image.gaussblur(sigma)` has a standard deviation of 0.74 for a sigma of 1, 1.6 for 2 and
# 8.2 for 10, and for 0.5 the image does not change at all: by default the Gaussian is cut where it falls below 0.2 of
# its centre. It is also rounded to integer weights, for floating-point images too, unless `precision="float"`.
#
# A good guess: The sigma is the standard deviation of the blur to within a percent or so, as in SciPy,
# scikit-image, OpenCV and SimpleITK, whose kernels are cut at three to four sigma; float images have float weights.
#
# Why it matters: A pipeline that is carried over to libvips for large slides keeps its sigmas and removes less noise;
# differences of Gaussians and the scale of detected blobs shift by a fifth to a quarter.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    "pyvips==3.2.0" "pyvips-binary==8.18.7" "scipy==1.17.1" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import numpy as np
import pyvips
from scipy import ndimage

print("pyvips", pyvips.__version__, "- libvips", ".".join(str(pyvips.version(n)) for n in range(3)))
line = np.zeros((61, 201))
line[:, 100] = 1e6
offsets = np.arange(-100, 101)


def deviation(blurred):
    """The standard deviation of a blurred vertical line."""
    profile = blurred[30].astype(float)
    return float(np.sqrt((profile * offsets**2).sum() / profile.sum()))


source = pyvips.Image.new_from_array(line)
for sigma in (0.5, 1, 2, 5, 10):
    default = deviation(source.gaussblur(sigma).numpy())
    floats = deviation(source.gaussblur(sigma, precision="float").numpy())
    wide = deviation(source.gaussblur(sigma, precision="float", min_ampl=0.001).numpy())
    scipy = deviation(ndimage.gaussian_filter(line, sigma))
    print(f"sigma {sigma:4}: {default:.3f}, with float weights {floats:.3f}, cut at 0.001 {wide:.3f}, SciPy {scipy:.3f}")
    if sigma == 0.5:
        assert default == floats == 0
    else:
        assert 0.7 * sigma < default < 0.85 * sigma and 0.7 * sigma < floats < 0.85 * sigma
        assert abs(scipy - sigma) < 0.002 * sigma and abs(wide - sigma) < 0.02 * sigma

# Integer weights, in an image of doubles.
noise = pyvips.Image.new_from_array(np.random.default_rng(0).random((64, 64)))
difference = np.abs(noise.gaussblur(2).numpy() - noise.gaussblur(2, precision="float").numpy()).max()
print("integer and float weights in an image of 0 to 1 differ by", float(difference))
assert difference > 1e-3
EOF
