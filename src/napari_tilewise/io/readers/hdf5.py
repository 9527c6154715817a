"""Reading HDF5 lazily: one dataset of a file, named unless it is the only one.

Its axes and pixel size are known from what ImageJ's and ilastik's plugins write: the
attributes ``element_size_um`` and ``axistags``, and HDF5's own names of dimensions. Three sizes of
three axes are those of ``zyx``; other axes get them once the user names them.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_tilewise.axes import KINDS
from napari_tilewise.errors import MissingExtra, SourceUnreadable, SourceWarning
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers.checked_arrays import DECODE_ERRORS, CheckedArray, read_error

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import h5py

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
"""Suffixes of files of this format."""
MAGIC = b"\x89HDF\r\n\x1a\n"
"""The first bytes of the file."""


def dataset_location(array: Any) -> str | None:
    """Return the name under which any process opens an h5py dataset; None where there is none.

    Parameters
    ----------
    array
        Any array. A dataset in memory has no name; one that may be written to is locked.
    """
    if type(array).__module__.partition(".")[0] != "h5py":
        return None
    file = array.file
    if file.mode != "r" or file.driver == "core" or not os.path.isfile(file.filename):
        return None
    return f"{os.path.abspath(file.filename)}::{array.name}"


def open_hdf5(path: Path, name: str, inside: str = "") -> Image:
    """Open a dataset of an HDF5 file.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    inside
        The dataset's path in the file; empty: the only dataset.
    """
    h5py = _h5py(name)
    try:
        with h5py.File(path, "r") as file:
            key = _dataset(h5py, file, name, inside)
            axes, sizes = _axes(file[key]), _sizes(file[key])
            is_empty = _is_empty(file[key])
        full_name = f"{name}::{key}"
        data = _open_dataset(str(path), key, full_name)
    except DECODE_ERRORS as exc:
        raise _error(exc, name) from exc
    if not axes and len(sizes) == len(data.shape) == 3:
        axes = ("z", "y", "x")
    if is_empty:
        warnings.warn(
            f"{full_name!r} has no pixel in the file: all of them are its fill value. If they were "
            "written, restore the file from its original.",
            SourceWarning,
            stacklevel=2,
        )
    image = bare(data, full_name, "hdf5", axes or None)
    sizes_of_zyx = dict(zip("zyx", sizes, strict=True)) if len(sizes) == 3 else {}
    by_axis = {axis: (size, "micrometer") for axis, size in sizes_of_zyx.items()}
    return replace(image, sizes_by_axis=by_axis).named(image.axes)


def _is_empty(dataset: h5py.Dataset) -> bool:
    """Return whether a dataset has pixels, none of which was written."""
    is_own = not (dataset.is_virtual or dataset.external)
    return is_own and dataset.size > 0 and not dataset.id.get_storage_size()


def _error(exc: Exception, name: str) -> SourceUnreadable:
    """Return the error for a file that cannot be opened, with both lengths of one that was cut."""
    lengths = re.search(r"truncated file: eof = (\d+), .*stored_eof = (\d+)", str(exc))
    if lengths is None:
        return read_error(exc, name)
    return SourceUnreadable(
        f"{name!r} is {lengths[1]} bytes long, its content ends at byte {lengths[2]}: expected the "
        "whole file. Copy it again from its original."
    )


def _open_dataset(path: str, key: str, name: str) -> CheckedArray:
    file = _h5py(name).File(path, "r")
    _refuse_outside(file[key], name)
    _refuse_filters(file[key], name)
    reopen = partial(_open_dataset, path, key, name)
    return CheckedArray(file[key], name, reopen=reopen, close=file.close, files=[path])


def _refuse_outside(dataset: h5py.Dataset, name: str) -> None:
    """Refuse a dataset whose pixels are in other files, which the file alone decides about."""
    files = [file for file, *_ in dataset.external or ()]
    if dataset.is_virtual:
        files += [part.file_name for part in dataset.virtual_sources() if part.file_name != "."]
    if files:
        raise SourceUnreadable(
            f"{name!r} has its pixels in {files[0]!r}, another file; expected pixels in the file "
            "itself: open that file, or copy the dataset with h5repack."
        )


def _refuse_filters(dataset: h5py.Dataset, name: str) -> None:
    """Refuse a compression that HDF5 takes from a plugin which is not there."""
    h5py, settings = _h5py(name), dataset.id.get_create_plist()
    filters = [settings.get_filter(number) for number in range(settings.get_nfilters())]
    if all(h5py.h5z.filter_avail(code) for code, *_ in filters):
        return
    with suppress(ImportError):
        import_module("hdf5plugin")
    for code, _, _, label in filters:
        if not h5py.h5z.filter_avail(code):
            raise MissingExtra(
                f"{name!r} is compressed by the filter {label.decode(errors='replace')!r} "
                f"({code}), which is not installed; install it: pip install hdf5plugin."
            )


def _h5py(name: str) -> ModuleType:
    try:
        return import_module("h5py")
    except ImportError as exc:
        raise MissingExtra(
            f"{name!r} is an HDF5 file, which needs h5py; install it: "
            "pip install 'napari-tilewise[hdf5]'."
        ) from exc


def _dataset(h5py: ModuleType, file: h5py.File, name: str, inside: str) -> str:
    """Return the path of the dataset that is requested, or of the only one."""
    paths = _datasets(h5py, file)
    requested = f"/{inside.strip('/')}"
    if inside and requested in paths:
        return requested
    if not inside and len(paths) == 1:
        return paths[0]
    link = _external(h5py, file, inside)
    if link is not None:
        raise SourceUnreadable(
            f"{name!r} has only a link to {link.filename!r} at {requested!r}, and links to other "
            f"files are not followed: open {f'{link.filename}::{link.path}'!r}."
        )
    if not paths:
        raise SourceUnreadable(
            f"{name!r} holds no array of numbers{f' at {requested!r}' if inside else ''}; expected "
            "an image: restore the file from its original."
        )
    shown = ", ".join(map(repr, paths[:8])) + (", ..." if len(paths) > 8 else "")
    raise SourceUnreadable(
        f"{name!r} holds the arrays {shown}{f', not {requested!r}' if inside else ''}; expected "
        f"the name of one of them: give it as in {f'{name}::{paths[0]}'!r}."
    )


def _external(h5py: ModuleType, file: h5py.File, inside: str) -> h5py.ExternalLink | None:
    """Return the first link to another file on the way to a dataset; None where there is none."""
    group, parts = file, inside.strip("/").split("/")
    for part in parts if inside else ():
        link = group.get(part, getlink=True) if part and part in group.keys() else None
        if isinstance(link, h5py.ExternalLink):
            return link
        if link is None or not isinstance(group[part], h5py.Group):
            return None
        group = group[part]
    return None


def _datasets(h5py: ModuleType, file: h5py.File) -> list[str]:
    """Return the paths of the arrays of numbers in a file."""
    paths: list[str] = []

    def look(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim and _kind(item) in "biufc":
            paths.append(f"/{key}")

    file.visititems(look)
    return paths


def _kind(dataset: h5py.Dataset) -> str:
    """Return the kind of a dataset's data type; "V" for one that NumPy has not."""
    try:
        return str(dataset.dtype.kind)
    except (ValueError, TypeError):  # such as a float of 112 bits of exponent
        return "V"


def datasets_of(path: Path) -> list[str]:
    """Return the paths of the arrays of numbers in an HDF5 file.

    Parameters
    ----------
    path
        An existing file.
    """
    h5py = _h5py(str(path))
    try:
        with h5py.File(path, "r") as file:
            return _datasets(h5py, file)
    except DECODE_ERRORS as exc:
        raise _error(exc, str(path)) from exc


def _axes(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return one letter per axis; empty where the dataset does not name its axes."""
    names = [str(dimension.label) for dimension in dataset.dims]
    with suppress(KeyError, ValueError, TypeError):
        tags = json.loads(dataset.attrs["axistags"])
        names = [str(axis["key"]) for axis in tags["axes"]]
    letters = tuple(name.lower() for name in names)
    is_valid = len(set(letters)) == dataset.ndim and set(letters) <= set(KINDS)
    return letters if is_valid else ()


def _sizes(dataset: h5py.Dataset) -> tuple[float, ...]:
    """Return the size of a pixel along z, y and x in micrometres; empty where unknown."""
    with suppress(KeyError, ValueError, TypeError):
        return tuple(float(size) for size in dataset.attrs["element_size_um"])
    return ()
