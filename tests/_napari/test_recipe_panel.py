"""The Recipe panel: what was clicked is read, edited, computed again, saved and run elsewhere."""

from __future__ import annotations

import html
import threading

import dask.array as da
import napari
import numpy as np
import pytest
import skimage as ski
import tifffile
from napari.layers import Image, Labels
from qtpy.QtCore import QMimeData, QPointF, Qt
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication
from tests._napari.conftest import TIMEOUT
from window_work import Beats

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.jobs import result_layers
from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise._napari.manifest.commands import open_panel
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.recipe import Recipe

pytestmark = pytest.mark.gui

COINS = ski.data.coins()[:200, :250]
CHAIN = (
    ("filters.gaussian", {"sigma": 2}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
    ("morphology.remove_small_objects", {"max_size": 50}),
)


def expected(image=COINS, sigma=2.0, max_size=50):
    smooth = ski.filters.gaussian(image, sigma=sigma)
    labels = ski.measure.label(smooth > ski.filters.threshold_otsu(smooth))
    return ski.morphology.remove_small_objects(labels, max_size=max_size)


@pytest.fixture
def coins(viewer):
    return viewer.add_image(COINS, name="coins", contrast_limits=(0, 255))


@pytest.fixture
def recipes(viewer):
    made = RecipePanel(viewer)
    viewer.window.add_dock_widget(made, name="Recipe")
    return made


@pytest.fixture
def chain(coins, run):
    for name, params in CHAIN:
        made = run(name, **params)
    return made


@pytest.fixture
def update(recipes, qtbot):
    """Press Update, or another button, and wait."""

    def press(button=None):
        (button or recipes.update_layer).click()
        qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)

    return press


def operations(panel):
    return [step.operation for step in panel.recipe.steps]


def choose(panel, at):
    panel.list.setCurrentRow(at)


def write(panel, **values):
    panel.step.form.set_values(values)


# -- reading ---------------------------------------------------------------------------------------


def test_selecting_a_layer_shows_how_it_was_result(viewer, coins, chain, recipes):
    assert recipes.heading.title.text() == chain.name
    assert recipes.heading.summary.text() == "4 steps from 'coins'"
    first, second, *_, last = recipes.list.texts()
    assert "Gaussian" in first
    assert "sigma 2" in first
    assert second.endswith("mask")
    assert "max size 50" in last
    assert recipes.step.form.operation is OPERATIONS[CHAIN[-1][0]]
    viewer.layers.selection.active = viewer.layers[2]
    assert operations(recipes) == [name for name, _ in CHAIN[:2]]


def test_without_a_recipe_it_says_what_to_do(viewer, recipes):
    assert "Open an image" in recipes.heading.summary.text()
    assert not recipes.update_layer.isEnabled()
    assert not recipes.files.load.isEnabled()
    viewer.add_image(COINS, name="coins")
    assert "'coins' is not the result of an operation" in recipes.heading.summary.text()
    assert "load a recipe for 'coins'" in recipes.heading.summary.text()
    assert recipes.files.load.isEnabled()
    assert not recipes.files.save.isEnabled()
    viewer.add_points([[1, 2]], name="points")
    assert "starts from an image or labels" in recipes.heading.summary.text()
    assert not recipes.files.load.isEnabled()


def test_every_operation_can_be_a_step_of_the_panel(viewer, coins, recipes):
    for name, op in OPERATIONS.items():
        viewer.layers.selection.active = None
        viewer.layers.selection.active = coins
        recipes.add_step(name)
        if recipes.recipe is None:
            assert op.title or op.name
            assert recipes.message.text(), name  # the reason why
            continue
        assert operations(recipes)[-1] == name
        before = recipes.recipe
        recipes.step._change()
        assert recipes.recipe == before, "showing a step changed it"
        recipes.tools.undo.click()


def test_a_new_step_starts_as_its_form_and_a_loaded_one_keeps_what_it_leaves_out(
    viewer, coins, recipes
):
    viewer.layers.selection.active = coins
    recipes.add_step("measure.regionprops_table")
    assert "area" in recipes.recipe.steps[0].parameters["properties"]
    loaded = Recipe([("measure.regionprops_table", {})])
    recipes.set_recipe(loaded)
    choose(recipes, 0)
    recipes.step._change()
    assert recipes.recipe == loaded


