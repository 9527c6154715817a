"""One step under edit: its form, the images that it takes, and the axes that it runs over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tilewise._napari.forms.form_box import FormBox
from napari_tilewise._napari.layers import dimensions, recording, snapshot
from napari_tilewise._napari.recipe_panel.draft_state import ImageChoice, StepEdit
from napari_tilewise._napari.recipe_panel.drafts import PREVIOUS_STEP, Draft
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.labelled_rows import rows, show_row
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import InvalidAxes, TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from napari.layers import Layer

    from napari_tilewise._napari.forms.form import Form
    from napari_tilewise._napari.layers.intensities import IntensitySource
    from napari_tilewise.recipe import Step

DEFAULT_AXES = "as the image's axes say"
Spatial = str | tuple[int, ...] | None


class StepForm(QWidget):
    """Edits one step of a draft; every change is in the draft at once.

    Parameters
    ----------
    layers
        Returns the layers to offer as a further image of some role.
    source
        Returns the layer that the recipe starts from; None if it is not open.
    intensities
        Returns the image that a step processes, by its number, if that is a result before it.
    """

    edited = Signal()
    """The draft's recipe changed."""
    refused = Signal(str)
    """Why the form's values make no valid recipe, in one sentence; empty if they do."""

    def __init__(
        self,
        layers: Callable[[str], Sequence[Layer]],
        source: Callable[[], Layer | None],
        intensities: Callable[[int], IntensitySource | None],
    ) -> None:
        super().__init__()
        self._layers, self._source, self._intensities = layers, source, intensities
        self._draft: Draft | None = None
        self._index = -1
        self._is_filling = False
        self.problem = ""
        """Why the form's values are not those of the step, in one sentence; empty if they are."""
        self._axes: dict[str, Spatial] = {}
        self.title, self.kind = text_label(bold=True), text_label(faint=True)
        self.image = ComboBox(label="image", choices=[])
        self.image.tooltip = "The image that the step processes"
        self.process = ComboBox(label="process", choices=[])
        self.process.tooltip = (
            "<qt>Whether the step processes one plane at a time or whole volumes.</qt>"
        )
        for box in (self.image, self.process):
            box.changed.connect(lambda *_: self._change())
        self.form_box = FormBox(self._image_choices)
        self.form_box.changed.connect(self._change)
        self.form_box.started.connect(self._start)
        self.form_box.refused.connect(self.refused)
        self._choices_box = rows([self.image, self.process])
        self._lay_out()

    def _lay_out(self) -> None:
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 4, 0)
        for part in (self.title, self.kind, self._choices_box, self.form_box):
            body.addWidget(part)
        body.addStretch()

    @property
    def form(self) -> Form | None:
        """The form of the step."""
        return self.form_box.form

    def show_step(self, draft: Draft, index: int) -> None:
        """Show a step of a draft.

        Parameters
        ----------
        draft
            The recipe under edit.
        index
            The step, from 0; -1 hides the form.
        """
        self._draft, self._index, self.problem = draft, index, ""
        self.setVisible(index >= 0)
        if index < 0:
            return
        self._is_filling = True
        try:
            self._fill(draft, draft.steps[index])
        finally:
            self._is_filling = False
        self._describe(draft.steps[index])

    def _fill(self, draft: Draft, step: Step) -> None:
        op = step.op
        self.title.setText(op.title)
        self.title.setToolTip(wording.plain_tooltip(wording.function(op)))
        chosen = {role: draft.chosen_image(self._index, role) for role in op.images}
        images = {role: choice for role, choice in chosen.items() if choice is not None}
        has_layer = not self._index and step.first not in step.inputs
        self.form_box.show_operation(
            op,
            self._ndim(step),
            {**step.parameters, **images},
            keeps_values=has_layer or not draft.is_new(self._index),
        )
        if has_layer:
            self.form_box.fit(self._ndim(step), self._source())
        else:
            self.form_box.fit(self._ndim(step), source=self._intensities(self._index))
        first = draft.chosen_image(self._index, step.first)
        self.image.choices = [(choice.name, choice) for choice in self._first_images(draft, first)]
        self.image.value = first
        self._fill_axes(step)

    def _image_choices(self, role: str) -> list[Any]:
        """Return the further images to offer: results of earlier steps, the source, layers."""
        if self._draft is None:
            return []
        choices, state = self._draft.image_choices(self._index), self._draft.state
        taken = {state.source.id, *(origin.id for origin in state.inputs.values())}
        layers = [layer for layer in self._layers(role) if str(layer.unique_id) not in taken]
        return [*choices, *layers]

    def _first_images(self, draft: Draft, current: ImageChoice | None) -> list[ImageChoice]:
        """Return the images to offer as the one that the step processes."""
        if not self._index:
            source = ImageChoice(f"source ({draft.state.source.name})")
            return [source if current is None else current]
        choices = [ImageChoice(PREVIOUS_STEP), *draft.image_choices(self._index)]
        return choices if current is None or current in choices else [*choices, current]

    def _fill_axes(self, step: Step) -> None:
        self._axes = {DEFAULT_AXES: None}
        source = self._source()
        if source is not None:
            try:
                choices = dimensions.choices(
                    step.op, source.axis_labels, (source.ndim - 2, source.ndim - 1)
                )
            except InvalidAxes:
                choices = ()  # an earlier step may change the axes; the run checks them
            image = snapshot.take(source, as_result=False)
            self._axes |= {
                choice.text: recording.recorded_axes(choice.axes, None, image) for choice in choices
            }
        current = next((text for text, axes in self._axes.items() if axes == step.spatial), None)
        if current is None:
            current = wording.spatial(step.spatial)
            self._axes[current] = step.spatial
        self.process.choices = list(self._axes)
        self.process.value = current
        show_row(self._choices_box, self.process, len(set(self._axes.values())) > 1)

    def _ndim(self, step: Step) -> int:
        source = self._source()
        if step.spatial is not None:
            return len(step.spatial)
        return 2 if source is None else int(source.ndim)

    # ------------------------------------------------------------------ edits

    def _change(self) -> None:
        if self._draft is not None:
            self._set_step(self._draft.set_step)

    def _start(self) -> None:
        """Let a new step start with what its form has found; that is no edit to undo."""
        if self._draft is not None and self._draft.is_new(self._index):
            self._set_step(self._draft.start_step)

    def _set_step(self, set_step: Callable[[int, StepEdit], None]) -> None:
        draft, form = self._draft, self.form
        if self._is_filling or draft is None or form is None:
            return
        before = draft.state
        try:
            set_step(self._index, self._edit(draft, form))
        except TilewiseError as error:
            self.problem = str(error)
            self.refused.emit(self.problem)
            return
        self.problem = ""
        self.refused.emit("")
        self._describe(draft.steps[self._index])
        if draft.state != before:
            self.edited.emit()

    def _edit(self, draft: Draft, form: Form) -> StepEdit:
        """Return the step's contents as the form has them."""
        step, op, values = draft.steps[self._index], form.operation, form.read()
        images: dict[str, ImageChoice | Layer | None] = {
            step.first: self.image.value if self._index else None, **values.images,
        }  # fmt: skip
        if not self._index and step.first in step.inputs:
            images[step.first] = draft.chosen_image(0, step.first)
        hidden = {key: value for key, value in step.parameters.items() if key not in form.editors}
        params = {**hidden, **recording.without_defaults(op, values.params)}
        return StepEdit(params, images, self._axes[self.process.value])

    def _describe(self, step: Step) -> None:
        kind = wording.kind(step.op, self._ndim(step), step.parameters)
        self.kind.setText(f"{kind} {wording.exactness(step.op)}")
