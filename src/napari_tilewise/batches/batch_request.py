"""What `batch` was called with, as plain data in its journal: any process can resume from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.items import Item
from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.provenance.fingerprint import source_location
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from napari_tilewise.batches.tasks import BatchTask
    from napari_tilewise.types import Parameters

NOT_RESUMABLE = "why"
"""Key of a sentence that says why a batch cannot be resumed; it is the only key then."""


@dataclass(frozen=True)
class Naming:
    """How the outputs of a batch are named."""

    template: str
    """A name with fields in braces, such as ``{stem}``."""
    recipe: str
    """Text for the field ``{recipe}``."""

    @property
    def resolved(self) -> str:
        """The template without the field ``{recipe}``."""
        return self.template.replace("{recipe}", self.recipe)


def request_data(
    task: BatchTask, source: object, naming: Naming, options: Parameters
) -> dict[str, Any]:
    """Return what `batch` was called with, as plain data.

    Parameters
    ----------
    task
        What the batch runs on every item.
    source
        The argument `source` of `batch`.
    naming
        How the outputs are named.
    options
        Further arguments of `batch`, as plain data.

    Returns
    -------
    dict
        With the single key `NOT_RESUMABLE` if an argument is not plain data.
    """
    try:
        data = {"what": _recipe_data(task.recipe), "source": _source_data(source)}
        data["inputs"] = {name: _location(image) for name, image in task.inputs.items()}
    except _NotPlain as error:
        return {NOT_RESUMABLE: str(error)}
    return {**data, "name": naming.resolved, **options}


def from_request_data(data: Parameters) -> tuple[Any, Any, dict[str, Any]]:
    """Return the arguments of `batch`: recipe or function, source, options.

    Parameters
    ----------
    data
        As returned by `request_data`.
    """
    options = dict(data)
    recipe, source = options.pop("what"), options.pop("source")
    if isinstance(recipe, Mapping):
        recipe = Recipe.from_dict(recipe)
    if isinstance(source, list) and source and isinstance(source[0], Mapping):
        source = [_item(item_data) for item_data in source]
    return recipe, source, options


def function_of(description: Mapping[str, Any]) -> str | None:
    """Return the function that a batch runs, ``"module:name"`` or a file's; None for a recipe.

    Parameters
    ----------
    description
        The description of the batch in its journal.
    """
    what = description.get("asked", {}).get("what")
    return what if isinstance(what, str) else None


class _NotPlain(Exception):
    """An argument of a batch is not plain data; the message says which."""


def _recipe_data(recipe: Recipe | BatchFunction) -> Any:
    if isinstance(recipe, BatchFunction):
        if recipe.calls is not None:
            raise _NotPlain(
                f"it runs the function {recipe.name!r}, which exists only in its own process"
            )
        return f"{recipe.module}:{recipe.name}"
    try:
        return recipe.to_dict()
    except InvalidRecipe as error:
        raise _NotPlain(f"its recipe cannot be saved: {error}") from error


def _source_data(source: object) -> Any:
    if isinstance(source, str | os.PathLike):
        return _absolute(os.fspath(source))
    if isinstance(source, Mapping):
        return {str(key): _source_data(value) for key, value in source.items()}
    if isinstance(source, Sequence):
        return [
            _item_data(member) if isinstance(member, Item) else _source_data(member)
            for member in source
        ]
    raise _NotPlain("its images are in memory, and only its own process has them")


def _location(image: object) -> str:
    location = source_location(image)
    if location is None:
        raise _NotPlain("one of its inputs is in memory, and only its own process has it")
    return location


def _absolute(text: str) -> str:
    return text if "://" in text else os.path.abspath(home_path(text))


def _item_data(item: Item) -> dict[str, Any]:
    if not isinstance(item.source, str):
        raise _NotPlain("its images are in memory, and only its own process has them")
    data = asdict(item)
    # The keys that release 0.1 wrote.
    data["places"], data["trouble"] = data.pop("parts"), data.pop("problem")
    return {**data, "source": _absolute(item.source)}


def _item(item_data: Parameters) -> Item:
    """Return an item from plain data: JSON has lists where an item has tuples."""
    data = dict(item_data)
    parts, problem = data.pop("places"), data.pop("trouble")
    if parts is not None:
        parts = tuple(tuple(part) if isinstance(part, list) else part for part in parts)
    return Item(**{**data, "parts": parts, "problem": problem, "axes": tuple(data["axes"])})