# -- editing ---------------------------------------------------------------------------------------


def test_an_edited_parameter_updates_the_layer_in_place(viewer, chain, recipes, update):
    choose(recipes, 0)
    write(recipes, sigma="3.5")
    assert dict(recipes.recipe.steps[0].parameters) == {"sigma": 3.5}
    assert "sigma 3.5" in recipes.list.texts()[0]
    assert "press Update" in recipes.message.text()
    chain.opacity, count = 0.3, len(viewer.layers)
    update()
    np.testing.assert_array_equal(chain.data, expected(sigma=3.5))
    assert len(viewer.layers) == count
    assert chain.opacity == 0.3
    assert layer_record.of(chain).recipe == recipes.recipe
    assert "Updated" in recipes.message.text()
    update()
    assert not layer_record.problem(chain)


def test_steps_before_the_edit_are_not_computed_again(chain, recipes, update, monkeypatch):
    update()
    calls = []
    original = type(OPERATIONS["filters.gaussian"]).function

    def counted(self, data, /, **params):
        calls.append(self.name)
        return original(self, data, **params)

    monkeypatch.setattr(type(OPERATIONS["filters.gaussian"]), "function", counted)
    choose(recipes, 3)
    write(recipes, max_size=200)
    update()
    np.testing.assert_array_equal(chain.data, expected(max_size=200))
    assert "filters.gaussian" not in calls
    choose(recipes, 0)
    write(recipes, sigma=1)
    update()
    np.testing.assert_array_equal(chain.data, expected(sigma=1, max_size=200))
    assert "filters.gaussian" in calls, "what is counted is not what runs"


def test_a_step_switched_off_hands_on_what_it_got(chain, recipes, update):
    recipes.list.boxes[3].click()
    assert not recipes.recipe.steps[3].enabled
    update()
    np.testing.assert_array_equal(chain.data, expected(max_size=0))
    recipes.list.boxes[3].click()
    update()
    np.testing.assert_array_equal(chain.data, expected())


def test_steps_are_moved_removed_and_inserted(chain, recipes, update):
    choose(recipes, 0)
    recipes.tools.add.click()
    recipes.chooser.search.setText("median")
    recipes.chooser.choose("filters.median")
    recipes.insert.click()
    assert operations(recipes)[:2] == ["filters.gaussian", "filters.median"]
    assert recipes.selected == 1
    recipes.tools.up.click()
    assert operations(recipes)[:2] == ["filters.median", "filters.gaussian"]
    assert recipes.selected == 0
    update()
    np.testing.assert_array_equal(chain.data, expected(ski.filters.median(COINS)))
    recipes.tools.remove.click()
    assert operations(recipes) == [name for name, _ in CHAIN]
    recipes.tools.undo.click()
    assert operations(recipes)[0] == "filters.median"
    recipes.tools.redo.click()
    assert operations(recipes) == [name for name, _ in CHAIN]
    assert not recipes.tools.redo.isEnabled()


def test_an_edit_that_makes_no_recipe_is_refused_with_the_reason(chain, recipes):
    recipes.add_step("measure.regionprops_table")
    before = recipes.recipe
    assert operations(recipes)[-1] == "measure.regionprops_table"
    recipes.tools.up.click()
    assert "whose result is a table, not an image" in recipes.message.text()
    assert recipes.recipe == before
    choose(recipes, 0)
    write(recipes, sigma="-1")
    assert "at least 0" in recipes.message.text()
    write(recipes, sigma="two")
    assert "'two'" in recipes.message.text()
    assert recipes.recipe == before
    assert not recipes.update_layer.isEnabled(), (
        "it would compute another number than the one shown"
    )
    choose(recipes, 1)
    assert recipes.update_layer.isEnabled()
    choose(recipes, 0)
    write(recipes, sigma="two")
    write(recipes, sigma=2)
    assert recipes.update_layer.isEnabled()
    for box in recipes.list.boxes:
        box.click()
    assert "switched off" in recipes.message.text()
    assert recipes.recipe.running


