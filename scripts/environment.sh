#!/bin/sh
# Make .venv, or bring it up to date with pyproject.toml. Make calls this only when pyproject.toml
# is newer than the stamp that this leaves behind.
set -eu
cd "$(dirname "$0")/.."

scripts/system.sh venv
scripts/system.sh compiler || echo 'No compiler could be installed: scikit-image runs without compiled kernels.' >&2

export PIP_QUIET=2 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# Asking pip, not looking for a folder: a set-up that was interrupted leaves a folder.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(scripts/python.sh)
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

echo 'Installing the project and its development tools into .venv (a few minutes the first time)'
# `--group` (PEP 735) came with pip 25.1; the pip that an interpreter bundles may be older.
.venv/bin/python -m pip install 'pip>=25.1'
# What is imported is compiled then; compiling all that is installed takes as long as installing it.
.venv/bin/python -m pip install --no-compile --editable '.[all]' --group dev

touch .venv/.installed .venv/.kernels
