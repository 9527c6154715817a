"""What a file holds besides one image: several images, or a part of an OME-TIFF set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_tilewise.io.readers import hdf5, microscopes, tiff_header

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.io.image import SeriesEntry

_MAGIC = 8
"""Bytes at the start of a file that tell its format."""


class FileContents(NamedTuple):
    """The images of a file, and its set."""

    images: tuple[tuple[str, str], ...] = ()
    """For each image of a file of several, what follows the file's path, and a short name."""
    set_names: frozenset[str] = frozenset()
    """Names of the files of the OME-TIFF set that it belongs to; empty: none."""


NOTHING_SPECIAL = FileContents()
"""A file of one image."""


def contents_of(path: Path) -> FileContents:
    """Return what a local file holds; no pixel is read.

    Parameters
    ----------
    path
        The file.
    """
    with path.open("rb") as file:
        start = file.read(_MAGIC)
    if path.suffix.lower() in microscopes.PLUGINS:
        return FileContents(_numbered(microscopes.series_with_bioio(path)))
    if start[:4] in tiff_header.MAGIC:
        from napari_tilewise.io.readers import tiff

        entries, names = tiff.contents_of_tiff(path)
        return FileContents(_numbered(entries), names)
    if start.startswith(hdf5.MAGIC):
        paths = hdf5.datasets_of(path)
        named = ((f"::{inside}", inside.strip("/").replace("/", "_")) for inside in paths)
        return FileContents(tuple(named) if len(paths) > 1 else ())
    return NOTHING_SPECIAL


def _numbered(entries: tuple[SeriesEntry, ...]) -> tuple[tuple[str, str], ...]:
    numbers = [entry.number for entry in entries if entry.is_main]
    return tuple((f"[{n}]", f"series{n}") for n in numbers) if len(numbers) > 1 else ()
