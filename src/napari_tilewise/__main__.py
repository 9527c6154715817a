"""``python -m napari_tilewise`` is the command ``napari-tilewise``."""

import sys

from napari_tilewise.cli import main

if __name__ == "__main__":
    sys.exit(main())
