"""Recipes: ordered chains of operations with named inputs, as data that a file can hold."""

from __future__ import annotations

from napari_tilewise.recipe.data_types import conversion_to, with_data_type
from napari_tilewise.recipe.links import Link
from napari_tilewise.recipe.recipe import SUFFIXES, Recipe
from napari_tilewise.recipe.seeds import with_seeds
from napari_tilewise.recipe.step import VERSION, AnyStep, Step, step_output

__all__ = [
    "SUFFIXES",
    "VERSION",
    "AnyStep",
    "Link",
    "Recipe",
    "Step",
    "conversion_to",
    "step_output",
    "with_data_type",
    "with_seeds",
]
