#!/usr/bin/env bash
# Packages: nibabel==5.4.2, numpy==2.4.6
#
# Seen: A label image of floats 0, 1, 2 and 5 that is saved as NIfTI with `dtype=np.int16` (or uint8, uint16, int32)
# comes back with the labels 0.99999.. or 1.00000..: the values are spread over the whole range of the type, with a
# slope and an intercept in float32. Zero may come back as a small number too. Integer arrays, and the MGH format,
# keep the labels, and so does float data whose range is exactly the type's (0 to 255 in uint8).
#
# A good guess: Whole numbers that fit into the type asked for are stored as they are; scaling is for those that do not.
#
# Why it matters: Many libraries return label images and masks as floats. `data == 1` finds no voxel and `data > 0`
# the background, while a print of the array shows 0, 1, 2 and 5.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "nibabel==5.4.2" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import nibabel
import numpy as np

print("nibabel", nibabel.__version__)


def saved(values, dtype, name="labels.nii.gz", kind=nibabel.Nifti1Image):
    """The voxels as read from the file."""
    image = kind(values.reshape(-1, 1, 1), np.eye(4))
    image.set_data_dtype(dtype)
    nibabel.save(image, name)
    return nibabel.load(name).get_fdata().ravel()


labels = np.array([0.0, 1, 2, 5])
for dtype in (np.uint8, np.int16, np.uint16, np.int32):
    read = saved(labels, dtype)
    print(f"{np.dtype(dtype).name:6} prints as {read.round(3)}, equal to 1: {int((read == 1).sum())}, error {np.abs(read - labels).max():.1e}")
    assert not (read[1:] == labels[1:]).any()
    assert np.abs(read - labels).max() < 1e-5

# A large label makes the error larger, and the background may be off as well.
read = saved(np.array([0.0, 1, 2, 32767]), np.int16)
print("with a label 32767:", read.tolist())
assert read[1] != 1
read = saved(np.array([-3.0, 0, 0, 10]), np.int16)
print("-3, 0, 0, 10:", read.tolist())
assert (read[1:3] != 0).all()

# The contrast.
assert (saved(labels.astype(np.int32), np.int16) == labels).all()
assert (saved(np.array([0.0, 1, 2, 255]), np.uint8) == [0, 1, 2, 255]).all()
assert (saved(labels.astype(np.float32), np.int16, "labels.mgz", nibabel.MGHImage) == labels).all()
EOF