def test_a_number_for_each_of_three_axes_is_refused_at_the_field(coins, chain, recipes):
    choose(recipes, 0)
    write(recipes, sigma=(1, 2, 3))
    assert recipes.message.text() == (
        "Gaussian: sigma 1, 2, 3: expected one number, or 2 of them, one per spatial axis."
    )
    assert not recipes.update_layer.isEnabled()
    choose(recipes, 3)  # it is still said, whatever step is shown
    assert "sigma 1, 2, 3" in recipes.message.text()
    choose(recipes, 0)
    write(recipes, sigma=(1, 2))
    assert recipes.message.text() == "Edited: press Update to compute the layer again."
    assert recipes.update_layer.isEnabled()
    recipes.tools.undo.click()
    assert "sigma 1, 2, 3" in recipes.message.text()
    assert not recipes.update_layer.isEnabled()


def test_a_result_of_another_type_is_a_new_layer_in_its_place(viewer, chain, recipes, update):
    at, name = viewer.layers.index(chain), chain.name
    for number in (3, 2, 1):
        recipes.list.boxes[number].click()
    update()
    made = viewer.layers[at]
    assert type(made) is Image
    assert made.name == name
    assert chain not in viewer.layers
    np.testing.assert_array_equal(made.data, ski.filters.gaussian(COINS, sigma=2))
    assert recipes.layer is made
    recipes.tools.undo.click()
    update()
    assert type(viewer.layers[at]) is Labels


def test_as_new_layer_leaves_the_layer_alone(viewer, chain, recipes, update):
    choose(recipes, 3)
    write(recipes, max_size=200)
    update(recipes.as_new)
    np.testing.assert_array_equal(chain.data, expected())
    made = viewer.layers[-1]
    np.testing.assert_array_equal(made.data, expected(max_size=200))
    assert recipes.layer is chain
    assert dict(recipes.recipe.steps[3].parameters) == {"max_size": 200}, "the edit is still there"


def test_tables_points_and_numbers(viewer, chain, recipes, update, notes):
    recipes.add_step("measure.regionprops_table")
    update()
    made = viewer.layers[-1]
    assert list(object_table.of(made).labels) == list(np.unique(expected())[1:])
    np.testing.assert_array_equal(made.data, expected())
    viewer.layers.selection.active = viewer.layers["coins"]
    recipes.add_step("filters.gaussian")
    write(recipes, sigma=1)  # the step starts with what the form had last
    recipes.add_step("feature.peak_local_max")
    choose(recipes, 1)
    write(recipes, min_distance=20)
    update()
    points = ski.feature.peak_local_max(ski.filters.gaussian(COINS), min_distance=20)
    assert sorted(map(tuple, viewer.layers[-1].data)) == sorted(map(tuple, points))
    assert operations(recipes) == ["filters.gaussian", "feature.peak_local_max"]
    viewer.layers.selection.active = viewer.layers["coins"]
    while recipes.tools.undo.isEnabled():
        recipes.tools.undo.click()
    recipes.add_step("measure.shannon_entropy")
    update()
    assert str(ski.measure.shannon_entropy(COINS)) in recipes.message.text()
    assert not notes


def test_further_images_are_chosen_among_steps_the_source_and_layers(
    viewer, coins, chain, recipes, update
):
    other = viewer.add_labels((COINS > 90).astype(np.uint8), name="by hand")
    viewer.layers.selection.active = chain
    recipes.add_step("segmentation.watershed")
    choices = {one.name: one for one in recipes.step.form.editors["mask"].widget.choices if one}
    assert "source (coins)" in choices
    assert "3 Label" in choices
    write(recipes, mask=other, markers=choices["3 Label"])
    step = recipes.recipe.steps[-1]
    assert step.inputs == {"markers": "label", "mask": "by_hand"}
    assert recipes.recipe.steps[2].name == "label"
    image = next(one for one in recipes.step.image.choices if one.target == "source")
    recipes.step.image.value = image
    assert recipes.recipe.steps[-1].inputs["image"] == "source"
    assert "mask: 'by hand'" in html.unescape(recipes.list.texts()[-1])
    update()
    assert not recipes.message.text().startswith("Segmentation")
    smooth = ski.filters.gaussian(COINS, sigma=2)
    labels = ski.measure.label(smooth > ski.filters.threshold_otsu(smooth))
    found = ski.segmentation.watershed(COINS, labels, mask=other.data)
    np.testing.assert_array_equal(chain.data, found)
    assert layer_record.of(chain).inputs["by_hand"].id == str(other.unique_id)
    write(recipes, mask=None)
    assert recipes.recipe.inputs == ()


