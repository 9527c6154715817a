"""What leaves the Recipe panel: recipe files, Python scripts, and results on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QGridLayout,
    QMenu,
    QPushButton,
    QWidget,
)

from napari_tilewise._napari.jobs.compute import store
from napari_tilewise._napari.jobs.job import complaining
from napari_tilewise._napari.jobs.plan_dialog import PlanDialog
from napari_tilewise._napari.jobs.session_runs import Followed, Pause, follow
from napari_tilewise._napari.layers import results, snapshot
from napari_tilewise.errors import DestinationUnwritable, InvalidRecipe, TilewiseError
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    import threading

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
    from napari_tilewise.engine.events import Listener

RECIPES = "Recipes (*.yaml *.yml)"
SCRIPTS = "Python scripts (*.py)"
IMAGES = "OME-Zarr (*.ome.zarr);;OME-TIFF (*.ome.tif);;ImageJ TIFF (*.tif);;NumPy (*.npy)"
TABLES = "Tables and numbers (*.csv *.json)"


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A recipe on a whole image, into a file."""

    job: Job
    path: Path

    def __call__(self, progress: Listener, cancel: threading.Event) -> tuple[JobOutcome, ...]:
        """Do it; see `compute.store`."""
        return store(self.job, self.path, progress, cancel)

    def follow(self, cancel: threading.Event, listener: Listener | None) -> Followed:
        """Show it in the Runs panel.

        Parameters
        ----------
        cancel
            What stops it.
        listener
            Who else is told of its events.
        """
        job = self.job
        return follow(
            str(job), source=job.source.name, output=self.path, cancel=cancel, pause=job.pause,
            listener=listener, again=self,
        )  # fmt: skip

    @property
    def pause(self) -> Pause:
        """Set while it is paused."""
        return self.job.pause

    def __str__(self) -> str:
        """Return what is done."""
        return f"{self.job} into {self.path.name}"


