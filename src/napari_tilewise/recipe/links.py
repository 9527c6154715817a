"""Links say which step's result, or which given image, each argument of a step is.

A recipe is a list; what a step names makes it a graph. Steps that are switched off are walked past,
so that whoever asks sees only what runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidRecipe, did_you_mean
from napari_tilewise.operations.spec.operation import Output
from napari_tilewise.recipe.step import SOURCE, step_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.recipe.step import Step

_IMAGES = {Output.IMAGE, Output.MASK, Output.LABELS}
_PART = re.compile(r"(.*)\[(\d+)\]")


@dataclass(frozen=True)
class Link:
    """Where an image comes from: a step's result, or what the recipe is run on."""

    step: int | None = None
    """Which of the recipe's steps; None: none of them."""
    part: int = 0
    """Which of the step's results, where it gives several."""
    given: str = SOURCE
    """Where it is no step's: the source, or the name of one of the recipe's inputs."""


def format_link(name: str, part: int = 0) -> str:
    """Return how a step writes that it takes another one's result.

    Parameters
    ----------
    name
        The other step's name.
    part
        Which of its results, where it gives several.
    """
    return f"{name}[{part}]" if part else name


class LinkError(InvalidRecipe):
    """A link is wrong: `step` and `where` tell which one."""

    def __init__(self, message: str, step: int, *where: str) -> None:
        super().__init__(message)
        self.step = step
        self.where = where


def resolve(steps: Sequence[Step], inputs: Sequence[str]) -> tuple[Mapping[str, Link], ...]:
    """Return the links of every step, by argument; those of steps that are switched off too.

    Parameters
    ----------
    steps
        The steps in order.
    inputs
        Names of the images that are given beside the source.

    Raises
    ------
    LinkError
        When a name is unknown or taken twice, or a step cannot follow another.
    """
    names: dict[str, int] = {}
    found: list[dict[str, Link]] = []
    for number, step in enumerate(steps):
        links = {step.first: _before(steps, found, number)}
        for role, target in step.inputs.items():
            links[role] = _named(steps, found, number, names, inputs, role, target)
        for role, link in links.items():
            if step.enabled:
                _check(steps, number, role, link)
        found.append(links)
        if step.name is None:
            continue
        if step.name in names or step.name in inputs:
            raise LinkError(
                f"The name {step.name!r} is taken already: expected another one for step "
                f"{number + 1} ({step.operation}).", number, "name",
            )  # fmt: skip
        names[step.name] = number
    return tuple(found)


def _before(steps: Sequence[Step], found: Sequence[Mapping[str, Link]], number: int) -> Link:
    """Return the result of the step before."""
    return _result(steps, found, number - 1) if number else Link()


def _result(
    steps: Sequence[Step], found: Sequence[Mapping[str, Link]], number: int, part: int = 0
) -> Link:
    """Return a step's result: of one that is switched off, what it would have worked on."""
    step = steps[number]
    return Link(number, part) if step.enabled else found[number][step.first]


def _named(
    steps: Sequence[Step],
    found: Sequence[Mapping[str, Link]],
    number: int,
    names: Mapping[str, int],
    inputs: Sequence[str],
    role: str,
    target: str,
) -> Link:
    match = _PART.fullmatch(target)
    name, part = (match[1], int(match[2])) if match else (target, 0)
    if name in names:
        return _result(steps, found, names[name], part)
    if not match and (name == SOURCE or name in inputs):
        return Link(given=name)
    known = [*names, SOURCE, *inputs]
    hint = did_you_mean(name, known) or f" There are {', '.join(known)}."
    raise LinkError(
        f"Step {number + 1} ({steps[number].operation}) takes its {role} from {target!r}: no step "
        f"before it and no input has this name.{hint}", number, "inputs", role,
    )  # fmt: skip


def _check(steps: Sequence[Step], number: int, role: str, link: Link) -> None:
    """Raise where a step's argument is no image."""
    if link.step is None:
        return
    op = steps[link.step].op
    output = step_output(op)
    if output not in _IMAGES:
        what = "follow" if role == steps[number].first else f"take its {role} from"
        raise LinkError(
            f"Step {number + 1} ({steps[number].operation}) cannot {what} step {link.step + 1} "
            f"({op.name}), which gives a {output} and no image: make {op.name} the last step.",
            number,
            "operation",
        )
