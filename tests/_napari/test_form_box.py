"""Every form remembers its values, has presets, and shows intensities and footprints."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QInputDialog
from skimage import filters
from tests._napari.conftest import TIMEOUT

from napari_tilewise import OPERATIONS, Recipe
from napari_tilewise._napari.forms import remembered_values
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.forms.form_box import FormBox
from napari_tilewise._napari.forms.intensity_lines import IntensityLine, IntensityLines
from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.layers import intensities, snapshot
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise._napari.recipe_panel.step_intensities import before_step
from napari_tilewise.errors import InvalidImage

GAUSSIAN = OPERATIONS["filters.gaussian"]
HYSTERESIS = "filters.apply_hysteresis_threshold"


@pytest.fixture
def box(qapp):
    return FormBox(lambda role: [])


def texts(menu):
    return [action.text() for action in menu.actions() if action.text()]


# -- memory ----------------------------------------------------------------------------------------


def test_another_form_starts_with_the_last_values(box):
    box.show_operation(GAUSSIAN, 2).set_values({"sigma": (3, 4), "mode": "wrap"})
    box.show_operation(OPERATIONS["filters.sobel"], 2)
    assert box.show_operation(GAUSSIAN, 2).values()["sigma"] == (3, 4)
    assert FormBox(lambda role: []).show_operation(GAUSSIAN, 2).values()["mode"] == "wrap"
    assert box.show_operation(GAUSSIAN, 3).values()["sigma"] == 1, "two numbers for three axes"


def test_reset_is_remembered_too(box):
    box.show_operation(GAUSSIAN, 2).set_values({"sigma": 5})
    box.reset.click()
    box.remember()
    assert box.show_operation(GAUSSIAN, 2).values()["sigma"] == GAUSSIAN.parameters["sigma"].default


def test_values_that_cannot_be_read_are_not_remembered(box):
    form = box.show_operation(GAUSSIAN, 2)
    form.set_values({"sigma": 5})
    box.remember()
    form.editors["sigma"].widget.value = "five"
    assert box.show_operation(GAUSSIAN, 2).values()["sigma"] == 5


def test_a_footprint_of_a_plane_becomes_one_of_a_volume(box):
    median = OPERATIONS["morphology.erosion"]
    box.show_operation(median, 2).set_values({"footprint": {"shape": "square", "width": 5}})
    box.remember()
    form = Form(median, lambda role: [], lambda: None)
    form.fit(3)
    form.set_values({"footprint": {"shape": "square", "width": 5}})
    assert form.values()["footprint"] == {"shape": "cube", "width": 5}


def test_a_closed_panel_and_a_new_step_remember(viewer, panel):
    viewer.add_image(np.zeros((40, 40)))
    panel.choose("filters.gaussian")
    panel.form.set_values({"sigma": 7})
    panel.form_box.hideEvent(None)
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    recipes.add_step("filters.gaussian")
    assert dict(recipes.recipe.steps[0].parameters) == {"sigma": 7}


# -- presets ---------------------------------------------------------------------------------------


def test_presets_are_saved_chosen_and_deleted(box, monkeypatch):
    box.show_operation(GAUSSIAN, 2).set_values({"sigma": 5, "truncate": 3})
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (" wide & soft ", True))
    box.presets.ask_name()
    assert "wide && soft" in texts(box.presets.list)  # Qt takes a single & for a shortcut
    box.form.set_values({"sigma": 1, "truncate": 9, "mode": "wrap"})
    changes = []
    box.changed.connect(lambda: changes.append(box.form.values()["sigma"]))
    box.presets.list.actions()[0].trigger()
    assert changes == [5], "one change, with all values set"
    assert {"sigma": 5, "truncate": 3, "mode": "nearest"}.items() <= box.form.values().items()
    other = FormBox(lambda role: [])
    other.show_operation(OPERATIONS["filters.sobel"], 2)
    assert "wide && soft" not in texts(other.presets.list)
    other.show_operation(GAUSSIAN, 2)
    other.delete_preset("wide & soft")
    assert remembered_values.preset_names(GAUSSIAN) == []


def test_a_preset_that_cannot_be_read_is_refused(box):
    refused = []
    box.refused.connect(refused.append)
    box.show_operation(GAUSSIAN, 2).editors["sigma"].widget.value = "five"
    box.save_preset("bad")
    assert "five" in refused[0]
    assert remembered_values.preset_names(GAUSSIAN) == []


# -- intensities -----------------------------------------------------------------------------------


@pytest.fixture
def lines(viewer, panel, qtbot):
    """The histogram of an image with values from 100 to 300, in a form with two thresholds."""
    image = np.random.default_rng(0).integers(100, 301, (60, 60)).astype(np.uint16)
    viewer.add_image(image, contrast_limits=(0, 1000))
    panel.choose(HYSTERESIS)
    lines = panel.form.lines
    qtbot.waitUntil(lambda: lines.histogram is not None, timeout=TIMEOUT)
    lines.resize(208, 74)
    return lines


def drag(qtbot, lines, start, end):
    y = 20
    qtbot.mousePress(lines, Qt.MouseButton.LeftButton, pos=QPoint(round(start), y))
    qtbot.mouseMove(lines, QPoint(round(end), y))
    qtbot.mouseRelease(lines, Qt.MouseButton.LeftButton, pos=QPoint(round(end), y))


def test_a_drag_of_the_nearest_line_sets_the_number(panel, lines, qtbot):
    panel.form.set_values({"low": 150, "high": 250})
    assert (lines.histogram.low, lines.histogram.high) == (100, 300)
    drag(qtbot, lines, lines.x_of(152), lines.x_of(120))
    assert panel.form.values()["low"] == pytest.approx(120, abs=2)
    assert panel.form.values()["high"] == 250
    drag(qtbot, lines, lines.x_of(249), lines.x_of(1000))
    assert panel.form.values()["high"] == 300
    panel.form.editors["low"].widget.value = "200"
    assert lines.x_of(200) == pytest.approx(lines.area.center().x())


def test_lines_are_painted_where_the_numbers_are(panel, lines):
    panel.form.set_values({"low": 150, "high": 250})
    lines.show()
    before = lines.grab().toImage()
    panel.form.set_values({"low": 200})
    after = lines.grab().toImage()
    y = 10
    assert before.pixel(round(lines.x_of(150)), y) != after.pixel(round(lines.x_of(150)), y)
    assert before.pixel(round(lines.x_of(200)), y) != after.pixel(round(lines.x_of(200)), y)


def test_a_range_of_intensities_has_two_lines(panel, viewer, lines, qtbot):
    panel.choose("exposure.rescale_intensity")
    lines = panel.form.lines
    qtbot.waitUntil(lambda: lines.histogram is not None, timeout=TIMEOUT)
    lines.resize(208, 74)
    assert panel.form.values()["in_range"] == "image"
    drag(qtbot, lines, lines.x_of(110), lines.x_of(150))
    low, high = panel.form.values()["in_range"]
    assert low == pytest.approx(150, abs=2)
    assert high == 300


@pytest.mark.parametrize("name", ["filters.gaussian", "filters.threshold_otsu"])
def test_a_later_step_shows_the_intensities_before_it(viewer, qtbot, name):
    image = np.random.default_rng(0).integers(100, 301, (60, 60)).astype(np.uint16)
    layer = viewer.add_image(image, contrast_limits=(0, 1000))
    recipe = Recipe([(name, {}), (HYSTERESIS, {"low": 1, "high": 2})])
    source = snapshot.take(layer)
    record = Record(recipe, Origin.of(layer))
    job = Job(recipe, source, snapshot.first_box(source), record)
    assert before_step(job, 0) is None  # the layer's own
    lines = IntensityLines([IntensityLine("low", lambda: 1.0, lambda *_: None)])
    qtbot.addWidget(lines)
    lines.fit(before_step(job, 1))
    if name == "filters.gaussian":
        qtbot.waitUntil(lambda: lines.histogram is not None, timeout=TIMEOUT)
        smooth = filters.gaussian(image)
        assert (lines.histogram.low, lines.histogram.high) == (smooth.min(), smooth.max())
        box = FormBox(lambda role: [])
        form = box.show_operation(OPERATIONS[HYSTERESIS], 2)
        box.fit(2, source=before_step(job, 1))
        qtbot.waitUntil(lambda: form.lines.histogram is not None, timeout=TIMEOUT)
        assert {slider.span for slider in form.sliders.values()} == {(smooth.min(), smooth.max())}
    else:
        qtbot.waitUntil(lambda: lines.worker.is_still, timeout=TIMEOUT)
        assert lines.histogram is None  # a mask has no intensities


@pytest.mark.parametrize("name", ["filters.gaussian", "exposure.equalize_hist"])
@pytest.mark.parametrize("has_pyramid", [True, False])
def test_intensities_before_a_step_on_a_large_image_read_a_bounded_part(viewer, name, has_pyramid):
    """Also where a step before needs a pass over all pixels: then a coarse level is computed."""
    length, read = 20_000, []

    class Plane:
        shape, dtype, ndim = (length, length), np.dtype(np.uint16), 2

        def __getitem__(self, key):
            y, x = (np.arange(*part.indices(length)) for part in key)
            read.append(len(y) * len(x))
            return (np.add.outer(y, x) // 2).astype(np.uint16)

    fine = da.from_array(Plane(), chunks=1000, meta=np.empty((0, 0), np.uint16))
    coarse = np.add.outer(*[np.arange(0, length, 16)] * 2).astype(np.uint16) // 2
    levels = [fine, coarse] if has_pyramid else [fine]
    layer = Image(levels, contrast_limits=(0, length), multiscale=True)
    source, recipe = snapshot.take(layer), Recipe([(name, {}), (HYSTERESIS, {"low": 1, "high": 2})])
    job = Job(recipe, source, snapshot.first_box(source), Record(recipe, Origin.of(layer)))
    read.clear()
    before = before_step(job, 1)
    assert not read, "nothing is computed before it is needed"
    if name == "exposure.equalize_hist" and not has_pyramid:
        with pytest.raises(InvalidImage, match="no pyramid"):
            before.read(_Never())
        assert not read
        return
    histogram = intensities.histogram(before.read(_Never()), _Never())
    assert sum(read) < 16 * intensities.MOST_PIXELS
    if name == "exposure.equalize_hist":
        assert not read, "the coarse level is in memory"
        assert histogram.low < 0.01
        assert histogram.high == pytest.approx(1, abs=0.001)
    else:
        assert 0 <= histogram.low < 0.2 * length / 2**16
        assert 0.8 * length / 2**16 < histogram.high <= length / 2**16


def test_the_histogram_follows_the_layer(panel, viewer, lines, qtbot):
    panel.form.lines.show()
    viewer.add_labels(np.ones((60, 60), np.int32))
    assert lines.histogram is None
    assert not lines.isVisibleTo(panel)
    brighter = viewer.add_image(np.linspace(0, 1, 900).reshape(30, 30))
    qtbot.waitUntil(lambda: lines.histogram is not None, timeout=TIMEOUT)
    assert lines.histogram.high == 1
    brighter.data = np.linspace(0, 5, 900).reshape(30, 30)
    panel.form_box.changed.emit()
    qtbot.waitUntil(lambda: lines.histogram.high == 5, timeout=TIMEOUT)


def test_a_sample_of_a_lazy_image_is_bounded_and_spread():
    class Plane:
        shape, dtype, ndim = (20_000, 20_000), np.dtype(np.uint16), 2
        read = 0

        def __getitem__(self, key):
            y, x = (np.arange(*part.indices(20_000)) for part in key)
            Plane.read += len(y) * len(x)
            return (np.add.outer(y, x) // 2).astype(np.uint16)

    lazy = da.from_array(Plane(), chunks=200, meta=np.empty((0, 0), np.uint16))
    coarse = np.zeros((312, 312), np.uint16)
    layer = Image([lazy, coarse], contrast_limits=(0, 1), multiscale=True)
    Plane.read = 0
    histogram = intensities.histogram(snapshot.take(layer).finest, _Never())
    assert 0 < Plane.read < 8 * intensities.MOST_PIXELS  # whole chunks around the windows
    assert histogram.counts.sum() <= intensities.MOST_PIXELS
    assert histogram.low < 4000
    assert histogram.high > 16000


class _Never:
    def is_set(self):
        return False


# -- footprints ------------------------------------------------------------------------------------


def test_the_picture_shows_the_footprint(box):
    form = box.show_operation(OPERATIONS["morphology.erosion"], 2)
    native = form.editors["footprint"].widget.native
    picture = native.layout().itemAt(native.layout().count() - 1).widget()
    form.set_values({"footprint": {"shape": "diamond", "radius": 2}})
    np.testing.assert_array_equal(
        picture.pixels, np.add.outer(abs(np.arange(-2, 3)), abs(np.arange(-2, 3))) <= 2
    )
    assert picture.toolTip() == "5 × 5 pixels"
    image = picture.grab().toImage()
    centre, corner = (image.pixel(n * image.width() // 26, 13) for n in (13, 3))
    assert centre != image.pixel(4, 4)
    assert corner == centre
