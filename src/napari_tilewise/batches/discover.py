"""Discovers the images of a batch: patterns, folders and plates become single images."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zarr

from napari_tilewise.batches import batch_journal
from napari_tilewise.batches.folder_search import LeftOut
from napari_tilewise.batches.inside import NO_NAMES, is_inside
from napari_tilewise.errors import (
    InvalidParameter,
    SourceNotFound,
    SourceUnreadable,
    TilewiseError,
)
from napari_tilewise.io.readers.file_contents import NOTHING_SPECIAL, FileContents, contents_of
from napari_tilewise.io.readers.file_patterns import fixed_folder, is_new, matches
from napari_tilewise.io.readers.locations import (
    Location,
    checked_path,
    is_readable_kind,
    split_location,
)
from napari_tilewise.io.readers.natural_order import natural
from napari_tilewise.io.readers.open_image import SUFFIXES
from napari_tilewise.io.readers.zarr_arrays import ome_metadata, open_node
from napari_tilewise.io.readers.zarr_folders import is_zarr
from napari_tilewise.provenance.fingerprint import source_location

if TYPE_CHECKING:
    from napari_tilewise.io.plain_data import Plain
    from napari_tilewise.types import Parameters

_USUAL = ", ".join((".ome.zarr", ".ome.tif", ".tif", ".npy", ".h5", ".png", ".czi", ".nd2"))


@dataclass(frozen=True, eq=False)
class Discovered:
    """One image."""

    stem: str
    source: Any
    folder: str = ""
    fields: Mapping[str, Plain] = field(default_factory=dict)
    problem: str = ""
    """Why it cannot be opened; empty if nothing is known to prevent it."""


@dataclass(frozen=True)
class _Search:
    """How folders are searched."""

    excluded: Set[str]
    """Paths that are not items."""
    recursive: bool
    """Whether a folder includes the folders below it."""
    left_out: LeftOut
    """Counts the files that are no items."""
    visited: set[tuple[int, int]] = field(default_factory=set)
    """Identities of the folders that were visited."""


def discover(
    source: object,
    *,
    excluded: Set[str] = frozenset(),
    recursive: bool = True,
    left_out: LeftOut | None = None,
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
    left_out
        Counts the files that are no items.

    Raises
    ------
    SourceNotFound
        When no image matches.
    """
    left_out = LeftOut() if left_out is None else left_out
    images = _discover(source, "image", _Search(excluded, recursive, left_out))
    first = next(images, None)
    if first is None:
        rest = f" ({left_out})" if str(left_out) else ""
        raise SourceNotFound(
            f"No image was found at {source!r}{rest} (outputs of earlier batches do not count); "
            f"expected files, a folder with images ({_USUAL} and others), a pattern such as "
            "'plates/*.tif', or arrays."
        )
    yield first
    yield from images


def _discover(source: object, name: str, search: _Search) -> Iterator[Discovered]:
    if isinstance(source, str | os.PathLike):
        yield from _at_location(checked_path(source), search)
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
    parts = split_location(str(path))
    if parts.series is not None or parts.dataset:
        yield Discovered(_stem_of_part(str(path), parts), str(path))
    elif not os.path.lexists(path) and glob.has_magic(str(path)):
        base = Path(fixed_folder(str(path)))
        yield from _sorted(_without_outputs(matches(str(path)), base), base, search)
    elif path.is_dir() and not is_zarr(path):
        outputs = _outputs_from(path, path)
        yield from _sorted(_images_below(path, outputs, search), path, search)
    else:
        yield from _images_of(str(path), "")


def _images_below(folder: Path, outputs: Set[str], search: _Search) -> Iterator[Path]:
    """Yield the images of a folder, and of all folders below it; a Zarr is one image.

    Outputs of batches are left out: `outputs`, and those of batches into folders below.
    """
    if not is_new(folder, search.visited):
        return
    for path in folder.iterdir():
        if path.name.startswith(".") or str(path) in outputs:
            continue
        if path.is_dir() and not is_zarr(path):
            if search.recursive:
                more = _outputs_in(path)
                yield from _images_below(path, outputs | more if more else outputs, search)
        elif path.name.lower().endswith(SUFFIXES):
            yield path
        elif str(path) not in search.excluded:
            search.left_out.add(path)


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


