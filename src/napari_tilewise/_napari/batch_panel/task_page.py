"""The page of the Batch panel for the task: an operation, a recipe or a user's function."""

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

    from napari_tilewise._napari.batch_panel.batch_settings import BatchRequest
    from napari_tilewise._napari.layers.layer_record import Origin
    from napari_tilewise.recipe import Recipe

OPERATION, RECIPE, FUNCTION = "operation", "recipe", "function"


class TaskPage(QWidget):
    """Chooses the task of a batch.

    Parameters
    ----------
    viewer
        The viewer whose layers can be further images.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self.kind = choice(
            {"an operation": OPERATION, "a recipe": RECIPE, "your own function": FUNCTION}
        )
        self.operation = OperationPart(viewer)
        self.recipe = RecipePart(viewer)
        self.function = FunctionPart()
        self._parts: dict[str, OperationPart | RecipePart | FunctionPart] = {
            OPERATION: self.operation, RECIPE: self.recipe, FUNCTION: self.function,
        }  # fmt: skip
        top = LabelledRows()
        top.add("run", self.kind)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3, 4, 3, 4)
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
        """Offer the viewer's current layers as further images."""
        self.operation.refresh()
        self.recipe.refresh()

    def set_recipe(self, recipe: Recipe, origins: Mapping[str, Origin]) -> None:
        """Choose a recipe that is not in a file.

        Parameters
        ----------
        recipe
            Such as the one of a layer.
        origins
            The layers of its further images, by the inputs' names.
        """
        choose(self.kind, RECIPE)
        self.recipe.set_recipe(recipe, origins)

    def request(self) -> BatchRequest:
        """Return the chosen task.

        Raises
        ------
        TilewiseError
            If the task is incomplete or invalid.
        """
        return self._parts[self.kind.currentData()].request()
