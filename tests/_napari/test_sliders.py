"""A slider goes over the numbers that suit the layer; the field beside it takes any."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_tilewise._napari.forms.sliders import STEPS
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.parameters import Number

TAG = re.compile("<[^>]*>")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.arange(60000, dtype=np.uint16).reshape(200, 300))


def test_a_slider_sets_the_number_and_follows_it(image, panel):
    panel.choose("filters.gaussian")
    form = panel.form
    slider = form.sliders["sigma"]
    slider.setValue(STEPS)
    assert form.values()["sigma"] == slider.span[1]
    form.set_values({"sigma": slider.span[1] / 2})
    assert slider.value() == STEPS // 2
    form.editors["sigma"].widget.value = "1000"
    assert slider.value() == STEPS
    assert form.values()["sigma"] == 1000
    form.editors["sigma"].widget.value = "1, 2"
    assert not slider.isEnabled()


def test_ranges_suit_the_layer(viewer, image, panel):
    panel.choose("filters.apply_hysteresis_threshold")
    assert panel.form.sliders["low"].span == tuple(image.contrast_limits_range)
    panel.choose("filters.gaussian")
    assert panel.form.sliders["sigma"].span[1] == 32
    viewer.add_image(np.zeros((20, 20)))
    assert panel.form.sliders["sigma"].span[1] == 8


def test_intensities_start_within_those_of_the_layer(viewer, panel):
    """As long as nobody set them; 0.3 and 0.6 would be all of an 8-bit image."""
    image = viewer.add_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    panel.choose("filters.apply_hysteresis_threshold")
    assert panel.form.values() == {"low": 76, "high": 153}
    panel.form.set_values({"high": 200})
    viewer.add_image(np.linspace(0, 1, 256).reshape(16, 16))
    assert panel.form.values() == {"low": 0.3, "high": 200}, "what the user chose stays chosen"
    panel.form_box.reset.click()
    assert panel.form.values() == {"low": 0.3, "high": 0.6}
    for name, expected in {
        "morphology.h_maxima": {"h": 0.1},
        "segmentation.flood_fill": {"new_value": 1},
        "ndimage.histogram": {"min": 0, "max": 1},
    }.items():
        panel.choose(name)
        assert expected.items() <= panel.form.values().items(), name
    viewer.layers.selection.active = image
    assert {"min": 0, "max": 255}.items() <= panel.form.values().items()


def test_an_automatic_intensity_that_is_set_starts_within_those_of_the_layer(viewer, panel):
    viewer.add_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    panel.choose("measure.find_contours")
    editor = panel.form.editors["level"]
    assert editor.read() is None
    editor.widget[0].value = False
    assert editor.read() == 128
    assert panel.form.sliders["level"].span == (0, 255)


def test_a_step_keeps_its_intensities(viewer, panel):
    """Those of a recipe do not follow the image that is open now."""
    viewer.add_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    operation = OPERATIONS["filters.apply_hysteresis_threshold"]
    box = panel.form_box
    form = box.show_operation(operation, 2, {"low": 0.3, "high": 0.6})
    box.fit(2, viewer.layers[0])
    assert form.values() == {"low": 0.3, "high": 0.6}


def test_sliders_of_differences_go_over_the_range(viewer, panel):
    viewer.add_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    panel.choose("filters.threshold_local")
    assert panel.form.sliders["offset"].span == (-255, 255)
    panel.choose("feature.canny")
    assert panel.form.sliders["low_threshold"].span == (0, 255)


@pytest.mark.parametrize(
    ("operation", "scale", "values", "expected"),
    [
        ("filters.gaussian", (0.5, 0.5), {"sigma": 3}, {"sigma": "= 1.5 µm"}),
        ("filters.gaussian", (0.5, 0.25), {"sigma": 3}, {"sigma": "= 1.5 x 0.75 µm"}),
        ("filters.gaussian", (0.5, 0.25), {"sigma": (1, 2)}, {"sigma": "= 0.5 µm"}),
        ("morphology.remove_small_objects", (0.5, 0.5), {"max_size": 80}, {"max_size": "= 20 µm²"}),
    ],
)
def test_lengths_are_in_the_layer_s_units_too(viewer, panel, operation, scale, values, expected):
    data = np.zeros((20, 20), np.uint8)
    viewer.add_labels(data, scale=scale, units=("um", "um"))
    panel.choose(operation)
    panel.form.set_values(values)
    notes = panel.form.notes
    assert {name: notes[name].label.text() for name in expected} == expected
    viewer.add_labels(data)
    assert {notes[name].label.text() for name in expected} == {""}, "in pixels only"


@pytest.mark.parametrize(
    ("operation", "units", "values", "expected"),
    [
        ("filters.gaussian", ("micron", "micrometer"), {"sigma": 3}, {"sigma": "= 1.5 x 0.75 µm"}),
        ("filters.gaussian", ("s", "um"), {"sigma": 3}, {"sigma": "= 1.5 s x 0.75 µm"}),
        ("filters.gaussian", ("pixel", "um"), {"sigma": 3}, {"sigma": "= 3 px x 0.75 µm"}),
        ("morphology.remove_small_objects", ("s", "um"), {"max_size": 80}, {"max_size": ""}),
        ("morphology.remove_small_objects", ("um", "nm"), {"max_size": 80},
         {"max_size": "= 0.01 µm²"}),
        ("morphology.erosion", ("um", "um"), {"footprint": {"shape": "disk", "radius": 3}},
         {"footprint": "= 3.5 x 1.75 µm"}),
        ("filters.sato", ("um", "um"), {"sigmas": (1, 2)},
         {"sigmas": "= 0.5 x 0.25 µm, 1 x 0.5 µm"}),
        ("measure.profile_line", ("um", "um"), {"src": (2, 4)}, {"src": "= 1 µm"}),
        ("segmentation.expand_labels", ("um", "um"), {"distance": 4, "spacing": 1},
         {"distance": "= 2 x 1 µm"}),
        ("segmentation.expand_labels", ("um", "um"), {"distance": 4, "spacing": (0.5, 0.25)},
         {"distance": "= 4 µm, 8 x 16 px"}),
        ("segmentation.expand_labels", ("um", "um"), {"distance": 4, "spacing": 2},
         {"distance": "= 2 px"}),
    ],
)  # fmt: skip
def test_lengths_of_all_kinds_and_units(viewer, panel, operation, units, values, expected):
    viewer.add_labels(np.zeros((20, 20), np.uint8), scale=(0.5, 0.25), units=units)
    panel.choose(operation)
    panel.form.set_values(values)
    notes = panel.form.notes
    assert {name: notes[name].label.text() for name in expected} == expected


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("segmentation.expand_labels", "spacing"),
        ("ndimage.distance_transform_edt", "sampling"),
        ("morphology.isotropic_erosion", "spacing"),
        ("morphology.remove_objects_by_distance", "spacing"),
        ("measure.centroid", "spacing"),
    ],
)
def test_the_size_of_a_pixel_is_offered(viewer, panel, operation, name):
    viewer.add_labels(np.zeros((20, 20), np.uint8), scale=(0.5, 0.25), units=("um", "um"))
    panel.choose(operation)
    note = panel.form.notes[name]
    assert "0.5 x 0.25 µm" in note.label.text()
    before = panel.form.values()
    note.label.linkActivated.emit("use")
    after = panel.form.values()
    assert np.asarray(after.pop(name)).tolist() == [0.5, 0.25]
    assert before.keys() - after.keys() == {name}


def test_twice_the_pixel_size_doubles_the_lengths_of_every_form(viewer, panel):
    """And areas are four times as large."""
    sizes = [(0.5, 0.125), (1, 0.25)]
    layers = [
        viewer.add_labels(np.zeros((20, 20), np.uint8), scale=size, units=("um", "um"))
        for size in sizes
    ]
    seen = 0
    for operation in OPERATIONS.values():
        panel.choose(operation.name)
        form = panel.form
        if not form.notes:
            continue
        texts = []
        for layer in layers:
            form.fit(2, layer)
            shown = {name: note.label.text() for name, note in form.notes.items()}
            texts.append({name: TAG.sub("", text) for name, text in shown.items()})
        for name, small in texts[0].items():
            numbers = [[float(n) for n in NUMBER.findall(text)] for text in (small, texts[1][name])]
            power = 2 if "²" in small else 1
            np.testing.assert_allclose(
                numbers[1], np.multiply(numbers[0], 2**power), rtol=1e-3, err_msg=operation.name
            )
            seen += bool(numbers[0])
    assert seen > 100


def test_every_position_is_a_valid_number(image, panel):
    for operation in OPERATIONS.values():
        if not any(isinstance(spec, Number) for spec in operation.specs.values()):
            continue
        panel.choose(operation.name)
        for name, slider in panel.form.sliders.items():
            for position in (0, 1, STEPS // 3, STEPS):
                slider.setValue(position)
                value = panel.form.editors[name].read()
                operation.specs[name].check(name, value, None)
