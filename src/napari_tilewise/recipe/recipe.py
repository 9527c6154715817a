"""A recipe is data: an ordered chain of operations, checked when it is created and never changed.

Each step works on the result of the one before, unless it names another; so the list is a graph
where an operation takes several images. An edit returns a new recipe, which is checked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from napari_tilewise.errors import InvalidParameter, did_you_mean
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.notebook import html_table
from napari_tilewise.recipe import data as _data
from napari_tilewise.recipe import edit, file
from napari_tilewise.recipe.graph import StepGraph
from napari_tilewise.recipe.step import AnyStep, Step

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.types import AxisNames, Parameters, PathLike, SpatialAxes, Value

SUFFIXES = (".yaml", ".yml")


class Recipe(StepGraph):
    """An ordered chain of operations, checked when it is created.

    A threshold step gives the mask ``image > threshold`` (multi-Otsu: the regions).

    Parameters
    ----------
    steps
        Operation keys, (key, parameters) pairs, or `Step` objects, which can name where further
        images come from. Parameters that are omitted keep scikit-image's defaults.
    inputs
        Names of further images that are passed when the recipe is run.

    Raises
    ------
    UnknownOperation, UnknownParameter, InvalidParameter
        If a step is wrong; the message suggests the closest names or says what was expected.
    InvalidRecipe
        If there is no step, or one cannot follow the step before it.
    """

    __slots__ = ()

    @classmethod
    def of(cls, definition: Any, inputs: Iterable[str] = ()) -> Self:
        """Return the recipe that a definition stands for.

        Parameters
        ----------
        definition
            A recipe, an operation's key, an (operation, parameters) pair, a step, a list of steps,
            or the path of a ``.yaml`` file.
        inputs
            Names of the further images that it is run with. Those of a single operation are its
            parameters; a recipe names its own.

        Raises
        ------
        TilewiseError
            If it is none of these or not a valid recipe; see the class.
        """
        if isinstance(definition, cls):
            return definition
        if isinstance(definition, os.PathLike):
            return cls.load(definition)
        if isinstance(definition, str):
            is_file = definition.lower().endswith(SUFFIXES)
            return cls.load(definition) if is_file else cls._of_operation(definition, {}, inputs)
        if isinstance(definition, Step):
            return cls([definition])
        if (
            isinstance(definition, tuple)
            and len(definition) == 2
            and isinstance(definition[1], Mapping)
        ):
            return cls._of_operation(*definition, inputs)
        return cls(definition)

    @classmethod
    def _of_operation(cls, name: str, params: Parameters, inputs: Iterable[str]) -> Self:
        """Return the recipe of one operation, whose further images are inputs of its name."""
        names = tuple(inputs)
        op = get_operation(name)
        for image in names:
            if image not in op.images:
                expected = ", ".join(map(repr, op.images)) or "none"
                raise InvalidParameter(
                    f"{op.name} has no further image {image!r}; it has {expected}."
                    f"{did_you_mean(image, op.images)}"
                )
        return cls([Step(name, params, inputs={image: image for image in names})], names)

    # -- data ----------------------------------------------------------------------------------

    def to_dict(self, *, images: bool = True) -> dict[str, Value]:
        """Return the recipe as plain data, ready for YAML or JSON.

        Parameters
        ----------
        images
            Whether a step that holds a whole image, such as a mask, or a function is refused;
            otherwise a note replaces it, for a record that cannot be run again.

        Raises
        ------
        InvalidRecipe
            If a step holds a whole image or a function.
        """
        return _data.to_data(self._steps, self._inputs, images=images)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Return the recipe from plain data; the inverse of `to_dict`.

        Parameters
        ----------
        data
            A mapping as `to_dict` returns it, for example read from JSON.

        Raises
        ------
        TilewiseError
            If the data are not a valid recipe; see the class.
        """
        return cls(*_data.from_data(data))

    def save(self, path: PathLike) -> Path:
        """Write the recipe to a YAML file, replacing an existing one, and return its path.

        Parameters
        ----------
        path
            Path of the file, usually with the suffix ``.yaml``.

        Raises
        ------
        InvalidRecipe
            If a step holds a whole image, such as a mask.
        DestinationUnwritable
            If the file cannot be written.
        """
        return file.write(self.to_dict(), path)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Return the recipe from a YAML file, of this version or an older one.

        Parameters
        ----------
        path
            Path of the YAML file.

        Raises
        ------
        InvalidRecipe
            If there is no such file or its content is not a recipe; names the file and the line.
        """
        return cls(*_data.from_document(file.read(path)))

    def to_script(
        self,
        source: PathLike | None = None,
        destination: PathLike | None = None,
        *,
        scikit_image_only: bool = False,
        spatial: SpatialAxes | None = None,
        axes: AxisNames | None = None,
    ) -> str:
        """Return a Python script that does what the recipe does, and gives the same result.

        Parameters
        ----------
        source, destination
            Default paths that the script reads and writes.
        scikit_image_only
            Whether the script needs only scikit-image and NumPy and holds the image in memory;
            otherwise it runs tile by tile with the drop-in for scikit-image.
        spatial
            The axes to run over. The default is z, y and x if `axes` is given, otherwise all axes.
        axes
            Names of the source's axes, such as ``"tcyx"``; required unless all are spatial. The
            script refuses images with other axes.

        Raises
        ------
        InvalidRecipe
            If a step holds a whole image or a function, or none is switched on.
        InvalidAxes
            If `axes` or `spatial` do not match the recipe.
        """
        from napari_tilewise.recipe.script import write_script  # most recipes become no script

        return write_script.write(
            self, source, destination, plain=scikit_image_only, spatial=spatial, axes=axes
        )

    # -- edits ---------------------------------------------------------------------------------

    def then(self, step: AnyStep) -> Self:
        """Return the recipe with one more step at its end.

        Parameters
        ----------
        step
            A step, an operation's key, or a (key, parameters) pair.
        """
        return type(self)([*self._steps, step], self._inputs)

    def inserted(self, index: int, step: AnyStep) -> Self:
        """Return the recipe with one more step.

        Parameters
        ----------
        index
            Index of the new step, from 0.
        step
            A step, an operation's key, or a (key, parameters) pair.
        """
        return type(self)([*self._steps[:index], step, *self._steps[index:]], self._inputs)

    def replaced(self, index: int, step: AnyStep) -> Self:
        """Return the recipe with one step replaced.

        Parameters
        ----------
        index
            Index of the step, from 0.
        step
            The new step, an operation's key, or a (key, parameters) pair.
        """
        return type(self)([*self._steps[:index], step, *self._steps[index + 1 :]], self._inputs)

    def without(self, index: int) -> Self:
        """Return the recipe without one step.

        Parameters
        ----------
        index
            Index of the step, from 0.
        """
        return type(self)([*self._steps[:index], *self._steps[index + 1 :]], self._inputs)

    def moved(self, index: int, new_index: int) -> Self:
        """Return the recipe with one step moved.

        Parameters
        ----------
        index
            Index of the step, from 0.
        new_index
            Its index in the new recipe.
        """
        steps = [*self._steps[:index], *self._steps[index + 1 :]]
        steps.insert(new_index, self._steps[index])
        return type(self)(steps, self._inputs)

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
            The new step, which works on this recipe's result.
        images
            By scikit-image's name of the argument: the recipe that computes the image from the same
            source, whose steps are added (steps that both recipes have only once), or the name of
            an input.
        parts
            By argument: index of the result to use if the recipe's last step has several; 0 unless
            given.
        """
        return type(self)(*edit.extended(self, step, images, parts or {}))

    # -- identity ------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        return self._steps == other._steps and self._inputs == other._inputs

    def __hash__(self) -> int:
        return hash((self._steps, self._inputs))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Step, ...], tuple[str, ...]]]:
        return type(self), (self._steps, self._inputs)

    def _repr_html_(self) -> str:
        """Return the steps as a table for a notebook."""
        rows = [
            (
                number,
                step.name or "",
                step.operation if step.enabled else f"({step.operation}: switched off)",
                ", ".join(f"{name}={value!r}" for name, value in step.parameters.items()),
                ", ".join(f"{role} from {name}" for role, name in step.inputs.items()),
            )
            for number, step in enumerate(self._steps, start=1)
        ]
        header = ("step", "name", "operation", "parameters", "images")
        inputs = f"Inputs: {', '.join(self._inputs)}" if self._inputs else ""
        return html_table("Recipe", rows, header, inputs)

    def __repr__(self) -> str:
        steps: list[object] = [
            step if step.key[2:] != _PLAIN else (step.operation, dict(step.parameters))
            for step in self._steps
        ]
        inputs = f", inputs={list(self._inputs)!r}" if self._inputs else ""
        return f"Recipe({steps!r}{inputs})"


_PLAIN = Step("util.invert").key[2:]
