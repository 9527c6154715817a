"""The texts above the steps: the layer's name, where its recipe starts, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_tilewise._napari.layers import layer_record
from napari_tilewise._napari.recipe_panel.draft_state import missing_layers
from napari_tilewise._napari.widgets.elided import ElidedLabel
from napari_tilewise._napari.widgets.small_widgets import text_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_tilewise._napari.recipe_panel.draft_state import DraftState
    from napari_tilewise._napari.recipe_panel.drafts import Draft

NO_LAYER = "Open an image, apply operations to it, and select a result to see its steps here."
NO_RECIPE = (
    "{name} is not the result of an operation. Select a layer that is, load a recipe for {name}, "
    "or add a first step."
)
NOT_PIXELS = "A recipe starts from an image or labels: select such a layer or one of its results."
TITLE = "font-weight: bold; font-size: 13pt;"


class RecipeHeading(QWidget):
    """Says which layer's recipe is shown, and warns of layers that are missing or changed."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ElidedLabel(TITLE)
        self.summary, self.warning = text_label(faint=True), text_label()
        for label in (self.summary, self.warning):  # a low window may cut them off
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for label in (self.title, self.summary, self.warning):
            layout.addWidget(label)

    def show_layer(self, layer: Layer | None, draft: Draft | None, layers: Sequence[Layer]) -> None:
        """Show the texts for a layer.

        Parameters
        ----------
        layer
            The active layer; None if there is none.
        draft
            The layer's recipe under edit; None if it cannot have one.
        layers
            The viewer's layers.
        """
        self.title.setText("" if layer is None else layer.name)
        self.title.setVisible(layer is not None)
        warning = "" if layer is None else layer_record.problem(layer)
        if draft is not None and draft.recipe is not None:
            warning = (
                warning or missing_layers(draft.state, layers) or _outdated(draft.state, layers)
            )
        self.summary.setText(_summary(layer, draft))
        self.warning.setText(warning)
        self.warning.setVisible(bool(warning))


def _summary(layer: Layer | None, draft: Draft | None) -> str:
    if layer is None:
        return NO_LAYER
    if draft is None:
        return NOT_PIXELS
    if draft.recipe is None:
        return NO_RECIPE.format(name=repr(layer.name))
    steps, source = len(draft.steps), draft.state.source
    path = "" if source.path is None else f" ({source.path})"
    return f"{steps} step{'s' * (steps != 1)} from {source.name!r}{path}"


def _outdated(state: DraftState, layers: Sequence[Layer]) -> str:
    """Return which image changed since the layer was computed, in one sentence."""
    for origin in (state.source, *state.inputs.values()):
        layer = origin.find(layers)
        if layer is not None and not origin.is_unchanged(layer):
            return (
                f"{layer.name!r} changed after this layer was computed: Update uses its current "
                "pixels."
            )
    return ""
