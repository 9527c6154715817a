"""A batch of one operation: the chooser and the generated form, as in the Operations panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_request import What, layers_for, with_layers
from napari_tilewise._napari.batch_panel.page_widgets import Fold, LabelledRows, choice
from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise._napari.forms.editors import is_picture
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.layers import recording, snapshot
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.small_widgets import text
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.recipe import Recipe, Step

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise.operations.spec.operation import Operation

WAYS = {
    "space, as the images say": None, "plane by plane (yx)": "yx", "volume (zyx)": "zyx",
}  # fmt: skip


class OperationPart(QWidget):
    """An operation with its form.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.form: Form | None = None
        self.chooser = Chooser(OPERATIONS, self)
        self.title, self.kind = text(bold=True), text(faint=True)
        self.way = choice(WAYS)
        self._forms, self._advanced_forms = QVBoxLayout(), QVBoxLayout()
        ways = LabelledRows()
        ways.add(
            "process", self.way, "Whether the operation sees one plane at a time or whole volumes"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for one in (self.chooser, self.title, self.kind, ways):
            layout.addWidget(one)
        layout.addLayout(self._forms)
        self.advanced = Fold("Advanced")
        layout.addWidget(self.advanced)
        layout.addLayout(self._advanced_forms)
        self.chooser.chosen.connect(self._show_form)
        self.way.currentIndexChanged.connect(self.refresh)
        self.chooser.choose(next(iter(OPERATIONS)))

    def _show_form(self, name: str) -> None:
        if self.form is not None:
            self.form.discard()
        op = OPERATIONS[name]
        self.form = Form(op, lambda role: layers_for(self._viewer, role), self._say)
        self._forms.addWidget(self.form.basic)
        self._advanced_forms.addWidget(self.form.advanced)
        self.advanced.hold(self.form.advanced)
        self.advanced.setVisible(self.form.has_advanced)
        self.title.setText(op.title)
        self.title.setToolTip(wording.function(op))
        self.refresh()

    @property
    def _ndim(self) -> int:
        return len(self.way.currentData() or "yx")

    def refresh(self, *_: object) -> None:
        """Offer what suits the layers and the way there are now."""
        if self.form is not None:
            self.form.fit(self._ndim)
            self._say()

    def _say(self) -> None:
        """Say what the parameters mean, or why they will not do."""
        if self.form is None:
            return
        op = self.form.operation
        try:
            step = self.what().recipe.steps[0]  # type: ignore[union-attr]  # it is one
        except TilewiseError as error:
            self.kind.setText(str(error))
            return
        self.kind.setText(
            f"{wording.kind(op, self._ndim, step.parameters)} {wording.exactness(op)}"
        )

    def what(self) -> What:
        """Return the operation as a recipe of one step; raises `TilewiseError`."""
        form = self.form
        assert form is not None, "one operation is chosen from the start"
        op, layers = form.operation, form.layers()
        chosen = {role: layer for role, layer in layers.items() if role in op.images}
        names = {role: recording.free_name(role, ()) for role in chosen}
        params = _parameters(op, form.values(), layers)
        step = Step(
            op.name, recording.given(op, params), inputs=names, spatial=self.way.currentData()
        )
        recipe = Recipe([step], names.values())
        return with_layers(recipe, {names[role]: layer for role, layer in chosen.items()})


def _parameters(
    op: Operation, values: Mapping[str, Any], layers: Mapping[str, Layer]
) -> dict[str, Any]:
    """Return a form's values without further images; small images as arrays."""
    found = {}
    for name, value in values.items():
        if not is_picture(op.specs[name]):
            found[name] = value
        elif name in layers and name not in op.images:
            found[name] = np.asarray(snapshot.take(layers[name]).finest)
        elif name not in layers and value is not None:
            found[name] = value
    return found
