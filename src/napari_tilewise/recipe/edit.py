"""Recipes are combined: a step's further images bring the steps that compute them.

Steps that compute the same from the same images become one step, so that what two results have in
common is computed once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tilewise.recipe.links import Link, format_link
from napari_tilewise.recipe.step import Step

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from napari_tilewise.recipe.graph import StepGraph


def extended(
    recipe: StepGraph, step: Step, images: Mapping[str, StepGraph | str], parts: Mapping[str, int]
) -> tuple[list[Step], list[str]]:
    """Return the steps and inputs of `Recipe.extended`.

    Parameters
    ----------
    recipe
        The recipe to extend.
    step
        The new last step.
    images
        The recipe of each further image, or the name of an input, by argument.
    parts
        Index of the result to use, by argument, for recipes whose last step has several.
    """
    combined = _CombinedSteps(recipe)
    main = recipe.result_link
    inputs = dict(step.inputs)
    for role, image in images.items():
        if isinstance(image, str):
            inputs[role] = combined.input(image)
        else:
            link = combined.graft(image)
            inputs[role] = combined.text(replace(link, part=parts.get(role, link.part)))
    if main != combined.previous:
        inputs.setdefault(step.first, combined.text(main))
    combined.steps.append(
        Step(step.operation, step.parameters, step.name, inputs, step.spatial, step.enabled)
    )
    return combined.steps, combined.inputs


class _CombinedSteps:
    """A recipe's steps while other recipes' steps are added to them."""

    def __init__(self, recipe: StepGraph) -> None:
        self.steps = list(recipe.steps)
        self.inputs = list(recipe.inputs)
        self._numbers: dict[Hashable, int] = {}
        for number in recipe.running:
            links = recipe.links[number]
            self._numbers.setdefault(_key(recipe.steps[number], links), number)

    @property
    def previous(self) -> Link:
        """The link of a step that names no image: the result of the last step."""
        running = [number for number, step in enumerate(self.steps) if step.enabled]
        return Link(running[-1]) if running else Link()

    def input(self, name: str) -> str:
        """Return the name of an input, which is added if it is new."""
        if name not in self.inputs:
            self.inputs.append(name)
        return name

    def graft(self, other: StepGraph) -> Link:
        """Add the steps of another recipe on the same source and return the link to its result."""
        numbers: dict[int, int] = {}

        def translated(link: Link) -> Link:
            return link if link.step is None else replace(link, step=numbers[link.step])

        for name in other.inputs:
            self.input(name)
        for number in other.running:
            step = other.steps[number]
            links = {role: translated(link) for role, link in other.links[number].items()}
            existing = self._numbers.get(_key(step, links))
            numbers[number] = self._append(step, links) if existing is None else existing
        return translated(other.result_link)

    def _append(self, step: Step, links: Mapping[str, Link]) -> int:
        inputs = {
            role: self.text(link)
            for role, link in links.items()
            if role != step.first or link != self.previous
        }
        name = None if step.name is None else self._free(step.name)
        self.steps.append(Step(step.operation, step.parameters, name, inputs, step.spatial))
        self._numbers[_key(step, links)] = len(self.steps) - 1
        return len(self.steps) - 1

    def text(self, link: Link) -> str:
        """Return a link as text; the step that it refers to gets a name if it has none."""
        if link.step is None:
            return link.input
        step = self.steps[link.step]
        if step.name is None:
            step = replace(step, name=self._free(step.operation.rpartition(".")[2]))
            self.steps[link.step] = step
        return format_link(str(step.name), link.part)

    def _free(self, name: str) -> str:
        taken = {step.name for step in self.steps} | set(self.inputs)
        candidate, number = name, 1
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        return candidate


def _key(step: Step, links: Mapping[str, Link]) -> Hashable:
    return step.computation, frozenset(links.items())
