"""The Recipe panel: the steps that made the selected layer, to read, edit and run again.

An edit is checked at once and computed when the user asks for it; one that makes no recipe is
refused with the reason, and leaves everything as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_tilewise._napari.forms.chooser import Chooser
from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.manifest.commands import open_batch
from napari_tilewise._napari.recipe_panel.drafts import Draft, Sheet, fresh, missing
from napari_tilewise._napari.recipe_panel.recipe_files import RecipeFiles
from napari_tilewise._napari.recipe_panel.recipe_runs import RecipeRuns
from napari_tilewise._napari.recipe_panel.step_form import StepForm
from napari_tilewise._napari.recipe_panel.step_list import ChainList
from napari_tilewise._napari.widgets.elided import ElidedLabel
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise._napari.widgets.small_widgets import bar, text
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.recipe import Recipe

NOTHING = "Open an image, apply operations to it, and select what came out: its steps show here."
NO_RECIPE = (
    "{name} was not made with an operation. Select a layer that was; or load a recipe for {name}, "
    "or add its first step."
)
NOT_PIXELS = "A recipe starts from an image or labels: select such a layer, or one made from it."
TITLE = "font-weight: bold; font-size: 13pt;"
EDITED = "Edited: press Update to compute the layer again."
READY = "Press Update to make the result."


class RecipePanel(Panel):
    """Shows and edits the recipe of the selected layer.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "recipe")
        self._drafts: WeakKeyDictionary[Layer, Draft] = WeakKeyDictionary()
        self.layer: Layer | None = None
        self.draft: Draft | None = None
        self.runs = RecipeRuns(self)
        self.runner = self.runs.runner
        self._build()
        self.viewer.layers.selection.events.active.connect(self._follow)
        self.viewer.layers.events.removed.connect(self._follow)
        self.destroyed.connect(self._disconnect)
        self._follow()

    def _disconnect(self) -> None:
        self.viewer.layers.selection.events.active.disconnect(self._follow)
        self.viewer.layers.events.removed.disconnect(self._follow)

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.title, self.summary, self.warning = ElidedLabel(TITLE), text(faint=True), text()
        for label in (self.summary, self.warning):  # a low window may cut them off
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.list = ChainList()
        self.list.chosen.connect(self._choose)
        self.list.switched.connect(lambda at, on: self._edit(lambda d: d.switch(at, on)))
        self.step = StepForm(self._layers, lambda: self.source)
        self.step.edited.connect(self._step_edited)
        self.step.refused.connect(self._step_refused)
        self.bar = bar()
        self.files = RecipeFiles(self)
        self.chooser = Chooser(OPERATIONS, self)
        self.chooser.chosen.connect(lambda _: self.insert.setEnabled(True))
        self.chooser.list.itemDoubleClicked.connect(lambda *_: self.add_step())
        self.insert = QPushButton("Insert")
        self.insert.setToolTip("Put the chosen operation after the selected step")
        self.insert.setEnabled(False)
        self.insert.clicked.connect(lambda: self.add_step())
        self._tools()
        self.cancel, self.as_new, self.update_layer = map(
            QPushButton, ("Cancel", "As new layer", "Update")
        )
        self.batch = QPushButton("Send to Batch")
        self.batch.setToolTip(
            "<qt>Run the recipe on many images: opens the Batch panel with it and with the image "
            "that it was made on</qt>"
        )
        self.batch.clicked.connect(self.send_to_batch)
        self.cancel.setEnabled(False)
        self.as_new.setToolTip("Compute the recipe into a layer of its own")
        self.update_layer.setToolTip(
            "<qt>Compute the recipe again and show the result in this layer. Steps before the "
            "first change are not computed again where their results are at hand.</qt>"
        )
        self.cancel.clicked.connect(self.runs.stop)
        self.as_new.clicked.connect(lambda: self.runs.run(as_new=True))
        self.update_layer.clicked.connect(lambda: self.runs.run())
        self._lay_out()

    def _tools(self) -> None:
        self.add = _tool("Add step", "Insert a step after the selected one", "Ins")
        self.add.setCheckable(True)
        self.add.toggled.connect(self._show_chooser)
        self.remove = _tool("Remove", "Remove the selected step", "Del")
        self.up = _tool("↑", "Move the selected step up", "Alt+Up")
        self.down = _tool("↓", "Move the selected step down", "Alt+Down")
        self.undo = _tool("Undo", "Take the last edit back", "Ctrl+Z")
        self.redo = _tool("Redo", "Make the edit again", "Ctrl+Shift+Z")
        self.remove.clicked.connect(lambda: self._edit(lambda d: d.remove(self.selected)))
        self.up.clicked.connect(lambda: self._move(-1))
        self.down.clicked.connect(lambda: self._move(1))
        self.undo.clicked.connect(lambda: self._edit(Draft.undo))
        self.redo.clicked.connect(lambda: self._edit(Draft.redo))
        tools = (self.add, self.remove, self.up, self.down, self.undo, self.redo)
        self.list.keys = {tool.property("keys"): tool.click for tool in tools}
        self.list.keys["Space"] = self.list.toggle

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        for tool in (self.add, self.remove, self.up, self.down):
            tools.addWidget(tool)
        tools.addStretch()
        tools.addWidget(self.undo)
        tools.addWidget(self.redo)
        self._choosing = QWidget()
        choosing = QVBoxLayout(self._choosing)
        choosing.setContentsMargins(0, 0, 0, 0)
        choosing.addWidget(self.chooser)
        choosing.addWidget(self.insert)
        choosing.addStretch()
        self._choosing.hide()
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
        for item in (self.title, self.summary, self.warning, self.list):
            layout.addWidget(item)
        layout.addLayout(tools)
        layout.addWidget(self._choosing, 1)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.message)
        layout.addWidget(self.bar)
        layout.addWidget(self.files.row)
        layout.addWidget(self.batch)
        layout.addLayout(buttons)
        self.setMinimumWidth(330)

    # ------------------------------------------------------------------ what is shown

    @property
    def selected(self) -> int:
        """The selected step, from 0; -1 where there is none."""
        return int(self.list.currentRow())

    @property
    def recipe(self) -> Recipe | None:
        """The recipe as it is edited."""
        return None if self.draft is None else self.draft.recipe

    def _follow(self, event: Any = None) -> None:
        """Show the recipe of the layer that was made active."""
        self.layer = self.viewer.layers.selection.active
        self.draft = None if self.layer is None else self._draft_of(self.layer)
        self._say_state()
        last = -1 if self.draft is None else len(self.draft.steps) - 1
        self.show_draft(last)

    def keep_draft(self, layer: Layer, draft: Draft) -> None:
        """Go on editing a draft in another layer.

        Parameters
        ----------
        layer
            The layer that shows its result from now on.
        draft
            The draft.
        """
        self._drafts[layer] = draft

    def _draft_of(self, layer: Layer) -> Draft | None:
        """Return a layer's draft; a new one where the layer was made anew or changed by hand."""
        record = layer_record.of(layer)
        if record is None and not isinstance(layer, Image | Labels):
            return None
        draft = self._drafts.get(layer)
        if draft is None or draft.made != (None if record is None else record.recipe):
            draft = self._drafts[layer] = Draft.of(layer, record)
        return draft

    def show_draft(self, selected: int) -> None:
        """Bring everything up to the draft.

        Parameters
        ----------
        selected
            The step to select, from 0.
        """
        draft = self.draft
        self._say_heads()
        if draft is not None:
            selected = min(selected, len(draft.steps) - 1)
            self.list.fill(draft, selected)
            self.step.show_step(draft, selected)
        else:
            self.list.clear()
            self.step.hide()
        self.enable()

    def _say_heads(self) -> None:
        layer, draft = self.layer, self.draft
        self.title.setText("" if layer is None else layer.name)
        self.title.setVisible(layer is not None)
        warning = ""
        if layer is None:
            summary = NOTHING
        elif draft is None:
            summary = NOT_PIXELS
        elif draft.recipe is None:
            summary = NO_RECIPE.format(name=repr(layer.name))
        else:
            steps, sheet = len(draft.steps), draft.sheet
            summary = f"{steps} step{'s' * (steps != 1)} from {sheet.source.name!r}"
            if sheet.source.path is not None:
                summary += f" ({sheet.source.path})"
            warning = missing(sheet, self.viewer.layers) or self._outdated(sheet)
        if layer is not None:
            warning = layer_record.trouble(layer) or warning
        self.summary.setText(summary)
        self.warning.setText(warning)
        self.warning.setVisible(bool(warning))

    def _outdated(self, sheet: Sheet) -> str:
        """Return which image was changed since the layer was made, in one sentence."""
        for origin in (sheet.source, *sheet.inputs.values()):
            layer = origin.find(self.viewer.layers)
            if layer is not None and not origin.is_as_it_was(layer):
                return f"{layer.name!r} was changed since: Update computes from it as it is now."
        return ""

    def _say_state(self) -> None:
        draft = self.draft
        edited = draft is not None and draft.recipe is not None and draft.is_edited
        if not self.runner.is_running:
            new = draft is not None and draft.sheet.is_new
            self.say((READY if new else EDITED) if edited else "")

    def enable(self) -> None:
        """Enable the buttons for what can be done now."""
        draft, running = self.draft, self.runner.is_running
        steps, at = (0 if draft is None else len(draft.steps)), self.selected
        has = draft is not None and draft.recipe is not None
        able = has and draft is not None and not missing(draft.sheet, self.viewer.layers)
        self.add.setEnabled(draft is not None)
        self.remove.setEnabled(at >= 0)
        self.up.setEnabled(at > 0)
        self.down.setEnabled(0 <= at < steps - 1)
        self.undo.setEnabled(draft is not None and draft.can_undo)
        self.redo.setEnabled(draft is not None and draft.can_redo)
        new = draft is not None and draft.sheet.is_new
        self.update_layer.setEnabled(able and not running)
        self.as_new.setEnabled(able and not running and not new)
        self.cancel.setEnabled(running)
        self.batch.setEnabled(has)
        self.files.enable(has_layer=draft is not None, has_recipe=has, able=able and not running)

    def _layers(self, role: str) -> list[Layer]:
        wanted = (Labels,) if role in ("mask", "labels", "seeds") else (Image, Labels)
        return [
            layer
            for layer in reversed(self.viewer.layers)
            if isinstance(layer, wanted) and layer is not self.layer
        ]

    @property
    def source(self) -> Layer | None:
        """The layer that the recipe starts from, where it is open."""
        return None if self.draft is None else self.draft.sheet.source.find(self.viewer.layers)

    # ------------------------------------------------------------------ editing

    def _choose(self, at: int) -> None:
        if self.draft is not None:
            self._say_state()
            self.step.show_step(self.draft, at)
            self.enable()

    def _edit(self, change: Callable[[Draft], None], selected: int | None = None) -> None:
        """Change the draft and show it; say why where that cannot be."""
        if self.draft is None:
            return
        at = self.selected
        try:
            change(self.draft)
        except TilewiseError as error:
            self.show_draft(at)
            self.say(str(error))
            return
        self.show_draft(at if selected is None else selected)
        self._say_state()

    def _move(self, by: int) -> None:
        at = self.selected
        self._edit(lambda draft: draft.move(at, at + by), at + by)

    def _step_edited(self) -> None:
        if self.draft is not None:
            self.list.fill(self.draft, self.selected)
        self._say_heads()
        self._say_state()
        self.enable()

    def _step_refused(self, why: str) -> None:
        if why:
            self.say(why)
        else:
            self._say_state()

    def _show_chooser(self, visible: bool) -> None:
        # One takes the other's place, and never both have one: the window would grow.
        places = (self._editing, self._choosing) if visible else (self._choosing, self._editing)
        for place, shown in zip(places, (False, True), strict=True):
            place.setVisible(shown)
        if visible:
            self.chooser.search.setFocus()

    def add_step(self, name: str | None = None) -> None:
        """Insert a step after the selected one.

        Parameters
        ----------
        name
            The operation's key; the chosen one unless given.
        """
        chosen = name or self.chooser.current
        if chosen is None:
            return
        at = self.selected + 1
        self._edit(lambda draft: draft.insert(at, fresh(OPERATIONS[chosen])), at)
        self.add.setChecked(False)

    def send_to_batch(self) -> None:
        """Show the Batch panel with the recipe and what it was made on."""
        draft = self.draft
        if draft is not None and draft.recipe is not None:
            sheet = draft.sheet
            open_batch(self.viewer).take(draft.recipe, sheet.inputs, sheet.source)

    def take_recipe(self, recipe: Recipe) -> None:
        """Show a recipe to run on the selected layer.

        Parameters
        ----------
        recipe
            The recipe, such as one from a file.
        """
        layer = self.layer
        if layer is not None:
            sheet = Sheet(layer_record.Origin.of(layer), recipe)
            self._edit(lambda draft: draft.put(sheet), len(recipe.steps) - 1)


def _tool(name: str, tip: str, keys: str) -> QToolButton:
    tool = QToolButton()
    tool.setText(name)
    tool.setProperty("keys", keys)
    tool.setToolTip(f"{tip} ({keys})")
    return tool
