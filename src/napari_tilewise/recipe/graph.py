"""The graph that a recipe's steps form: which step's result each image of a step is.

It knows nothing of files, scripts and edits, which work on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.recipe.links import Link, resolve
from napari_tilewise.recipe.step import (
    SOURCE,
    AnyStep,
    Step,
    check_count,
    is_name,
    step_output,
    to_step,
)

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.operation import Output


class StepGraph:
    """An ordered chain of steps with named inputs, checked when it is created.

    Parameters
    ----------
    steps
        Operation keys, (key, parameters) pairs, or `Step` objects.
    inputs
        Names of further images that are passed when the recipe is run.

    Raises
    ------
    TilewiseError
        If a step is wrong, there is no step, or a step cannot follow the one before it.
    """

    __slots__ = ("_inputs", "_links", "_steps")

    def __init__(self, steps: Iterable[AnyStep], inputs: Iterable[str] = ()) -> None:
        if isinstance(steps, str | Mapping) or not isinstance(steps, Iterable):
            raise InvalidRecipe(
                f"A recipe cannot be made from {steps!r}: expected a list of steps, such as "
                "[('filters.gaussian', {'sigma': 2}), ('measure.label', {})]."
            )
        steps = tuple(steps)
        check_count(len(steps))
        self._steps = tuple(to_step(step) for step in steps)
        if not self._steps:
            raise InvalidRecipe("A recipe needs at least one step; this one has none.")
        self._inputs = _input_names(inputs)
        self._links = resolve(self._steps, self._inputs)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order, including those that are switched off."""
        return self._steps

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the images that are passed in addition to the source."""
        return self._inputs

    @property
    def links(self) -> tuple[Mapping[str, Link], ...]:
        """Where the images of each step come from, by scikit-image's name of the argument."""
        return self._links

    @property
    def running(self) -> tuple[int, ...]:
        """Indices of the steps that are switched on."""
        return tuple(number for number, step in enumerate(self._steps) if step.enabled)

    @property
    def output(self) -> Output:
        """Type of the last step's result."""
        if not self.running:
            raise InvalidRecipe("Every step of the recipe is switched off: switch one on.")
        return step_output(self._steps[self.running[-1]].op)

    @property
    def result_link(self) -> Link:
        """The link to the recipe's result: the last step's, or the source if no step runs."""
        return Link(self.running[-1]) if self.running else Link()

    def __len__(self) -> int:
        return len(self._steps)


def _input_names(inputs: Iterable[str]) -> tuple[str, ...]:
    names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    for name in names:
        if name == SOURCE or not is_name(name):
            raise InvalidRecipe(
                f"Invalid input name {name!r}: use letters, digits, '_' and '-', starting with a "
                f"letter or '_', and not {SOURCE!r}."
            )
    if len(set(names)) < len(names):
        raise InvalidRecipe(f"The inputs {list(names)} repeat a name: expected each name once.")
    return names
