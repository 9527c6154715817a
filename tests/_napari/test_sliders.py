"""A slider goes over the numbers that suit the layer; the field beside it takes any."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tilewise._napari.forms.sliders import STEPS
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.parameters import Number


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
