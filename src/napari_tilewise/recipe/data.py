"""A recipe as plain data, ready for YAML or JSON, and back; older versions can be read too.

The data hold only operation keys and plain values, so they cannot run code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidRecipe, TilewiseError, UnknownOperation, did_you_mean
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.recipe.links import LinkError, resolve
from napari_tilewise.recipe.step import MOST_STEPS, VERSION, Step, check_count, invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_tilewise.recipe.file import Document
    from napari_tilewise.types import Parameters, Value

ENTRIES = {1: ("version", "steps"), 2: ("version", "inputs", "steps")}
STEP_ENTRIES = {
    1: ("operation", "parameters"),
    2: ("operation", "parameters", "name", "inputs", "spatial", "enabled"),
}


def to_data(steps: Sequence[Step], inputs: Sequence[str], *, images: bool) -> dict[str, Value]:
    """Return a recipe as plain data.

    Parameters
    ----------
    steps
        The steps in order.
    inputs
        Names of the recipe's inputs.
    images
        Whether a step that holds a whole image or a function is refused; otherwise a note replaces
        it, for a record that cannot be run again.
    """
    data: dict[str, Value] = {"version": VERSION}
    if inputs:
        data["inputs"] = list(inputs)
    return {**data, "steps": [_step_data(n, s, images) for n, s in enumerate(steps, start=1)]}


def _step_data(number: int, step: Step, images: bool) -> dict[str, Value]:
    data: dict[str, Value] = {"operation": step.operation}
    if step.name is not None:
        data["name"] = step.name
    if step.inputs:
        data["inputs"] = dict(step.inputs)
    if step.parameters:
        items = step.parameters.items()
        data["parameters"] = {k: _value_data(number, step, k, v, images) for k, v in items}
    if step.spatial is not None:
        data["spatial"] = _lists(step.spatial)
    if not step.enabled:
        data["enabled"] = False
    return data


def _value_data(number: int, step: Step, key: str, value: Value, images: bool) -> Value:
    note = _note(step, key, value)
    if note and images:
        raise InvalidRecipe(
            f"Step {number} ({step.operation}) holds {note.split(' of ')[0]} as {key!r}, which a "
            "recipe file cannot store: omit it and pass it when the recipe is run."
        )
    return note or _lists(value)


def _note(step: Step, key: str, value: Value) -> str:
    """Return a description of a value that a file cannot hold; empty for a plain value."""
    if any(callable(item) for item in (value if isinstance(value, tuple) else (value,))):
        return "a function"
    if value is not None and is_image(step.op.specs[key], value):
        return f"an image of shape {tuple(value.shape)} and type {value.dtype}"
    return ""


def _lists(value: Value) -> Value:
    """Return a plain value with lists instead of tuples, as in YAML and JSON."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


DEEPEST = 32
"""Most lists and mappings inside each other in a recipe's data."""


def _check_depth(data: object) -> None:
    """Refuse data that are nested so deeply that no recipe has them."""
    level = [data]
    for _ in range(DEEPEST + 1):
        level = [item for container in level for item in _items(container)]
        if not level:
            return
    raise InvalidRecipe(f"The recipe's values are nested more than {DEEPEST} deep.")


def _items(container: object) -> Iterable[object]:
    if isinstance(container, Mapping):
        return container.values()
    return container if isinstance(container, list | tuple) else ()


def from_data(data: object) -> tuple[list[Step], tuple[str, ...]]:
    """Return the steps and inputs of a recipe from plain data.

    Raises
    ------
    TilewiseError
        If the data are not a valid recipe.
    """
    _check_depth(data)
    version, items, inputs = _check_top_level(data)
    return [_step_from(item, version) for item in items], inputs


def from_document(document: Document) -> tuple[list[Step], tuple[str, ...]]:
    """Return the steps and inputs of a recipe from a file; errors name the line.

    Raises
    ------
    InvalidRecipe
        If the file does not hold a valid recipe.
    """
    data = document.data
    try:
        version, items, inputs = _check_top_level(data)
    except InvalidRecipe as error:
        raise document.error(error, _wrong_entry(data)) from error
    steps = []
    for index, item in enumerate(items):
        try:
            steps.append(_step_from(item, version))
        except TilewiseError as error:
            raise document.error(error, "steps", index, *_error_keys(item, version)) from error
    try:
        resolve(steps, inputs)
    except LinkError as error:
        raise document.error(error, "steps", error.step, *error.where) from error
    return steps, inputs


