"""Forms say what declarations say: defaults survive, None stays sayable, mistakes are told."""

from __future__ import annotations

import re

import numpy as np
import pytest
from magicgui.widgets import ComboBox
from qtpy.QtGui import QTextDocument
from tests._napari.conftest import FRAME

from napari_tilewise import OPERATIONS
from napari_tilewise._napari.forms import remembered_values
from napari_tilewise._napari.forms.editors import editor_of
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.forms.form_values import takes_layer
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.panel_base import WIDTH
from napari_tilewise._napari.widgets.plain_words import PYTHON, plain_sentences
from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.spec.keyword_specs import Keywords
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChoiceSpec,
    Flag,
    Footprint,
    FunctionSpec,
    Names,
    Number,
    Numbers,
    OtherImage,
    Parameter,
    Range,
    Seed,
)

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("qapp")]


def no_layers(role):
    return []


def made(spec, default=None, *, required=False):
    parameter = Parameter(name="p", default=default, required=required, spec=spec, doc="")
    return editor_of(parameter, no_layers)


def texts_of(op, form):
    """Return every label, tooltip, choice and sentence of an operation's form."""
    assert plain_sentences(op.summary)
    yield from (wording.title(op), plain_sentences(op.summary), wording.exactness(op))
    for editor in form.editors.values():
        document = QTextDocument()
        document.setHtml(OWN_NAME.sub("", editor.widget.tooltip))
        yield from (editor.widget.label, document.toPlainText())
        for box in (editor.widget, *getattr(editor.widget, "_list", [])):
            if isinstance(box, ComboBox):
                yield from (box.native.itemText(index) for index in range(box.native.count()))


@pytest.mark.parametrize("key", ["filters.gaussian", "ndimage.gaussian_filter"])
def test_a_decimal_comma_is_not_taken_for_two_numbers(key):
    form = Form(OPERATIONS[key], no_layers, lambda: None)
    box = form.editors["sigma"].widget
    box.value = "2,5"
    with pytest.raises(InvalidParameterType, match=r"write '2.5', or '2, 5' with a space"):
        form.values()
    box.value = "2, 5"
    assert form.values()["sigma"] == (2, 5)
    box.value = "1,2,3"
    assert form.values()["sigma"] == (1, 2, 3)


OWN_NAME = re.compile(r"^<qt><b>.*?</b><br>")
"""The parameter's name in the library, which a tooltip begins with."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_untouched_form_gives_the_operations_own_defaults(name):
    op = OPERATIONS[name]
    form = Form(op, no_layers, lambda: None)
    ndim = min(max(2, op.limits.ndim[0]), op.limits.ndim[1])
    form.fit(ndim)
    values = form.values()
    pictures = [key for key, spec in op.specs.items() if takes_layer(spec)]
    given = {key: value for key, value in values.items() if key not in pictures}
    missing = {key: np.zeros((9, 9), int) for key in pictures if op.parameters[key].required}
    for key, spec in op.specs.items():
        if isinstance(spec, FunctionSpec) and op.parameters[key].required and given[key] is None:
            given.pop(key)  # a function has no widget: Python gives it
            missing[key] = {} if isinstance(spec, Keywords) else len
    op.bind({**given, **missing}, ndim)
    for key, value in given.items():
        parameter = op.parameters[key]
        if not parameter.required:
            default = parameter.default
            default = tuple(default) if isinstance(default, range) else default
            default = (isinstance(parameter.spec, Names) and parameter.spec.usual) or default
            if isinstance(parameter.spec, Names) and default is not None:
                value, default = sorted(value), sorted(default)
            checked = [parameter.spec.check(key, item, None) for item in (value, default)]
            np.testing.assert_equal(*checked)
    form.reset()
    np.testing.assert_equal(form.values(), values)
    remembered_values.remember_last(op, values)  # also tuples and arrays, which no file holds
    form.set_values(remembered_values.last_values(op, ndim))
    np.testing.assert_equal(form.values(), values)
    assert [text for text in texts_of(op, form) if PYTHON.search(text)] == []
    for part in (form.basic, form.advanced):
        assert part.minimumSizeHint().width() <= WIDTH - FRAME


@pytest.mark.parametrize(
    "spec",
    [
        Number(optional=True),
        Number(optional=True, integer=True, minimum=1),
        Number(optional=True, per_axis=True),
        Numbers(optional=True, item=Number()),
        ChoiceSpec(optional=True, choices=("a", "b")),
        Flag(optional=True),
        Footprint(optional=True),
        AlignedImage(),
        OtherImage(),
        Array(optional=True),
        Array(optional=True, ndim=1),
        FunctionSpec(optional=True),
        Seed(),
    ],
    ids=repr,
)
def test_none_is_sayable(spec):
    assert made(spec, None).read() is None


def test_optional_number_leaves_auto():
    auto = made(Number(optional=True, minimum=0), None)
    auto.write(2.5)
    assert auto.read() == 2.5
    auto.write(None)
    assert auto.read() is None


@pytest.mark.parametrize("default", [2e-4, 1e-7, 0.05, 1.0, 3, 12345.678, 0.1])
def test_no_default_is_rounded(default):
    assert made(Number(minimum=0), default).read() == default


def test_text_holds_one_number_or_one_per_axis():
    box = made(Number(per_axis=True, minimum=0), 1.0)
    assert box.read() == 1.0
    box.widget.value = "1, 2 2.5"
    assert box.read() == (1, 2, 2.5)
    for wrong in ("", "one", "1;2"):
        box.widget.value = wrong
        with pytest.raises(InvalidParameter, match="expected a number"):
            box.read()


def test_footprints_follow_the_number_of_axes():
    box = made(Footprint(), required=True)
    assert box.read() == {"shape": "disk", "radius": 3}
    box.write({"shape": "square", "width": 5})
    assert box.read() == {"shape": "square", "width": 5}
    box.fit(3)
    assert box.read() == {"shape": "cube", "width": 5}


def test_ranges_names_and_choices():
    box = made(Range(names=("image", "dtype")), "image")
    assert box.read() == "image"
    box.write((0, 255))
    assert box.read() == (0, 255)
    assert made(Names(names=("label", "area", "bbox")), ("label", "area")).read() == (
        "label",
        "area",
    )
    assert made(ChoiceSpec(choices=(1, "a", True)), "a").read() == "a"
    assert made(Numbers(item=Number()), range(1, 10, 2)).read() == (1, 3, 5, 7, 9)


def test_small_arrays_are_written_or_taken_from_a_layer():
    matrix = made(Array(shape=(2, 2)), np.eye(2))
    np.testing.assert_array_equal(matrix.read(), np.eye(2))
    matrix.widget.value = "[1, 2], [3, 4]"
    np.testing.assert_array_equal(matrix.read(), [[1, 2], [3, 4]])
    matrix.widget.value = "[1, 2"
    with pytest.raises(InvalidParameter, match="written such as"):
        matrix.read()
    template = made(Array(), required=True)
    assert template.read() is None  # a layer, which there is none of


def test_seeds_are_numbers_or_left_to_chance():
    seed = made(Seed(), None)
    seed.write(7)
    assert seed.read() == 7
    seed.write(None)
    assert seed.read() is None


def test_tooltips_are_scikit_images_words():
    form = Form(OPERATIONS["filters.gaussian"], no_layers, lambda: None)
    assert "Standard deviation" in form.editors["sigma"].widget.tooltip
    assert "channel_axis" not in form.editors
