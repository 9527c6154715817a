"""A batch of a recipe, from a file or from the Recipe panel, with layers as further images."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest, request_of
from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, PathEdit
from napari_tilewise._napari.layers.viewer_layers import layers_for
from napari_tilewise._napari.widgets import wording
from napari_tilewise._napari.widgets.small_widgets import text_label
from napari_tilewise._napari.widgets.theme_colours import Tone, colour
from napari_tilewise.errors import InvalidRecipe, TilewiseError
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.layer_record import Origin


FURTHER_IMAGE = (
    "A further image: a layer, the same for every item, or the path of a file for each, such as "
    "masks/{stem}.tif"
)


class RecipePart(QWidget):
    """Chooses a recipe, and the layers of its further images.

    Parameters
    ----------
    viewer
        The viewer whose layers can be further images.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._recipe: Recipe | None = None
        self._problem = "Choose a recipe file, or press Send to Batch in the Recipe panel."
        self._inputs: dict[str, QComboBox] = {}
        self.file = PathEdit("Choose a recipe", wording.RECIPE_FILES, "file, or Send to Batch")
        self.steps = text_label()
        self.steps.setTextFormat(Qt.TextFormat.RichText)
        self._images = LabelledRows()
        rows = LabelledRows()
        rows.add("recipe", self.file)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (rows, self.steps, self._images):
            layout.addWidget(widget)
        self.file.changed.connect(self._load)
        self._show_recipe({})

    def set_recipe(self, recipe: Recipe, origins: Mapping[str, Origin]) -> None:
        """Choose a recipe that is not in a file.

        Parameters
        ----------
        recipe
            Such as the one of a layer.
        origins
            The layers of its further images, by the inputs' names.
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

    def show_steps(self) -> None:
        """Show the recipe's steps, in the colours of the present theme."""
        self.steps.setText(self._problem if self._recipe is None else _steps(self._recipe))

    def _show_recipe(self, origins: Mapping[str, Origin]) -> None:
        recipe = self._recipe
        self.show_steps()
        self._images.clear()
        self._inputs = {}
        for name in () if recipe is None else recipe.inputs:
            box = self._inputs[name] = QComboBox()
            box.setEditable(True)
            box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            self._images.add(name, box, FURTHER_IMAGE)
            layer = origins[name].find(self._viewer.layers) if name in origins else None
            self._fill(box, None if layer is None else str(layer.unique_id))

    def _fill(self, box: QComboBox, layer_id: str | None) -> None:
        path = _typed(box)
        box.clear()
        box.addItem("choose a layer", None)
        for layer in layers_for(self._viewer):
            box.addItem(layer.name, str(layer.unique_id))
        box.setCurrentIndex(max(0, box.findData(layer_id)))
        if path:
            box.setEditText(path)

    def refresh(self) -> None:
        """Offer the viewer's current layers as further images."""
        for box in self._inputs.values():
            self._fill(box, box.currentData())

    def request(self) -> BatchRequest:
        """Return the recipe with its further images.

        Raises
        ------
        InvalidRecipe
            If no recipe is chosen, or no layer for a further image.
        """
        if self._recipe is None:
            raise InvalidRecipe(self._problem)
        layers = {str(layer.unique_id): layer for layer in self._viewer.layers}
        paths = {name: path for name, box in self._inputs.items() if (path := _typed(box))}
        chosen = {name: layers.get(box.currentData()) for name, box in self._inputs.items()}
        images = {
            name: layer for name, layer in chosen.items() if layer is not None and name not in paths
        }
        for name in chosen:
            if name not in images and name not in paths:
                raise InvalidRecipe(
                    f"The recipe's further image {name!r} is missing: choose a layer for it, or "
                    "type the path of a file, such as masks/{stem}.tif."
                )
        request = request_of(self._recipe, images)
        request = replace(request, inputs={**request.inputs, **paths})
        # The path, not the recipe: outputs can be named after the file.
        return replace(request, task=self.file.path) if self.file.path else request


def _typed(box: QComboBox) -> str:
    """Return the path that the user typed instead of choosing a layer; empty if none."""
    text = box.currentText().strip()
    return text if box.findText(text) < 0 else ""


def _steps(recipe: Recipe) -> str:
    """Return a recipe's steps as rich text."""
    lines, faint = [], colour(Tone.FAINT)
    for number, step in enumerate(recipe.steps, start=1):
        values = html.escape(
            ", ".join(filter(None, (wording.values(step), wording.spatial(step.spatial))))
        )
        off = "" if step.enabled else " (switched off)"
        detail = f" <span style='color: {faint}'>{values}</span>" if values else ""
        lines.append(f"{number}&nbsp; <b>{html.escape(step.op.title)}</b>{detail}{off}")
    return "<br>".join(lines)
