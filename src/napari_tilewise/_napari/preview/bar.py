"""The row of a panel that switches the preview on, compares, and says what is shown."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QSlider, QVBoxLayout, QWidget

from napari_tilewise._napari.preview.before_after import KEY
from napari_tilewise._napari.widgets.small_widgets import text_label

STEPS = 1000
"""Positions of the split line."""


LINE = 16
"""Height of the controls in pixels: two panels must fit a low window."""


class PreviewBar(QWidget):
    """Controls of a preview."""

    def __init__(self) -> None:
        super().__init__()
        self.on = QCheckBox("Preview")
        self.on.setToolTip(
            "<qt>Compute the visible part while parameters move, and show it above the layer</qt>"
        )
        self.before = QPushButton("Before")
        self.before.setStyleSheet("padding: 0px 6px;")  # its text fits the line
        self.before.setToolTip(f"Hold to see the image before (or hold {KEY} over the image)")
        self.splits = QCheckBox("Split")
        self.splits.setToolTip("Show the image before to the left of a line")
        self.split = QSlider(Qt.Orientation.Horizontal)
        self.split.setRange(0, STEPS)
        self.split.setValue(STEPS // 2)
        self.split.setToolTip("Where the line is")
        self.note = text_label(faint=True)
        row = QHBoxLayout()
        for widget in (self.on, self.before, self.splits):
            widget.setFixedHeight(LINE)
            row.addWidget(widget)
        row.addWidget(self.split, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.note)
        self.splits.toggled.connect(lambda *_: self.enable())
        self.enable()

    @property
    def part(self) -> float | None:
        """Where the line is: 0 is the left edge of the view, 1 the right; None: there is none."""
        return self.split.value() / STEPS if self.splits.isChecked() else None

    def enable(self) -> None:
        """Show the controls that can be used now."""
        is_on = self.on.isChecked()
        for widget in (self.before, self.splits, self.note):
            widget.setVisible(is_on)
        self.split.setVisible(is_on and self.splits.isChecked())
