"""Recipes grow together: a step's further images bring the steps that made them.

Steps that do the same with the same images are one step, so that what two results have in common is
computed once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_tilewise.recipe.links import Link, format_link
from napari_tilewise.recipe.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.recipe.recipe import Recipe


def extended(
    recipe: Recipe, step: Step, images: Mapping[str, Recipe | str], parts: Mapping[str, int]
) -> tuple[list[Step], list[str]]:
    """Return the steps and inputs of `Recipe.extended`."""
    growing = _Growing(recipe)
    main = result_link(recipe)
    inputs = dict(step.inputs)
    for role, image in images.items():
        if isinstance(image, str):
            inputs[role] = growing.input(image)
        else:
            link = growing.graft(image)
            inputs[role] = growing.text(replace(link, part=parts.get(role, link.part)))
    if main != growing.before:
        inputs.setdefault(step.first, growing.text(main))
    growing.steps.append(
        Step(step.operation, step.parameters, step.name, inputs, step.spatial, step.enabled)
    )
    return growing.steps, growing.inputs


def result_link(recipe: Recipe) -> Link:
    """Return where a recipe's result comes from."""
    return Link(recipe.running[-1]) if recipe.running else Link()


class _Growing:
    """A recipe's steps, and what is known of them while others join."""

    def __init__(self, recipe: Recipe) -> None:
        self.steps = list(recipe.steps)
        self.inputs = list(recipe.inputs)
        self._known: dict[Any, int] = {}
        for number in recipe.running:
            links = recipe.links[number]
            self._known.setdefault(_key(recipe.steps[number], links), number)

    @property
    def before(self) -> Link:
        """What a step that names nothing would work on."""
        running = [number for number, step in enumerate(self.steps) if step.enabled]
        return Link(running[-1]) if running else Link()

    def input(self, name: str) -> str:
        """Return the name of an input, taken in where it is new."""
        if name not in self.inputs:
            self.inputs.append(name)
        return name

    def graft(self, other: Recipe) -> Link:
        """Take in the steps of another recipe on the same source; return its result."""
        made: dict[int, int] = {}

        def here(link: Link) -> Link:
            return link if link.step is None else replace(link, step=made[link.step])

        for name in other.inputs:
            self.input(name)
        for number in other.running:
            step = other.steps[number]
            links = {role: here(link) for role, link in other.links[number].items()}
            known = self._known.get(_key(step, links))
            made[number] = self._append(step, links) if known is None else known
        return here(result_link(other))

    def _append(self, step: Step, links: Mapping[str, Link]) -> int:
        inputs = {
            role: self.text(link)
            for role, link in links.items()
            if role != step.first or link != self.before
        }
        name = None if step.name is None else self._free(step.name)
        self.steps.append(Step(step.operation, step.parameters, name, inputs, step.spatial))
        self._known[_key(step, links)] = len(self.steps) - 1
        return len(self.steps) - 1

    def text(self, link: Link) -> str:
        """Return a link as a step writes it; the step that it names gets a name if it has none."""
        if link.step is None:
            return link.given
        step = self.steps[link.step]
        if step.name is None:
            step = replace(step, name=self._free(step.operation.rpartition(".")[2]))
            self.steps[link.step] = step
        return format_link(str(step.name), link.part)

    def _free(self, name: str) -> str:
        taken = {step.name for step in self.steps} | set(self.inputs)
        found, number = name, 1
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        return found


def _key(step: Step, links: Mapping[str, Link]) -> Any:
    return step.work, frozenset(links.items())