def test_a_step_goes_on_from_the_one_of_several_results_that_is_shown(
    viewer, coins, recipes, run, update
):
    run("feature.corner_foerstner", coins, sigma=2.0)
    second = viewer.layers[-1]
    recipes.add_step("filters.gaussian")
    update()
    expected = ski.filters.gaussian(ski.feature.corner_foerstner(COINS, sigma=2)[1])
    np.testing.assert_array_equal(second.data, expected)
    recipes.tools.undo.click()
    update()
    np.testing.assert_array_equal(second.data, ski.feature.corner_foerstner(COINS, sigma=2)[1])


def test_a_missing_source_is_told(viewer, coins, chain, recipes):
    viewer.layers.remove(coins)
    viewer.layers.selection.active = chain
    assert "starts from 'coins', which is not open" in recipes.heading.warning.text()
    assert not recipes.update_layer.isEnabled()
    assert recipes.files.save.isEnabled()


def test_what_was_painted_on_is_never_overwritten(viewer, chain, recipes):
    chain.paint((10, 10), 7)
    viewer.layers.selection.active = None
    viewer.layers.selection.active = chain
    assert "changed by hand" in recipes.heading.warning.text()
    assert recipes.recipe is None
    assert not recipes.update_layer.isEnabled()


def test_painting_on_the_source_is_seen(viewer, recipes, run, update):
    mask = viewer.add_labels((COINS > 90).astype(np.uint8), name="mask")
    made = run("measure.label", mask)
    update()
    mask.brush_size = 20
    mask.paint((100, 100), 5)
    viewer.layers.selection.active = None
    viewer.layers.selection.active = made
    assert "'mask' changed after this layer was computed" in recipes.heading.warning.text()
    update()
    np.testing.assert_array_equal(made.data, ski.measure.label(mask.data))
    assert not recipes.heading.warning.isVisible()
    mask.undo()
    viewer.layers.selection.active = None
    viewer.layers.selection.active = made
    assert "'mask' changed after this layer was computed" in recipes.heading.warning.text()
    update()
    np.testing.assert_array_equal(made.data, ski.measure.label(mask.data))


def test_steps_become_narrower_with_the_panel(chain, recipes, qtbot):
    """Else what a step gives, at the end of its row, is cut off."""
    steps = recipes.list
    rows = [steps.itemWidget(steps.item(number)) for number in range(4)]
    steps.setParent(None)
    qtbot.addWidget(steps)
    steps.show()
    for width in (600, 300, 450, 280):
        steps.resize(width, 200)
        qtbot.waitUntil(
            lambda: {row.width() for row in rows} == {steps.viewport().width()}, timeout=TIMEOUT
        )


def test_pixels_changed_in_place_are_seen(viewer, recipes, run, update):
    image = COINS[:50, :60].copy()
    source = viewer.add_image(image, name="image", contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=2)
    update()
    image[:10] = 0  # as a console does it
    source.refresh()
    update()
    np.testing.assert_array_equal(made.data, ski.filters.gaussian(image, sigma=2))


def test_plane_by_plane_is_a_choice_of_each_step(viewer, recipes, run, update):
    volume = np.random.default_rng(0).random((4, 30, 40))
    viewer.add_image(volume, name="volume", contrast_limits=(0, 1))
    made = run("filters.gaussian", sigma=2)
    assert recipes.step.process.value == "plane by plane"
    recipes.step.process.value = "volume"
    update()
    np.testing.assert_array_equal(made.data, ski.filters.gaussian(volume, sigma=2))
    recipes.step.process.value = "plane by plane"
    update()
    np.testing.assert_array_equal(made.data[2], ski.filters.gaussian(volume[2], sigma=2))


