"""What a batch does, as the Batch panel hands it on: plain, with the arrays of further images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.layer_record import Origin

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise.recipe import Recipe


@dataclass(frozen=True, eq=False)
class What:
    """What is done with each item."""

    thing: Any
    """What `napari_tilewise.batch` takes as its recipe."""
    recipe: Recipe | None = None
    """The recipe that this is; None where it is a function."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Arrays for the recipe's further images."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The layers that these are of."""

    @property
    def told(self) -> Mapping[str, Any]:
        """What a layer made by it remembers."""
        if self.recipe is None:
            return {"function": self.thing}
        return {"recipe": self.recipe.to_dict(images=False)}

    def __str__(self) -> str:
        """Return it in words."""
        if self.recipe is None:
            return str(self.thing).rpartition(":")[2]
        steps = self.recipe.running
        title = self.recipe.steps[steps[-1]].op.title
        return title if len(steps) == 1 else f"{len(steps)} steps to {title}"


def layers_for(viewer: ViewerModel, role: str = "") -> list[Layer]:
    """Return the layers that suit a further image, the topmost first.

    Parameters
    ----------
    viewer
        The viewer.
    role
        ``mask``, ``labels`` or ``seeds``: labels layers; else images too.
    """
    wanted = (Labels,) if role in ("mask", "labels", "seeds") else (Image, Labels)
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, wanted)]


def with_layers(recipe: Recipe, layers: Mapping[str, Layer]) -> What:
    """Return a recipe with the layers of its inputs.

    Parameters
    ----------
    recipe
        The recipe.
    layers
        The layers by the inputs' names.
    """
    return What(
        recipe,
        recipe,
        {name: snapshot.take(layer).finest for name, layer in layers.items()},
        {name: Origin.of(layer) for name, layer in layers.items()},
    )
