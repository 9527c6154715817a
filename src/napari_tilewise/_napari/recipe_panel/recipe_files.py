"""The Recipe panel's buttons for files: recipes, Python scripts, and results on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QApplication,
    QFileDialog,
    QGridLayout,
    QMenu,
    QPushButton,
    QWidget,
)

from napari_tilewise._napari.jobs.compute import calibrated
from napari_tilewise._napari.jobs.plan_dialog import PlanDialog
from napari_tilewise._napari.layers import layer_file, layer_record, snapshot
from napari_tilewise._napari.recipe_panel.stored_run import StoredRun
from napari_tilewise._napari.widgets.notify import notify
from napari_tilewise._napari.widgets.save_dialog import ask_path
from napari_tilewise._napari.widgets.wording import RECIPE_FILES
from napari_tilewise.errors import DestinationUnwritable, InvalidRecipe, TilewiseError
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.recipe import Recipe
from napari_tilewise.recipe.script.write_script import reads_alpha, write_cell
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_tilewise._napari.jobs.job import Job, JobOutcome
    from napari_tilewise._napari.recipe_panel.drafts import Draft
    from napari_tilewise._napari.recipe_panel.recipe_runs import RecipeRuns

SCRIPTS = "Python scripts (*.py)"
IMAGES = "OME-Zarr (*.ome.zarr);;OME-TIFF (*.ome.tif);;ImageJ TIFF (*.tif);;NumPy (*.npy)"


class RecipeFiles(QWidget):
    """Saves and loads recipes, writes scripts, and runs a recipe into a file.

    Parameters
    ----------
    draft
        Returns the draft under edit; None if no layer is selected.
    runs
        Runs the recipe.
    """

    said = Signal(str)
    """A line to show in the panel."""
    failed = Signal(str)
    """A problem, in one sentence."""
    loaded = Signal(object)
    """A `Recipe` was loaded from a file."""

    def __init__(self, draft: Callable[[], Draft | None], runs: RecipeRuns) -> None:
        super().__init__()
        self._draft, self._runs = draft, runs
        self._stored: tuple[StoredRun, tuple[JobOutcome, ...]] | None = None
        self.plan: PlanDialog | None = None
        """The dialog that was shown last."""
        self.save, self.load, self.script, self.run_full = map(
            QPushButton, ("Save...", "Load...", "Script", "Run on the full image...")
        )
        self.open = QPushButton("Open the result")
        self.save.setToolTip("<qt>Save the recipe as a text file, to run it on other images</qt>")
        self.load.setToolTip("<qt>Load a recipe to run on the selected layer</qt>")
        self.script.setToolTip("<qt>Export the recipe as a Python script</qt>")
        self.run_full.setToolTip(
            "<qt>Compute the recipe at full resolution, tile by tile, into a file. The image may "
            "be larger than memory.</qt>"
        )
        self.open.setToolTip("Open the written file as a layer")
        self._connect()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for column, button in enumerate((self.save, self.load, self.script)):
            layout.addWidget(button, 0, column)
        layout.addWidget(self.run_full, 1, 0, 1, 2)
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
        self.run_full.clicked.connect(lambda: self.run())
        self.open.clicked.connect(self.open_result)

    def enable(self, *, has_layer: bool, has_recipe: bool, can_run: bool) -> None:
        """Enable the buttons that can be used now.

        Parameters
        ----------
        has_layer
            Whether a layer is selected that a recipe can start from.
        has_recipe
            Whether there is a recipe.
        can_run
            Whether the recipe can be run now.
        """
        self.load.setEnabled(has_layer)
        self.save.setEnabled(has_recipe)
        self.script.setEnabled(has_recipe)
        self.run_full.setEnabled(can_run)
        self.open.setEnabled(self._stored is not None)

    # ------------------------------------------------------------------ recipes and scripts

    @property
    def _recipe(self) -> Recipe | None:
        draft = self._draft()
        return None if draft is None else draft.recipe

    def write(self, path: Path | None = None) -> None:
        """Save the recipe.

        Parameters
        ----------
        path
            The file; a dialog asks for it by default.
        """
        recipe = self._recipe
        path = path or ask_path(self, "Save the recipe", "recipe", RECIPE_FILES)
        if recipe is None or path is None:
            return
        try:
            recipe.save(path)
        except TilewiseError as error:
            self.failed.emit(str(error))
            return
        self.said.emit(f"Saved {path.name}.")

    def read(self, path: Path | None = None) -> None:
        """Load a recipe for the selected layer.

        Parameters
        ----------
        path
            The file; a dialog asks for it by default.
        """
        if path is None:
            chosen, _ = QFileDialog.getOpenFileName(self, "Load a recipe", "", RECIPE_FILES)
            if not chosen:
                return
            path = Path(chosen)
        try:
            recipe = Recipe.load(path)
        except TilewiseError as error:
            self.failed.emit(str(error))
            return
        self.loaded.emit(recipe)

    def text(self, *, plain: bool = False) -> str:
        """Return the recipe as a Python script.

        Parameters
        ----------
        plain
            Whether the script uses scikit-image only, without this package.

        Raises
        ------
        TilewiseError
            If there is no recipe, or it cannot be written as a script.
        """
        draft = self._draft()
        if draft is None or draft.recipe is None:
            raise InvalidRecipe("There is no recipe: select a layer that has one.")
        source = self._runs.source(draft)
        names = None if source is None else snapshot.take(source, as_result=False).names
        return draft.recipe.to_script(scikit_image_only=plain, axes=names)

    def cell(self, *, plain: bool = False) -> str:
        """Return the recipe as code for a notebook or a console, with its images filled in.

        Parameters
        ----------
        plain
            Whether the code uses scikit-image only, without this package.

        Raises
        ------
        TilewiseError
            If there is no recipe, one of its layers is not open, or it cannot be written as code.
        """
        draft = self._draft()
        job = self._runs.job(draft, memo=False)
        layers = {} if draft is None else self._runs.images(draft)
        takes_alpha = reads_alpha(job.recipe, job.source.names)
        code = {
            name: image_code(layer, plain=plain, alpha=takes_alpha and name == SOURCE)
            for name, layer in layers.items()
        }
        return write_cell(calibrated(job), code, plain=plain, axes=job.source.names)

    def copy_script(self, *, plain: bool = False) -> None:
        """Copy the recipe to the clipboard as Python code that runs where it is pasted.

        Parameters
        ----------
        plain
            Whether the code uses scikit-image only, without this package.
        """
        try:
            script = self.cell(plain=plain)
        except TilewiseError as error:
            self.failed.emit(str(error))
            return
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(script)
        self.said.emit("Copied: paste it into a notebook, or napari's console.")

    def write_script(self, path: Path | None = None, *, plain: bool = False) -> None:
        """Save the recipe as a Python script.

        Parameters
        ----------
        path
            The file; a dialog asks for it by default.
        plain
            Whether the script uses scikit-image only, without this package.
        """
        path = path or ask_path(self, "Save the script", "recipe", SCRIPTS)
        if path is None:
            return
        try:
            path.write_text(self.text(plain=plain), encoding="utf-8")
        except TilewiseError as error:
            self.failed.emit(str(error))
        except OSError as error:
            self.failed.emit(str(DestinationUnwritable(
                f"The script {str(path)!r} cannot be written: {error.strerror}. "
                "Choose a folder that exists and is writable."
            )))  # fmt: skip
        else:
            self.said.emit(f"Saved {path.name}.")

    # ------------------------------------------------------------------ full runs

    def run(self, path: Path | None = None) -> None:
        """Run the recipe on the full image into a file, in the background.

        Parameters
        ----------
        path
            The file; by default a dialog asks for it, and another one shows the plan of the run.
        """
        if self._runs.runner.is_running:
            return
        try:
            job = self._runs.job(self._draft(), memo=False)
        except TilewiseError as error:
            self.failed.emit(str(error))
            return
        if path is not None:
            self._runs.start(StoredRun(job, path))
            return
        filters = IMAGES if job.output.is_image else _tables(job.output)
        name = f"{job.source.name}_{job.operation.title}"
        if (chosen := ask_path(self, "Write the result", name, filters)) is not None:
            self._show_plan(job, chosen)

    def _show_plan(self, job: Job, path: Path) -> None:
        self.plan = PlanDialog(self, job, path)
        self.plan.accepted.connect(lambda: self._runs.start(StoredRun(job, path)))
        self.plan.open()

    def offer(self, run: StoredRun, outcomes: tuple[JobOutcome, ...]) -> None:
        """Report that a result was written, and offer to open it.

        Parameters
        ----------
        run
            The finished run.
        outcomes
            Its results that can be shown as layers.
        """
        self._stored = (run, outcomes) if outcomes else None
        self.open.setEnabled(bool(outcomes))
        self.said.emit(f"Written to {run.path}.")
        if outcomes:
            notify(f"{run}: finished.", "Show", self.open_result)

    def open_result(self) -> None:
        """Add the written results as layers, one for each."""
        stored, self._stored = self._stored, None
        self.open.setEnabled(False)
        if stored is not None:
            run, outcomes = stored
            self._runs.add_results(run.job, outcomes)


def _tables(output: Output) -> str:
    """Return the file filters for a table or numbers, with the usual suffix first."""
    is_table = output in (Output.TABLE, Output.POINTS, Output.CONTOURS)
    return f"Tables and numbers ({'*.csv *.json' if is_table else '*.json *.csv'})"


def image_code(layer: Layer, *, plain: bool, alpha: bool = False) -> str:
    """Return code that gives a layer's pixels: from its file, else from the viewer.

    Parameters
    ----------
    layer
        An image or labels layer.
    plain
        Whether the code uses scikit-image only, without this package.
    alpha
        Whether a picture's alpha is taken too, for a first step that takes it.
    """
    source = snapshot.take(layer, as_result=False)
    path = None if layer_record.edits(layer) else layer_file.file_like(source)
    if path is not None:
        keeping = ', alpha="keep"' if alpha else ""
        return f"read({path!r})" if plain else f'read({path!r}, axes="any"{keeping})'
    pixels = f"napari.current_viewer().layers[{layer.name!r}].data"
    pixels += "[0]" if layer.multiscale else ""
    if source.samples and not plain and not alpha:
        pixels += "[..., :3]"
    if source.dtype == bool and np.dtype(layer.dtype) != bool:
        pixels = f"({pixels} > 0)"
    return f"np.asarray({pixels})" if plain and not source.in_memory else pixels
