"""Output appears complete or not at all: it grows under a hidden name beside its destination.

Nothing under the final name is touched until the output is complete; then one rename replaces it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, TypeVar
from unicodedata import normalize
from uuid import uuid4

from napari_tilewise.engine.system.disk import writing
from napari_tilewise.engine.system.file_names import rename
from napari_tilewise.engine.system.real_paths import real_folder, real_path
from napari_tilewise.errors import DestinationExists, DestinationUnwritable, option
from napari_tilewise.io.image import Image
from napari_tilewise.io.readers.locations import file_of, home_path, odd_path, path_of_url
from napari_tilewise.io.readers.zarr_folders import is_zarr

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MARK = ".partial-"
_SEPARATORS = frozenset(filter(None, (os.sep, os.altsep)))


def local_path(destination: object) -> Path:
    """Return a destination as an absolute local path.

    Parameters
    ----------
    destination
        A path; a URL other than ``file://`` is refused.
    """
    if not isinstance(destination, (str, os.PathLike)):
        raise DestinationUnwritable(
            f"A destination of type {type(destination).__name__} cannot be written; give a path."
        )
    text = str(os.fspath(destination))
    problem = odd_path(text)
    if problem is not None:
        raise DestinationUnwritable(f"{problem}: give another destination.")
    if text.startswith("file:"):
        text = path_of_url(text)
    elif "://" in text:
        raise DestinationUnwritable(
            f"{text!r} is a URL, and only local folders can be written; "
            "write to a path and copy the result there."
        )
    # Links in the parents are followed, the last name is not: a link is replaced, not its target.
    path = home_path(text)
    if path.name in {"", ".."}:
        return path.resolve()
    return Path(real_folder(str(path.parent)), path.name)


def same_location(a: object, b: object) -> bool:
    """Return whether two sources or destinations are the same on disk, or one contains the other.

    Parameters
    ----------
    a
        A path, an `Image`, or an array that knows its store.
    b
        Another.
    """
    first, second = _location(a), _location(b)
    if first is None or second is None:
        return False
    if _begins_with(first, second) or _begins_with(second, first):
        return True
    return _is_same_or_within(first, second) or _is_same_or_within(second, first)


def _begins_with(inner: str, outer: str) -> bool:
    """Return whether a path is another one, or leads into it, by their names."""
    inner, outer = os.path.normcase(inner), os.path.normcase(outer)
    return inner == outer or inner.startswith(outer if outer[-1] in _SEPARATORS else outer + os.sep)


def _is_same_or_within(inner: str, outer: str) -> bool:
    """Return whether the file system says so: names may differ by case, or by Unicode form.

    Of two hard links each is replaced without the other, so that files also have one name.
    """
    try:
        status = os.stat(outer)
    except OSError:
        return False
    is_folder = S_ISDIR(status.st_mode)
    for path in (inner, *map(str, Path(inner).parents)) if is_folder else (inner,):
        with suppress(OSError):
            if os.path.samestat(os.stat(path), status):
                names = map(os.path.basename, (path, outer))
                return is_folder or len(set(map(_folded, names))) == 1
    return False


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()


def _location(source: object) -> str | None:
    if isinstance(source, Image):
        source = source.data if source.format == "array" else source.name
    if isinstance(source, (str, os.PathLike)):
        text = str(os.fspath(source))
        if "://" in text and not text.startswith("file://"):
            return None
        if "://" in text:
            return str(local_path(text).resolve())
        return real_path(file_of(text))
    root = getattr(getattr(source, "store", None), "root", None)  # a Zarr array's
    if isinstance(root, (str, os.PathLike)):
        return str((Path(root) / str(getattr(source, "path", ""))).resolve())
    filename = getattr(source, "filename", None)  # a memory map's
    return os.path.realpath(filename) if isinstance(filename, (str, os.PathLike)) else None


def check_vacant(path: Path, *, overwrite: bool) -> None:
    """Refuse a destination that exists, unless it is a Zarr that may be overwritten.

    Parameters
    ----------
    path
        The final name.
    overwrite
        Whether an old output may be replaced.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise DestinationExists(
            f"{str(path)!r} exists; give another destination, or "
            f"{option('overwrite', True)} to replace it."
        )
    if path.is_symlink() or not path.is_dir() or not is_zarr(path):
        raise DestinationUnwritable(
            f"{str(path)!r} exists and is not a Zarr, so it is not overwritten; expected a Zarr "
            "or nothing: give another destination, or remove it yourself."
        )


def new_staging(path: Path) -> Path:
    """Create an empty hidden folder beside a destination, and the destination's parents.

    Parameters
    ----------
    path
        The final name.
    """
    staging = hidden_name(path)
    with writing(path):
        create_beside(path, staging.mkdir)
    return staging


def hidden_name(path: Path) -> Path:
    """Return a hidden name beside a destination, which nothing has.

    Parameters
    ----------
    path
        The final name.
    """
    return path.parent / f".{path.name}{_MARK}{uuid4().hex[:12]}"


def create_beside(path: Path, create: Callable[[], T]) -> T:
    """Create something in the folder of a destination, which is created where it is missing.

    Parameters
    ----------
    path
        The final name.
    create
        Creates it; called again once the folder is there.
    """
    try:
        return create()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return create()


def partials(path: Path) -> list[Path]:
    """Return the staging folders beside a destination, the newest first.

    Parameters
    ----------
    path
        The final name.
    """
    prefix = f".{path.name}{_MARK}"
    if not path.parent.is_dir():
        return []
    with os.scandir(path.parent) as entries:  # of a batch there are thousands
        folders = [Path(entry) for entry in entries if entry.name.startswith(prefix)]
    folders = [folder for folder in folders if folder.is_dir()]
    return sorted(folders, key=lambda p: p.stat().st_mtime, reverse=True)


def is_partial(path: Path) -> bool:
    """Return whether a path has the name of a staging folder."""
    return path.name.startswith(".") and _MARK in path.name


def publish(staging: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete staging folder its final name; an old output is removed only then.

    Parameters
    ----------
    staging
        The complete output.
    path
        The final name.
    overwrite
        Whether an old output may be replaced.
    """
    check_vacant(path, overwrite=overwrite)
    with writing(path):
        if not path.exists():
            try:
                rename(staging, path)
            except OSError:
                check_vacant(path, overwrite=False)  # another run was faster
                raise
            return
        old = path.parent / f".{path.name}.old-{uuid4().hex[:12]}"
        rename(path, old)
        try:
            rename(staging, path)
        except OSError:
            rename(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
