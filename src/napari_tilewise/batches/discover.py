"""Finds what a batch is to work on: patterns, folders and plates become single images."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import zarr

from napari_tilewise.batches import batch_journal
from napari_tilewise.errors import InvalidParameter, SourceNotFound, SourceUnreadable
from napari_tilewise.io.readers.zarr_arrays import is_zarr, ome_metadata, open_node
from napari_tilewise.provenance.fingerprint import place

SUFFIXES = (
    ".ome.zarr", ".zarr", ".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf", ".svs",
    ".npy", ".png", ".jpeg", ".jpg", ".bmp", ".gif",
)  # fmt: skip
"""What the names of images in a folder end in; other files there are no items."""


@dataclass(frozen=True, eq=False)
class Discovered:
    """One image."""

    stem: str
    source: Any
    folder: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Search:
    """What belongs to a place that is searched."""

    apart: Set[str]
    """Paths that do not."""
    recursive: bool
    """Whether folders below a folder do."""


def find(
    source: Any, *, apart: Set[str] = frozenset(), recursive: bool = True
) -> Iterator[Discovered]:
    """Give all that a batch's source names, in natural order.

    Parameters
    ----------
    source
        See `items_of`.
    apart
        Paths that are no items: what the batch wrote before.
    recursive
        Whether the folders below a folder belong to it.

    Raises
    ------
    SourceNotFound
        When there is nothing.
    """
    found = _find(source, "image", _Search(apart, recursive))
    first = next(found, None)
    if first is None:
        raise SourceNotFound(
            f"There is no image at {source!r}, what batches made of images there left out; "
            f"expected files, a folder with images ({', '.join(SUFFIXES)}), a pattern such as "
            "'plates/*.tif', or arrays."
        )
    yield first
    yield from found


def _find(source: Any, name: str, search: _Search) -> Iterator[Discovered]:
    if isinstance(source, str | os.PathLike):
        yield from _at(os.fspath(source), search)
    elif isinstance(source, Mapping):
        for key, one in source.items():
            yield from _named(_find(one, str(key), search), str(key))
    elif hasattr(source, "shape") or hasattr(source, "levels"):
        yield Discovered(_name(source, name), source)
    elif isinstance(source, Iterable):
        for number, one in enumerate(source):
            yield from _find(one, f"{name}{number}", search)
    else:
        raise InvalidParameter(
            f"A batch cannot take its items from a {type(source).__name__}: expected a path, a "
            "pattern, a folder, arrays, or a list of such."
        )


def _named(found: Iterator[Discovered], name: str) -> Iterator[Discovered]:
    """Give what is found; where that is one image, it has the name that it was given."""
    first, second = next(found, None), next(found, None)
    if first is not None:
        yield first if second is not None else replace(first, stem=name)
    if second is not None:
        yield second
    yield from found


def _name(source: Any, default: str) -> str:
    where = place(source)
    return default if where is None else stem_of(where)


def _at(location: str, search: _Search) -> Iterator[Discovered]:
    if "://" in location and not location.startswith("file://"):
        yield from _image_or_plate(location, "")
        return
    path = Path(place(location) or location)
    if not os.path.lexists(path) and glob.has_magic(str(path)):
        base = _fixed(path)
        matches = glob.glob(str(path), recursive=True)
        yield from _sorted(_unmade(map(Path, matches), base), base, search.apart)
    elif path.is_dir() and not is_zarr(path):
        found = _below(path, recursive=search.recursive, made=_made_within(path, path))
        yield from _sorted(found, path, search.apart)
    else:
        yield from _image_or_plate(str(path), "")


def _fixed(pattern: Path) -> Path:
    """Return the folder of a pattern below which it varies."""
    parts = pattern.parts
    first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _below(folder: Path, *, recursive: bool, made: Set[str]) -> Iterator[Path]:
    """Return the images of a folder, and of all below it; a Zarr is one image.

    What batches made is none of them: `made`, and all outputs of batches into folders below.
    """
    for one in folder.iterdir():
        if one.name.startswith("."):
            continue
        if one.is_dir() and not is_zarr(one):
            if recursive:
                more = _made(one)
                yield from _below(one, recursive=True, made=made | more if more else made)
        elif one.name.lower().endswith(SUFFIXES) and str(one) not in made:
            yield one


def _unmade(paths: Iterable[Path], base: Path) -> Iterator[Path]:
    """Return what matches a pattern, without what batches made of images that it may match too.

    Other outputs stay: a pattern is how one batch takes what others made of images elsewhere.
    """
    made_within = cache(partial(_made_within, base=base))

    @cache
    def made_around(folder: Path) -> list[Set[str]]:
        around = (one for one in (folder, *folder.parents) if one.is_relative_to(base))
        return [made for made in map(made_within, around) if made]

    return (path for path in paths if not any(str(path) in one for one in made_around(path.parent)))


def _made(folder: Path) -> Set[str]:
    """Return the outputs of batches into a folder."""
    return batch_journal.output_paths(str(folder), batch_journal.each_row(str(folder)))


def _made_within(folder: Path, base: Path) -> Set[str]:
    """Return the outputs of batches into a folder that they made of images below another."""
    inside = tuple(str(one / "_")[:-1] for one in (base, base.resolve()))
    rows = batch_journal.each_row(str(folder))
    return batch_journal.output_paths(
        str(folder), (row for row in rows if str(row.get("input")).startswith(inside))
    )


def _sorted(paths: Iterable[Path], base: Path, apart: Set[str]) -> Iterator[Discovered]:
    """Return images in natural order, those those set apart left out."""
    kept = [
        str(path)
        for path in paths
        if str(path) not in apart and (path.is_file() or not path.is_dir() or is_zarr(path))
    ]
    for path in sorted(kept, key=natural):
        folder = Path(path).parent.relative_to(base).as_posix()
        yield from _image_or_plate(path, "" if folder == "." else folder)


def natural(text: str) -> str:
    """Return what texts are sorted by so that ``a2`` comes before ``a10``.

    It is a text itself, so that very many are sorted in an instant.

    Parameters
    ----------
    text
        The text.
    """
    return f"{re.sub('[0-9]+', _by_length, text)}\0{text}"


def _by_length(match: re.Match[str]) -> str:
    """Return a number behind its length; it comes before any character in its place."""
    digits = match[0].lstrip("0")
    return f"\1{len(digits):04}{digits}"


def stem_of(location: str) -> str:
    """Return what an image is called without the suffix of its format.

    Parameters
    ----------
    location
        A path or URL.
    """
    # A backslash is a character of a name like any other, except where it parts folders.
    name = location.replace(os.sep, "/").rstrip("/").rpartition("/")[2]
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s)), Path(name).suffix)
    return name[: len(name) - len(suffix)] or name


def _image_or_plate(location: str, folder: str) -> Iterator[Discovered]:
    """Return an image, or each field of each well of a plate."""
    plate = _plate(location)
    if plate is None:
        yield Discovered(stem_of(location), location, folder)
        return
    stem = stem_of(location)
    inside = f"{folder}/{stem}" if folder else stem
    for well in plate["wells"]:
        row, column = str(well["path"]).split("/")[:2]
        place_ = f"{location}/{well['path']}"
        for field_ in _fields(place_):
            fields = {"well": f"{row}{column}", "row": row, "column": column, "field": field_}
            yield Discovered(f"{row}{column}_{field_}", f"{place_}/{field_}", inside, fields)


def _fields(well: str) -> list[str]:
    """Return the fields of a well; of one that cannot be read the first, whose task says why."""
    try:
        group = open_node(well)
        if isinstance(group, zarr.Group):
            return [str(one["path"]) for one in ome_metadata(group)["well"]["images"]]
    except (SourceNotFound, SourceUnreadable, KeyError, TypeError):
        pass
    return ["0"]


def _plate(location: str) -> Mapping[str, Any] | None:
    remote = "://" in location
    if not remote and not is_zarr(Path(location)):
        return None
    try:
        node = open_node(location)
    except SourceUnreadable:
        return None  # the task says it, in its row
    found = ome_metadata(node).get("plate") if isinstance(node, zarr.Group) else None
    return found if isinstance(found, Mapping) else None
