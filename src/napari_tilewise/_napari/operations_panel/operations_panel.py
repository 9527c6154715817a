"""The Operations panel: choose an operation, set its parameters, apply it to a layer.

It knows no operation by name: the form, the texts and the choices come from the declarations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import napari
from napari.layers import Image, Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise._napari.forms.form_box import FormBox
from napari_tilewise._napari.jobs import result_numbers
from napari_tilewise._napari.jobs.compute import stored_bytes
from napari_tilewise._napari.jobs.job import Job, reporting_errors
from napari_tilewise._napari.jobs.layer_pixels import LayerPixels, is_lazy
from napari_tilewise._napari.jobs.plan_dialog import PlanDialog, start_asked
from napari_tilewise._napari.jobs.pyramid_offer import PyramidOffer
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import (
    dimensions,
    recording,
    snapshot,
)
from napari_tilewise._napari.layers.regions import PaintedLabels
from napari_tilewise._napari.operations_panel.compute_lazy import ComputeButton
from napari_tilewise._napari.operations_panel.form_check import FormCheck, check_form
from napari_tilewise._napari.operations_panel.result_display import ResultDisplay
from napari_tilewise._napari.operations_panel.target import TargetChoice
from napari_tilewise._napari.preview.preview import Preview
from napari_tilewise._napari.preview.preview_source import PreviewSource
from napari_tilewise._napari.preview.result_in_view import ResultInView
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.found_numbers import FoundNumbers
from napari_tilewise._napari.widgets.panel_base import RUN_KEY, STOP_KEY, Panel
from napari_tilewise._napari.widgets.plain_words import plain_sentences
from napari_tilewise._napari.widgets.small_widgets import link_label, progress_bar, text_label
from napari_tilewise.errors import Cancelled, InvalidImage, TilewiseError
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    import dask.array as da
    import numpy as np
    from napari.layers import Layer

    from napari_tilewise._napari.forms.form import Form
    from napari_tilewise._napari.layers.regions import Region
    from napari_tilewise._napari.layers.snapshot import Box, Snapshot
    from napari_tilewise.operations.spec.operation import Operation

LOW = 480
"""Pixels of height below which a form has little space: with another panel above or below it."""
NO_IMAGE = "Open an image to begin."
UNLIMITED = "The region {!r} is not applied here: its box is found when you press Apply."


class OperationsPanel(Panel):
    """Applies operations to layers.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers are processed.
    operations
        The operations to offer, by key.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        operations: Mapping[str, Operation] = OPERATIONS,
    ) -> None:
        super().__init__(napari_viewer, "operations")
        self._operations = operations
        self._layer: Layer | None = None
        self._box_note = ""
        self._is_low = False
        self._check: FormCheck | None = None
        self.plan: PlanDialog | None = None
        self.runner = Runner(self)
        self.chooser = Chooser(operations, self)
        self.target = TargetChoice(self.viewer, self._refresh)
        self.pyramids = PyramidOffer(self.viewer, self)
        self.preview = Preview(self.viewer, "operations", self._previewed, self)
        self.in_view = ResultInView(self.viewer, self)
        self._build()
        self.chooser.chosen.connect(self._show_form)
        self.runner.progressed.connect(self._show_progress)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)
        self.destroyed.connect(self.target.disconnect)
        self.pyramids.said.connect(self.say)
        self.pyramids.failed.connect(self.complain)
        self.choose(next(iter(operations)))

    @classmethod
    def prepare(cls) -> None:
        """Import the operation of the first form, and with it what every form needs."""
        super().prepare()
        _ = next(iter(OPERATIONS.values())).parameters

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.title, self.summary = text_label(bold=True), text_label()
        self.kind, self.bar = text_label(faint=True), progress_bar()
        self.page = link_label()
        self.form_box = FormBox(self.target.layers)
        self.compute = ComputeButton(self.viewer, self.runner, self)
        self.compute.started.connect(self._started)
        self.cancel, self.apply = map(QPushButton, ("Cancel", "Apply"))
        self.continues = QCheckBox("Continue from the result")
        self.continues.setToolTip(
            "<qt>The next operation is applied to the result. Else every result starts from the "
            "chosen layer, so that parameters can be tried.</qt>"
        )
        self.numbers = FoundNumbers()
        self.cancel.setEnabled(False)
        self.form_box.changed.connect(self._change)
        self.form_box.refused.connect(self.complain)
        self.cancel.clicked.connect(self.stop)
        self.act_on({RUN_KEY: self.apply.click, STOP_KEY: self.cancel.click})
        self.apply.setToolTip(f"Apply the operation to the layer ({RUN_KEY})")
        self.cancel.setToolTip(f"Stop within one tile; no layer is added ({STOP_KEY})")
        self.chooser.confirmed.connect(self.form_box.focus_first)
        self.apply.clicked.connect(self.run)
        self._lay_out()

    def _lay_out(self) -> None:
        inner = QWidget()
        self._body = body = QVBoxLayout(inner)
        body.setContentsMargins(0, 0, 4, 0)
        parts = (self.title, self.summary, self.kind, self.page, self.target.box, self.form_box)
        for part in parts:
            body.addWidget(part)
        body.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        buttons = QHBoxLayout()
        buttons.addWidget(self.compute)
        buttons.addStretch()
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.apply)
        layout = QVBoxLayout(self)
        layout.addWidget(self.chooser)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.preview.bar)
        layout.addWidget(self.continues)
        layout.addWidget(self.numbers)
        layout.addWidget(self.message)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """In a low panel, show the form first and what describes the operation below it."""
        super().resizeEvent(event)
        is_low = self.height() < LOW
        if is_low == self._is_low:
            return
        self._is_low = is_low
        labels = (self.summary, self.kind, self.page)
        for label in labels:
            self._body.removeWidget(label)
        first = self._body.indexOf(self.form_box if is_low else self.title) + 1
        for number, label in enumerate(labels):
            self._body.insertWidget(first + number, label)

    # ------------------------------------------------------------------ choosing

    def choose(self, name: str) -> None:
        """Show an operation's form.

        Parameters
        ----------
        name
            The operation's key, such as ``"filters.gaussian"``.
        """
        self.chooser.choose(name)

    @property
    def form(self) -> Form | None:
        """The form of the chosen operation."""
        return self.form_box.form

    @property
    def operation(self) -> Operation | None:
        """The operation that is shown."""
        return None if self.form is None else self.form.operation

    def _show_form(self, name: str) -> None:
        op = self._operations[name]
        if self.operation is op:
            return
        self.target.fit(op)
        self.form_box.show_operation(op, len(self.target.spatial) or 2)
        self.title.setText(op.title)
        self.title.setToolTip(wording.plain_tooltip(wording.function(op)))
        self.summary.setText(plain_sentences(op.summary))
        self.page.setText(wording.page_link(op))
        self._refresh()

    def recolour(self) -> None:
        """Give texts the colours of the present theme."""
        super().recolour()
        if self.operation is not None:
            self.page.setText(wording.page_link(self.operation))

    def _change(self) -> None:
        """Update to values that the user changed."""
        self._refresh()
        self.preview.refresh_now()

    def _refresh(self) -> None:
        """Update choices, texts and buttons to the layer and the values."""
        if self.form is None:
            return
        problem = self.target.fit(self.form.operation)
        ndim = len(self.target.spatial) or 2
        self.form_box.fit(ndim, self.target.layer)
        self._check = check_form(self.form, ndim, self._check)
        self.kind.setText(self._check.description)
        problem = problem or str(self._check.error or "")
        if self.target.layer is None:
            problem = NO_IMAGE
        self.apply.setEnabled(not problem and not self.runner.is_running)
        self.compute.fit(self.target.layer)
        self.pyramids.fit(self.target.layer)
        if not self.runner.is_running:
            self.say(problem)
        self.preview.refresh()

    # ------------------------------------------------------------------ running

    def run(self) -> None:
        """Apply the operation to the layer, in the background."""
        if self.runner.is_running:
            return
        painted = self.target.slow_region
        if painted is None:
            self._run()
        else:
            self.runner.start_work(painted)
            self._started(f"{painted} ...")

    def _run(self, corners: np.ndarray | None = None) -> None:
        """Apply the operation; the corners are those of a region's box that a worker found."""
        try:
            region = self.target.region(corners)
            is_table = self.operation is not None and self.operation.output is Output.TABLE
            job = self._job(region, self.target.inside(region) if is_table else None)
            self._box_note = self.target.box_note if is_table else ""
            self.plan = start_asked(self, job, lambda: self._start(job, region))
        except TilewiseError as error:
            self.complain(str(error))

    def _start(self, job: Job, region: Region) -> None:
        """Run a job, in the background; the visible part of a stored result is seen at once."""
        layer, source = self.target.layer, job.source
        self._layer = layer
        self.chooser.used(job.operation.name)
        self.runner.start(job, lambda: self._shown(layer, source))
        self._started(f"{job} ...")
        if layer is not None and stored_bytes(job):
            self.in_view.start(PreviewSource(_with_coarser(job, layer, region), layer, region))

    def _started(self, line: str) -> None:
        self._set_running(True)
        self.say(line)

    def compute_layer(self) -> None:
        """Compute all pixels of the chosen layer, if it is lazy."""
        if is_lazy(self.target.layer):
            self.compute.compute()
        else:
            self.say("All pixels of this layer are in memory." if self.target.layer else NO_IMAGE)

    def stop(self) -> None:
        """Cancel the run."""
        with self.focus_inside():
            self.cancel.setEnabled(False)
        self.say("Cancelling ...")
        self.runner.cancel()

    def _previewed(self) -> PreviewSource:
        """Return what Apply would run; in the whole view if finding the region takes long."""
        painted = self.target.slow_region
        region = {} if painted is not None else self.target.region()
        remark = "" if painted is None else UNLIMITED.format(painted.name)
        job, layer = self._job(region), cast("Layer", self.target.layer)
        return PreviewSource(_with_coarser(job, layer, region), layer, region, remark)

    def _shown(self, layer: Layer, source: Snapshot) -> Box:
        """Return the part of a source that the viewer shows."""
        box = snapshot.shown_box(layer, self.viewer, without=source.hidden_axis)
        return snapshot.within(box, source)

    def _job(self, region: Region | None = None, inside: da.Array | None = None) -> Job:
        layer, form = self.target.layer, self.form
        if layer is None or form is None:
            raise InvalidImage(NO_IMAGE)
        if problem := self.target.fit(form.operation):
            raise InvalidImage(problem)
        self._check = check = check_form(form, len(self.target.spatial), self._check)
        if check.error is not None:
            raise check.error
        step = recording.applied_step(
            recording.StepRequest(
                form.operation,
                check.values.params,
                check.values.images,
                self.target.spatial,
                dimensions.needed_channel(
                    form.operation,
                    layer.name,
                    layer.axis_labels,
                    is_rgb=bool(getattr(layer, "rgb", False)),
                ),
                region or {},
                inside,
            ),
            layer,
        )
        return Job(
            recipe=step.recipe,
            source=step.source,
            box=self._shown(layer, step.source),
            record=step.record,
            inputs=step.inputs,
            roots=recording.source_arrays(step.record, self.viewer.layers),
        )

    def _set_running(self, is_running: bool) -> None:
        if not is_running:
            self.in_view.end()
        self.bar.setVisible(is_running)
        self.bar.setRange(0, 0)
        with self.focus_inside():
            self.cancel.setEnabled(is_running)
            self._refresh()

    def _show_progress(self, step: str, done: int, tiles: int) -> None:
        self.bar.setRange(0, tiles)
        self.bar.setValue(done)
        if self.cancel.isEnabled():
            self.say(f"{step}: {wording.progress(done, tiles)}")

    def _finished(self, job: Job | LayerPixels | PaintedLabels, outcomes: Any) -> None:
        source, self._layer = self._layer, None
        self._set_running(False)
        if isinstance(job, PaintedLabels):
            self.target.remember(job, outcomes)
            self._run(outcomes)
            return
        if isinstance(job, LayerPixels):
            with reporting_errors(job, self.complain):
                self.say(self.compute.show_pixels(outcomes))
            return
        with reporting_errors(job, self.complain):
            self.numbers.show_numbers(result_numbers.numbers_of(job, outcomes))
            display = ResultDisplay(self.viewer, source, self._box_note)
            shown = [display.show(job, outcome) for outcome in outcomes]
            self.say(" ".join(line for line, _ in shown))
            layers = [layer for _, layer in shown if isinstance(layer, Image | Labels)]
            if self.continues.isChecked() and layers:
                self.viewer.layers.selection.active = layers[0]

    def _failed(self, error: TilewiseError) -> None:
        self._set_running(False)
        if isinstance(error, Cancelled):
            self.say("Cancelled.")
        else:
            self.complain(str(error))


def _with_coarser(job: Job, layer: Layer, region: Region) -> Job:
    """Return a job on a region of a pyramid with the coarser levels of the region, for previews."""
    if not region or not layer.multiscale:
        return job
    whole = snapshot.take(layer)
    if whole.dtype != job.source.dtype:  # the job takes a mask as the layer shows it
        whole = snapshot.take(layer, as_result=False)
    return replace(job, source=snapshot.with_coarser(job.source, whole, region))
