"""A batch of one operation: a chooser and a generated form, as in the Operations panel."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest, request_of
from napari_tilewise._napari.batch_panel.page_widgets import ItemImages, LabelledRows, choice
from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise._napari.forms.form_box import FormBox
from napari_tilewise._napari.layers import recording
from napari_tilewise._napari.layers.intensities import IntensitySource
from napari_tilewise._napari.layers.viewer_layers import layers_for
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.plain_words import plain_message
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise.errors import InvalidRecipe, TilewiseError
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.recipe import Recipe, Step

if TYPE_CHECKING:
    import threading

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.forms.form import Form
    from napari_tilewise.batches.items import Item

SPATIAL = {
    "as the images' axes say": None, "plane by plane (yx)": "yx", "volume (zyx)": "zyx",
}  # fmt: skip
"""Spatial axes by their descriptions."""


class OperationPart(QWidget):
    """Chooses an operation and its parameters.

    Parameters
    ----------
    viewer
        The viewer whose layers can be further images.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._intensities: IntensitySource | None = None
        self.form_box = FormBox(lambda role: layers_for(self._viewer, role))
        self.chooser = Chooser(OPERATIONS, self)
        self.title, self.kind = text_label(bold=True), text_label(faint=True)
        self.process = choice(SPATIAL)
        self.images = ItemImages()
        axes = LabelledRows()
        axes.add(
            "process",
            self.process,
            "Whether the operation processes one plane at a time or whole volumes",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.chooser, self.title, self.kind, axes, self.form_box):
            layout.addWidget(widget)
        layout.addWidget(self.images)
        self.form_box.changed.connect(self._describe)
        self.form_box.refused.connect(self.kind.setText)
        self.chooser.chosen.connect(self._show_form)
        self.process.currentIndexChanged.connect(self.refresh)
        self.images.changed.connect(self._describe)
        self.chooser.choose(next(iter(OPERATIONS)))

    def _show_form(self, name: str) -> None:
        op = OPERATIONS[name]
        self.images.set_names(op.images)
        self.form_box.show_operation(op, self._ndim)
        self.title.setText(op.title)
        self.title.setToolTip(wording.plain_tooltip(wording.function(op)))
        self.refresh()

    @property
    def form(self) -> Form | None:
        """The form of the chosen operation."""
        return self.form_box.form

    @property
    def _ndim(self) -> int:
        return len(self.process.currentData() or "yx")

    def refresh(self, *_: object) -> None:
        """Update the choices to the viewer's layers and the spatial axes."""
        if self.form is not None:
            self.form_box.fit(self._ndim, source=self._intensities)
            self._describe()

    def show_intensities(self, item: Item | None) -> None:
        """Show the histogram of an item in forms with intensities.

        Parameters
        ----------
        item
            The first one of the batch; None if there is none.
        """
        self._intensities = None
        if item is not None:

            def read(cancel: threading.Event) -> Any:
                image = open_image(item.open())
                return None if image.labels else image.data

            self._intensities = IntensitySource((id(item), item.input), read)
        self.refresh()

    def _describe(self) -> None:
        """Show the kind and halo of the operation, or why its parameters are invalid."""
        if self.form is None:
            return
        op = self.form.operation
        try:
            step, _ = self._step(self.form)
        except TilewiseError as error:
            self.kind.setText(plain_message(str(error)))
            return
        self.kind.setText(
            f"{wording.kind(op, self._ndim, step.parameters)} {wording.exactness(op)}"
        )

    def request(self) -> BatchRequest:
        """Return the operation as a recipe of one step.

        Raises
        ------
        TilewiseError
            If a parameter is invalid.
        """
        if self.form is None:
            raise InvalidRecipe("Choose an operation.")
        step, images = self._step(self.form)
        request = request_of(Recipe([step], step.inputs.values()), images)
        paths = {step.inputs[role]: path for role, path in self.images.paths.items()}
        return replace(request, inputs={**request.inputs, **paths})

    def _step(self, form: Form) -> tuple[Step, dict[str, Layer]]:
        """Return the form's step, and its further images by the names of the recipe's inputs."""
        op, values, paths = form.operation, form.read(), self.images.paths
        inputs = {role: recording.free_name(role, ()) for role in (*values.images, *paths)}
        params = recording.without_defaults(op, values.params)
        params = {name: value for name, value in params.items() if name not in paths}
        step = Step(op.name, params, inputs=inputs, spatial=self.process.currentData())
        layers = {role: layer for role, layer in values.images.items() if role not in paths}
        return step, {inputs[role]: layer for role, layer in layers.items()}