def _sorted(paths: Iterable[Path], base: Path, search: _Search) -> Iterator[Discovered]:
    """Yield images in natural order, without those that are excluded; of a set, the first file."""
    images = []
    for match in paths:
        if str(match) in search.excluded or (match.is_dir() and not is_zarr(match)):
            continue
        if is_readable_kind(match):
            images.append(str(match))
        else:
            search.left_out.pipes += 1
    sets: set[tuple[str, frozenset[str]]] = set()
    for path in sorted(images, key=natural):
        parent = Path(path).parent
        folder = parent.relative_to(base).as_posix()
        files, names = _contents(path)
        if names and (str(parent), names) in sets:
            search.left_out.members += 1
            continue
        sets.add((str(parent), names))
        yield from _images_of(path, "" if folder == "." else folder, files)


def _contents(location: str) -> FileContents:
    """Return the images of a local file, and its set; none if it cannot be read."""
    path = Path(location)
    if not path.is_file():
        return NOTHING_SPECIAL
    try:
        return contents_of(path)
    except (OSError, TilewiseError):  # its task reports it, in its row
        return NOTHING_SPECIAL


def _images_of(
    location: str, folder: str, parts: Sequence[tuple[str, str]] | None = None
) -> Iterator[Discovered]:
    """Yield the images at a location: of a file, a plate, a Zarr."""
    parts = _contents(location)[0] if parts is None else parts
    for part, name in parts:
        yield Discovered(f"{stem_of(location)}_{name}", f"{location}{part}", folder)
    if not parts:
        yield from _image_or_plate(location, folder)


def _stem_of_part(location: str, parts: Location) -> str:
    stem = stem_of(str(parts.path))
    if parts.series is not None:
        return f"{stem}_series{parts.series}"
    return f"{stem}_{parts.dataset.strip('/').replace('/', '_')}"


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
    stem = name[: len(name) - len(suffix)]
    return name if stem in NO_NAMES else stem  # such as of "...zarr"


def _image_or_plate(location: str, folder: str) -> Iterator[Discovered]:
    """Yield an image, or each field of each well of a plate."""
    plate = _plate(location)
    if plate is None:
        yield Discovered(stem_of(location), location, folder)
        return
    stem = stem_of(location)
    inside = f"{folder}/{stem}" if folder else stem
    wells = plate.get("wells")
    if not isinstance(wells, list) or not wells:
        problem = f"{location!r} is a plate that names no wells; expected a list of these."
        yield Discovered(stem, location, folder, problem=problem)
        return
    paths: set[object] = set()
    for number, well in enumerate(wells):
        path = well.get("path") if isinstance(well, Mapping) else None
        if not _is_path_inside(path) or str(path).count("/") != 1 or path in paths:
            problem = (
                f"{location!r} has the well {path!r}; expected its row and column, as 'A/1', once."
            )
            name = f"{stem}_well{number}"
            yield Discovered(name, location, inside, {"well": number}, problem)
        else:
            paths.add(path)
            yield from _fields_of(location, str(path), inside)


def _fields_of(plate: str, well: str, folder: str) -> Iterator[Discovered]:
    """Yield the fields of a well of a plate."""
    location, (row, column) = f"{plate}/{well}", well.split("/")
    names = {"well": f"{row}{column}", "row": row, "column": column}
    paths: set[object] = set()
    fields = _field_paths(location)
    if not fields:
        problem = f"{location!r} is a well that names no fields; expected a list of these."
        yield Discovered(f"{row}{column}", location, folder, names, problem)
    for number, path in enumerate(fields):
        if _is_path_inside(path) and path not in paths:
            paths.add(path)
            stem = f"{row}{column}_{str(path).replace('/', '_')}"
            yield Discovered(stem, f"{location}/{path}", folder, {**names, "field": str(path)})
        else:
            problem = f"{location!r} has the field {path!r}; expected a folder in it, as '0', once."
            stem = f"{row}{column}_field{number}"
            yield Discovered(stem, location, folder, {**names, "field": number}, problem)


def _field_paths(well: str) -> list[object]:
    """Return the fields of a well; of an unreadable one the first, whose task reports it.

    None where the well lists no fields.
    """
    try:
        group = open_node(well)
        if isinstance(group, zarr.Group):
            images = ome_metadata(group)["well"]["images"]
            if not isinstance(images, list):
                return []
            return [image.get("path") if isinstance(image, Mapping) else None for image in images]
    except (SourceNotFound, SourceUnreadable, KeyError, TypeError):
        pass
    return ["0"]


def _is_path_inside(path: object) -> bool:
    """Return whether a path in metadata leads into the folder that it is relative to."""
    names = str(path).split("/")
    return is_inside(path) and "\\" not in str(path) and not set(names) & set(NO_NAMES)


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
