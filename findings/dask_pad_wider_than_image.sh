#!/usr/bin/env bash
# Packages: dask[array]==2026.8.0, numpy==2.4.6
#
# Seen: dask.array.pad with a margin that is wider than the image returns an array that is too small:
# four pixels with four on each side become seven instead of twelve (reflect; symmetric and wrap from
# five on). `reflect_type="odd"` is taken and ignored: the result is that of "even". Neither is
# refused or warned of, whatever the chunks.
#
# A good guess: The result of numpy.pad, whose description dask repeats, or NotImplementedError, as
# dask raises it for mode="median"; an array of the shape that the margins add up to in any case.
#
# Why it matters: Whoever pads, filters and crops by the same margin, as tiled filters do, gets an
# empty or a shifted image of a thin stack or of a small one; and an image that is continued by a
# mirror has a kink at its borders where "odd" was to continue its slope.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "dask[array]==2026.8.0" "numpy==2.4.6"
cd "$folder"

"$folder/venv/bin/python" - <<'EOF'
import warnings

import dask
import dask.array as da
import numpy as np

warnings.simplefilter("error")
print("dask", dask.__version__, "NumPy", np.__version__)
line = np.array([5, 1, 4, 2])


def padded(width, mode, chunks=2, **options):
    return da.pad(da.from_array(line, chunks=chunks), width, mode=mode, **options).compute()


for mode, width in (("reflect", 4), ("symmetric", 5), ("wrap", 5)):
    for chunks in (2, 4):
        result, expected = padded(width, mode, chunks), np.pad(line, width, mode=mode)
        assert len(expected) == 4 + 2 * width
        assert len(result) < len(expected)
    print(f"{mode}, {width} on each side of 4 pixels: {len(result)} pixels, NumPy {len(expected)}")
    narrower = width - 1
    assert np.array_equal(padded(narrower, mode), np.pad(line, narrower, mode=mode)), "one less is right"

stack = np.arange(3 * 20 * 20).reshape(3, 20, 20)
margin = ((4, 4), (4, 4), (4, 4))
there = da.pad(da.from_array(stack), margin, mode="reflect").compute()
print("3 planes, padded and cropped by 4:", there[4:-4, 4:-4, 4:-4].shape[0], "planes are left")
assert len(there[4:-4]) == 0
assert np.array_equal(np.pad(stack, margin, mode="reflect")[4:-4, 4:-4, 4:-4], stack)

for mode in ("reflect", "symmetric"):
    odd, even = (padded(2, mode, reflect_type=kind) for kind in ("odd", "even"))
    print(f"{mode}, odd: {odd}, NumPy {np.pad(line, 2, mode=mode, reflect_type='odd')}")
    assert np.array_equal(odd, even)
    assert np.array_equal(even, np.pad(line, 2, mode=mode))
    assert not np.array_equal(odd, np.pad(line, 2, mode=mode, reflect_type="odd"))

# The contrast: the other modes, at any width, and one that is refused.
for mode in ("edge", "mean", "maximum", "linear_ramp", "constant"):
    assert np.array_equal(padded(9, mode), np.pad(line, 9, mode=mode))
try:
    raise SystemExit(f"median: {padded(2, 'median')}")
except NotImplementedError as error:
    print("median:", error)
EOF