def test_keys_do_what_buttons_do(chain, recipes, qtbot):
    choose(recipes, 3)
    qtbot.keyClick(recipes.list, Qt.Key.Key_Space)
    assert not recipes.recipe.steps[3].enabled
    qtbot.keyClick(recipes.list, Qt.Key.Key_Delete)
    assert len(recipes.recipe) == 3
    qtbot.keyClick(recipes.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert len(recipes.recipe) == 4


# -- the first values of a step ------------------------------------------------------------------


HYSTERESIS = "filters.apply_hysteresis_threshold"


@pytest.mark.parametrize(("start", "over", "order"), [(0, 1, [1, 0, 2, 3]), (3, 1, [0, 1, 3, 2])])
def test_steps_are_dragged(viewer, recipes, run, qtbot, start, over, order):
    """A step is dropped on the lower half of a step, so after it."""
    layer = viewer.add_image(COINS)
    for name in ("filters.gaussian", "filters.median", "filters.sobel", "filters.laplace"):
        layer = run(name, layer=layer)
    before = operations(recipes)
    choose(recipes, start)
    rectangle = recipes.list.visualItemRect(recipes.list.item(over))
    position = QPointF(rectangle.center()) + QPointF(0, 4)
    event = QDropEvent(
        position, Qt.DropAction.MoveAction, QMimeData(), Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    recipes.list.dropEvent(event)
    qtbot.waitUntil(lambda: operations(recipes) != before)
    assert operations(recipes) == [before[number] for number in order]
    assert len(recipes.list.texts()) == 4
    recipes.tools.undo.click()
    assert operations(recipes) == before


def start_of(recipes, qtbot):
    """Return the parameters of the selected step once the range before it is known."""
    worker = recipes.step.form.lines.worker
    qtbot.waitUntil(lambda: worker.computed > 0 and worker.is_still, timeout=TIMEOUT)
    return dict(recipes.recipe.steps[recipes.selected].parameters)


def within(low, high, part):
    return pytest.approx(low + part * (high - low), abs=(high - low) / 50)


def test_a_later_step_starts_within_the_result_before_it(viewer, coins, recipes, qtbot, update):
    viewer.layers.selection.active = coins
    recipes.add_step("filters.median")
    recipes.add_step(HYSTERESIS)
    smooth = ski.filters.median(COINS)
    ends = int(smooth.min()), int(smooth.max())
    start = start_of(recipes, qtbot)
    assert start == {"low": within(*ends, 0.3), "high": within(*ends, 0.6)}
    assert recipes.step.form.values() == start
    assert f"low {start['low']}" in recipes.list.texts()[1]
    recipes.tools.undo.click()
    assert len(recipes.recipe) == 1, "the start is no edit of its own"
    recipes.tools.redo.click()
    assert dict(recipes.recipe.steps[1].parameters) == start
    choose(recipes, 1)
    update()
    mask = ski.filters.apply_hysteresis_threshold(smooth, **start)
    np.testing.assert_array_equal(np.asarray(viewer.layers[-1].data) > 0, mask)


def test_the_start_follows_what_comes_before_the_new_step(viewer, coins, recipes, qtbot):
    """Also a difference, which has no histogram; and an automatic value once it is set."""
    viewer.layers.selection.active = coins
    recipes.add_step("util.img_as_float")
    recipes.add_step("morphology.h_maxima")
    values = COINS / 255
    span = values.max() - values.min()
    assert start_of(recipes, qtbot)["h"] == pytest.approx(0.1 * span, abs=0.01)
    assert not recipes.step.form.lines.isVisibleTo(recipes)
    recipes.tools.remove.click()
    recipes.add_step("measure.find_contours")
    start_of(recipes, qtbot)
    level = recipes.step.form.editors["level"]
    assert level.read() is None
    level.widget[0].value = False
    assert level.read() == within(values.min(), values.max(), 0.5)


def test_what_was_set_in_a_step_stays_whatever_comes_before_it(
    viewer, coins, recipes, qtbot, update
):
    viewer.layers.selection.active = coins
    recipes.add_step("filters.median")
    recipes.add_step(HYSTERESIS)
    start_of(recipes, qtbot)
    write(recipes, low=50)
    edited = recipes.recipe
    choose(recipes, 0)
    choose(recipes, 1)
    start_of(recipes, qtbot)
    assert recipes.recipe == edited
    loaded = Recipe(["filters.median", (HYSTERESIS, {"low": 0.3, "high": 0.6})])
    recipes.set_recipe(loaded)
    start_of(recipes, qtbot)
    assert recipes.recipe == loaded, "a step that was not inserted here keeps its numbers"


# -- lazy images and pyramids ----------------------------------------------------------------------


def test_lazy_layers_stay_lazy(viewer, recipes, run, update):
    stack = np.stack([np.roll(COINS, 10 * k, axis=0) for k in range(4)])
    viewer.add_image(da.from_array(stack, chunks=(1, 100, 100)), contrast_limits=(0, 255))
    run("filters.gaussian", sigma=1)
    made = run("filters.threshold_otsu")
    choose(recipes, 0)
    write(recipes, sigma=2)
    update()
    assert isinstance(made.data, da.Array)
    smooth = np.stack([ski.filters.gaussian(plane, sigma=2) for plane in stack])
    masks = np.stack([plane > ski.filters.threshold_otsu(plane) for plane in smooth])
    np.testing.assert_array_equal(np.asarray(made.data), masks)
    np.testing.assert_array_equal(made._slice.image.raw > 0, masks[viewer.dims.current_step[0]])
    assert layer_record.of(made).recipe == recipes.recipe


def test_pyramids_are_streamed(viewer, recipes, run, update):
    levels = [da.from_array(COINS[::s, ::s], chunks=64) for s in (1, 2)]
    viewer.add_image(levels, multiscale=True, name="pyramid", contrast_limits=(0, 255))
    run("filters.gaussian", sigma=1)
    made = run("filters.threshold_otsu")
    choose(recipes, 0)
    write(recipes, sigma=2)
    update()
    smooth = ski.filters.gaussian(COINS, sigma=2)
    mask = smooth > ski.filters.threshold_otsu(smooth)
    np.testing.assert_array_equal(np.asarray(made.data[0]), mask)
    np.testing.assert_array_equal(np.asarray(made.data[1]), mask[::2, ::2])


# -- long work -------------------------------------------------------------------------------------


class Gated:
    """Pixels that come only while a gate is open, to whoever is not the window's thread."""

    shape, dtype, ndim, size, chunks = (64, 64), np.dtype(np.uint8), 2, 64 * 64, (32, 32)

    def __init__(self):
        self.gate, self.asked = threading.Event(), threading.Event()

    def __getitem__(self, key):
        if threading.current_thread() is not threading.main_thread():
            self.asked.set()
            assert self.gate.wait(120)
        return np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)[key]


def test_the_event_loop_runs_while_a_recipe_is_computed(viewer, recipes, run, qtbot):
    gated = Gated()
    gated.gate.set()
    viewer.add_image(gated, name="gated", contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=1)
    shared_cache().clear()
    gated.gate.clear()
    gated.asked.clear()
    write(recipes, sigma=3)
    beats = Beats()
    recipes.update_layer.click()
    qtbot.waitUntil(gated.asked.is_set, timeout=TIMEOUT)
    beats.wait(qtbot)
    assert recipes.runner.is_running
    gated.gate.set()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    beats.stop()
    expected = ski.filters.gaussian(gated[:, :], sigma=3)
    np.testing.assert_array_equal(np.asarray(made.data), expected)


def test_a_cancelled_update_leaves_the_layer_as_it_was(viewer, recipes, run, qtbot, notes):
    gated = Gated()
    gated.gate.set()
    viewer.add_image(gated, name="gated", contrast_limits=(0, 255))
    made = run("filters.gaussian", sigma=1)
    before = made.data
    shared_cache().clear()
    gated.gate.clear()
    gated.asked.clear()
    write(recipes, sigma=3)
    recipes.update_layer.click()
    qtbot.waitUntil(gated.asked.is_set, timeout=TIMEOUT)
    assert not recipes.update_layer.isEnabled()
    recipes.cancel.click()
    gated.gate.set()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    assert recipes.message.text() == "Cancelled."
    assert made.data is before
    assert len(viewer.layers) == 2
    assert recipes.update_layer.isEnabled()
    assert not notes
    recipes.update_layer.click()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    expected = ski.filters.gaussian(gated[:, :], sigma=3)
    np.testing.assert_array_equal(np.asarray(made.data), expected)


# -- files -----------------------------------------------------------------------------------------


def test_a_saved_recipe_is_loaded_for_another_image(viewer, chain, recipes, update, tmp_path):
    recipes.files.write(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml") == layer_record.of(chain).recipe
    flipped = viewer.add_image(COINS[::-1].copy(), name="flipped")
    recipes.files.read(tmp_path / "recipe.yaml")
    assert recipes.heading.summary.text() == "4 steps from 'flipped'"
    update()
    made = viewer.layers[-1]
    np.testing.assert_array_equal(made.data, expected(flipped.data))
    assert layer_record.of(made).source.name == "flipped"
    (tmp_path / "broken.yaml").write_text("version: 2\nsteps:\n- operation: filters.gausian\n")
    recipes.files.read(tmp_path / "broken.yaml")
    assert "line 3" in recipes.message.text()
    recipes.files.write(tmp_path / "no" / "folder.yaml")
    assert "cannot be written" in recipes.message.text()


def test_scripts(chain, recipes, tmp_path):
    recipes.files.copy.trigger()
    text = QApplication.clipboard().text()
    assert "napari_tilewise" in text
    compile(text, "copied", "exec")
    recipes.files.copy_plain.trigger()
    assert "napari_tilewise" not in QApplication.clipboard().text()
    recipes.files.write_script(tmp_path / "script.py")
    assert "argparse" in (tmp_path / "script.py").read_text()
    recipes.files.write_script(tmp_path / "no" / "script.py")
    assert "cannot be written" in recipes.message.text()


def pasted(action):
    """Return what the copied code gives, and the code."""
    action.trigger()
    code = QApplication.clipboard().text()
    names = {}
    exec(compile(code, "pasted", "exec"), names)
    return np.asarray(eval(code.rstrip().splitlines()[-1], names)), code


def test_copied_code_runs_where_it_is_pasted(viewer, coins, chain, recipes, monkeypatch):
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    for action in (recipes.files.copy, recipes.files.copy_plain):
        labels, code = pasted(action)
        np.testing.assert_array_equal(labels, expected())
        assert f".layers[{coins.name!r}]" in code


def test_copied_code_reads_the_file_of_the_layer(viewer, run, recipes, tmp_path):
    path = str(tmp_path / "coins.tif")
    tifffile.imwrite(path, COINS)
    (source,) = viewer.open(path, plugin="napari")
    result = run("filters.gaussian", source, sigma=2)
    recipes._follow()
    for action in (recipes.files.copy, recipes.files.copy_plain):
        pixels, code = pasted(action)
        np.testing.assert_array_equal(pixels, result.data)
        assert f"read({path!r}" in code
    source.data = source.data + 1
    assert path not in recipes.files.cell()


def test_a_recipe_measures_in_the_units_of_the_layer(viewer, chain, coins, recipes, update):
    """The recipe holds no pixel size, so that it measures other images in theirs."""
    coins.scale, coins.units = (0.5, 0.5), ("um", "um")
    recipes.add_step("measure.regionprops_table")
    update()
    table = object_table.of(viewer.layers[-1])
    assert (table.spacing, table.unit) == ((0.5, 0.5), "µm")
    code = pasted(recipes.files.copy)[1]
    assert "spacing=(0.5, 0.5)" in code
    assert "spacing" not in recipes.recipe.steps[-1].parameters
    coins.scale = (0.25, 0.25)
    update()
    assert object_table.of(viewer.layers[-1]).spacing == (0.25, 0.25)


def test_full_run_into_a_file(viewer, coins, recipes, run, qtbot, tmp_path):
    coins.scale, coins.units = (0.5, 0.25), ("um", "um")
    run("filters.gaussian", sigma=2)
    made = run("filters.threshold_otsu")
    path = tmp_path / "out.ome.zarr"
    recipes.files.run(path)
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    assert str(path) in recipes.message.text()
    recipes.files.open.click()
    opened = viewer.layers[-1]
    np.testing.assert_array_equal(np.asarray(opened.data[0]), made.data)
    np.testing.assert_allclose(opened.scale, (0.5, 0.25))
    recipes.files.run(path)
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    assert "exists" in recipes.message.text()


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("OME-Zarr (*.ome.zarr)", ".ome.zarr"), ("OME-TIFF (*.ome.tif)", ".ome.tif")],
)
def test_full_run_of_several_results_into_the_chosen_format(
    viewer, coins, recipes, run, qtbot, tmp_path, monkeypatch, kind, suffix
):
    def ask(parent, title, folder, kinds):
        assert kind in kinds.split(";;")
        return str(tmp_path / "out"), kind

    monkeypatch.setattr(
        "napari_tilewise._napari.recipe_panel.recipe_files.QFileDialog.getSaveFileName", ask
    )
    viewer.layers.selection.active = coins
    recipes.add_step("filters.gabor")
    write(recipes, frequency="0.2")
    recipes.files.run_full.click()
    recipes.files.plan.run.click()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not recipes.files.plan.runner.is_running, timeout=TIMEOUT)
    assert (tmp_path / f"out{suffix}").exists()
    recipes.files.open.click()
    parts = ski.filters.gabor(COINS, frequency=0.2)
    made = list(viewer.layers)[1:]
    for layer, expected in zip(made, parts, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data[0]), expected)


