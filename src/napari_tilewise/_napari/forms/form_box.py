"""A form with what belongs to every form: presets, Reset, a fold, and a memory of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tilewise._napari.forms import remembered_values
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.forms.form_values import usual_names
from napari_tilewise._napari.forms.preset_menu import PresetMenu
from napari_tilewise._napari.widgets.fold import Fold
from napari_tilewise._napari.widgets.tab_order import chain, field_before, fields
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.forms.editor import LayersOf
    from napari_tilewise._napari.layers.intensities import IntensitySource
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Parameters

PAUSE = 400
"""Milliseconds without a change after which the values are remembered."""


class FormBox(QWidget):
    """Shows the form of one operation at a time.

    Parameters
    ----------
    layers
        Returns the layers to offer as a further image of some role.
    """

    changed = Signal()
    """The user changed a value, or all of them."""
    started = Signal()
    """Numbers that nobody set have started within the intensities of the image to process."""
    refused = Signal(str)
    """Why the values cannot be saved, in one sentence."""

    def __init__(self, layers: LayersOf) -> None:
        super().__init__()
        self._layers = layers
        self._ndim = 2
        self._is_filling = self._is_unsaved = False
        self.form: Form | None = None
        self._above: QWidget | None = None
        self.reset, self.presets = QPushButton("Reset"), PresetMenu()
        self.reset.setToolTip("Reset the parameters to those that the form starts with")
        self.advanced = Fold("Advanced")
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE)
        self._pause.timeout.connect(self.remember)
        self._forms, self._advanced_forms = QVBoxLayout(), QVBoxLayout()
        self._lay_out()
        self.reset.clicked.connect(self._reset)
        self.presets.chosen.connect(self.choose_preset)
        self.presets.saved.connect(self.save_preset)
        self.presets.deleted.connect(self.delete_preset)

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(3)
        tools.addWidget(self.advanced)
        tools.addStretch()
        tools.addWidget(self.presets)
        tools.addWidget(self.reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._forms)
        layout.addLayout(tools)
        layout.addLayout(self._advanced_forms)

    def show_operation(
        self,
        operation: Operation,
        ndim: int,
        values: Parameters | None = None,
        *,
        keeps_values: bool = True,
    ) -> Form:
        """Show the form of an operation, and return it.

        Parameters
        ----------
        operation
            The operation.
        ndim
            Number of spatial axes.
        values
            Parameters other than the defaults; those that the form had last, if not given.
        keeps_values
            Whether the given intensities do not start within those of the image to process.
        """
        self.remember()
        if self.form is not None:
            self.form.discard()
        self._ndim = ndim
        self.form = form = Form(operation, self._layers, self._change, self.started.emit)
        self._is_filling = True
        try:
            form.fit(ndim)
            form.keeps_values = values is not None and keeps_values
            if values is None:
                values = remembered_values.last_values(operation, ndim)
            else:  # a call that leaves a parameter out has its default, whatever forms start with
                left_out = {k: p.default for k, p in operation.parameters.items() if usual_names(p)}
                values = {**left_out, **values}
            form.set_values({name: item for name, item in values.items() if name in form.editors})
        finally:
            self._is_filling = False
        self._forms.addWidget(form.basic)
        form.basic.show()  # at once: Qt does it later, and what is hidden gets no focus
        self._advanced_forms.addWidget(form.advanced)
        self.advanced.setChecked(False)
        self.advanced.set_content(form.advanced, is_used=form.has_advanced)
        self._order_tabs(form)
        has_values = bool(form.editors)
        self.reset.setVisible(has_values)
        self.presets.setVisible(has_values)
        self.presets.set_names(remembered_values.preset_names(operation))
        return form

    def fit(
        self, ndim: int, layer: Layer | None = None, source: IntensitySource | None = None
    ) -> None:
        """Update the form to a number of spatial axes and to the viewer's layers.

        Parameters
        ----------
        ndim
            Number of spatial axes.
        layer
            The layer to process, if it is chosen.
        source
            The image whose histogram is shown; that of the layer unless given.
        """
        self._ndim = ndim
        if self.form is not None:
            self.form.fit(ndim, layer, source)

    def focus_first(self) -> None:
        """Give the focus to the first field, so that the user can type on."""
        if self.form is not None:
            reachable = (*fields(self.form.basic), self.presets)
            first = next((field for field in reachable if field.isVisible()), None)
            if first is not None:
                first.setFocus(Qt.FocusReason.TabFocusReason)

    def _order_tabs(self, form: Form) -> None:
        """Let Tab go through the form as it is laid out, between what is above and below it."""
        if self._above is None:
            self._above = field_before(self)
        if self._above is not None:
            tools = (self.advanced, self.presets, self.reset)
            chain(self._above, (*fields(form.basic), *tools, *fields(form.advanced)))

    # ------------------------------------------------------------------ the values

    def _change(self) -> None:
        if not self._is_filling:
            self._is_unsaved = True
            self._pause.start()
            self.changed.emit()

    def set_values(self, values: Parameters) -> None:
        """Set some of the parameters at once.

        Parameters
        ----------
        values
            Values by parameter name.
        """
        if self.form is None:
            return
        self._is_filling = True
        try:
            self.form.set_values(values)
        finally:
            self._is_filling = False
        self._change()

    def _reset(self) -> None:
        if self.form is not None:
            self.set_values(self.form.defaults())

    def remember(self) -> None:
        """Remember the values for the next form of the operation, unless they are invalid."""
        if self.form is None or not self._is_unsaved:
            return
        self._is_unsaved = False
        self._pause.stop()
        try:
            values = self.form.values()
        except TilewiseError:
            return  # a text that is not finished
        remembered_values.remember_last(self.form.operation, values)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Remember the values before the panel may be closed."""
        super().hideEvent(event)
        self.remember()

    # ------------------------------------------------------------------ presets

    def choose_preset(self, name: str) -> None:
        """Set the parameters to those of a preset; the others to their defaults.

        Parameters
        ----------
        name
            One of the operation's presets.
        """
        if self.form is not None:
            values = remembered_values.preset(self.form.operation, name, self._ndim)
            self.set_values({**self.form.defaults(), **values})

    def save_preset(self, name: str) -> None:
        """Save the parameters as a preset.

        Parameters
        ----------
        name
            Its name; a preset of the same name is replaced.
        """
        if self.form is None:
            return
        try:
            values = self.form.values()
        except TilewiseError as error:
            self.refused.emit(str(error))
            return
        remembered_values.save_preset(self.form.operation, name, values)
        self.presets.set_names(remembered_values.preset_names(self.form.operation))

    def delete_preset(self, name: str) -> None:
        """Delete a preset.

        Parameters
        ----------
        name
            One of the operation's presets.
        """
        if self.form is not None:
            remembered_values.delete_preset(self.form.operation, name)
            self.presets.set_names(remembered_values.preset_names(self.form.operation))
