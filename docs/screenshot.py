"""Take the documentation's pictures: napari with the Operations panel, and with the Recipe panel.

Run by ``make screenshots``, on a display without a screen:
``python docs/screenshot.py [DIRECTORY]``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import napari
import numpy as np
import skimage as ski
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_tilewise._napari.manifest.commands import open_panel, open_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

CHAIN = (
    ("morphology.white_tophat", {"footprint": {"shape": "square", "width": 71}}),
    ("filters.gaussian", {"sigma": 2}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
)
SHOWN = "filters.gaussian"
"""The operation whose form the picture shows."""
SIZE = (1500, 900)
TURN = 0.01
"""Seconds of sleep between two turns of the window's loop."""
QUIET = 60
"""Turns without drawing after which a window is taken to be settled."""
PATIENCE = 300.0
"""Seconds of turns after which nothing is waited for any more; on a busy machine they take
longer."""


def photograph() -> np.ndarray:
    """Return scikit-image's coins, enlarged by mirroring."""
    coins = ski.data.coins()
    return np.block([[coins, coins[:, ::-1]], [coins[::-1], coins[::-1, ::-1]]])


def dock_of(panel: QWidget) -> QDockWidget:
    """Return the dock that a panel is in."""
    widget = panel.parentWidget()
    while not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget


def wait(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Keep the window alive until something is so.

    Parameters
    ----------
    condition
        Tells whether it is so.
    seconds
        Of turns of the window's loop, after which to give up. Turns are counted, not time: other
        work on the machine makes them last longer.
    """
    turns = int(seconds / TURN)
    for _ in range(turns):
        if condition():
            return
        QApplication.processEvents()
        time.sleep(TURN)
    raise TimeoutError(f"Nothing came of it in {turns} turns of the window's loop.")


def settle(viewer: napari.Viewer) -> None:
    """Keep the window alive until nothing has been drawn for a while, and all layers are loaded.

    Parameters
    ----------
    viewer
        The viewer.
    """
    draw = viewer.window._qt_viewer.canvas._scene_canvas.events.draw
    quiet = [0]

    def drawn(event: object) -> None:
        quiet[0] = 0

    def is_quiet() -> bool:
        quiet[0] += 1
        return quiet[0] > QUIET and all(layer.loaded for layer in viewer.layers)

    draw.connect(drawn)
    wait(is_quiet)
    draw.disconnect(drawn)


def apply(panel: OperationsPanel, name: str, params: dict[str, object]) -> None:
    """Apply an operation to the active layer through the panel.

    Parameters
    ----------
    panel
        The Operations panel.
    name
        The operation's key.
    params
        Its parameters.
    """
    panel.choose(name)
    if panel.form is not None:
        panel.form.set_values(params)
    panel.run()
    wait(lambda: not panel.runner.is_running)


def main(directory: Path) -> None:
    """Write ``panel.png``, ``parameters.png`` and ``recipe.png``.

    Parameters
    ----------
    directory
        Where to write it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    source = viewer.add_image(photograph(), name="coins")
    panel = open_panel(viewer, SHOWN)
    panel.continues.setChecked(True)
    for name, params in CHAIN:
        apply(panel, name, params)
    panel.continues.setChecked(False)
    source.visible = True
    for layer in list(viewer.layers)[1:-1]:
        layer.visible = False
    viewer.layers[-1].opacity = 0.6
    viewer.layers.selection.active = source
    panel.choose(SHOWN)
    panel.form_box.advanced.setChecked(True)
    viewer.reset_view()
    take(viewer, directory / "panel.png")
    take_form(panel, directory / "parameters.png")
    dock_of(panel).close()
    viewer.layers.selection.active = viewer.layers[-1]
    recipes = open_recipe(viewer)
    recipes.list.setCurrentRow(1)
    recipes.add_step("filters.sobel")
    recipes.list.boxes[2].click()
    recipes.list.setCurrentRow(1)
    take(viewer, directory / "recipe.png")
    viewer.close()


def take_form(panel: OperationsPanel, path: Path) -> None:
    """Write a picture of a form with thresholds on a histogram.

    Parameters
    ----------
    panel
        The Operations panel.
    path
        The file.
    """
    panel.choose("filters.apply_hysteresis_threshold")
    form = panel.form_box.form
    if form is not None:
        wait(lambda: form.lines.histogram is not None)
        form.set_values({"low": 90, "high": 150})
    wait(lambda: form is None or form.lines.isVisible())
    panel.form_box.grab().save(str(path))


def take(viewer: napari.Viewer, path: Path) -> None:
    """Write a picture of the window once it has settled.

    Parameters
    ----------
    viewer
        The viewer.
    path
        The file.
    """
    settle(viewer)
    picture = viewer.window.screenshot(canvas_only=False, flash=False)
    iio.imwrite(path, picture)
    print(f"{path}: {picture.shape[1]} x {picture.shape[0]} pixels")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or [Path(__file__).parent / "images"]))
