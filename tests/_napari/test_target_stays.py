"""What the user chose stays chosen: a result that arrives is added, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from skimage import filters
from tests._napari.conftest import TIMEOUT

import napari_tilewise as tw
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel

pytestmark = pytest.mark.gui

NOISE = np.random.default_rng(0).random((60, 70))


@pytest.fixture
def source(viewer):
    return viewer.add_image(NOISE, name="noise")


@pytest.fixture
def wait(panel, qtbot):
    def until_done():
        qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)

    return until_done


def test_every_try_starts_from_the_source(viewer, source, panel, wait):
    panel.choose("filters.gaussian")
    for number, sigma in enumerate((1, 2, 3), start=1):
        panel.form.set_values({"sigma": sigma})
        panel.run()
        wait()
        result = viewer.layers[number]
        np.testing.assert_array_equal(result.data, filters.gaussian(NOISE, sigma))
        assert panel.target.layer is source
        assert viewer.layers.selection.active is source


def test_a_result_of_one_layer_leaves_the_other_chosen(viewer, source, panel, wait):
    other = viewer.add_image(NOISE[:40], name="other")
    viewer.layers.selection.active = source
    panel.choose("filters.median")
    panel.run()
    viewer.layers.selection.active = other
    panel.choose("filters.gaussian")
    wait()
    assert len(viewer.layers) == 3
    assert panel.target.layer is other
    panel.run()
    wait()
    assert viewer.layers[-1].name == "other - Gaussian"


def test_several_selected_layers_stay_selected(viewer, source, panel, wait):
    viewer.add_image(NOISE, name="other")
    viewer.layers.selection.update(viewer.layers)
    selected = set(viewer.layers.selection)
    panel.choose("filters.sobel")
    panel.run()
    wait()
    assert set(viewer.layers.selection) == selected


def test_the_user_can_go_on_from_the_result(viewer, source, panel, wait):
    panel.continues.setChecked(True)
    for name in ("filters.gaussian", "filters.sobel"):
        panel.choose(name)
        panel.run()
        wait()
    assert panel.target.layer is viewer.layers[-1]
    assert viewer.layers[-1].name == "noise - Sobel"
    tooltip = viewer.layers[-1].get_source_str()  # what napari's list of layers shows
    assert tooltip.splitlines()[-3:] == ["Made from 'noise':", "1. Gaussian", "2. Sobel"]


def test_a_layer_that_the_user_opens_is_chosen(viewer, source, panel):
    opened = viewer.add_image(NOISE, name="opened")
    assert panel.target.layer is opened


def test_other_panels_and_scripts_leave_the_choice(viewer, source, panel, wait):
    recipe_panel = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipe_panel, name="Recipe")
    assert recipe_panel.layer is source
    tw.apply("filters.sobel", source, viewer=viewer)
    panel.choose("filters.gaussian")
    panel.run()
    wait()
    assert [type(layer) for layer in viewer.layers] == [Image] * 3
    assert panel.target.layer is source
    assert recipe_panel.layer is source
