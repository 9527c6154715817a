"""Computes a recipe under edit: into its layer, into a new layer, or into a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_tilewise._napari.jobs import result_layers, result_numbers
from napari_tilewise._napari.jobs.compute import stored_bytes
from napari_tilewise._napari.jobs.job import Job, JobOutcome, reporting_errors
from napari_tilewise._napari.jobs.job_check import check_job
from napari_tilewise._napari.jobs.plan_dialog import start_asked
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import layer_record, object_table, slicing, snapshot
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise._napari.layers.snapshot_cache import SnapshotCache
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise._napari.preview.preview_source import PreviewSource
from napari_tilewise._napari.preview.result_in_view import ResultInView
from napari_tilewise._napari.recipe_panel.draft_state import missing_layers
from napari_tilewise._napari.recipe_panel.stored_run import StoredRun
from napari_tilewise.errors import Cancelled, InvalidImage, TilewiseError
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.recipe import Recipe
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_tilewise._napari.jobs.plan_dialog import PlanDialog
    from napari_tilewise._napari.recipe_panel.drafts import Draft


@dataclass(frozen=True, eq=False)
class UpdateTarget:
    """Where the results of a run are shown."""

    layer: Layer
    draft: Draft
    as_new: bool
    """Whether the result becomes a new layer, whatever `layer` shows."""


class RecipeRuns(QObject):
    """The runs of a Recipe panel, one at a time.

    Parameters
    ----------
    viewer
        The viewer whose layers are read and updated.
    parent
        The panel: its end stops the run.
    """

    started = Signal(str)
    """A run started; the text names it."""
    progressed = Signal(str, int, int)
    """The current pass, tiles done, all tiles."""
    ended = Signal()
    """The run finished, failed or was cancelled; emitted before its results are shown."""
    said = Signal(str)
    """A line to show in the panel."""
    failed = Signal(str)
    """A problem, in one sentence."""
    layer_updated = Signal(object)
    """The layer whose recipe was computed."""
    layer_replaced = Signal(object, object)
    """A new layer takes the place of a draft's layer: the new layer and the draft."""
    measured = Signal(object)
    """The layer that a table or numbers were measured on."""
    stored = Signal(object, object)
    """A `StoredRun` and its outcomes."""

    def __init__(self, viewer: ViewerModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer, self._panel = viewer, parent
        self.plan: PlanDialog | None = None
        """The dialog that asked last."""
        self.in_view = ResultInView(viewer, parent)
        self._snapshots = SnapshotCache()
        self._target: UpdateTarget | None = None
        self.runner = Runner(self)
        self.runner.progressed.connect(self.progressed)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)

    def source(self, draft: Draft) -> Layer | None:
        """Return the layer that a draft's recipe starts from; None if it is not open.

        Parameters
        ----------
        draft
            A recipe under edit.
        """
        return draft.state.source.find(self._viewer.layers)

    def images(self, draft: Draft) -> dict[str, Layer]:
        """Return the layers of a draft's source and inputs, by their names in the recipe.

        Parameters
        ----------
        draft
            A recipe under edit; layers that are not open are left out.
        """
        state, layers = draft.state, self._viewer.layers
        chosen = {name: origin.find(layers) for name, origin in state.inputs.items()}
        chosen[SOURCE] = state.source.find(layers)
        return {name: layer for name, layer in chosen.items() if layer is not None}

    def job(self, draft: Draft | None, *, memo: bool = True) -> Job:
        """Return the job that computes a draft's recipe.

        Parameters
        ----------
        draft
            The recipe under edit.
        memo
            Whether results of earlier runs are reused.

        Raises
        ------
        TilewiseError
            If there is no recipe, or one of its layers is not open.
        """
        if draft is None or draft.recipe is None:
            raise InvalidImage("There is no recipe: select a layer that has one.")
        state, layers = draft.state, self._viewer.layers
        source = state.source.find(layers)
        if (problem := missing_layers(state, layers)) or source is None:
            raise InvalidImage(problem)
        image = self._snapshots.take(source, as_result=False)
        further = {name: state.inputs[name].find(layers) for name in draft.recipe.inputs}
        inputs = {
            name: self._snapshots.take(layer, as_result=True).finest
            for name, layer in further.items()
            if layer is not None
        }
        origins = {name: Origin.of(layer) for name, layer in further.items() if layer}
        return Job(
            recipe=draft.recipe,
            source=image,
            box=snapshot.shown_box(source, self._viewer),
            record=Record(draft.recipe, Origin.of(source), origins),
            inputs=inputs,
            roots={SOURCE: image.finest, **inputs},
            part=state.part,
            memo=self._snapshots.memo(source) if memo and image.in_memory else None,
        )

    def misfit(self, draft: Draft) -> str:
        """Return why a step cannot take its image, in one sentence; empty if all can.

        Parameters
        ----------
        draft
            A recipe under edit; nothing is said of one without its layers.
        """
        is_complete = not missing_layers(draft.state, self._viewer.layers)
        if draft.recipe is None or not draft.is_edited or not is_complete:
            return ""
        try:
            check_job(self.job(draft, memo=False))
        except TilewiseError as error:
            return str(error)
        return ""

    def update(self, layer: Layer, draft: Draft, *, as_new: bool = False) -> None:
        """Compute a draft's recipe in the background, and show the result.

        Parameters
        ----------
        layer
            The layer to update.
        draft
            The layer's recipe under edit.
        as_new
            Whether the result becomes a new layer.
        """
        if self.runner.is_running:
            return
        try:
            job = self.job(draft)
        except TilewiseError as error:
            self.failed.emit(str(error))
            return
        target = UpdateTarget(layer, draft, as_new or draft.state.is_new)
        try:
            self.plan = start_asked(self._panel, job, lambda: self._start(job, target))
        except TilewiseError as error:
            self.failed.emit(str(error))

    def _start(self, job: Job, target: UpdateTarget) -> None:
        """Run a job, in the background; the visible part of a stored result is seen at once."""
        source = self.source(target.draft)
        if source is None or self.runner.is_running:
            return
        self._target = target
        self.runner.start(job, lambda: snapshot.shown_box(source, self._viewer))
        self.started.emit(f"{job} ...")
        if stored_bytes(job):
            self.in_view.start(PreviewSource(job, source))

    def start(self, run: StoredRun) -> None:
        """Run a recipe into a file, in the background.

        Parameters
        ----------
        run
            The job and its file.
        """
        if not self.runner.is_running:
            self.runner.start_work(run)
            self.started.emit(f"{run} ...")

    # ------------------------------------------------------------------ results

    def _failed(self, error: TilewiseError) -> None:
        self._target = None
        self.in_view.end()
        self.ended.emit()
        if isinstance(error, Cancelled):
            self.said.emit("Cancelled.")
        else:
            self.failed.emit(str(error))

    def _finished(self, work: Job | StoredRun, outcomes: tuple[JobOutcome, ...]) -> None:
        target, self._target = self._target, None
        self.in_view.end()
        self.ended.emit()
        if isinstance(work, StoredRun):
            self.stored.emit(work, outcomes)
        elif target is not None:
            with reporting_errors(work, self.failed.emit):
                self._show(work, outcomes, target)

    def _show(self, job: Job, outcomes: tuple[JobOutcome, ...], target: UpdateTarget) -> None:
        lines = [self._show_outcome(job, outcome, target) for outcome in outcomes[:1]]
        new = UpdateTarget(target.layer, target.draft, as_new=True)
        lines += [self._show_outcome(job, outcome, new) for outcome in outcomes[1:]]
        self.layer_updated.emit(target.layer)
        self.said.emit(" ".join(lines))

    def _show_outcome(self, job: Job, outcome: JobOutcome, target: UpdateTarget) -> str:
        """Show a result in its layer or in a new one; return a line that says so."""
        result, layers = result_layers.layer(job, outcome), self._viewer.layers
        if result is None:
            source = job.record.source.find(layers)
            line = result_numbers.note(job, outcome, source)
            if source is not None and outcome.output is not Output.SCALAR:
                self.measured.emit(source)
            return line
        layer = target.layer
        if target.as_new or layer not in layers or layer_record.problem(layer):  # was painted on
            self._add(outcome, result)
            return f"Added {result.name!r}."
        slicing.prepare(layer, self._viewer, is_lazy=outcome.lazy is not None)
        is_updated = result_layers.update(layer, result)
        target.draft.computed = job.recipe
        if is_updated:
            layer_record.write(layer, result_layers.record(job, outcome))
            object_table.follow(layer, self._viewer)
            if object_table.of(layer) is not None:
                self.measured.emit(layer)
            return f"Updated {layer.name!r}."
        return self._replace(outcome, result, target)

    def _replace(self, outcome: JobOutcome, result: Layer, target: UpdateTarget) -> str:
        """Put a result in the place of a layer of another type; return a line that says so."""
        layers, layer = self._viewer.layers, target.layer
        was_active = layers.selection.active is layer
        result.name, index = layer.name, layers.index(layer)
        self.layer_replaced.emit(result, target.draft)
        layers.remove(layer)
        result.name = layer.name
        self._add(outcome, result)
        layers.move(len(layers) - 1, index)
        if was_active:
            layers.selection.active = result
        kind = type(result).__name__.lower()
        return f"{result.name!r} is a new layer: its type is {kind} now."

    def add_results(self, job: Job, outcomes: tuple[JobOutcome, ...]) -> None:
        """Add results as layers, one for each.

        Parameters
        ----------
        job
            The finished job.
        outcomes
            Its results.
        """
        with reporting_errors(job, self.failed.emit):
            for outcome in outcomes:
                layer = result_layers.layer(job, outcome)
                if layer is not None:
                    self._add(outcome, layer)

    def _add(self, outcome: JobOutcome, layer: Layer) -> None:
        slicing.prepare(layer, self._viewer, is_lazy=outcome.lazy is not None)
        add_result(self._viewer, layer)
        if object_table.of(layer) is not None:
            self.measured.emit(layer)


def up_to(job: Job, number: int) -> Job:
    """Return the job of a recipe's first steps.

    Parameters
    ----------
    job
        The job of the whole recipe.
    number
        The last step, from 0; -1 or the last one: the whole recipe.

    Raises
    ------
    InvalidImage
        If all those steps are switched off.
    """
    recipe = job.recipe
    if not 0 <= number < len(recipe) - 1:
        return job
    steps = recipe.steps[: number + 1]
    if not any(step.enabled for step in steps):
        raise InvalidImage("All steps up to the selected one are switched off.")
    linked = {link.input for links in recipe.links[: number + 1] for link in links.values()}
    names = [name for name in recipe.inputs if name in linked]
    inputs = {name: job.inputs[name] for name in names}
    return replace(job, recipe=Recipe(steps, names), inputs=inputs, part=None)
