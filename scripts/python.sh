#!/bin/sh
# Print the interpreter that the environment is made from.
#
# PYTHON=... in the environment wins. A candidate must run (a pyenv shim can be on the path and not
# work) and be new enough. One that can already make an environment is preferred to one that would
# need the system's venv package first.
set -eu

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

if [ -n "${PYTHON:-}" ]; then
    if ! "$PYTHON" -c "$new_enough" 2>/dev/null; then
        echo "PYTHON=$PYTHON is not a Python 3.11 or newer that runs here." >&2
        exit 1
    fi
    command -v "$PYTHON"
    exit 0
fi

fallback=''
for name in python3.13 python3.12 python3.11 python3; do
    path=$(command -v "$name") || continue
    "$path" -c "$new_enough" 2>/dev/null || continue
    if "$path" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$path"
        exit 0
    fi
    fallback=${fallback:-$path}
done

if [ -z "$fallback" ]; then
    echo 'No Python 3.11 or newer found. Install one, or name it: make PYTHON=/path/to/python' >&2
    exit 1
fi
echo "$fallback"
