"""Discovers the images of a batch: patterns, folders and plates become single images."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr

from napari_tilewise.batches import batch_journal
from napari_tilewise.errors import InvalidParameter, SourceNotFound, SourceUnreadable
from napari_tilewise.io.readers.zarr_arrays import is_zarr, ome_metadata, open_node
from napari_tilewise.provenance.fingerprint import source_location

if TYPE_CHECKING:
    from napari_tilewise.io.plain_data import Plain
    from napari_tilewise.types import Parameters

SUFFIXES = (
    ".ome.zarr", ".zarr", ".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf", ".svs",
    ".npy", ".png", ".jpeg", ".jpg", ".bmp", ".gif",
)  # fmt: skip
"""Suffixes of the files in a folder that are images; other files there are not items."""


@dataclass(frozen=True, eq=False)
class Discovered:
    """One image."""

    stem: str
    source: Any
    folder: str = ""
    fields: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class _Search:
    """How folders are searched."""

    excluded: Set[str]
    """Paths that are not items."""
    recursive: bool
    """Whether a folder includes the folders below it."""


def discover(
    source: object, *, excluded: Set[str] = frozenset(), recursive: bool = True
) -> Iterator[Discovered]:
    """Yield the images that a batch's source names, in natural order.

    Parameters
    ----------
    source
        See `items_of`.
    excluded
        Paths that are not items: earlier outputs of the batch.
    recursive
        Whether a folder includes the folders below it.

    Raises
    ------
    SourceNotFound
        When no image matches.
    """
    images = _discover(source, "image", _Search(excluded, recursive))
    first = next(images, None)
    if first is None:
        raise SourceNotFound(
            f"No image was found at {source!r} (outputs of earlier batches do not count); expected "
            f"files, a folder with images ({', '.join(SUFFIXES)}), a pattern such as "
            "'plates/*.tif', or arrays."
        )
    yield first
    yield from images


def _discover(source: object, name: str, search: _Search) -> Iterator[Discovered]:
    if isinstance(source, str | os.PathLike):
        yield from _at_location(os.fspath(source), search)
    elif isinstance(source, Mapping):
        for key, value in source.items():
            yield from _renamed(_discover(value, str(key), search), str(key))
    elif hasattr(source, "shape") or hasattr(source, "levels"):
        yield Discovered(_name(source, name), source)
    elif isinstance(source, Iterable):
        for number, member in enumerate(source):
            yield from _discover(member, f"{name}{number}", search)
    else:
        raise InvalidParameter(
            f"A batch cannot take its items from a {type(source).__name__}: expected a path, a "
            "pattern, a folder, arrays, or a list of these."
        )


def _renamed(images: Iterator[Discovered], name: str) -> Iterator[Discovered]:
    """Yield the images; a single image is called by the name."""
    first, second = next(images, None), next(images, None)
    if first is not None:
        yield first if second is not None else replace(first, stem=name)
    if second is not None:
        yield second
    yield from images


def _name(source: object, default: str) -> str:
    location = source_location(source)
    return default if location is None else stem_of(location)


def _at_location(location: str, search: _Search) -> Iterator[Discovered]:
    if "://" in location and not location.startswith("file://"):
        yield from _image_or_plate(location, "")
        return
    path = Path(source_location(location) or location)
    if not os.path.lexists(path) and glob.has_magic(str(path)):
        base = _fixed_folder(path)
        matches = glob.glob(str(path), recursive=True)
        yield from _sorted(_without_outputs(map(Path, matches), base), base, search.excluded)
    elif path.is_dir() and not is_zarr(path):
        outputs = _outputs_from(path, path)
        images = _images_below(path, recursive=search.recursive, outputs=outputs)
        yield from _sorted(images, path, search.excluded)
    else:
        yield from _image_or_plate(str(path), "")


def _fixed_folder(pattern: Path) -> Path:
    """Return the folder of a pattern below which it varies."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _images_below(folder: Path, *, recursive: bool, outputs: Set[str]) -> Iterator[Path]:
    """Yield the images of a folder, and of all folders below it; a Zarr is one image.

    Outputs of batches are left out: `outputs`, and those of batches into folders below.
    """
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not is_zarr(path):
            if recursive:
                more = _outputs_in(path)
                inner = outputs | more if more else outputs
                yield from _images_below(path, recursive=True, outputs=inner)
        elif path.name.lower().endswith(SUFFIXES) and str(path) not in outputs:
            yield path