class RecipeFiles:
    """The buttons for files, and what they do.

    Parameters
    ----------
    panel
        The panel they belong to.
    """

    def __init__(self, panel: RecipePanel) -> None:
        self._panel = panel
        self._stored: tuple[StoredRun, tuple[JobOutcome, ...]] | None = None
        self.plan: PlanDialog | None = None
        self.save, self.load, self.script, self.full = map(
            QPushButton, ("Save...", "Load...", "Script", "Run on the full image...")
        )
        self.open = QPushButton("Open the result")
        self.save.setToolTip("<qt>Save the recipe as a text file, to run on other images</qt>")
        self.load.setToolTip("<qt>Load a recipe to run on the selected layer</qt>")
        self.script.setToolTip("<qt>The recipe as a Python script</qt>")
        self.full.setToolTip(
            "<qt>Compute the recipe at full resolution, tile by tile, into a file: also where the "
            "image is larger than memory</qt>"
        )
        self.open.setToolTip("Show what was written as a layer")
        self._connect()
        self.row = QWidget()
        layout = QGridLayout(self.row)
        layout.setContentsMargins(0, 0, 0, 0)
        for column, button in enumerate((self.save, self.load, self.script)):
            layout.addWidget(button, 0, column)
        layout.addWidget(self.full, 1, 0, 1, 2)
        layout.addWidget(self.open, 1, 2)

    def _connect(self) -> None:
        menu = QMenu(self.script)
        self.copy, self.copy_plain, self.save_script = (
            QAction(name, menu)
            for name in (
                "Copy as Python",
                "Copy as Python with scikit-image only",
                "Save script...",
            )
        )
        menu.addActions([self.copy, self.copy_plain, self.save_script])
        self.script.setMenu(menu)
        self.copy.triggered.connect(lambda: self.copy_script())
        self.copy_plain.triggered.connect(lambda: self.copy_script(plain=True))
        self.save_script.triggered.connect(lambda: self.write_script())
        self.save.clicked.connect(lambda: self.write())
        self.load.clicked.connect(lambda: self.read())
        self.full.clicked.connect(lambda: self.run())
        self.open.clicked.connect(self.open_result)

    def enable(self, *, has_layer: bool, has_recipe: bool, able: bool) -> None:
        """Enable what can be done now.

        Parameters
        ----------
        has_layer
            Whether a layer is selected that a recipe can start from.
        has_recipe
            Whether there is a recipe.
        able
            Whether it can be run.
        """
        self.load.setEnabled(has_layer)
        self.save.setEnabled(has_recipe)
        self.script.setEnabled(has_recipe)
        self.full.setEnabled(able)
        self.open.setEnabled(self._stored is not None)

    # ------------------------------------------------------------------ recipes and scripts

    def write(self, path: Path | None = None) -> None:
        """Save the recipe.

        Parameters
        ----------
        path
            Where; asked for unless given.
        """
        recipe = self._panel.recipe
        path = path or self._ask("Save the recipe", RECIPES, ".yaml")
        if recipe is None or path is None:
            return
        try:
            recipe.save(path)
        except TilewiseError as error:
            self._panel.complain(str(error))
            return
        self._panel.say(f"Saved {path.name}.")

    def read(self, path: Path | None = None) -> None:
        """Load a recipe for the selected layer.

        Parameters
        ----------
        path
            The file; asked for unless given.
        """
        if path is None:
            chosen, _ = QFileDialog.getOpenFileName(self._panel, "Load a recipe", "", RECIPES)
            if not chosen:
                return
            path = Path(chosen)
        try:
            recipe = Recipe.load(path)
        except TilewiseError as error:
            self._panel.complain(str(error))
            return
        self._panel.take_recipe(recipe)

    def text(self, *, plain: bool = False) -> str:
        """Return the recipe as a Python script; raises `TilewiseError` where there is none.

        Parameters
        ----------
        plain
            Whether it does without this package.
        """
        recipe, source = self._panel.recipe, self._panel.source
        if recipe is None:
            raise InvalidRecipe("There is no recipe: select a layer that was made with one.")
        names = None if source is None else snapshot.take(source, as_made=False).names
        return recipe.to_script(scikit_image_only=plain, axes=names)

    def copy_script(self, *, plain: bool = False) -> None:
        """Put the recipe into the clipboard as a Python script.

        Parameters
        ----------
        plain
            Whether it does without this package.
        """
        try:
            script = self.text(plain=plain)
        except TilewiseError as error:
            self._panel.complain(str(error))
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(script)
        self._panel.say("Copied: paste it into a script or a notebook.")

    def write_script(self, path: Path | None = None, *, plain: bool = False) -> None:
        """Save the recipe as a Python script.

        Parameters
        ----------
        path
            Where; asked for unless given.
        plain
            Whether it does without this package.
        """
        path = path or self._ask("Save the script", SCRIPTS, ".py")
        if path is None:
            return
        try:
            path.write_text(self.text(plain=plain), encoding="utf-8")
        except TilewiseError as error:
            self._panel.complain(str(error))
        except OSError as error:
            self._panel.complain(str(DestinationUnwritable(
                f"The script {str(path)!r} cannot be written: {error.strerror}. "
                "Name a folder that exists and that you may write to."
            )))  # fmt: skip
        else:
            self._panel.say(f"Saved {path.name}.")

    # ------------------------------------------------------------------ full runs

    def run(self, path: Path | None = None) -> None:
        """Run the recipe on the full image into a file, in the background.

        Parameters
        ----------
        path
            Where; asked for unless given, and then the plan is shown first.
        """
        panel = self._panel
        if panel.runner.is_running:
            return
        try:
            job = panel.runs.job(memo=False)
        except TilewiseError as error:
            panel.complain(str(error))
            return
        if path is not None:
            self._start(job, path)
        elif (chosen := self._ask("Write the result", *_format(job.output))) is not None:
            self.plan = PlanDialog(panel, job, chosen)
            self.plan.accepted.connect(lambda: self._start(job, chosen))
            self.plan.open()

    def _start(self, job: Job, path: Path) -> None:
        panel, work = self._panel, StoredRun(job, path)
        if panel.runner.is_running:
            return
        panel.runner.start_work(work)
        panel.runs.started(f"{work} ...")

    def stored(self, work: StoredRun, outcomes: tuple[JobOutcome, ...]) -> None:
        """Tell that a result was written, and offer to open it.

        Parameters
        ----------
        work
            What was done.
        outcomes
            Its results, where they are images that can be shown.
        """
        self._stored = (work, outcomes) if outcomes else None
        self.open.setEnabled(bool(outcomes))
        self._panel.say(f"Written to {work.path}.")

    def open_result(self) -> None:
        """Add what was written: a layer for each result."""
        stored, self._stored = self._stored, None
        self.open.setEnabled(False)
        if stored is None:
            return
        work, outcomes = stored
        with complaining(work, self._panel.complain):
            for outcome in outcomes:
                made = results.layer(work.job, outcome)
                if made is not None:
                    self._panel.runs.add(outcome, made)

    def _ask(self, title: str, kinds: str, suffix: str) -> Path | None:
        """Ask for a file to write; None where the user thinks better of it."""
        chosen, kind = QFileDialog.getSaveFileName(self._panel, title, "", kinds)
        if not chosen:
            return None
        of_kind = re.search(r"\(\*(\.\S+?)[ )]", kind)  # the first of the kind that was chosen
        return Path(
            chosen if Path(chosen).suffix else f"{chosen}{of_kind[1] if of_kind else suffix}"
        )


def _format(output: Output) -> tuple[str, str]:
    """Return the files that can hold a result, and their usual suffix."""
    if output.is_image:
        return IMAGES, ".ome.zarr"
    return TABLES, ".csv" if output in (Output.TABLE, Output.POINTS, Output.CONTOURS) else ".json"
