"""A link says where an image of a step comes from: another step's result, the source or an input.

A recipe is a list; the names that steps refer to make it a graph. Links skip steps that are
switched off, so that whoever follows them sees only steps that run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidRecipe, did_you_mean
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.recipe.step import SOURCE, step_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.recipe.step import Step

_IMAGES = {Output.IMAGE, Output.MASK, Output.LABELS}
_PART = re.compile(r"(.*)\[(\d+)\]")


@dataclass(frozen=True)
class Link:
    """Where an image comes from: a step's result, the source, or an input of the recipe."""

    step: int | None = None
    """Index of the step; None for the source or an input."""
    part: int = 0
    """Index of the result, if the step has several."""
    input: str = SOURCE
    """``"source"`` or the name of an input, if it is not a step's result."""


def format_link(name: str, part: int = 0) -> str:
    """Return the text that refers to a step's result in another step's inputs.

    Parameters
    ----------
    name
        Name of the step whose result it is.
    part
        Index of the result, if the step has several.
    """
    return f"{name}[{part}]" if part else name


class LinkError(InvalidRecipe):
    """A link is not valid; `step` is the step's index and `where` the keys of the wrong entry."""

    def __init__(self, message: str, step: int, *where: str) -> None:
        super().__init__(message)
        self.step = step
        self.where = where


def resolve(steps: Sequence[Step], inputs: Sequence[str]) -> tuple[Mapping[str, Link], ...]:
    """Return the links of every step, by argument, including steps that are switched off.

    Parameters
    ----------
    steps
        The steps in order.
    inputs
        Names of the images that are passed in addition to the source.

    Raises
    ------
    LinkError
        If a name is unknown or repeated, or a step cannot follow another.
    """
    resolver = _Resolver(steps, inputs)
    for number in range(len(steps)):
        resolver.add(number)
    return tuple(resolver.links)


class _Resolver:
    """The links of the steps up to one, and the names that later steps can refer to."""

    def __init__(self, steps: Sequence[Step], inputs: Sequence[str]) -> None:
        self.links: list[dict[str, Link]] = []
        self._steps = steps
        self._inputs = inputs
        self._names: dict[str, int] = {}

    def add(self, number: int) -> None:
        """Resolve the links of the next step."""
        step = self._steps[number]
        links = {step.first: self._result(number - 1) if number else Link()}
        for role, target in step.inputs.items():
            links[role] = self._link(number, role, target)
        for role, link in links.items():
            if step.enabled:
                self._check(number, role, link)
        self.links.append(links)
        if step.name is not None:
            self._add_name(number, step.name)

    def _add_name(self, number: int, name: str) -> None:
        if name in self._names or name in self._inputs:
            message = (
                f"The name {name!r} is already taken: choose another one for "
                f"{self._describe(number)}."
            )
            raise LinkError(message, number, "name")
        self._names[name] = number

    def _result(self, number: int, part: int = 0) -> Link:
        """Return a step's result; if the step is switched off, the image it would work on."""
        step = self._steps[number]
        return Link(number, part) if step.enabled else self.links[number][step.first]

    def _link(self, number: int, role: str, target: str) -> Link:
        match = _PART.fullmatch(target)
        name, part = (match[1], int(match[2])) if match else (target, 0)
        if name in self._names:
            return self._result(self._names[name], part)
        if not match and (name == SOURCE or name in self._inputs):
            return Link(input=name)
        names = [*self._names, SOURCE, *self._inputs]
        hint = did_you_mean(name, names) or f" The names are {', '.join(names)}."
        raise LinkError(
            f"{self._describe(number, capital=True)} takes its {role} from {target!r}: no step "
            f"before it and no input has this name.{hint}",
            number,
            "inputs",
            role,
        )

    def _check(self, number: int, role: str, link: Link) -> None:
        """Raise an error if a step's argument is not an image."""
        if link.step is None:
            return
        op = self._steps[link.step].op
        output = step_output(op)
        if output not in _IMAGES:
            verb = "follow" if role == self._steps[number].first else f"take its {role} from"
            raise LinkError(
                f"{self._describe(number, capital=True)} cannot {verb} step {link.step + 1} "
                f"({op.name}), whose result is a {output}, not an image: "
                f"make {op.name} the last step.",
                number,
                "operation",
            )

    def _describe(self, number: int, *, capital: bool = False) -> str:
        return f"{'Step' if capital else 'step'} {number + 1} ({self._steps[number].operation})"
