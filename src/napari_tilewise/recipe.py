"""A recipe is data: an ordered chain of operations with the parameters that were given.

It holds plain values only (numbers, texts, lists), whatever it was made from: arrays such as
footprints become nested tuples, NumPy's numbers become Python's. So a recipe equals what a file
gives back, can be sent to another process, and cannot be changed behind a run's back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from napari_tilewise import recipe_file
from napari_tilewise.errors import (
    InvalidParameter,
    InvalidParameterType,
    InvalidRecipe,
    TilewiseError,
    UnknownOperation,
    did_you_mean,
)
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.model import Output
from napari_tilewise.operations.parameters import is_image

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.operations.model import Operation

Step: TypeAlias = tuple[str, dict[str, Any]]
"""An operation's key and the parameters that were given."""

StepLike: TypeAlias = str | tuple[str, Mapping[str, Any]]

VERSION = 1
SUFFIXES = (".yaml", ".yml")
_IMAGES = {Output.IMAGE, Output.MASK, Output.LABELS}


class Recipe:
    """An ordered chain of operations, checked when it is made.

    A threshold step gives the mask ``image > threshold`` (multi-Otsu: the regions).

    Parameters
    ----------
    steps
        Operation keys, or (key, parameters) pairs. Parameters that are left out keep
        scikit-image's defaults.

    Raises
    ------
    UnknownOperation, UnknownParameter, InvalidParameter
        When a step is wrong; the message names the nearest names or what was expected.
    InvalidRecipe
        When there is no step, or one cannot follow the step before it.
    """

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[StepLike]) -> None:
        if isinstance(steps, str | Mapping) or not isinstance(steps, Iterable):
            raise InvalidRecipe(
                f"A recipe is made from a list of steps, not from {steps!r}: expected such as "
                "[('filters.gaussian', {'sigma': 2}), ('measure.label', {})]."
            )
        self._steps: tuple[Step, ...] = tuple(_step(step) for step in steps)
        if not self._steps:
            raise InvalidRecipe("A recipe needs at least one step; this one has none.")
        for number, (name, _) in enumerate(self._steps[:-1], start=1):
            _check_order(number, get_operation(name), self._steps[number][0])

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order: (operation key, parameters that were given)."""
        return tuple((name, dict(params)) for name, params in self._steps)

    @property
    def output(self) -> Output:
        """What the last step gives."""
        return step_output(get_operation(self._steps[-1][0]))

    @classmethod
    def of(cls, thing: Any) -> Self:
        """Return the recipe that is meant.

        Parameters
        ----------
        thing
            A recipe, an operation's key, an (operation, parameters) pair, a list of steps, or the
            path of a ``.yaml`` file.

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
        if isinstance(thing, tuple) and len(thing) == 2 and isinstance(thing[1], Mapping):
            return cls([thing])
        return cls(thing)

    def to_dict(self, *, images: bool = True) -> dict[str, Any]:
        """Return the recipe as plain data, ready for YAML or JSON.

        Parameters
        ----------
        images
            Whether a step that holds a whole image, such as a mask, is refused; else a note of
            its shape and type stands in its place, for a record that nobody replays.

        Raises
        ------
        InvalidRecipe
            When a step holds a whole image.
        """
        steps = []
        for number, (name, params) in enumerate(self._steps, start=1):
            plain = dict(params)
            for key, value in params.items():
                if _holds_function(value):
                    raise InvalidRecipe(
                        f"Step {number} ({name}) holds a function as {key!r}, which a recipe file "
                        "cannot store: leave it out and pass it when the recipe is run."
                    )
            for key in get_operation(name).images:
                image = params.get(key)
                if image is None or not is_image(get_operation(name).specs[key], image):
                    continue
                if images:
                    raise InvalidRecipe(
                        f"Step {number} ({name}) holds an image as {key!r}, which a recipe file "
                        "cannot store: leave it out and pass it when the recipe is run."
                    )
                plain[key] = f"an image of shape {tuple(image.shape)} and type {image.dtype}"
            step: dict[str, Any] = {"operation": name}
            if plain:
                step["parameters"] = {key: _lists(value) for key, value in plain.items()}
            steps.append(step)
        return {"version": VERSION, "steps": steps}

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
        return cls([_step_from(item) for item in _steps_in(data)])

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
        return recipe_file.write(self.to_dict(), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the recipe from a YAML file.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        InvalidRecipe
            When there is no such file or it holds no recipe; names the file and the line.
        """
        document = recipe_file.read(path)
        try:
            items = _steps_in(document.data)
        except InvalidRecipe as error:
            raise document.error(error, _wrong_entry(document.data)) from error
        steps: list[StepLike] = []
        for index, item in enumerate(items):
            try:
                steps.append(_step_from(item))
                cls(steps[-2:])
            except TilewiseError as error:
                raise document.error(error, "steps", index, *_culprit(item)) from error
        return cls(steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and _key(self._steps) == _key(other._steps)

    def __hash__(self) -> int:
        return hash(_key(self._steps))

    def __repr__(self) -> str:
        return f"Recipe({list(self._steps)!r})"


def step_output(op: Operation) -> Output:
    """Return what an operation gives as a step of a recipe (a threshold gives its mask)."""
    return op.as_step().output


def _steps_in(data: Any) -> Sequence[Any]:
    """Return the steps of a recipe's plain data after a look at the frame around them."""
    if not isinstance(data, Mapping):
        raise InvalidRecipe("There is no recipe in it: expected 'version: 1' and 'steps', a list.")
    _only(data, "A recipe", ("version", "steps"))
    version = data.get("version")
    if type(version) is not int or version != VERSION:
        raise InvalidRecipe(
            f"The recipe's version is {version!r}: this release of napari-tilewise reads version "
            f"{VERSION}."
        )
    steps = data.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        raise InvalidRecipe(f"The recipe's 'steps' are {steps!r}: expected a list of steps.")
    return steps


def _step_from(item: Any) -> StepLike:
    """Return one step from its plain data."""
    if isinstance(item, str):
        return item
    if not isinstance(item, Mapping) or not isinstance(item.get("operation"), str):
        raise InvalidRecipe(
            f"The step {item!r} names no operation: expected such as "
            "{operation: filters.gaussian, parameters: {sigma: 2}}."
        )
    _only(item, "A step", ("operation", "parameters"))
    params = item.get("parameters")
    if params is not None and not isinstance(params, Mapping):
        raise InvalidRecipe(f"The parameters are {params!r}: expected names and values.")
    return item["operation"], params or {}


def _only(data: Mapping[Any, Any], what: str, keys: tuple[str, ...]) -> None:
    for key in data:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            wanted = " and ".join(map(repr, keys))
            raise InvalidRecipe(f"{what} has no entry {key!r}: expected {wanted}.{hint}")


def _wrong_entry(data: Any) -> str:
    """Return which entry of a recipe's refused plain data is the wrong one."""
    entries = data if isinstance(data, Mapping) else {}
    unknown = [str(key) for key in entries if key not in ("version", "steps")]
    return next(iter(unknown), "steps" if entries.get("version") == VERSION else "version")


def _culprit(item: Any) -> tuple[str, ...]:
    """Return where in a refused step's plain data the error is: an entry or a parameter."""
    try:
        step = _step_from(item)
        name, params = (step, {}) if isinstance(step, str) else step
        op = get_operation(name)
    except UnknownOperation:
        return ("operation",)
    except InvalidRecipe:
        return ()
    for key, value in params.items():
        try:
            op.specs[key].check(key, value, None)
        except (KeyError, InvalidParameter):
            return ("parameters", key)
    return ("operation",)


def _step(step: Any) -> Step:
    """Return a step with its parameters checked and made plain."""
    if isinstance(step, str):
        step = (step, {})
    if not (isinstance(step, Sequence) and len(step) == 2 and isinstance(step[1], Mapping)):
        raise InvalidRecipe(
            f"The step {step!r} is neither an operation's key nor an (operation, parameters) pair."
        )
    name, params = step
    op = get_operation(name)
    params = op.modern(params)
    op.bind(params)
    plain = {
        key: value if is_image(op.specs[key], value) else _plain(f"{name}: {key}", value)
        for key, value in params.items()
    }
    op.bind(plain)
    return op.name, plain


def _check_order(number: int, op: Operation, following: str) -> None:
    output = step_output(op)
    if output not in _IMAGES:
        raise InvalidRecipe(
            f"Step {number + 1} ({following}) cannot follow step {number} ({op.name}), which gives "
            f"a {output} and no image: make {op.name} the last step."
        )


def _plain(name: str, value: Any) -> Any:
    """Return a parameter's value as numbers, texts, tuples and mappings."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(name, value.tolist())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if callable(value) and not isinstance(value, type):
        return value  # from Python only: no file holds it
    if isinstance(value, type):
        return np.dtype(value).name
    if isinstance(value, Mapping):
        return {str(key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, Sequence | range):
        return tuple(_plain(name, item) for item in value)
    raise InvalidParameterType(f"{name}={value!r}: a recipe takes only plain values.")


def _holds_function(value: Any) -> bool:
    items = value if isinstance(value, tuple) else (value,)
    return any(callable(item) for item in items)


def _lists(value: Any) -> Any:
    """Return a plain value with lists for tuples, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _key(value: Any) -> Any:
    """Return something hashable that stands for the value; an image stands for itself only."""
    if isinstance(value, Mapping):
        return frozenset((key, _key(item)) for key, item in value.items())
    if isinstance(value, tuple):
        return tuple(_key(item) for item in value)
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else ("image", id(value))
