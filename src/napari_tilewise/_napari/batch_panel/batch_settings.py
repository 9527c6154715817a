"""The task of a batch, as the Batch panel passes it on: plain data and arrays, no layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.layer_record import Origin

if TYPE_CHECKING:
    from napari_tilewise.recipe import Recipe


@dataclass(frozen=True, eq=False)
class BatchRequest:
    """What to do with each item."""

    task: Recipe | str
    """A recipe, the path of one, or a function as ``"file.py:name"``."""
    recipe: Recipe | None = None
    """The recipe behind `task`; None for a function."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Arrays for the recipe's further images."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The layers of these arrays."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What a layer of results stores about the task."""
        if self.recipe is None:
            return {"function": self.task}
        return {"recipe": self.recipe.to_dict(images=False)}

    def __str__(self) -> str:
        """Return a short title of the task."""
        if self.recipe is None:
            return str(self.task).rpartition(":")[2]
        steps = self.recipe.running
        title = self.recipe.steps[steps[-1]].op.title
        return title if len(steps) == 1 else f"{len(steps)} steps to {title}"


def request_of(recipe: Recipe, layers: Mapping[str, Layer]) -> BatchRequest:
    """Return the request to run a recipe.

    Parameters
    ----------
    recipe
        Run on each item.
    layers
        The layers of its further images, by the inputs' names.
    """
    return BatchRequest(
        recipe,
        recipe,
        {name: snapshot.take(layer).finest for name, layer in layers.items()},
        {name: Origin.of(layer) for name, layer in layers.items()},
    )
