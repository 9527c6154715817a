"""One step under edit: its form, where its images come from, and which axes it runs over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget

from napari_tilewise._napari.forms.editors import is_picture
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.layers import dimensions, recording, snapshot
from napari_tilewise._napari.recipe_panel.drafts import BEFORE, Draft, ImageChoice
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.labelled_rows import rows, show_row
from napari_tilewise._napari.widgets.small_widgets import text
from napari_tilewise.errors import InvalidAxes, TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Layer

    from napari_tilewise.recipe import Step

AS_IT_IS = "as the image has it"
Spatial = str | tuple[int, ...] | None


class StepForm(QWidget):
    """Edits one step of a draft; what is written is in the draft at once.

    Parameters
    ----------
    layers
        Returns the layers to offer as a further image of some role.
    source
        Returns the layer that the recipe starts from, where it is open.
    """

    edited = Signal()
    """The draft has another recipe now."""
    refused = Signal(str)
    """Why what is written makes no recipe, in one sentence; empty when it does."""

    def __init__(
        self, layers: Callable[[str], Sequence[Layer]], source: Callable[[], Layer | None]
    ) -> None:
        super().__init__()
        self._layers, self._source = layers, source
        self._draft: Draft | None = None
        self._at = -1
        self._filling = False
        self.form: Form | None = None
        self.title, self.kind = text(bold=True), text(faint=True)
        self.image = ComboBox(label="works on", choices=[])
        self.image.tooltip = "What the step works on"
        self.way = ComboBox(label="process", choices=[])
        self.way.tooltip = "<qt>Whether the step sees one plane at a time or whole volumes.</qt>"
        self._ways: dict[str, Spatial] = {}
        for box in (self.image, self.way):
            box.changed.connect(lambda *_: self._changed())
        self.advanced = QToolButton()
        self.advanced.setText("Advanced")
        self.advanced.setCheckable(True)
        self.advanced.setAutoRaise(True)
        self.advanced.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.advanced.toggled.connect(self._fold)
        self._forms, self._advanced_forms = QVBoxLayout(), QVBoxLayout()
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 4, 0)
        self._choices_box = rows([self.image, self.way])
        for item in (self.title, self.kind, self._choices_box):
            body.addWidget(item)
        body.addLayout(self._forms)
        body.addWidget(self.advanced)
        body.addLayout(self._advanced_forms)
        body.addStretch()

    def show_step(self, draft: Draft, at: int) -> None:
        """Show a step as it is in the draft.

        Parameters
        ----------
        draft
            The draft.
        at
            Which step; -1: none.
        """
        self._draft, self._at = draft, at
        self.setVisible(at >= 0)
        if at < 0:
            return
        step = draft.steps[at]
        self._filling = True
        try:
            self._fill(step)
        finally:
            self._filling = False
        self._tell(step)

    def _fill(self, step: Step) -> None:
        op, draft = step.op, self._draft
        assert draft is not None
        if self.form is not None:
            self.form.discard()
        self.form = form = Form(op, self._choices, self._changed)
        self._forms.addWidget(form.basic)
        self._advanced_forms.addWidget(form.advanced)
        self.title.setText(op.title)
        self.title.setToolTip(wording.function(op))
        self.advanced.setVisible(form.has_advanced)
        self._fold(self.advanced.isChecked())
        form.fit(self._ndim(step))
        form.set_values(
            {key: value for key, value in step.parameters.items() if key in form.editors}
        )
        for role in op.images:
            chosen = draft.chosen(self._at, role)
            if chosen is not None and role in form.editors:
                form.editors[role].write(chosen)
        first = draft.chosen(self._at, step.first)
        self.image.choices = [(one.name, one) for one in self._first_choices(first)]
        self.image.value = first
        self._fill_ways(step)

    def _choices(self, role: str) -> list[Any]:
        """Return what a further image can be: results of earlier steps, the source, layers."""
        if self._draft is None:
            return []
        known = self._draft.images(self._at)
        sheet = self._draft.sheet
        taken = {sheet.source.id, *(origin.id for origin in sheet.inputs.values())}
        layers = [one for one in self._layers(role) if str(one.unique_id) not in taken]
        return [*known, *layers]

    def _first_choices(self, chosen: ImageChoice | None) -> list[ImageChoice]:
        assert self._draft is not None
        before = ImageChoice(BEFORE if self._at else f"source ({self._draft.sheet.source.name})")
        if not self._at:
            return [chosen] if chosen is not None else [before]
        found = [ImageChoice(BEFORE), *self._draft.images(self._at)]
        return found if chosen is None or chosen in found else [*found, chosen]

    def _fill_ways(self, step: Step) -> None:
        self._ways = {AS_IT_IS: None}
        source = self._source()
        if source is not None:
            try:
                ways = dimensions.choices(
                    step.op, source.axis_labels, (source.ndim - 2, source.ndim - 1)
                )
            except InvalidAxes:
                ways = ()  # the image may have other axes by then: the run will tell
            taken = snapshot.take(source, as_made=False)
            self._ways |= {way.text: recording.recorded_axes(way.axes, None, taken) for way in ways}
        known = next((key for key, way in self._ways.items() if way == step.spatial), None)
        if known is None:
            known = wording.spatial(step.spatial)
            self._ways[known] = step.spatial
        self.way.choices = list(self._ways)
        self.way.value = known
        show_row(self._choices_box, self.way, len(set(self._ways.values())) > 1)

    def _ndim(self, step: Step) -> int:
        source = self._source()
        if step.spatial is not None:
            return len(step.spatial)
        return 2 if source is None else int(source.ndim)

    def _fold(self, unfolded: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self.advanced.setArrowType(arrow)
        if self.form is not None:
            self.form.advanced.setVisible(unfolded)

    # ------------------------------------------------------------------ what is written

    def _changed(self) -> None:
        if self._filling or self._draft is None or self.form is None:
            return
        draft = self._draft
        before = draft.sheet
        try:
            params, images = self._values()
            draft.set_step(self._at, params, images, self._ways[self.way.value])
        except TilewiseError as error:
            self.refused.emit(str(error))
            return
        self.refused.emit("")
        self._tell(draft.steps[self._at])
        if draft.sheet != before:
            self.edited.emit()

    def _values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the parameters and the images as they are written."""
        form, draft = self.form, self._draft
        assert form is not None
        assert draft is not None
        step, op = draft.steps[self._at], form.operation
        params: dict[str, Any] = {}
        images: dict[str, Any] = {step.first: self.image.value if self._at else None}
        for name, value in form.values().items():
            if name in op.images and not isinstance(value, str):
                images[name] = value
            elif hasattr(value, "data") and is_picture(op.specs[name]):
                params[name] = np.asarray(snapshot.take(value).finest)
            else:
                params[name] = value
        if not self._at and step.first in step.inputs:
            images[step.first] = draft.chosen(0, step.first)
        hidden = {key: value for key, value in step.parameters.items() if key not in form.editors}
        return {**hidden, **recording.given(op, _set(op.parameters, params))}, images

    def _tell(self, step: Step) -> None:
        said = wording.kind(step.op, self._ndim(step), step.parameters)
        self.kind.setText(f"{said} {wording.exactness(step.op)}")


def _set(parameters: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters without images that are not chosen."""
    return {
        key: value
        for key, value in params.items()
        if value is not None or not is_picture(parameters[key].spec)
    }
