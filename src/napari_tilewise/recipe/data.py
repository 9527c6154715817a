"""A recipe as plain data, ready for YAML or JSON, and back; older versions are read too.

Only declared operations and plain values: a recipe's data cannot run code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidRecipe, TilewiseError, UnknownOperation, did_you_mean
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.spec.parameters import is_image
from napari_tilewise.recipe.links import LinkError, resolve
from napari_tilewise.recipe.step import VERSION, Step, culprit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.recipe.file import Document

ENTRIES = {1: ("version", "steps"), 2: ("version", "inputs", "steps")}
STEP_ENTRIES = {
    1: ("operation", "parameters"),
    2: ("operation", "parameters", "name", "inputs", "spatial", "enabled"),
}


def to_data(steps: Sequence[Step], inputs: Sequence[str], *, images: bool) -> dict[str, Any]:
    """Return a recipe as plain data.

    Parameters
    ----------
    steps, inputs
        The recipe's.
    images
        Whether a step that holds a whole image, or a function, is refused; else a note stands in
        its place, for a record that nobody replays.
    """
    data: dict[str, Any] = {"version": VERSION}
    if inputs:
        data["inputs"] = list(inputs)
    return {**data, "steps": [_step_data(n, s, images) for n, s in enumerate(steps, start=1)]}


def _step_data(number: int, step: Step, images: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"operation": step.operation}
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


def _value_data(number: int, step: Step, key: str, value: Any, images: bool) -> Any:
    what = _not_plain(step, key, value)
    if what and images:
        raise InvalidRecipe(
            f"Step {number} ({step.operation}) holds {what.split(' of ')[0]} as {key!r}, which a "
            "recipe file cannot store: leave it out and pass it when the recipe is run."
        )
    return what or _lists(value)


def _not_plain(step: Step, key: str, value: Any) -> str:
    """Return what a value is that no file can hold, in words; nothing for a plain one."""
    if any(callable(item) for item in (value if isinstance(value, tuple) else (value,))):
        return "a function"
    if value is not None and is_image(step.op.specs[key], value):
        return f"an image of shape {tuple(value.shape)} and type {value.dtype}"
    return ""


def _lists(value: Any) -> Any:
    """Return a plain value with lists for tuples, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def from_data(data: Any) -> tuple[list[Step], tuple[str, ...]]:
    """Return the steps and inputs that plain data mean.

    Raises
    ------
    TilewiseError
        When the data make no recipe.
    """
    version, items = _frame(data)
    return [_step_from(item, version) for item in items], _inputs_in(data)


def from_document(document: Document) -> tuple[list[Step], tuple[str, ...]]:
    """Return the steps and inputs that a file holds; errors name the line.

    Raises
    ------
    InvalidRecipe
        When the file holds no recipe.
    """
    data = document.data
    try:
        version, items = _frame(data)
        inputs = _inputs_in(data)
    except InvalidRecipe as error:
        raise document.error(error, _wrong_entry(data)) from error
    steps = []
    for index, item in enumerate(items):
        try:
            steps.append(_step_from(item, version))
        except TilewiseError as error:
            raise document.error(error, "steps", index, *_culprit(item, version)) from error
    try:
        resolve(steps, inputs)
    except LinkError as error:
        raise document.error(error, "steps", error.step, *error.where) from error
    return steps, inputs


def _frame(data: Any) -> tuple[int, Sequence[Any]]:
    """Return the version and the steps' plain data after a look at the frame around them."""
    if not isinstance(data, Mapping):
        raise InvalidRecipe(
            f"There is no recipe in it: expected 'version: {VERSION}' and 'steps', a list."
        )
    version = data.get("version")
    _only(data, "A recipe", _entries(version))
    if not (type(version) is int and version in ENTRIES):
        raise InvalidRecipe(
            f"The recipe's version is {version!r}: this release of napari-tilewise reads versions "
            f"1 to {VERSION}."
        )
    steps = data.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str) or not steps:
        raise InvalidRecipe(f"The recipe's 'steps' are {steps!r}: expected a list of steps.")
    return version, steps


