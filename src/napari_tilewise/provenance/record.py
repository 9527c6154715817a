"""The record that every output carries: what made it, from what, so that it can be made again.

It is plain data, ready for JSON, wherever an output keeps it: attributes, a sidecar, a layer.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidRecipe, SourceNotFound, SourceUnreadable
from napari_tilewise.io.image import Image
from napari_tilewise.io.plain_data import plain_mapping, to_plain
from napari_tilewise.io.read_record import read_record
from napari_tilewise.io.readers.zarr_arrays import open_node, own_metadata
from napari_tilewise.io.writers import values as _values
from napari_tilewise.provenance.fingerprint import fingerprint, place
from napari_tilewise.provenance.fingerprint_samples import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.recipe import Recipe

VERSION = 1
"""Version of the record, kept under ``"record"``."""

_PACKAGES = ("napari-tilewise", "scikit-image", "numpy", "scipy")


def record(
    recipe: Recipe,
    source: Any,
    *,
    inputs: Mapping[str, Any] | None = None,
    axes: Any = None,
    spatial: Any = None,
    values: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    name: str | None = None,
    fingerprints: bool = True,
) -> dict[str, Any]:
    """Return the record of how an output is made, as plain data.

    The keys are record (its version), recipe, versions, source, inputs, run, time and values, and
    not_repeatable, a sentence, where the recipe holds what no record can; functions, digests of
    the code of users' functions, where the recipe has such. Memory and workers are
    not in it: they never change a result.

    Parameters
    ----------
    recipe
        The recipe.
    source
        What it runs on: all that `open_image` takes.
    inputs
        The recipe's further images by name, likewise.
    axes, spatial
        How it is run, where that was given.
    values
        Scalars that the recipe met, such as thresholds, by name.
    output
        Where the output will stand: the way from there to the source is kept too, so that both can
        be moved together.
    name
        What the user calls the source, where it is an array, such as a layer's name.
    fingerprints
        Whether to look at the sources: milliseconds for arrays, files and folders, but some twenty
        requests for a URL. Nothing is read otherwise.
    """
    around = None if output is None else place(output)

    def told(image: Any) -> dict[str, Any]:
        return describe(image, around=around, fingerprints=fingerprints)

    made: dict[str, Any] = {"record": VERSION, **_recipe(recipe)}
    made["versions"] = versions()
    functions = {
        step.operation: step.op.adapter.digest for step in recipe.steps if step.op.adapter.digest
    }
    if functions:
        made["functions"] = functions
    made["source"] = told(source) | ({} if name is None else {"name": name})
    made["inputs"] = {key: told(image) for key, image in (inputs or {}).items()}
    made["run"] = {
        key: to_plain(value) for key, value in (("axes", axes), ("spatial", spatial)) if value
    }
    made["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    made["values"] = scalars(values or {})
    return made


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers that a recipe met as plain data.

    Parameters
    ----------
    values
        Numbers and arrays by name.
    """
    return plain_mapping(values)


def _recipe(recipe: Recipe) -> dict[str, Any]:
    try:
        return {"recipe": recipe.to_dict()}
    except InvalidRecipe as error:  # a step holds an image or a function
        return {"recipe": recipe.to_dict(images=False), "not_repeatable": str(error)}


def versions() -> dict[str, str]:
    """Return the versions of all that a result may depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    packages = {package: metadata.version(package) for package in _PACKAGES}
    return {**packages, "python": platform.python_version()}


def describe(
    source: Any, *, around: str | None = None, fingerprints: bool = True
) -> dict[str, Any]:
    """Return what a source is, as plain data: where it stands, or what kind of array it is.

    Parameters
    ----------
    source
        What `open_image` takes.
    around
        The path of the output, from whose folder the way to the source is kept.
    fingerprints
        Whether to look at it.
    """
    where = place(source)
    if where is None:
        array = source.data if isinstance(source, Image) else source
        told: dict[str, Any] = {"kind": "array", "type": kind_of(array)}
        told |= {"shape": [int(n) for n in array.shape], "dtype": str(array.dtype)}
        told |= _part(array, around, fingerprints)
    elif "://" in where:
        told = {"kind": "url", "location": where}
    else:
        told = {"kind": "folder" if Path(where).is_dir() else "file", "location": where}
        told |= _way(where, around)
    if isinstance(source, Image):
        told |= _level(source)
    return told | {"fingerprint": fingerprint(source) if fingerprints else None}


def _part(array: Any, around: str | None, fingerprints: bool) -> dict[str, Any]:
    """Return which image an array is a part of, and which part, where it is one that a batch cut.

    A part is a position, or a start and a stop, or None (all), for each axis of the whole.
    """
    whole = getattr(array, "part_of", None)
    if whole is None:
        return {}
    told = describe(whole, around=around, fingerprints=fingerprints)
    return {"part": to_plain(array.parts), "part_of": told}


def _way(where: str, around: str | None) -> dict[str, str]:
    """Return the way from the output's folder to a source, where there is one."""
    if around is None or "://" in around:
        return {}
    try:
        way = os.path.relpath(os.path.realpath(where), os.path.realpath(os.path.dirname(around)))
    except ValueError:  # another drive
        return {}
    return {"from_output": Path(way).as_posix()}


def _level(image: Image) -> dict[str, int]:
    number = next((i for i, level in enumerate(image.levels) if level is image.data), 0)
    return {"level": number} if number else {}


def read(output: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return the record that an output carries.

    Parameters
    ----------
    output
        What `run` wrote.

    Raises
    ------
    SourceNotFound
        When there is nothing.
    SourceUnreadable
        When it carries no record that this release knows.
    """
    where = place(output) or os.fspath(output)
    found = _found(where)
    if not found or "record" not in found:
        raise SourceUnreadable(
            f"{where!r} carries no record of how it was made; expected what "
            "napari_tilewise.run wrote (a .csv and a .npy have their record beside them, in "
            f"{Path(where).name + _values.SIDECAR!r})."
        )
    if found["record"] != VERSION:
        raise SourceUnreadable(
            f"The record in {where!r} has version {found['record']!r}: this release of "
            f"napari-tilewise reads version {VERSION}. Use the release that wrote it."
        )
    return found


def _found(where: str) -> Mapping[str, Any] | None:
    path = Path(where)
    if "://" in where:
        return own_metadata(open_node(where))
    if not path.exists():
        raise SourceNotFound(f"There is nothing at {where!r}; check the spelling of the path.")
    return read_record(path)
