"""What the text of a source names: a file, and perhaps a dataset or one of several images in it.

``file.h5::/path`` is a dataset, ``slide.ome.tif[1]`` the second image of a file. A file that has
just this name comes first, and ``~name`` is a name: only ``~`` and ``~/...`` are the home folder.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from napari_tilewise.errors import SourceNotFound, SourceUnreadable

_SERIES = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


_LONGEST = 255
"""Bytes of a name, on the usual file systems; on Windows its UTF-16 units."""
_SHOWN = 200


def odd_path(text: str) -> str | None:
    """Return why a text cannot be a local path; None where it can.

    Parameters
    ----------
    text
        The text.
    """
    if not text:
        return "The path is empty"
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        return f"The path {text[:_SHOWN]!r} has a character that no file name has"
    if b"\0" in encoded:
        return f"The path {text[:_SHOWN]!r} has a null character, which no file name has"
    names = text.replace(os.altsep or os.sep, os.sep).split(os.sep)
    if any(_length(name) > _LONGEST for name in names):
        unit = "UTF-16 units" if os.name == "nt" else "bytes"
        return f"The path {text[:_SHOWN]!r}... has a name of more than {_LONGEST} {unit}"
    return None


def _length(name: str) -> int:
    if os.name == "nt":
        return len(name.encode("utf-16-le", "surrogatepass")) // 2
    return len(os.fsencode(name))


def path_of_url(url: str) -> str:
    """Return the local path that a ``file:`` URL names.

    Parameters
    ----------
    url
        Such as ``file:///data/a%20b.tif``; on Windows ``file:///C:/data`` and ``file://server/data``.
    """
    parts = urlsplit(url)
    is_share = os.name == "nt" and parts.netloc not in ("", "localhost")
    return url2pathname(f"//{parts.netloc}{parts.path}" if is_share else parts.path)


def checked_path(source: object) -> str:
    """Return the text of a path or URL; raise `SourceNotFound` if no file can have it.

    Parameters
    ----------
    source
        A path or URL, as the user named it.

    Raises
    ------
    SourceNotFound
        When no file can have this name.
    SourceUnreadable
        When it is something else.
    """
    if not isinstance(source, str | os.PathLike):
        raise SourceUnreadable(
            f"A source of type {type(source).__name__} cannot be read; expected a path or a URL."
        )
    text = os.fspath(source)
    problem = None if "://" in text else odd_path(text)
    if problem is not None:
        raise SourceNotFound(f"{problem}; expected the path of a file or a folder.")
    return text


@dataclass(frozen=True)
class Location:
    """A local source by its parts."""

    path: Path
    """The file or folder, as the user named it."""
    dataset: str = ""
    """Path of a dataset in an HDF5 file; empty: not named."""
    series: int | None = None
    """Number of an image in a file of several; None: not named."""


def home_path(text: str | os.PathLike[str]) -> Path:
    """Return a local path with the home folder in the place of ``~``.

    Parameters
    ----------
    text
        A path; ``~name`` is a name like any other.
    """
    path = text if isinstance(text, Path) else Path(text)
    if "~" not in os.fspath(text):
        return path
    return path.expanduser() if path.parts[:1] == ("~",) else path


def split_location(text: str) -> Location:
    """Return what the text of a local source names.

    Parameters
    ----------
    text
        A path, ``file.h5::/path`` or ``slide.ome.tif[1]``.
    """
    path = home_path(text)
    if os.path.lexists(path):
        return Location(path)
    match = _SERIES.fullmatch(text)
    if match and os.path.lexists(home_path(match[1])):
        return Location(home_path(match[1]), series=int(match[2]))
    file, separator, dataset = text.rpartition("::")
    return Location(home_path(file), dataset) if separator else Location(path)


def file_of(text: str) -> str:
    """Return the path of the file or folder that holds a local source.

    Parameters
    ----------
    text
        See `split_location`.
    """
    return str(split_location(text).path)


def is_readable_kind(path: Path) -> bool:
    """Return whether a path is not one of those that wait for another program: pipes, sockets.

    Parameters
    ----------
    path
        A local path; one that does not exist may be read.
    """
    return _kind(path) is None


def check_kind(path: Path, name: str) -> None:
    """Raise `SourceUnreadable` for a pipe, a socket or a device, which would not end.

    Parameters
    ----------
    path
        A local path.
    name
        The source, as the user named it.
    """
    kind = _kind(path)
    if kind is not None:
        raise SourceUnreadable(
            f"{name!r} is {kind}; expected a file or a folder: write its content to a file first."
        )


def _kind(path: Path) -> str | None:
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return None
