"""A batch of a recipe, from a file or from the Recipe panel, with the layers of its inputs."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_request import What, layers_for, with_layers
from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, PathEdit
from napari_tilewise._napari.recipe_panel.recipe_files import RECIPES
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.small_widgets import text
from napari_tilewise.errors import InvalidRecipe, TilewiseError
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.layer_record import Origin


class RecipePart(QWidget):
    """A recipe from a file or from the Recipe panel, with the layers of its inputs.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._recipe: Recipe | None = None
        self._problem = "Choose a recipe: a file, or the one of a layer with Send to Batch."
        self._inputs: dict[str, QComboBox] = {}
        self.file = PathEdit("Choose a recipe", RECIPES, "file, or from the Recipe panel")
        self.steps = text()
        self._images = LabelledRows()
        rows = LabelledRows()
        rows.add("recipe", self.file)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for one in (rows, self.steps, self._images):
            layout.addWidget(one)
        self.file.changed.connect(self._load)
        self._show_recipe({})

    def take(self, recipe: Recipe, origins: Mapping[str, Origin]) -> None:
        """Show a recipe that stands in no file.

        Parameters
        ----------
        recipe
            The recipe.
        origins
            The layers behind its inputs.
        """
        with QSignalBlocker(self.file):
            self.file.path = ""
        self._recipe = recipe
        self._show_recipe(origins)

    def _load(self) -> None:
        self._recipe = None
        try:
            self._recipe = Recipe.load(self.file.path)
        except TilewiseError as error:
            self._problem = str(error)
        self._show_recipe({})

    def _show_recipe(self, origins: Mapping[str, Origin]) -> None:
        recipe = self._recipe
        self.steps.setText(self._problem if recipe is None else _steps(recipe))
        self._images.clear()
        self._inputs = {}
        for name in () if recipe is None else recipe.inputs:
            box = self._inputs[name] = QComboBox()
            self._images.add(name, box, "A further image, the same for every item")
            known = origins[name].find(self._viewer.layers) if name in origins else None
            self._fill(box, None if known is None else str(known.unique_id))

    def _fill(self, box: QComboBox, chosen: str | None) -> None:
        box.clear()
        box.addItem("choose a layer", None)
        for layer in layers_for(self._viewer):
            box.addItem(layer.name, str(layer.unique_id))
        box.setCurrentIndex(max(0, box.findData(chosen)))

    def refresh(self) -> None:
        """Offer the layers that there are now."""
        for box in self._inputs.values():
            self._fill(box, box.currentData())

    def what(self) -> What:
        """Return the recipe; raises `TilewiseError` where there is none, or an input is missing."""
        if self._recipe is None:
            raise InvalidRecipe(self._problem)
        layers = {str(layer.unique_id): layer for layer in self._viewer.layers}
        chosen = {name: layers.get(box.currentData()) for name, box in self._inputs.items()}
        found = {name: layer for name, layer in chosen.items() if layer is not None}
        for name in chosen:
            if name not in found:
                raise InvalidRecipe(
                    f"The recipe's further image {name!r} is missing: choose a layer for it."
                )
        made = with_layers(self._recipe, found)
        # A file is named rather than its recipe: outputs can be called after it.
        return What(self.file.path or made.thing, made.recipe, made.inputs, made.origins)


def _steps(recipe: Recipe) -> str:
    """Return a recipe's steps as rich text."""
    lines = []
    for number, step in enumerate(recipe.steps, start=1):
        said = html.escape(
            ", ".join(filter(None, (wording.values(step), wording.spatial(step.spatial))))
        )
        off = "" if step.enabled else " (switched off)"
        detail = f" <span style='color: {wording.FAINT}'>{said}</span>" if said else ""
        lines.append(f"{number}&nbsp; <b>{html.escape(step.op.title)}</b>{detail}{off}")
    return "<br>".join(lines)
