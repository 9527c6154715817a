#!/usr/bin/env bash
# Packages: numcodecs==0.16.6, zarr==3.1.6, astropy==8.0.2, zfpy==1.0.1.post0, numpy==2.4.6
#
# Seen: Where zfpy 1.0.1.post0 is installed, `import numcodecs` ends in a ValueError about 'post0', and so do
# `import zarr` and `import astropy.io.fits` where numcodecs is there. numcodecs turns each part
# between the dots of zfpy's version into an integer, at its import.
#
# A good guess: An optional codec that does not suit is left out, with a warning at the most; it is as
# long as zfpy is not installed, or is a version that is too old.
#
# Why it matters: zfpy is asked for by nothing that is imported here. A package manager that takes the
# newest zfpy for something else takes away every Zarr and FITS file of the environment.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "numcodecs==0.16.6" "zarr==3.1.6" "astropy==8.0.2" "numpy==2.4.6"
cd "$folder"

imports() {
  for module in numcodecs zarr astropy.io.fits; do
    if "$folder/venv/bin/python" -c "import $module" 2>error.txt; then
      echo "$1: import $module works"
    else
      echo "$1: import $module: $(tail -n 1 error.txt)"
    fi
  done
}

imports "without zfpy" | tee without.txt
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps "zfpy==1.0.1.post0"
imports "with zfpy" | tee with.txt

test "$(grep -c 'works$' without.txt)" = 3
test "$(grep -c "ValueError.*'post0'" with.txt)" = 3
