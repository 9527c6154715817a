"""The images that a recipe is run on, by the names that the recipe has for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidParameter, did_you_mean, option
from napari_tilewise.recipe.step import SOURCE

if TYPE_CHECKING:
    from napari_tilewise.axes import PixelSizes
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.types import Parameters

Names = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class RecipeImages:
    """What a recipe is run on."""

    by_name: Parameters
    """The images by name: the source and the recipe's inputs."""
    names: Names = None
    """The names of the source's axes."""
    spatial: Any = None
    """The axes to run over, where a step does not say."""
    channels: tuple[str, ...] = ()
    """The names of the source's channels, if it names them."""
    sizes: PixelSizes | None = None
    """The size of the source's pixels, if it is known: tables are measured by it."""

    @property
    def source(self) -> Any:
        """The source."""
        return self.by_name[SOURCE]

    def measured_by(self, sizes: PixelSizes | None) -> RecipeImages:
        """Return the images with the size of the source's pixels.

        Parameters
        ----------
        sizes
            Tables are measured by it; None: in pixels.
        """
        return replace(self, sizes=sizes)


def recipe_images(
    recipe: Recipe,
    source: Any,
    inputs: Parameters | None,
    *,
    names: Names = None,
    spatial: Any = None,
    channels: tuple[str, ...] = (),
) -> RecipeImages:
    """Return what a recipe is run on, after a look whether all its inputs are there.

    Parameters
    ----------
    recipe
        The recipe.
    source
        The image.
    inputs
        The recipe's inputs by name.
    names
        Names of the source's axes.
    spatial
        The axes to run over; all unless given.
    channels
        Names of the source's channels, along its axis ``c``.

    Raises
    ------
    InvalidParameter
        When an input is missing or unknown.
    """
    inputs = dict(inputs or {})
    for name in inputs:
        if name not in recipe.inputs:
            hint = did_you_mean(name, recipe.inputs)
            names_text = ", ".join(map(repr, recipe.inputs)) or "none"
            raise InvalidParameter(f"The recipe has no input {name!r}; it has {names_text}.{hint}")
    for name in recipe.inputs:
        if inputs.get(name) is None:
            raise InvalidParameter(
                f"The recipe's input {name!r} is missing: give an image for it, as in "
                f"{option('inputs', {name: 'PATH'})}."
            )
    return RecipeImages({SOURCE: source, **inputs}, names, spatial, channels)
