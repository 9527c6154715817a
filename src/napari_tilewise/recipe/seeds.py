"""Random numbers of a run begin somewhere that is told: all its processes, and a later run, agree.

scikit-image's ``rng=None`` begins anywhere. A run that is resumed, or whose tiles are computed in
several processes, would mix several beginnings; so one is chosen for it, and recorded.
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

BITS = 32
"""Of a seed."""


def with_seeds(recipe: Recipe, key: str) -> Recipe:
    """Return a recipe whose random numbers begin at given places.

    Parameters
    ----------
    recipe
        The recipe.
    key
        What tells this run from others, such as its destination: other runs begin elsewhere.

    Returns
    -------
    Recipe
        The same recipe where no step asks for random numbers, or all say where they begin.
    """
    steps = tuple(_seeded(step, f"{key} {number}") for number, step in enumerate(recipe.steps))
    return recipe if steps == recipe.steps else Recipe(steps, recipe.inputs)


def _seeded(step: Step, key: str) -> Step:
    open_ = [
        name
        for name, spec in step.op.specs.items()
        if isinstance(spec, Seed) and step.parameters.get(name) is None
    ]
    if not open_:
        return step
    text = json.dumps([key, step.operation, dict(step.parameters)], default=str, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=BITS // 8).digest()
    seeds = dict.fromkeys(open_, int.from_bytes(digest, "big"))
    return replace(step, parameters={**step.parameters, **seeds})