def test_a_layer_that_cannot_be_made_is_one_sentence(recipes, chain, update, notes, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(result_layers, "layer", fail)
    choose(recipes, 0)
    write(recipes, sigma="3.5")
    update()
    assert recipes.message.text().endswith("failed: ZeroDivisionError: first line")
    assert [note.message for note in notes] == [recipes.message.text()]
    assert recipes.update_layer.isEnabled()
    assert not recipes.bar.isVisibleTo(recipes)


def test_the_plan_is_shown_before_a_full_run(
    viewer, coins, recipes, run, qtbot, tmp_path, monkeypatch
):
    run("filters.gaussian", sigma=2)
    path = tmp_path / "out.ome.zarr"
    monkeypatch.setattr(
        "napari_tilewise._napari.recipe_panel.recipe_files.QFileDialog.getSaveFileName",
        lambda *args: (str(path), ""),
    )
    recipes.files.run_full.click()
    asked = recipes.files.plan
    assert asked.isVisible()
    assert not recipes.runner.is_running
    qtbot.waitUntil(lambda: "time    about" in asked.text.text(), timeout=TIMEOUT)
    for word in ("passes", "tiles", "memory", "reads up to", "filters.gaussian"):
        assert word in asked.text.text()
    assert list(tmp_path.iterdir()) == []
    asked.reject()
    assert not recipes.runner.is_running
    recipes.files.run_full.click()
    recipes.files.plan.run.click()
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not recipes.files.plan.runner.is_running, timeout=TIMEOUT)
    assert path.is_dir()


