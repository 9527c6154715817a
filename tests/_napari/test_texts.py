"""What forms and panels say can be read aloud by someone who never wrote Python."""

from __future__ import annotations

import re

import numpy as np
import pytest
import skimage as ski
from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.operations_panel.form_check import check_form
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
        (
            "Number them with segmentation.relabel_sequential.",
            "Number them with Relabel sequential.",
        ),
        ("Replace them first, for example with numpy.nan_to_num.", "Replace them first."),
        ("sigma=(1, 2, 3): no.", "sigma 1, 2, 3: no."),
        ("clip=(0,): no.", "clip 0: no."),
        ("K='1,,2': an integer.", "K '1,,2': a whole number."),
        ("cval='a': no.", "border value 'a': no."),
        ("f={'shape': 'ball', 'radius': 9}: no.", "f ball of radius 9: no."),
        ("range='a': one of 'dtype', 'uint8'.", "range 'a': one of 'data type', '8-bit'."),
        ("x has shape (2, 3): an array of shape (2,).", "x has shape 2 × 3: 2 numbers."),
        ("Add an axis (image[..., None]).", "Add an axis."),
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


WRONG = ("", "abc", "nan", "inf", "None", "0", "1, 2, 3", "1, 2, 3, 4", "[[1, 2], [3, 4]]", "[]")
SPEAKS_PYTHON = re.compile(
    r"\b(None|True|False|dtype|object|cval|func|ndim)\b|array\(|\w_\w|\w=|[{}]|\(\d*,|,\)|"
    r"\b(1 (numbers|axes)|an whole|a integer)\b"
)
"""What no message of a form holds, but for what the user typed."""


def test_what_forms_say_of_wrong_input_is_read_aloud(qapp):
    """Also, no wrong input ends in an error that is not told in the panel."""
    for op in OPERATIONS.values():
        form = Form(op, lambda role: [], lambda: None)
        form.fit(2)
        says(form)
        for editor in form.editors.values():
            native = editor.widget.native
            for box in native.findChildren(QCheckBox):
                box.setChecked(False)
            for size in native.findChildren(QSpinBox):
                size.setValue(size.maximum())
                says(form)
            for choices in native.findChildren(QComboBox):
                choices.setCurrentIndex(choices.count() - 1)
            lines = [native] if isinstance(native, QLineEdit) else native.findChildren(QLineEdit)
            for line in lines:
                if not isinstance(line.parent(), QSpinBox):
                    first = line.text()
                    for text in WRONG:
                        line.setText(text)
                        says(form)
                    line.setText(first)
        form.discard()


def says(form):
    error = check_form(form, 2, None).error
    text = re.sub(r"'[^']*'", "", plain_message(str(error or "")))
    assert not SPEAKS_PYTHON.search(text), text


def test_a_form_takes_a_map_between_images_as_a_matrix(panel, run, viewer):
    coins = ski.data.coins()
    layer = viewer.add_image(coins, name="coins")
    matrix = np.array([[0.5, 0, 10], [0, 0.5, 20], [0, 0, 1]])
    panel.choose("transform.warp")
    assert panel.form.values()["inverse_map"].tolist() == np.eye(3).tolist()
    result = run("transform.warp", layer, inverse_map=matrix)
    np.testing.assert_array_equal(result.data, ski.transform.warp(coins, matrix))
    form = Form(OPERATIONS["ndimage.affine_transform"], lambda role: [], lambda: None)
    for ndim in (2, 3):
        form.fit(ndim)
        assert form.values()["matrix"].tolist() == np.eye(ndim).tolist()


def test_a_function_that_only_python_has_is_named(panel, viewer):
    viewer.add_image(np.zeros((30, 30)))
    panel.choose("restoration.cycle_spin")
    assert "function can only be passed from Python" in panel.message.text()
    assert not panel.apply.isEnabled()


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
