"""Computing a recipe under edit: into its layer, into a new one, or into a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from napari_tilewise._napari.jobs.job import Job, JobOutcome, complaining
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import layer_record, results, slicing, snapshot
from napari_tilewise._napari.layers.layer_record import Record
from napari_tilewise._napari.layers.snapshot_cache import Sources
from napari_tilewise._napari.recipe_panel.drafts import Draft, missing
from napari_tilewise._napari.recipe_panel.recipe_files import StoredRun
from napari_tilewise.errors import Cancelled, InvalidImage, TilewiseError
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel


class RecipeRuns:
    """The runs of a Recipe panel, one at a time.

    Parameters
    ----------
    panel
        The panel.
    """

    def __init__(self, panel: RecipePanel) -> None:
        self._panel = panel
        self._sources = Sources()
        self._target: tuple[Layer, Draft, bool] | None = None
        self.runner = Runner(panel)
        self.runner.progressed.connect(self._progressed)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)

    def job(self, *, memo: bool = True) -> Job:
        """Return what Update does.

        Parameters
        ----------
        memo
            Whether results of earlier runs are used.

        Raises
        ------
        TilewiseError
            When it cannot be done.
        """
        draft = self._panel.draft
        if draft is None or draft.recipe is None:
            raise InvalidImage("There is no recipe: select a layer that was made with one.")
        sheet, layers = draft.sheet, self._panel.viewer.layers
        source = sheet.source.find(layers)
        if (problem := missing(sheet, layers)) or source is None:
            raise InvalidImage(problem)
        taken = self._sources.take(source, as_made=False)
        found = {name: sheet.inputs[name].find(layers) for name in draft.recipe.inputs}
        inputs = {
            name: self._sources.take(layer, as_made=True).finest
            for name, layer in found.items()
            if layer is not None
        }
        origins = {name: layer_record.Origin.of(layer) for name, layer in found.items() if layer}
        return Job(
            recipe=draft.recipe,
            source=taken,
            box=snapshot.shown(source, self._panel.viewer),
            record=Record(draft.recipe, layer_record.Origin.of(source), origins),
            inputs=inputs,
            roots={SOURCE: taken.finest, **inputs},
            part=sheet.part,
            memo=self._sources.memo(source) if memo and taken.in_memory else None,
        )

    def run(self, *, as_new: bool = False) -> None:
        """Compute the recipe, in the background.

        Parameters
        ----------
        as_new
            Whether the result is a new layer whatever the selected one is.
        """
        layer, draft = self._panel.layer, self._panel.draft
        if self.runner.is_running or layer is None or draft is None:
            return
        try:
            job = self.job()
        except TilewiseError as error:
            self._panel.complain(str(error))
            return
        source = draft.sheet.source.find(self._panel.viewer.layers)
        self._target = (layer, draft, as_new or draft.sheet.is_new)
        self.runner.start(job, lambda: snapshot.shown(source, self._panel.viewer))
        self.started(f"{job} ...")

    def started(self, words: str) -> None:
        """Show that something runs.

        Parameters
        ----------
        words
            What.
        """
        self._panel.bar.setVisible(True)
        self._panel.bar.setRange(0, 0)
        self._panel.enable()
        self._panel.say(words)

    def stop(self) -> None:
        """Cancel the run."""
        self.runner.cancel()
        self._panel.cancel.setEnabled(False)
        self._panel.say("Cancelling ...")

    def _progressed(self, what: str, done: int, tiles: int) -> None:
        self._panel.bar.setRange(0, tiles)
        self._panel.bar.setValue(done)
        if self._panel.cancel.isEnabled():
            self._panel.say(f"{what}: {done} of {tiles} tiles")

    def _failed(self, error: TilewiseError) -> None:
        self._target = None
        self._panel.bar.hide()
        self._panel.enable()
        if isinstance(error, Cancelled):
            self._panel.say("Cancelled.")
        else:
            self._panel.complain(str(error))

    def _finished(self, work: Any, outcomes: tuple[JobOutcome, ...]) -> None:
        target, self._target = self._target, None
        self._panel.bar.hide()
        self._panel.enable()
        with complaining(work, self._panel.complain):
            if isinstance(work, StoredRun):
                self._panel.files.stored(work, outcomes)
            else:
                assert target is not None, "only `run` starts a job"
                self._show(work, outcomes, *target)

    def _show(
        self, job: Job, outcomes: tuple[JobOutcome, ...], layer: Layer, draft: Draft, as_new: bool
    ) -> None:
        told = [
            self._take_in(job, outcome, layer, draft, as_new or number > 0)
            for number, outcome in enumerate(outcomes)
        ]
        if self._panel.layer is layer:  # else the user, or a new layer, has moved on
            self._panel.show_draft(self._panel.selected)
        self._panel.enable()
        self._panel.say(" ".join(told))

    def _take_in(
        self, job: Job, outcome: JobOutcome, layer: Layer, draft: Draft, as_new: bool
    ) -> str:
        """Show a result in its layer or in a new one; return a line."""
        made = results.layer(job, outcome)
        layers = self._panel.viewer.layers
        if made is None:
            source = job.record.source.find(layers)
            told = results.note(job, outcome, source)
            show_info(told)
            return told
        if as_new or layer not in layers or layer_record.trouble(layer):  # painted on meanwhile
            self.add(outcome, made)
            return f"Added {made.name!r}."
        if outcome.lazy is not None:
            slicing.in_background(layer, self._panel.viewer)
        if results.update(layer, made):
            draft.made = job.recipe
            layer_record.write(layer, results.record(job, outcome))
            return f"Updated {layer.name!r}."
        made.name, at = layer.name, layers.index(layer)
        draft.made = job.recipe
        self._panel.keep_draft(made, draft)
        layers.remove(layer)
        made.name = layer.name
        self.add(outcome, made)
        layers.move(len(layers) - 1, at)
        return f"{made.name!r} is {type(made).__name__.lower()} now, and so a new layer."

    def add(self, outcome: JobOutcome, made: Layer) -> None:
        """Add a result's layer.

        Parameters
        ----------
        outcome
            The result.
        made
            Its layer.
        """
        if outcome.lazy is not None:
            slicing.in_background(made, self._panel.viewer)
        self._panel.viewer.add_layer(made)