def test_what_cannot_be_planned_cannot_run(coins, recipes, run, qtbot, tmp_path, monkeypatch):
    run("filters.gaussian", sigma=2)
    monkeypatch.setattr(
        "napari_tilewise._napari.recipe_panel.recipe_files.QFileDialog.getSaveFileName",
        lambda *args: (str(tmp_path / "out.ome.zarr"), ""),
    )
    monkeypatch.setattr("napari_tilewise.runs.planner.resident", lambda: 2**60)
    monkeypatch.setattr("napari_tilewise.runs.planner.available_memory", lambda: -(2**61))
    recipes.files.run_full.click()
    asked = recipes.files.plan
    qtbot.waitUntil(lambda: "Raise memory=" in asked.text.text(), timeout=TIMEOUT)
    assert not asked.run.isEnabled()
    asked.reject()


def test_full_run_of_a_table(chain, recipes, qtbot, tmp_path):
    recipes.add_step("measure.regionprops_table")
    recipes.files.run(tmp_path / "table.csv")
    qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
    assert len((tmp_path / "table.csv").read_text().splitlines()) == len(np.unique(expected()))
    assert not recipes.files.open.isEnabled()


def test_the_menu_opens_the_panel(viewer, coins):
    open_panel(viewer, "filters.gaussian")
    _, panel = viewer.window.add_plugin_dock_widget("napari-tilewise", "Recipe")
    assert isinstance(panel.panel, RecipePanel)
