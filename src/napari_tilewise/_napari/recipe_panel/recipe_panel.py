"""The Recipe panel: the steps behind the selected layer, to read, edit and run again.

An edit is validated at once, and computed when the user presses Update. An edit that would give an
invalid recipe is refused with the reason, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
)

from napari_tilewise._napari.jobs.pyramid_offer import PyramidOffer
from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.layers.intensities import range_of
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise._napari.layers.viewer_layers import is_arriving, is_temporary, layers_for
from napari_tilewise._napari.preview.preview import Preview
from napari_tilewise._napari.preview.preview_source import PreviewSource
from napari_tilewise._napari.recipe_panel.draft_state import (
    DraftState,
    default_step,
    missing_layers,
)
from napari_tilewise._napari.recipe_panel.drafts import Draft
from napari_tilewise._napari.recipe_panel.recipe_files import RecipeFiles
from napari_tilewise._napari.recipe_panel.recipe_heading import RecipeHeading
from napari_tilewise._napari.recipe_panel.recipe_runs import RecipeRuns, up_to
from napari_tilewise._napari.recipe_panel.step_chooser import StepChooser
from napari_tilewise._napari.recipe_panel.step_form import StepForm
from napari_tilewise._napari.recipe_panel.step_intensities import of_draft
from napari_tilewise._napari.recipe_panel.step_list import StepList
from napari_tilewise._napari.recipe_panel.step_tools import StepTools
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.docks import show_measurements, with_panel
from napari_tilewise._napari.widgets.panel_base import RUN_KEY, STOP_KEY, Panel
from napari_tilewise._napari.widgets.panel_titles import PanelTitle
from napari_tilewise._napari.widgets.small_widgets import progress_bar
from napari_tilewise.errors import InvalidImage, TilewiseError
from napari_tilewise.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.recipe import Recipe

EDITED = "Edited: press Update to compute the layer again."
READY = "Press Update to compute the result."


class RecipePanel(Panel):
    """Shows and edits the recipe of the selected layer.

    Parameters
    ----------
    napari_viewer
        The viewer whose active layer is shown.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "recipe")
        self._drafts: WeakKeyDictionary[Layer, Draft] = WeakKeyDictionary()
        self.layer: Layer | None = None
        self.draft: Draft | None = None
        self._misfit = ""
        self.runs = RecipeRuns(self.viewer, self)
        self.runner = self.runs.runner
        self.preview = Preview(self.viewer, "recipe", self._previewed, self)
        self.pyramids = PyramidOffer(self.viewer, self)
        self._build()
        self._lay_out()
        self._connect()
        self._follow()

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.heading = RecipeHeading()
        self.list = StepList()
        self.tools = StepTools()
        self.list.keys = {**self.tools.keys, "Space": self.list.toggle}
        self.step = StepForm(
            self._layers,
            lambda: self.source,
            lambda number: of_draft(self.runs, self.draft, number),
        )
        self.bar = progress_bar()
        self.files = RecipeFiles(lambda: self.draft, self.runs)
        self.adding = StepChooser()
        self.chooser, self.insert = self.adding.chooser, self.adding.insert
        self.batch = QPushButton("Send to Batch")
        self.batch.setToolTip(
            "<qt>Run the recipe on many images: opens the Batch panel with this recipe and its "
            "image</qt>"
        )
        self.cancel, self.as_new, self.update_layer = map(
            QPushButton, ("Cancel", "As new layer", "Update")
        )
        self.cancel.setEnabled(False)
        self.cancel.setToolTip(f"Stop within one tile ({STOP_KEY})")
        self.act_on({RUN_KEY: self.update_layer.click, STOP_KEY: self.cancel.click})
        self.as_new.setToolTip("Compute the recipe into a new layer")
        self.update_layer.setToolTip(
            "<qt>Compute the recipe again and show the result in this layer. Results of steps "
            "before the first change are reused while they are in memory.</qt>"
        )

    def _lay_out(self) -> None:
        self.adding.hide()
        self._editing = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.step)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for button in (self.cancel, self.as_new, self.update_layer):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        for top in (self.heading, self.list, self.tools):
            layout.addWidget(top)
        layout.addWidget(self.adding, 1)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.preview.bar)
        for bottom in (self.message, self.bar, self.files, self.batch):
            layout.addWidget(bottom)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.list.chosen.connect(self._choose)
        self.list.switched.connect(
            lambda index, enabled: self._edit(lambda draft: draft.switch(index, enabled))
        )
        self.list.moved.connect(
            lambda index, target: self._edit(lambda draft: draft.move(index, target), target)
        )
        self.step.edited.connect(self._step_edited)
        self.step.refused.connect(self._step_refused)
        self.adding.inserted.connect(self.add_step)
        self.adding.confirmed.connect(self.step.form_box.focus_first)
        self.batch.clicked.connect(self.send_to_batch)
        self.cancel.clicked.connect(self.stop)
        self.as_new.clicked.connect(lambda: self.run(as_new=True))
        self.update_layer.clicked.connect(lambda: self.run())
        self.tools.add.toggled.connect(self._show_chooser)
        self.tools.remove.clicked.connect(
            lambda: self._edit(lambda draft: draft.remove(self.selected))
        )
        self.tools.up.clicked.connect(lambda: self._move(-1))
        self.tools.down.clicked.connect(lambda: self._move(1))
        self.tools.undo.clicked.connect(lambda: self._edit(Draft.undo))
        self.tools.redo.clicked.connect(lambda: self._edit(Draft.redo))
        self._connect_runs()
        self.viewer.layers.selection.events.active.connect(self._follow)
        self.viewer.layers.events.removed.connect(self._follow)
        self.destroyed.connect(self._disconnect)

    def _connect_runs(self) -> None:
        self.runs.started.connect(self._run_started)
        self.runs.progressed.connect(self._show_progress)
        self.runs.ended.connect(self._run_ended)
        self.runs.layer_updated.connect(self._layer_updated)
        self.runs.layer_replaced.connect(self._drafts.__setitem__)
        self.runs.stored.connect(self.files.offer)
        self.runs.measured.connect(lambda layer: show_measurements(self.viewer, layer))
        self.files.loaded.connect(self.set_recipe)
        for helper in (self.runs, self.files, self.pyramids):
            helper.said.connect(self.say)
            helper.failed.connect(self.complain)

    def _disconnect(self) -> None:
        self.viewer.layers.selection.events.active.disconnect(self._follow)
        self.viewer.layers.events.removed.disconnect(self._follow)

    # ------------------------------------------------------------------ the selected layer

    @property
    def selected(self) -> int:
        """The selected step, from 0; -1 if none is."""
        return int(self.list.currentRow())

    @property
    def recipe(self) -> Recipe | None:
        """The recipe under edit; None if there is none."""
        return None if self.draft is None else self.draft.recipe

    @property
    def source(self) -> Layer | None:
        """The layer that the recipe starts from; None if it is not open."""
        return None if self.draft is None else self.runs.source(self.draft)

    def _follow(self, event: object = None) -> None:
        """Show the recipe of the layer that the user selects."""
        if is_arriving() or is_temporary(self.viewer.layers.selection.active):
            return
        self.layer = self.viewer.layers.selection.active
        self.draft = None if self.layer is None else self._draft_of(self.layer)
        self._check()
        self._say_state()
        last = -1 if self.draft is None else len(self.draft.steps) - 1
        self.show_draft(last)

    def _draft_of(self, layer: Layer) -> Draft | None:
        """Return a layer's draft; a new one if the layer was computed or changed meanwhile."""
        record = layer_record.of(layer)
        if record is None and not isinstance(layer, Image | Labels):
            return None
        draft = self._drafts.get(layer)
        if draft is None or draft.computed != (None if record is None else record.recipe):
            draft = self._drafts[layer] = Draft.of(layer, record)
        return draft

    def show_draft(self, selected: int) -> None:
        """Show the draft as it is now.

        Parameters
        ----------
        selected
            The step to select, from 0.
        """
        draft = self.draft
        self._show_heading()
        if draft is not None:
            selected = min(selected, len(draft.steps) - 1)
            self.list.fill(draft, selected)
            self.step.show_step(draft, selected)
        else:
            self.list.clear()
            self.step.hide()
        self.enable()

    def recolour(self) -> None:
        """Give texts the colours of the present theme."""
        super().recolour()
        if self.draft is not None:
            self.list.fill(self.draft, self.list.currentRow())

    def _show_heading(self) -> None:
        self.heading.show_layer(self.layer, self.draft, self.viewer.layers)

    def _check(self) -> None:
        """Find out why the recipe cannot run on its images, as they are now; mostly it can."""
        self._misfit = "" if self.draft is None else self.runs.misfit(self.draft)

    def _say_state(self) -> None:
        draft = self.draft
        edited = draft is not None and draft.recipe is not None and draft.is_edited
        if not self.runner.is_running:
            new = draft is not None and draft.state.is_new
            self.say(self._misfit or ((READY if new else EDITED) if edited else ""))

    def _previewed(self) -> PreviewSource:
        """Return the recipe up to the selected step; the steps after it do not matter."""
        source = self.source
        job = self.runs.job(self.draft, memo=False)
        if source is None:
            raise InvalidImage("There is no recipe: select a layer that has one.")
        return PreviewSource(up_to(job, self.selected), source)

    def enable(self) -> None:
        """Enable the buttons that can be used now."""
        self.preview.refresh()
        self.pyramids.fit(self.source)
        draft, is_running = self.draft, self.runner.is_running
        has_recipe, can_run, is_new = False, False, False
        if draft is not None:
            has_recipe, is_new = draft.recipe is not None, draft.state.is_new
            is_complete = has_recipe and not missing_layers(draft.state, self.viewer.layers)
            can_run = is_complete and not is_running and not self.step.problem and not self._misfit
        with self.focus_inside():
            self.tools.enable(draft, self.selected)
            self.update_layer.setEnabled(can_run)
            self.as_new.setEnabled(can_run and not is_new)
            self.cancel.setEnabled(is_running)
            self.batch.setEnabled(has_recipe)
            self.files.enable(has_layer=draft is not None, has_recipe=has_recipe, can_run=can_run)

    def _layers(self, role: str) -> list[Layer]:
        return [layer for layer in layers_for(self.viewer, role) if layer is not self.layer]

    # ------------------------------------------------------------------ editing

    def _choose(self, index: int) -> None:
        if self.draft is not None:
            self._say_state()
            self.step.show_step(self.draft, index)
            self.enable()

    def _edit(self, change: Callable[[Draft], None], selected: int | None = None) -> None:
        """Change the draft and show it; show the reason if the change is refused."""
        if self.draft is None:
            return
        index = self.selected
        try:
            change(self.draft)
        except TilewiseError as error:
            self.show_draft(index)
            self.say(str(error))
            return
        self._check()
        self.show_draft(index if selected is None else selected)
        self._say_state()

    def _move(self, offset: int) -> None:
        index = self.selected
        self._edit(lambda draft: draft.move(index, index + offset), index + offset)

    def _step_edited(self) -> None:
        if self.draft is not None:
            self.list.fill(self.draft, self.selected)
        self._show_heading()
        self._check()
        self._say_state()
        self.enable()

    def _step_refused(self, reason: str) -> None:
        if reason:
            self.say(reason)
        else:
            self._say_state()
        if reason or not self.update_layer.isEnabled():
            self.enable()

    def _show_chooser(self, visible: bool) -> None:
        # Hide one before the other is shown: the window would grow to hold both.
        shown, hidden = (self.adding, self._editing) if visible else (self._editing, self.adding)
        hidden.setVisible(False)
        shown.setVisible(True)
        if visible:
            self.adding.begin()

    def add_step(self, key: str) -> None:
        """Insert a step after the selected one.

        Parameters
        ----------
        key
            The operation's key.
        """
        index = self.selected + 1
        ndim = 2 if self.source is None else int(self.source.ndim)
        op, intensities = OPERATIONS[key], None if index else range_of(self.source)
        self._edit(lambda draft: draft.insert(index, default_step(op, ndim, intensities)), index)
        self.tools.add.setChecked(False)

    def set_recipe(self, recipe: Recipe) -> None:
        """Show a recipe to run on the selected layer.

        Parameters
        ----------
        recipe
            Such as one from a file.
        """
        if self.layer is not None:
            state = DraftState(Origin.of(self.layer), recipe)
            self._edit(lambda draft: draft.set_state(state), len(recipe.steps) - 1)

    def send_to_batch(self) -> None:
        """Open the Batch panel with the recipe and the image that it was made on."""
        draft = self.draft
        if draft is not None and draft.recipe is not None:
            record = Record(draft.recipe, draft.state.source, draft.state.inputs)
            with_panel(self.viewer, PanelTitle.BATCH, lambda panel: panel.receive(record))

    # ------------------------------------------------------------------ running

    def run(self, *, as_new: bool = False) -> None:
        """Compute the recipe, in the background.

        Parameters
        ----------
        as_new
            Whether the result becomes a new layer.
        """
        if self.layer is not None and self.draft is not None:
            self.runs.update(self.layer, self.draft, as_new=as_new)

    def stop(self) -> None:
        """Cancel the run."""
        with self.focus_inside():
            self.cancel.setEnabled(False)
        self.say("Cancelling ...")
        self.runner.cancel()

    def _run_started(self, line: str) -> None:
        self.bar.setVisible(True)
        self.bar.setRange(0, 0)
        self.enable()
        self.say(line)

    def _show_progress(self, step: str, done: int, tiles: int) -> None:
        self.bar.setRange(0, tiles)
        self.bar.setValue(done)
        if self.cancel.isEnabled():
            self.say(f"{step}: {wording.progress(done, tiles)}")

    def _run_ended(self) -> None:
        self.bar.hide()
        self.enable()

    def _layer_updated(self, layer: Layer) -> None:
        if self.layer is layer:  # else the user selected another one
            self.show_draft(self.selected)
        self.enable()
