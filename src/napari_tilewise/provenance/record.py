"""The record in every output: its recipe and sources, so that it can be made again.

It is plain data, ready for JSON, wherever it is stored: in attributes, in a sidecar, on a layer.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.system.real_paths import real_folder, real_path
from napari_tilewise.errors import InvalidRecipe, SourceNotFound, SourceUnreadable, command
from napari_tilewise.io.image import Image
from napari_tilewise.io.plain_data import plain_mapping, to_plain
from napari_tilewise.io.stored_record import read_record
from napari_tilewise.io.writers import values as _values
from napari_tilewise.provenance.fingerprint import fingerprint, source_location
from napari_tilewise.provenance.fingerprint_samples import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.types import AxisNames

VERSION = 1
"""Version of the record, stored under ``"record"``."""

_PACKAGES = ("napari-tilewise", "scikit-image", "numpy", "scipy")


@dataclass(frozen=True, eq=False)
class RunSources:
    """The images that a recipe runs on, and the axes that it runs over."""

    source: object
    """The image, as `open_image` takes it."""
    inputs: Mapping[str, object] = field(default_factory=dict)
    """The recipe's further images by name, likewise."""
    axes: AxisNames | None = None
    """Names of the source's axes; None: not specified."""
    spatial: str | int | Sequence[int] | Sequence[str] | None = None
    """The axes that the recipe runs over; None: not specified."""
    name: str | None = None
    """The user's name of a source that is an array, such as a layer's name."""
    fingerprint: str | None = None
    """The source's fingerprint, where the caller has just taken it."""


def record(
    recipe: Recipe,
    sources: RunSources,
    *,
    values: Metadata | None = None,
    output: str | os.PathLike[str] | None = None,
    fingerprints: bool = True,
) -> MetadataDict:
    """Return the record of how an output is made, as plain data.

    The keys are record (its version), recipe, versions, source, inputs, run, time and values, and
    not_repeatable, a sentence, if the recipe holds something that no record can; functions, digests
    of the code of users' functions, if the recipe has any. Memory and workers are not in it: they
    never change a result.

    Parameters
    ----------
    recipe
        The steps that make the output.
    sources
        The images that they run on, and the axes.
    values
        Scalars that the recipe computed, such as thresholds, by name.
    output
        Path of the output: the relative path from there to the source is stored too, so that both
        can be moved together.
    fingerprints
        Whether to take fingerprints of the sources: milliseconds for arrays, files and folders, but
        some twenty requests for a URL. Otherwise no pixel is read.
    """
    output_path = None if output is None else source_location(output)

    def describe(image: object) -> MetadataDict:
        return describe_source(image, output_path=output_path, fingerprints=fingerprints)

    entries: MetadataDict = {"record": VERSION, **_recipe(recipe)}
    entries["versions"] = versions()
    functions = {
        step.operation: step.op.adapter.digest for step in recipe.steps if step.op.adapter.digest
    }
    if functions:
        entries["functions"] = functions
    name = {} if sources.name is None else {"name": sources.name}
    if sources.fingerprint is None:
        entries["source"] = describe(sources.source) | name
    else:
        source = describe_source(sources.source, output_path=output_path, fingerprints=False)
        entries["source"] = source | {"fingerprint": sources.fingerprint} | name
    entries["inputs"] = {key: describe(image) for key, image in sources.inputs.items()}
    axes = {"axes": sources.axes, "spatial": sources.spatial}
    entries["run"] = {key: to_plain(value) for key, value in axes.items() if value}
    entries["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    entries["values"] = scalars(values or {})
    return entries


def scalars(values: Metadata) -> MetadataDict:
    """Return numbers that a recipe computed, as plain data.

    Parameters
    ----------
    values
        Numbers and arrays by name.
    """
    return plain_mapping(values)


def _recipe(recipe: Recipe) -> MetadataDict:
    try:
        return {"recipe": recipe.to_dict()}
    except InvalidRecipe as error:  # a step holds an image or a function
        return {"recipe": recipe.to_dict(images=False), "not_repeatable": str(error)}


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result may depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    packages = {package: metadata.version(package) for package in _PACKAGES}
    return {**packages, "python": platform.python_version()}


def describe_source(
    source: Any, *, output_path: str | None = None, fingerprints: bool = True
) -> MetadataDict:
    """Return the description of a source, as plain data: its location, or its kind of array.

    Parameters
    ----------
    source
        A source that `open_image` takes.
    output_path
        Path of the output, from whose folder the relative path to the source is stored.
    fingerprints
        Whether to take its fingerprint.
    """
    location = source_location(source)
    if location is None:
        array = source.data if isinstance(source, Image) else source
        entries: MetadataDict = {"kind": "array", "type": kind_of(array)}
        entries |= {"shape": [int(n) for n in array.shape], "dtype": str(array.dtype)}
        entries |= _part(array, output_path, fingerprints)
    elif "://" in location:
        entries = {"kind": "url", "location": location}
    else:
        entries = {"kind": "folder" if os.path.isdir(location) else "file", "location": location}
        entries |= _relative_path(location, output_path)
    if isinstance(source, Image):
        entries |= _level(source)
    return entries | {"fingerprint": fingerprint(source) if fingerprints else None}


def _part(array: Any, output_path: str | None, fingerprints: bool) -> MetadataDict:
    """Return the image that an array is a part of, and the part; empty for a whole image.

    A part is a position, or a start and a stop, or None (all), for each axis of the whole.
    """
    whole = getattr(array, "part_of", None)
    if whole is None:
        return {}
    description = describe_source(whole, output_path=output_path, fingerprints=fingerprints)
    return {"part": to_plain(array.parts), "part_of": description}


def _relative_path(location: str, output_path: str | None) -> dict[str, str]:
    """Return the path from the output's folder to a source, if both are on the same drive."""
    if output_path is None or "://" in output_path:
        return {}
    folder = real_folder(os.path.dirname(output_path))
    try:
        path = os.path.relpath(real_path(location), folder)
    except ValueError:  # another drive
        return {}
    return {"from_output": path.replace(os.sep, "/")}


def _level(image: Image) -> dict[str, int]:
    number = next((i for i, level in enumerate(image.levels) if level is image.data), 0)
    return {"level": number} if number else {}


def read(output: str | os.PathLike[str]) -> Metadata:
    """Return the record in an output.

    Parameters
    ----------
    output
        A path or URL that `run` wrote.

    Raises
    ------
    SourceNotFound
        When nothing exists at the path.
    SourceUnreadable
        When it has no record that this release can read.
    """
    location = source_location(output) or os.fspath(output)
    entries = _stored_entries(location)
    if not entries or "record" not in entries:
        raise SourceUnreadable(
            f"{location!r} has no record of how it was made; expected an output of "
            f"{command('napari_tilewise.run', 'napari-tilewise run')} (a .csv and a .npy have "
            "their record beside them, in "
            f"{Path(location).name + _values.SIDECAR!r})."
        )
    if entries["record"] != VERSION:
        raise SourceUnreadable(
            f"The record in {location!r} has version {entries['record']!r}: this release of "
            f"napari-tilewise reads version {VERSION}. Use the release that wrote it."
        )
    return entries


def _stored_entries(location: str) -> Metadata | None:
    path = Path(location)
    if "://" in location:
        from napari_tilewise.io.readers.zarr_arrays import open_node, own_metadata

        return own_metadata(open_node(location))
    if not path.exists():
        raise SourceNotFound(f"There is nothing at {location!r}; check the spelling of the path.")
    return read_record(path)