def _without_outputs(paths: Iterable[Path], base: Path) -> Iterator[Path]:
    """Yield the matches of a pattern that are not outputs of batches from images it may match.

    Other outputs stay: a pattern is how one batch takes the outputs of another as its images.
    """
    outputs_from = cache(partial(_outputs_from, base=base))

    @cache
    def outputs_around(folder: Path) -> list[Set[str]]:
        around = (parent for parent in (folder, *folder.parents) if parent.is_relative_to(base))
        return [outputs for outputs in map(outputs_from, around) if outputs]

    return (
        path
        for path in paths
        if not any(str(path) in outputs for outputs in outputs_around(path.parent))
    )


def _outputs_in(folder: Path) -> Set[str]:
    """Return the outputs of batches into a folder."""
    return batch_journal.output_paths(str(folder), batch_journal.each_row(str(folder)))


def _outputs_from(folder: Path, base: Path) -> Set[str]:
    """Return the outputs of batches into a folder whose inputs are below another folder."""
    prefixes = tuple(str(path / "_")[:-1] for path in (base, base.resolve()))
    rows = batch_journal.each_row(str(folder))
    return batch_journal.output_paths(
        str(folder), (row for row in rows if str(row.get("input")).startswith(prefixes))
    )


def _sorted(paths: Iterable[Path], base: Path, excluded: Set[str]) -> Iterator[Discovered]:
    """Yield images in natural order, without those that are excluded."""
    images = [
        str(path)
        for path in paths
        if str(path) not in excluded and (path.is_file() or not path.is_dir() or is_zarr(path))
    ]
    for path in sorted(images, key=natural):
        folder = Path(path).parent.relative_to(base).as_posix()
        yield from _image_or_plate(path, "" if folder == "." else folder)


def natural(text: str) -> str:
    """Return a sort key that puts ``a2`` before ``a10``.

    Parameters
    ----------
    text
        A path or a name.

    Returns
    -------
    str
        Text too, so that a million paths are sorted quickly.
    """
    return f"{re.sub('[0-9]+', _by_length, text)}\0{text}"


def _by_length(match: re.Match[str]) -> str:
    """Return a number after its length; it sorts before any other character."""
    digits = match[0].lstrip("0")
    return f"\1{len(digits):04}{digits}"


def stem_of(location: str) -> str:
    """Return the name of an image without the suffix of its format.

    Parameters
    ----------
    location
        A path or URL.
    """
    # A backslash is a character like any other, except where it separates folders.
    name = location.replace(os.sep, "/").rstrip("/").rpartition("/")[2]
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), Path(name).suffix)
    return name[: len(name) - len(suffix)] or name


def _image_or_plate(location: str, folder: str) -> Iterator[Discovered]:
    """Yield an image, or each field of each well of a plate."""
    plate = _plate(location)
    if plate is None:
        yield Discovered(stem_of(location), location, folder)
        return
    stem = stem_of(location)
    inside = f"{folder}/{stem}" if folder else stem
    for well in plate["wells"]:
        row, column = str(well["path"]).split("/")[:2]
        well_location = f"{location}/{well['path']}"
        for number in _fields(well_location):
            fields = {"well": f"{row}{column}", "row": row, "column": column, "field": number}
            name = f"{row}{column}_{number}"
            yield Discovered(name, f"{well_location}/{number}", inside, fields)


def _fields(well: str) -> list[str]:
    """Return the fields of a well; of an unreadable one the first, whose task reports it."""
    try:
        group = open_node(well)
        if isinstance(group, zarr.Group):
            return [str(image["path"]) for image in ome_metadata(group)["well"]["images"]]
    except (SourceNotFound, SourceUnreadable, KeyError, TypeError):
        pass
    return ["0"]


def _plate(location: str) -> Parameters | None:
    is_remote = "://" in location
    if not is_remote and not is_zarr(Path(location)):
        return None
    try:
        node = open_node(location)
    except SourceUnreadable:
        return None  # its task reports it, in its row
    plate = ome_metadata(node).get("plate") if isinstance(node, zarr.Group) else None
    return plate if isinstance(plate, Mapping) else None