def _check_top_level(data: object) -> tuple[int, Sequence[object], tuple[str, ...]]:
    """Check the top level of a recipe's data; return its version, steps and inputs."""
    if not isinstance(data, Mapping):
        raise InvalidRecipe(
            f"This is not a recipe: expected 'version: {VERSION}' and 'steps', a list."
        )
    version = data.get("version")
    _check_keys(data, "A recipe", _entries(version))
    if not (type(version) is int and version in ENTRIES):
        raise InvalidRecipe(
            f"Unknown recipe version {version!r}: this release of napari-tilewise reads versions 1 "
            f"to {VERSION}."
        )
    steps = data.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        raise InvalidRecipe(f"The recipe's 'steps' are {steps!r}: expected a list of steps.")
    check_count(len(steps))
    return version, steps, _inputs_in(data)


def _entries(version: object) -> tuple[str, ...]:
    """Return the entries of a recipe of this version; of the current one if it is unknown."""
    return ENTRIES[version if type(version) is int and version in ENTRIES else VERSION]


def _inputs_in(data: Mapping[object, object]) -> tuple[str, ...]:
    inputs = data.get("inputs", ())
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        names = tuple(inputs)
        if all(isinstance(name, str) for name in names):
            return names
    raise InvalidRecipe(f"The recipe's 'inputs' are {inputs!r}: expected a list of names.")


def _step_from(item: object, version: int) -> Step:
    """Return one step from its plain data."""
    if isinstance(item, str):
        return Step(item)
    return Step(**_step_entries(item, version))


def _step_entries(item: object, version: int) -> dict[str, Value]:
    if not isinstance(item, Mapping) or not isinstance(item.get("operation"), str):
        raise InvalidRecipe(
            f"The step {item!r} names no operation: expected a mapping such as "
            "{operation: filters.gaussian, parameters: {sigma: 2}}."
        )
    _check_keys(item, "A step", STEP_ENTRIES[version])
    entries = dict(item)
    for key, expected in (
        ("parameters", "a mapping of names to values"),
        ("inputs", "a mapping of arguments to steps"),
    ):
        value = entries.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidRecipe(f"The {key} are {value!r}: expected {expected}.")
        entries[key] = value or {}
    return entries


def _check_keys(data: Mapping[object, object], owner: str, keys: tuple[str, ...]) -> None:
    for key in data:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            names = " and ".join((", ".join(map(repr, keys[:-1])), repr(keys[-1])))
            raise InvalidRecipe(f"{owner} has no entry {key!r}: expected {names}.{hint}")


def _wrong_entry(data: object) -> str:
    """Return the key of the invalid entry in the top level of a recipe's data."""
    entries = data if isinstance(data, Mapping) else {}
    version = entries.get("version")
    unknown = [str(key) for key in entries if key not in _entries(version)]
    if unknown:
        return unknown[0]
    if type(version) is not int or version not in ENTRIES:
        return "version"
    steps = entries.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        return "steps"
    return "inputs" if 0 < len(steps) <= MOST_STEPS else "steps"


def _error_keys(item: object, version: int) -> tuple[str, ...]:
    """Return the keys that lead to the error in an invalid step's data."""
    if isinstance(item, str):
        return ("operation",)
    try:
        entries = _step_entries(item, version)
        op = get_operation(entries["operation"])
    except UnknownOperation:
        return ("operation",)
    except InvalidRecipe:
        return tuple(_wrong_entries(item, version))[:1]
    parameter = invalid_parameter(op, entries["parameters"])
    if parameter is not None:
        return ("parameters", parameter)
    for key in ("inputs", "name", "spatial", "enabled"):
        alone = {"operation": op.name, key: entries.get(key)}
        if entries.get(key) is not None and not _is_valid(alone, version):
            return (key,)
    return ("operation",)


def _wrong_entries(item: object, version: int) -> Iterator[str]:
    """Yield the keys of an invalid step's data that are unknown or have the wrong type."""
    if isinstance(item, Mapping):
        yield from (str(key) for key in item if key not in STEP_ENTRIES[version])
        for key in ("parameters", "inputs"):
            if item.get(key) is not None and not isinstance(item[key], Mapping):
                yield key


def _is_valid(item: Parameters, version: int) -> bool:
    try:
        _step_from(item, version)
    except InvalidRecipe:
        return False
    except TilewiseError:
        return True  # only because a required parameter is missing in `item`
    return True
