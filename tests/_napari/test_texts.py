"""What forms and panels say can be read aloud by someone who never wrote Python."""

from __future__ import annotations

import re

import numpy as np
import pytest
from qtpy.QtWidgets import QComboBox

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
from napari_tilewise._napari.widgets.plain_words import (
    plain_message,
    plain_sentences,
)
from napari_tilewise.errors import TilewiseError


def test_hardly_a_parameter_loses_its_description():
    docs = [p.doc for op in OPERATIONS.values() for p in op.parameters.values() if p.doc]
    assert sum(not plain_sentences(doc) for doc in docs) < 0.02 * len(docs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("If ``True``, `image` is padded.", "If yes, image is padded."),
        ("If None, all are used [1]_. When `channel_axis` is set, more.", "If auto, all are used."),
        ("Seed (see :func:`numpy.random.default_rng`).", "Seed."),
        ("As ``behavior=='rank'`` says.", "As behavior is rank says."),
        ("Of type float64. For example:: x = np.zeros(3)", "Of type 64-bit float."),
        ("Does ``structuring_element`` *not* fit?", "Does structuring element not fit?"),
    ],
)
def test_docstrings_are_read_aloud(text, expected):
    assert plain_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clip=3: expected True or False.", "clip 3: expected yes or no."),
        ("sigma=-1: expected a number or None.", "sigma -1: expected a number or auto."),
        ("No layer 'None' in '/a/True/b_c.tif'.", "No layer 'None' in '/a/True/b_c.tif'."),
        ("Wrote /tmp/my_file.tif.", "Wrote /tmp/my_file.tif."),
        ("filters.threshold_otsu: a uint8 image", "Otsu threshold: an 8-bit image"),
        ("napari_tilewise.copy: the result", "Copy: the result"),
        ("Step 2, filters.gaussian: no.", "Step 2, Gaussian: no."),
        ("filters.gaussian and my.function: no.", "filters.gaussian and my.function: no."),
    ],
)
def test_messages_are_read_aloud(text, expected):
    assert plain_message(text) == expected


def test_what_specs_say_of_wrong_values_is_read_aloud():
    for op in OPERATIONS.values():
        for name, spec in op.specs.items():
            for wrong in (None, True, object(), "wrong", -1, np.zeros((0, 2))):
                try:
                    spec.check(name, wrong, 2)
                except TilewiseError as error:
                    text = re.sub(r"'[^']*'|<[^>]*>", "", plain_message(str(error)))
                    assert not re.search(r"\b(None|True|False|channel_axis)\b", text), text


def test_a_panel_says_so(viewer):
    viewer.add_image(np.zeros((30, 30)))
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel)
    panel.say("mask=None: expected True or False.")
    assert panel.message.text() == "mask auto: expected yes or no."
    panel.choose("ndimage.gaussian_filter")
    boxes = panel.form_box.findChildren(QComboBox)
    assert "32-bit float" in {box.itemText(i) for box in boxes for i in range(box.count())}
    panel.form.set_values({"output": "float32"})
    assert panel.form.values()["output"] == "float32"
