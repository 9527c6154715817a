"""The Operations panel: choose an operation, set its parameters, apply it to a layer.

It holds no knowledge of any operation; the form, the words and the choices come from declarations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise._napari.forms.editors import is_picture
from napari_tilewise._napari.forms.form import Form
from napari_tilewise._napari.jobs.job import Job, JobOutcome, complaining
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import dimensions, recording, results, slicing, snapshot
from napari_tilewise._napari.operations_panel.target import TargetChoice
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise._napari.widgets.small_widgets import bar, text
from napari_tilewise.errors import Cancelled, InvalidImage, InvalidParameter, TilewiseError
from napari_tilewise.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer

    from napari_tilewise.operations.spec.operation import Operation


class OperationsPanel(Panel):
    """Applies operations to layers.

    Parameters
    ----------
    napari_viewer
        The viewer.
    operations
        The catalogue.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        operations: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        super().__init__(napari_viewer, "operations")
        self._operations = operations
        self._layer: Layer | None = None
        self.form: Form | None = None
        self.runner = Runner(self)
        self.chooser = Chooser(operations, self)
        self._problem = ""
        """What keeps the operation from being applied, in words."""
        self._invalid = ""
        """What is wrong with the parameters, in words."""
        self._described: tuple[Any, ...] | None = None
        """The form, number of axes and further images at the last check of the parameters."""
        self.target = TargetChoice(self.viewer, self._refresh)
        self._build()
        self.chooser.chosen.connect(self._show_form)
        self.runner.progressed.connect(self._progressed)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)
        self.destroyed.connect(self.target.disconnect)
        self.choose(next(iter(operations)))

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.title, self.summary, self.kind = text(bold=True), text(), text(faint=True)
        self.bar = bar()
        self.advanced = QToolButton()
        self.advanced.setText("Advanced")
        self.advanced.setCheckable(True)
        self.advanced.setAutoRaise(True)
        self.advanced.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.advanced.toggled.connect(self._fold)
        self._forms, self._advanced_forms = QVBoxLayout(), QVBoxLayout()
        self.reset, self.cancel, self.apply = map(QPushButton, ("Reset", "Cancel", "Apply"))
        self.reset.setToolTip("Go back to scikit-image's defaults")
        self.cancel.setEnabled(False)
        self.reset.clicked.connect(self._reset)
        self.cancel.clicked.connect(self.stop)
        self.apply.clicked.connect(self.run)
        self._lay_out()

    def _lay_out(self) -> None:
        inner = QWidget()
        body = QVBoxLayout(inner)
        body.setContentsMargins(0, 0, 4, 0)
        for item in (self.title, self.summary, self.kind, self.target.box):
            body.addWidget(item)
        body.addLayout(self._forms)
        body.addWidget(self.advanced)
        body.addLayout(self._advanced_forms)
        body.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        buttons = QHBoxLayout()
        buttons.addWidget(self.reset)
        buttons.addStretch()
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.apply)
        layout = QVBoxLayout(self)
        layout.addWidget(self.chooser)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.message)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)
        self.setMinimumWidth(310)

    # ------------------------------------------------------------------ choosing

    def choose(self, name: str) -> None:
        """Show an operation's form.

        Parameters
        ----------
        name
            The operation's key.
        """
        self.chooser.choose(name)

    @property
    def operation(self) -> Operation | None:
        """The operation that is shown."""
        return None if self.form is None else self.form.operation

    def _show_form(self, name: str) -> None:
        if self.form is not None:
            if self.form.operation is self._operations[name]:
                return
            self.form.discard()
        op = self._operations[name]
        self.form = Form(op, self.target.layers, self._edited)
        self._forms.addWidget(self.form.basic)
        self._advanced_forms.addWidget(self.form.advanced)
        self.title.setText(op.title)
        self.title.setToolTip(wording.function(op))
        self.summary.setText(op.summary)
        self.advanced.setVisible(self.form.has_advanced)
        self.advanced.setChecked(False)
        self._fold(False)
        self._refresh()

    def _fold(self, unfolded: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self.advanced.setArrowType(arrow)
        if self.form is not None:
            self.form.advanced.setVisible(unfolded)

    def _reset(self) -> None:
        if self.form is not None:
            self.form.reset()
        self._refresh()

    def _refresh(self) -> None:
        """Bring choices, words and buttons up to the current layer."""
        if self.form is None:
            return
        ndim = len(self.target.spatial) or 2
        self.form.fit(ndim)
        state = (self.form, ndim, *self.form.layers())
        if state != self._described or self._invalid:
            self._describe(ndim)
            self._described = state
        self._problem = self.target.fit(self.form.operation) or self._invalid
        if self.target.layer is None:
            self._problem = "Open an image to begin."
        self._show_state()

    def _edited(self) -> None:
        """Check the parameters, of which one has another value."""
        self._described = None
        self._refresh()

    def _describe(self, ndim: int) -> None:
        """Check the parameters, and tell how the operation tiles with them."""
        if self.form is None:
            return
        op = self.form.operation
        params: dict[str, Any] = {}
        self._invalid = ""
        try:
            params = self._params()
            images = [name for name in self.form.layers() if name in op.images]
            op.bind({**params, **dict.fromkeys(images, np.zeros((1, 1)))}, ndim)
        except TilewiseError as error:
            self._invalid = str(error)
        self.kind.setText(f"{wording.kind(op, ndim, params)} {wording.exactness(op)}")

    def _show_state(self) -> None:
        """Enable the button, or show what is missing, unless the operation runs."""
        self.apply.setEnabled(not self._problem and not self.runner.is_running)
        if not self.runner.is_running:
            self.say(self._problem)

    def _params(self) -> dict[str, Any]:
        """Return the parameters but for further images; raises where one of these is missing."""
        form = self.form
        if form is None:
            return {}
        params, layers = form.values(), form.layers()
        op = form.operation
        for name, parameter in op.parameters.items():
            if not is_picture(parameter.spec):
                continue
            if params[name] is None and parameter.required:
                raise InvalidImage(f"{op.title}: choose a layer for {name!r}.")
            if params[name] is None or (name in op.images and name in layers):
                del params[name]
            elif name in layers:  # small, and a value like any other
                params[name] = np.asarray(snapshot.take(layers[name]).finest)
        return params

    # ------------------------------------------------------------------ running

    def run(self) -> None:
        """Apply the operation to the layer, in the background."""
        if self.runner.is_running:
            return
        try:
            job = self._job()
        except TilewiseError as error:
            self.complain(str(error))
            return
        layer, first = self._layer, job.source.channels_first
        self.runner.start(job, lambda: snapshot.shown(layer, self.viewer, channels_first=first))
        self._running(True)
        self.say(f"{job} ...")

    def stop(self) -> None:
        """Cancel the run."""
        self.runner.cancel()
        self.cancel.setEnabled(False)
        self.say("Cancelling ...")

    def _job(self) -> Job:
        layer, form = self.target.layer, self.form
        if layer is None or form is None:
            raise InvalidImage("There is no image or labels layer: open an image first.")
        problem = self.target.fit(form.operation)
        if problem:
            raise InvalidImage(problem)
        op = form.operation
        if self._invalid:
            raise InvalidParameter(self._invalid)
        params = self._params()
        is_rgb = bool(getattr(layer, "rgb", False))
        axis = dimensions.channel_axis(op, layer.axis_labels, is_rgb=is_rgb)
        if op.channel is not None:
            needed = op.parameters[op.channel].default is not None
            if axis is None and needed:
                raise InvalidImage(
                    f"{op.title} needs colours: choose an RGB layer, or name the channel axis "
                    f"'c' in the axis labels of {layer.name!r}."
                )
        images = {name: other for name, other in form.layers().items() if name in op.images}
        made = recording.applied(layer, op, params, images, self.target.spatial, axis)
        self._layer = layer
        return Job(
            recipe=made.recipe,
            source=made.source,
            box=snapshot.shown(layer, self.viewer, channels_first=made.source.channels_first),
            record=made.record,
            inputs=made.inputs,
            roots=recording.roots(made.record, self.viewer.layers),
        )

    def _running(self, running: bool) -> None:
        self.cancel.setEnabled(running)
        self.bar.setVisible(running)
        self.bar.setRange(0, 0)
        self._show_state()

    def _progressed(self, what: str, done: int, tiles: int) -> None:
        self.bar.setRange(0, tiles)
        self.bar.setValue(done)
        if self.cancel.isEnabled():
            self.say(f"{what}: {done} of {tiles} tiles")

    def _finished(self, job: Job, outcomes: tuple[JobOutcome, ...]) -> None:
        source, self._layer = self._layer, None
        self._running(False)
        with complaining(job, self.complain):
            made = [(outcome, results.layer(job, outcome)) for outcome in outcomes]
            told = [self._take_in(job, outcome, layer, source) for outcome, layer in made]
            self.say(" ".join(told))

    def _take_in(self, job: Job, outcome: JobOutcome, made: Layer | None, source: Any) -> str:
        """Add a result's layer, or keep its numbers with the layer they are of; return a line."""
        if made is None:
            text = results.note(job, outcome, source)
            show_info(text)
            return text
        if outcome.lazy is not None:
            slicing.in_background(made, self.viewer)
        self.viewer.add_layer(made)
        return f"Added {made.name!r}."

    def _failed(self, error: TilewiseError) -> None:
        self._running(False)
        if isinstance(error, Cancelled):
            self.say("Cancelled.")
        else:
            self.complain(str(error))
