"""A recipe is data: an ordered chain of operations, checked when it is made, never changed after.

Each step works on the result of the one before, unless it names another; so the list is a graph
where an operation takes several images. What an edit makes is a new recipe, checked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.recipe import data as _data
from napari_tilewise.recipe import edit, file
from napari_tilewise.recipe.links import Link, resolve
from napari_tilewise.recipe.script import write_script
from napari_tilewise.recipe.step import SOURCE, Step, StepLike, is_name, step_of, step_output

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.operations.spec.operation import Output

SUFFIXES = (".yaml", ".yml")


class Recipe:
    """An ordered chain of operations, checked when it is made.

    A threshold step gives the mask ``image > threshold`` (multi-Otsu: the regions).

    Parameters
    ----------
    steps
        Operation keys, (key, parameters) pairs, or `Step` objects, which can name where further
        images come from. Parameters that are left out keep scikit-image's defaults.
    inputs
        Names of images that are given beside the source when the recipe is run.

    Raises
    ------
    UnknownOperation, UnknownParameter, InvalidParameter
        When a step is wrong; the message names the nearest names or what was expected.
    InvalidRecipe
        When there is no step, or one cannot follow the step before it.
    """

    __slots__ = ("_inputs", "_links", "_steps")

    def __init__(self, steps: Iterable[StepLike], inputs: Iterable[str] = ()) -> None:
        if isinstance(steps, str | Mapping) or not isinstance(steps, Iterable):
            raise InvalidRecipe(
                f"A recipe is made from a list of steps, not from {steps!r}: expected such as "
                "[('filters.gaussian', {'sigma': 2}), ('measure.label', {})]."
            )
        self._steps = tuple(step_of(step) for step in steps)
        if not self._steps:
            raise InvalidRecipe("A recipe needs at least one step; this one has none.")
        self._inputs = _names(inputs)
        self._links = resolve(self._steps, self._inputs)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order, those that are switched off too."""
        return self._steps

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the images that are given beside the source."""
        return self._inputs

    @property
    def links(self) -> tuple[Mapping[str, Link], ...]:
        """Where the images of each step come from, by scikit-image's name of the argument."""
        return self._links

    @property
    def running(self) -> tuple[int, ...]:
        """The steps that are switched on, by number."""
        return tuple(number for number, step in enumerate(self._steps) if step.enabled)

    @property
    def output(self) -> Output:
        """What the last step gives."""
        if not self.running:
            raise InvalidRecipe("Every step of the recipe is switched off: switch one on.")
        return step_output(self._steps[self.running[-1]].op)

    @classmethod
    def of(cls, thing: Any) -> Self:
        """Return the recipe that is meant.

        Parameters
        ----------
        thing
            A recipe, an operation's key, an (operation, parameters) pair, a step, a list of steps,
            or the path of a ``.yaml`` file.

        Raises
        ------
        TilewiseError
            When it is none of these or does not make a recipe; see the class.
        """
        if isinstance(thing, cls):
            return thing
        if isinstance(thing, os.PathLike):
            return cls.load(thing)
        if isinstance(thing, str):
            is_file = thing.lower().endswith(SUFFIXES)
            return cls.load(thing) if is_file else cls([thing])
        if isinstance(thing, Step) or (
            isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[1], Mapping)
        ):
            return cls([thing])
        return cls(thing)

    # -- data ----------------------------------------------------------------------------------

    def to_dict(self, *, images: bool = True) -> dict[str, Any]:
        """Return the recipe as plain data, ready for YAML or JSON.

        Parameters
        ----------
        images
            Whether a step that holds a whole image, such as a mask, or a function is refused; else
            a note stands in its place, for a record that nobody replays.

        Raises
        ------
        InvalidRecipe
            When a step holds a whole image or a function.
        """
        return _data.to_data(self._steps, self._inputs, images=images)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the recipe from plain data; the inverse of `to_dict`.

        Parameters
        ----------
        data
            What `to_dict` returned, such as from JSON.

        Raises
        ------
        TilewiseError
            When the data do not make a recipe; see the class.
        """
        return cls(*_data.from_data(data))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the recipe to a YAML file, over an earlier one, and return its path.

        Parameters
        ----------
        path
            The file, usually with the suffix ``.yaml``.

        Raises
        ------
        InvalidRecipe
            When a step holds a whole image, such as a mask.
        DestinationUnwritable
            When the file cannot be written.
        """
        return file.write(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the recipe from a YAML file, of this version or an older one.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        InvalidRecipe
            When there is no such file or it holds no recipe; names the file and the line.
        """
        return cls(*_data.from_document(file.read(path)))

    def to_script(
        self,
        source: str | os.PathLike[str] | None = None,
        destination: str | os.PathLike[str] | None = None,
        *,
        scikit_image_only: bool = False,
        spatial: str | Sequence[int] | None = None,
        axes: str | Sequence[str] | None = None,
    ) -> str:
        """Return a Python script that does what the recipe does, and gives the same result.

        Parameters
        ----------
        source, destination
            Paths that the script reads and writes unless it is told others.
        scikit_image_only
            Whether it shall need scikit-image and NumPy only, and hold the image in memory; else it
            runs tile by tile with the drop-in for scikit-image.
        spatial
            The axes to run over; z, y and x where the axes are given, else all of them.
        axes
            Names of the source's axes, such as ``"tcyx"``; needed where not all are of space. The
            script refuses images with others.

        Raises
        ------
        InvalidRecipe
            When a step holds a whole image or a function, or none is switched on.
        InvalidAxes
            When `axes` or `spatial` do not fit.
        """
        return write_script.write(
            self, source, destination, plain=scikit_image_only, spatial=spatial, axes=axes
        )

    # -- edits ---------------------------------------------------------------------------------

    def then(self, step: StepLike) -> Self:
        """Return the recipe with one more step at its end.

        Parameters
        ----------
        step
            The step.
        """
        return type(self)([*self._steps, step], self._inputs)

    def inserted(self, at: int, step: StepLike) -> Self:
        """Return the recipe with one more step.

        Parameters
        ----------
        at
            Where the step will be, from 0.
        step
            The step.
        """
        return type(self)([*self._steps[:at], step, *self._steps[at:]], self._inputs)

    def replaced(self, at: int, step: StepLike) -> Self:
        """Return the recipe with another step in one's place.

        Parameters
        ----------
        at
            Which step, from 0.
        step
            The new one.
        """
        return type(self)([*self._steps[:at], step, *self._steps[at + 1 :]], self._inputs)

    def without(self, at: int) -> Self:
        """Return the recipe without one step.

        Parameters
        ----------
        at
            Which step, from 0.
        """
        return type(self)([*self._steps[:at], *self._steps[at + 1 :]], self._inputs)

    def moved(self, at: int, to: int) -> Self:
        """Return the recipe with a step at another place.

        Parameters
        ----------
        at
            Which step, from 0.
        to
            Where it will be.
        """
        rest = [*self._steps[:at], *self._steps[at + 1 :]]
        return type(self)([*rest[:to], self._steps[at], *rest[to:]], self._inputs)

    def extended(
        self,
        step: Step,
        images: Mapping[str, Recipe | str],
        parts: Mapping[str, int] | None = None,
    ) -> Self:
        """Return the recipe with one more step, whose further images have recipes of their own.

        Parameters
        ----------
        step
            The step; it works on this recipe's result.
        images
            By scikit-image's name of the argument: the recipe that makes the image from the same
            source, whose steps are taken in (once, where both have them), or an input's name.
        parts
            By argument: which of several results of that recipe's last step; the first of them
            unless given.
        """
        return type(self)(*edit.extended(self, step, images, parts or {}))

    # -- identity ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        return self._steps == other._steps and self._inputs == other._inputs

    def __hash__(self) -> int:
        return hash((self._steps, self._inputs))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._steps, self._inputs)

    def __repr__(self) -> str:
        steps: list[Any] = [
            step if step.key[2:] != _PLAIN else (step.operation, dict(step.parameters))
            for step in self._steps
        ]
        inputs = f", inputs={list(self._inputs)!r}" if self._inputs else ""
        return f"Recipe({steps!r}{inputs})"


_PLAIN = Step("util.invert").key[2:]


def _names(inputs: Iterable[str]) -> tuple[str, ...]:
    names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    for name in names:
        if name == SOURCE or not is_name(name):
            raise InvalidRecipe(
                f"The input's name {name!r} will not do: expected letters, digits, '_' and '-', a "
                f"letter first, and not {SOURCE!r}."
            )
    if len(set(names)) < len(names):
        raise InvalidRecipe(f"Two of the inputs {list(names)} have one name: expected each once.")
    return names