def _entries(version: Any) -> tuple[str, ...]:
    """Return the entries of a recipe of this version; today's where it is none that is known."""
    return ENTRIES[version if type(version) is int and version in ENTRIES else VERSION]


def _inputs_in(data: Mapping[str, Any]) -> tuple[str, ...]:
    inputs = data.get("inputs", ())
    texts = isinstance(inputs, Sequence) and all(isinstance(name, str) for name in inputs)
    if isinstance(inputs, str) or not texts:
        raise InvalidRecipe(f"The recipe's 'inputs' are {inputs!r}: expected a list of names.")
    return tuple(inputs)


def _step_from(item: Any, version: int) -> Step:
    """Return one step from its plain data."""
    if isinstance(item, str):
        return Step(item)
    return Step(**_step_entries(item, version))


def _step_entries(item: Any, version: int) -> dict[str, Any]:
    if not isinstance(item, Mapping) or not isinstance(item.get("operation"), str):
        raise InvalidRecipe(
            f"The step {item!r} names no operation: expected such as "
            "{operation: filters.gaussian, parameters: {sigma: 2}}."
        )
    _only(item, "A step", STEP_ENTRIES[version])
    entries = dict(item)
    for key, what in (("parameters", "names and values"), ("inputs", "arguments and steps")):
        value = entries.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise InvalidRecipe(f"The {key} are {value!r}: expected {what}.")
        entries[key] = value or {}
    return entries


def _only(data: Mapping[Any, Any], what: str, keys: tuple[str, ...]) -> None:
    for key in data:
        if key not in keys:
            hint = did_you_mean(str(key), keys)
            wanted = " and ".join((", ".join(map(repr, keys[:-1])), repr(keys[-1])))
            raise InvalidRecipe(f"{what} has no entry {key!r}: expected {wanted}.{hint}")


def _wrong_entry(data: Any) -> str:
    """Return which entry of a recipe's refused plain data is the wrong one."""
    entries = data if isinstance(data, Mapping) else {}
    version = entries.get("version")
    unknown = [str(key) for key in entries if key not in _entries(version)]
    if unknown:
        return unknown[0]
    if type(version) is not int or version not in ENTRIES:
        return "version"
    steps = entries.get("steps")
    wrong = not isinstance(steps, Sequence) or isinstance(steps, str) or not steps
    return "steps" if wrong else "inputs"


def _culprit(item: Any, version: int) -> tuple[str, ...]:
    """Return where in a refused step's plain data the error is: an entry or a parameter."""
    if isinstance(item, str):
        return ("operation",)
    try:
        entries = _step_entries(item, version)
        op = get_operation(entries["operation"])
    except UnknownOperation:
        return ("operation",)
    except InvalidRecipe:
        return tuple(_wrong_entries(item, version))[:1]
    wrong = culprit(op, entries["parameters"])
    if wrong is not None:
        return ("parameters", wrong)
    for key in ("inputs", "name", "spatial", "enabled"):
        alone = {"operation": op.name, key: entries.get(key)}
        if entries.get(key) is not None and not _will_do(alone, version):
            return (key,)
    return ("operation",)


def _wrong_entries(item: Any, version: int) -> Iterator[str]:
    """Yield the entries of a refused step that are unknown or of the wrong kind."""
    if isinstance(item, Mapping):
        yield from (str(key) for key in item if key not in STEP_ENTRIES[version])
        for key in ("parameters", "inputs"):
            if item.get(key) is not None and not isinstance(item[key], Mapping):
                yield key


def _will_do(item: Mapping[str, Any], version: int) -> bool:
    try:
        _step_from(item, version)
    except InvalidRecipe:
        return False
    except TilewiseError:
        return True  # a required parameter is missing here
    return True
