"""Every random operation of a run gets a seed, which all processes and a resumed run share.

scikit-image's ``rng=None`` takes a new seed for each call. A run that is resumed, or whose tiles
are computed in several processes, would mix several seeds; so the run chooses and records one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise.operations.spec.value_specs import Seed
from napari_tilewise.recipe.recipe import Recipe

if TYPE_CHECKING:
    from napari_tilewise.recipe.step import Step

SEED_BITS = 32
"""Number of bits of a seed."""


def with_seeds(recipe: Recipe, key: str) -> Recipe:
    """Return a recipe in which every random step has a seed.

    Parameters
    ----------
    recipe
        The recipe, with seeds or without.
    key
        Text that identifies the run, such as its destination: other runs get other seeds.

    Returns
    -------
    Recipe
        The same recipe if no step needs a seed.
    """
    steps = tuple(
        _step_with_seeds(step, f"{key} {number}") for number, step in enumerate(recipe.steps)
    )
    return recipe if steps == recipe.steps else Recipe(steps, recipe.inputs)


def _step_with_seeds(step: Step, key: str) -> Step:
    missing = [
        name
        for name, spec in step.op.specs.items()
        if isinstance(spec, Seed) and step.parameters.get(name) is None
    ]
    if not missing:
        return step
    text = json.dumps([key, step.operation, dict(step.parameters)], default=str, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=SEED_BITS // 8).digest()
    seeds = dict.fromkeys(missing, int.from_bytes(digest, "big"))
    return replace(step, parameters={**step.parameters, **seeds})
