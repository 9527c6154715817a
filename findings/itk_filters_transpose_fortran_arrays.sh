#!/usr/bin/env bash
# Packages: itk-filtering==5.4.7, SimpleITK==2.5.7, numpy==2.4.6
#
# Seen: An ITK filter that gets a NumPy array in Fortran order returns a NumPy array with the axes reversed, and takes
# radii in the other order: a median of an array of (2, 3, 4) has the shape (4, 3, 2). Equal arrays, `(a == b).all()`,
# so have different results. An array that is contiguous in neither order, such as `np.moveaxis(a, 0, -1)`, is right.
#
# A good guess: NumPy in, NumPy out, with the same shape; memory order is a matter of speed, as in SimpleITK. That
# `itk.image_from_array` tells the orders apart is written in its documentation, of the filters it is not.
#
# Why it matters: `image.T`, and what MATLAB files, NIfTI readers and Fortran-ordered chunks give, are of this order.
# Square images keep their shape and come back mirrored at the diagonal, next to masks that do not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    "itk-filtering==5.4.7" "SimpleITK==2.5.7" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import itk
import numpy as np
import SimpleITK

print("ITK", itk.Version.GetITKVersion())
volume = np.random.default_rng(0).integers(0, 256, (2, 3, 4)).astype(np.uint8)
orders = {
    "C order": volume.copy(),
    "Fortran order": np.asfortranarray(volume),
    "a view in neither order": np.moveaxis(np.moveaxis(volume, 0, -1).copy(), -1, 0),
}
# A radius of 0 returns the image itself.
for name, array in orders.items():
    assert (array == volume).all()
    result = itk.median_image_filter(array, radius=0)
    assert isinstance(result, np.ndarray)
    print(f"{name}: {array.shape} becomes {result.shape}")
    if array.flags.f_contiguous:
        assert result.shape == (4, 3, 2) and (result == volume.T).all()
    else:
        assert result.shape == volume.shape and (result == volume).all()
    # The contrast.
    assert (SimpleITK.GetArrayFromImage(SimpleITK.GetImageFromArray(array)) == volume).all()

# A square image keeps its shape; the window lies along the other axis.
square = np.random.default_rng(1).integers(0, 256, (6, 6)).astype(np.uint8)
c_order = itk.median_image_filter(square, radius=[1, 0])
fortran = itk.median_image_filter(np.asfortranarray(square), radius=[1, 0])
assert fortran.shape == c_order.shape and (fortran != c_order).any()
assert (fortran == itk.median_image_filter(square.T.copy(), radius=[1, 0])).all()
EOF
