"""Take the picture of napari's preferences with the page of napari-tilewise.

Run by ``make screenshots``, on a display without a screen. Writes ``docs/images/preferences.png``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

SETTINGS = Path(tempfile.mkdtemp()) / "settings.yaml"
os.environ["NAPARI_CONFIG"] = str(SETTINGS)  # the picture shows defaults, not the user's settings

import napari  # noqa: E402 - it reads its settings when it is imported
from qtpy.QtCore import Qt  # noqa: E402
from screenshot import settle, wait  # noqa: E402

from napari_tilewise._napari.widgets import settings  # noqa: E402

SIZE = (1065, 560)
PAGE = "napari-tilewise"


def main(directory: Path) -> None:
    """Write ``preferences.png``.

    Parameters
    ----------
    directory
        Where to write it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    settings.prepare()
    viewer = napari.Viewer()
    dialog = viewer.window._open_preferences_dialog()
    dialog.resize(*SIZE)
    (item,) = dialog._list.findItems(PAGE, Qt.MatchFlag.MatchExactly)
    dialog._list.setCurrentItem(item)
    wait(dialog.isVisible)
    settle(viewer)
    dialog.grab().save(str(directory / "preferences.png"))
    dialog.reject()
    viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
