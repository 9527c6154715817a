"""Whatever operation is chosen for whatever layer: the panel shows it, or says why not."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDockWidget, QMainWindow
from skimage import data
from tests._napari.conftest import TIMEOUT

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise._napari.widgets import elided
from napari_tilewise._napari.widgets.docks import PANEL_HEIGHT, tabify_when_low
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise._napari.widgets.plain_words import plain_sentences

pytestmark = pytest.mark.gui

PLANE = data.coins()[:40, :50]
VOLUME = np.stack([PLANE] * 4)
LAYERS = {
    "plane": lambda viewer: viewer.add_image(PLANE),
    "volume": lambda viewer: viewer.add_image(VOLUME, axis_labels=("z", "y", "x")),
    "time": lambda viewer: viewer.add_image(VOLUME[None], axis_labels=("t", "z", "y", "x")),
    "colours": lambda viewer: viewer.add_image(data.astronaut()[:40, :50], rgb=True),
    "labels": lambda viewer: viewer.add_labels(VOLUME // 50),
    "pyramid": lambda viewer: viewer.add_image([PLANE, PLANE[::2, ::2]], multiscale=True),
}
FEW = [*list(OPERATIONS)[::11], "transform.resize", "transform.resize_local_mean"]


@pytest.mark.parametrize("kind", LAYERS)
def test_what_is_shown_belongs_to_the_operation(viewer, panel, kind):
    LAYERS[kind](viewer)
    for name in OPERATIONS if kind == "volume" else FEW:
        op = OPERATIONS[name]
        panel.choose(name)
        for way in panel.target.process_box.choices or [None]:
            panel.target.process_box.value = way
            assert panel.operation is op
            summary = plain_sentences(op.summary)
            assert (panel.title.text(), panel.summary.text()) == (op.title, summary)
            assert panel.kind.text(), name
            assert panel.apply.isEnabled() != bool(panel.message.text()), name


@pytest.mark.parametrize("name", ["transform.resize", "transform.resize_local_mean"])
def test_a_first_shape_has_a_length_per_axis(viewer, panel, name):
    viewer.add_image(VOLUME, axis_labels=("z", "y", "x"))
    panel.choose(name)
    ways = panel.target.process_box
    for way, ndim in (*zip(ways.choices, (3, 2), strict=True), (ways.choices[0], 3)):
        ways.value = way
        panel.form_box.reset.click()
        assert len(panel.form.values()["output_shape"]) == ndim
        assert panel.apply.isEnabled()
    panel.form.set_values({"output_shape": (5, 6, 7)})
    ways.value = ways.choices[1]
    assert panel.form.values()["output_shape"] == (5, 6, 7)  # as it was written
    panel.form.set_values({"output_shape": (5,)})
    ways.value = ways.choices[0]
    assert "expected 3" in panel.message.text()


@pytest.mark.usefixtures("qapp")
def test_long_names_are_cut_in_the_middle():
    name = "a rather long name of an image.ome.tif [17]"
    box, label = QComboBox(), elided.ElidedLabel()
    box.addItem(name)
    box.setToolTip("<qt>The layer.</qt>")
    elided.elided(box)
    label.setText(name)
    for widget in (box, label):
        widget.resize(150, 24)
        widget.grab()  # paints
    for cut in (elided.shown(box), super(elided.ElidedLabel, label).text()):
        assert cut.startswith("a ra")
        assert cut.endswith("17]")
        assert "\N{HORIZONTAL ELLIPSIS}" in cut
    assert label.text() == name
    assert elided.tooltip(box) == f"<qt><b>{name}</b><br>The layer.</qt>"
    box.resize(900, 24)
    assert elided.shown(box) == name


def test_panels_fit_a_low_window(viewer, panel):
    low, chrome = 900, 110
    recipe = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipe, name="Recipe")
    for choosing in (False, True):
        recipe.tools.add.setChecked(choosing)
        least = [one.minimumSizeHint().height() for one in (panel, recipe)]
        assert sum(least) <= low - chrome


@pytest.mark.parametrize(
    ("height", "tabs"), [(2 * PANEL_HEIGHT - 200, 2), (2 * PANEL_HEIGHT, 1), (3 * PANEL_HEIGHT, 0)]
)
def test_panels_share_a_place_in_a_low_window(viewer, qtbot, height, tabs):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(800, height)
    for name in ("one", "two", "three"):
        made, dock = Panel(viewer, name), QDockWidget(name, window)
        dock.setWidget(made)
        window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        tabify_when_low(made, Panel)
    assert len(window.tabifiedDockWidgets(dock)) == tabs


def test_the_window_does_not_grow_for_a_tab(viewer, panel, qtbot):
    window = viewer.window._qt_window
    window.show()
    window.resize(1200, 700)
    dock = viewer.window.add_dock_widget(RecipePanel(viewer), name="Recipe")
    qtbot.waitUntil(lambda: bool(window.tabifiedDockWidgets(dock)), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: window.height() == 700, timeout=TIMEOUT)
