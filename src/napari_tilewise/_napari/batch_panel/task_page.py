"""The page of the Batch panel that says what is done: an operation, a recipe, an own function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tilewise._napari.batch_panel.function_part import FunctionPart
from napari_tilewise._napari.batch_panel.operation_part import OperationPart
from napari_tilewise._napari.batch_panel.page_widgets import LabelledRows, choice, choose
from napari_tilewise._napari.batch_panel.recipe_part import RecipePart

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.batch_panel.batch_request import What
    from napari_tilewise._napari.layers.layer_record import Origin
    from napari_tilewise.recipe import Recipe

OPERATION, RECIPE, FUNCTION = "operation", "recipe", "function"


class WhatPage(QWidget):
    """Chooses what a batch does.

    Parameters
    ----------
    viewer
        The viewer, whose layers can be further images.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.kind = choice(
            {"an operation": OPERATION, "a recipe": RECIPE, "a function of yours": FUNCTION}
        )
        self.operation = OperationPart(viewer)
        self.recipe = RecipePart(viewer)
        self.function = FunctionPart()
        self._parts: dict[str, OperationPart | RecipePart | FunctionPart] = {
            OPERATION: self.operation, RECIPE: self.recipe, FUNCTION: self.function,
        }  # fmt: skip
        top = LabelledRows()
        top.add("do", self.kind)
        layout = QVBoxLayout(self)
        layout.addWidget(top)
        for part in self._parts.values():
            layout.addWidget(part)
        layout.addStretch()
        self.kind.currentIndexChanged.connect(self._show_part)
        self._show_part()

    def _show_part(self, *_: object) -> None:
        for kind, part in self._parts.items():
            part.setVisible(kind == self.kind.currentData())

    def refresh(self, *_: object) -> None:
        """Offer the layers that there are now."""
        self.operation.refresh()
        self.recipe.refresh()

    def take_recipe(self, recipe: Recipe, origins: Mapping[str, Origin]) -> None:
        """Choose a recipe that stands in no file.

        Parameters
        ----------
        recipe
            The recipe.
        origins
            The layers behind its inputs.
        """
        choose(self.kind, RECIPE)
        self.recipe.take(recipe, origins)

    def what(self) -> What:
        """Return what is chosen.

        Raises
        ------
        TilewiseError
            When it will not do.
        """
        return self._parts[self.kind.currentData()].what()
