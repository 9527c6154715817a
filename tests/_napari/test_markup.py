"""Names that look like markup are shown as they are."""

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument

from napari_tilewise._napari.widgets.small_widgets import message_label, text_label
from napari_tilewise._napari.widgets.wording import plain_tooltip
from napari_tilewise.batches.report import Report

NAMES = ["<b>cell</b>", "<img src='file:///x'>", "a & b <i>", "plain", "x < y", "&lt;"]


@pytest.mark.usefixtures("qapp")
def test_labels_show_plain_text():
    for label in (text_label(), text_label(bold=True), message_label()):
        assert label.textFormat() == Qt.TextFormat.PlainText


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", NAMES)
def test_tooltips_show_the_name(name):
    shown = plain_tooltip(name)
    if shown.startswith("<qt>"):
        document = QTextDocument()
        document.setHtml(shown)
        shown = document.toPlainText()
    else:
        assert "<" not in shown  # so that Qt takes it for plain text
    assert shown == name


@pytest.mark.parametrize("name", NAMES[:3])
def test_notebooks_show_the_name(name):
    row = {"item": name, "status": "failed", "seconds": 0.1, "error": name}
    page = Report([row], Path("<u>out</u>"), left_out=name)._repr_html_()
    assert name not in page
    assert "<img" not in page
