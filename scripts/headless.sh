#!/bin/sh
# Run a command on an X server of its own, without a screen: scripts/headless.sh COMMAND...
#
# Always its own server, also where a display exists: windows neither flash over the desktop nor
# depend on its size, scale and window manager.
set -eu

if [ "$(uname)" != Linux ]; then exec "$@"; fi

# Qt under X, not the Wayland session the shell may be in; software OpenGL, so that pictures do not
# depend on the graphics card.
unset WAYLAND_DISPLAY
export QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1
exec xvfb-run --auto-servernum --server-args='-screen 0 1920x1080x24' "$@"
