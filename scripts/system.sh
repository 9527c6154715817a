#!/bin/sh
# Bring the system packages that are missing: scripts/system.sh [venv] [display] [compiler]
#
#   venv      what `python -m venv` needs, unless .venv already works
#   display   an X server without a screen, software OpenGL, and what Qt 6 links against
#   compiler  a C++ compiler for the kernels, where it can be installed without asking anybody
#
# Nothing is asked of the network when nothing is missing. Without root this prints the one command
# that brings everything, and stops.
set -eu
cd "$(dirname "$0")/.."

# From `ldd` over PyQt6's xcb platform plugin, its OpenGL integrations and the Qt modules that napari
# loads. PyQt6's wheel carries Qt itself, but none of these.
display_packages='
    libdbus-1-3 libegl1 libfontconfig1 libfreetype6 libgl1 libgl1-mesa-dri libglib2.0-0
    libgssapi-krb5-2 libx11-6 libx11-xcb1 libxcb-cursor0 libxcb-glx0 libxcb-icccm4 libxcb-image0
    libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-render0 libxcb-shape0 libxcb-shm0
    libxcb-sync1 libxcb-util1 libxcb-xfixes0 libxcb-xkb1 libxkbcommon-x11-0 libxkbcommon0
    xauth xvfb'

wanted=''
for need in "$@"; do
    case $need in
        venv)
            if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
                python=$(scripts/python.sh)
                # Debian and Ubuntu ship the interpreter without ensurepip.
                if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
                    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
                    wanted="$wanted python$version-venv"
                fi
            fi
            ;;
        display)
            # Elsewhere than on Linux Qt brings its own platform plugin and needs no X server.
            if [ "$(uname)" = Linux ]; then wanted="$wanted $display_packages"; fi
            ;;
        compiler)
            # Optional: without it scikit-image's functions run instead of the kernels.
            if ! command -v "${CXX:-c++}" >/dev/null 2>&1 && ! command -v g++ >/dev/null 2>&1 &&
                ! command -v clang++ >/dev/null 2>&1; then
                if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
                    wanted="$wanted g++ libc6-dev"
                else
                    echo 'There is no C++ compiler: scikit-image runs without compiled kernels.' >&2
                fi
            fi
            ;;
        *)
            echo "scripts/system.sh: unknown need '$need', expected venv, display or compiler" >&2
            exit 2
            ;;
    esac
done
if [ -z "$wanted" ]; then exit 0; fi

if ! command -v apt-get >/dev/null 2>&1; then
    # Another distribution: its packages have other names, so only the programs can be checked.
    case $wanted in
        *xvfb*)
            if command -v Xvfb >/dev/null 2>&1 && command -v xauth >/dev/null 2>&1; then exit 0; fi
            ;;
    esac
    echo 'This system has no apt-get. Install the equivalents of these packages, then call make again:' >&2
    echo " $wanted" | tr -s ' \n' ' ' >&2
    echo >&2
    exit 1
fi

# Newer releases renamed some libraries (libglib2.0-0t64) and say what they stand in for in
# Provides, so a package counts as present under either name.
present=$(dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sed 's/([^)]*)//g' | tr -s ', ' '\n\n' | sort -u)
missing=''
for package in $wanted; do
    if ! printf '%s\n' "$present" | grep -qxF "$package"; then missing="$missing $package"; fi
done
if [ -z "$missing" ]; then exit 0; fi

if [ "$(id -u)" -ne 0 ]; then
    echo 'System packages are missing. Install them with this command, then call make again:' >&2
    echo >&2
    # A system that never asked for the list of packages has to ask first.
    # shellcheck disable=SC2086  # a list of words
    if apt-cache show $missing >/dev/null 2>&1; then update=''; else update='sudo apt-get update && '; fi
    echo "    ${update}sudo apt-get install -y --no-install-recommends$missing" >&2
    echo >&2
    exit 1
fi

echo "Installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One unreachable mirror fails the update but need not concern these packages: the install decides.
apt-get update -qq </dev/null >"$log" 2>&1 || true
# shellcheck disable=SC2086  # a list of words
if ! apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 \
    $missing </dev/null >>"$log" 2>&1; then
    cat "$log" >&2
    echo "apt-get could not install:$missing" >&2
    exit 1
fi
