"""What a batch was asked for, as plain data in its journal: another process can go on with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.items import Item
from napari_tilewise.errors import InvalidRecipe
from napari_tilewise.provenance.fingerprint import place
from napari_tilewise.recipe import Recipe

if TYPE_CHECKING:
    from napari_tilewise.batches.tasks import Work

WHY = "why"
"""The key of a sentence that says why a batch cannot be told; nothing else is there then."""


def asked(work: Work, source: Any, name: str, called: str, **options: Any) -> dict[str, Any]:
    """Return what a batch was asked for.

    Parameters
    ----------
    work
        What is done with every item.
    source
        What the items are in, as it was given.
    name
        The outputs' name.
    called
        What ``{recipe}`` in that is.
    **options
        What else `batch` was given, in plain data.
    """
    try:
        told = {"what": _what(work.what), "source": _source(source)}
        told["inputs"] = {key: _located(image) for key, image in work.inputs.items()}
    except _Untold as error:
        return {WHY: str(error)}
    return {**told, "name": name.replace("{recipe}", called), **options}


def given_again(told: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return what `batch` was given: recipe or function, source, options.

    Parameters
    ----------
    told
        What `asked` returned.
    """
    options = dict(told)
    what, source = options.pop("what"), options.pop("source")
    recipe = Recipe.from_dict(what) if isinstance(what, Mapping) else what
    if isinstance(source, list) and source and isinstance(source[0], Mapping):
        source = [_item(one) for one in source]
    return recipe, source, options


class _Untold(Exception):
    """Something of a batch is no plain data; says what."""


def _what(what: Recipe | BatchFunction) -> Any:
    if isinstance(what, BatchFunction):
        if what.calls is not None:
            raise _Untold(f"it runs the function {what.name!r}, which only its own process knows")
        return f"{what.module}:{what.name}"
    try:
        return what.to_dict()
    except InvalidRecipe as error:
        raise _Untold(f"its recipe cannot be written down: {error}") from error


def _source(source: Any) -> Any:
    if isinstance(source, str | os.PathLike):
        return _absolute(os.fspath(source))
    if isinstance(source, Mapping):
        return {str(key): _source(one) for key, one in source.items()}
    if isinstance(source, Sequence):
        return [_told(one) if isinstance(one, Item) else _source(one) for one in source]
    raise _Untold("its images are in memory, where only its own process finds them")


def _located(image: Any) -> str:
    where = place(image)
    if where is None:
        raise _Untold("one of its inputs is in memory, where only its own process finds it")
    return where


def _absolute(text: str) -> str:
    return text if "://" in text else os.path.abspath(Path(text).expanduser())


def _told(item: Item) -> dict[str, Any]:
    if not isinstance(item.source, str):
        raise _Untold("its images are in memory, where only its own process finds them")
    data = asdict(item)
    # The keys that release 0.1 wrote.
    data["places"], data["trouble"] = data.pop("parts"), data.pop("problem")
    return {**data, "source": _absolute(item.source)}


def _item(told: Mapping[str, Any]) -> Item:
    """Return an item from plain data: JSON has lists where an item has tuples."""
    data = dict(told)
    parts, problem = data.pop("places"), data.pop("trouble")
    if parts is not None:
        parts = tuple(tuple(part) if isinstance(part, list) else part for part in parts)
    return Item(**{**data, "parts": parts, "problem": problem, "axes": tuple(data["axes"])})
