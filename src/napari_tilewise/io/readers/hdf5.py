"""Reading HDF5 lazily: one dataset of a file, the only one unless it is named.

What is known of its axes and pixel size is what ImageJ's and ilastik's plugins write: the
attributes ``element_size_um`` and ``axistags``, and HDF5's own names of dimensions.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_tilewise.axes import KINDS
from napari_tilewise.errors import MissingExtra, SourceUnreadable
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers.guarded import DECODE_ERRORS, Guarded, read_error

MAGIC = b"\x89HDF\r\n\x1a\n"
"""The first bytes of the file."""


def split(location: str) -> tuple[str, str]:
    """Return the path of a file, and of what is meant within it: ``file.h5::/path``.

    Parameters
    ----------
    location
        A local path.
    """
    path, separator, inside = location.rpartition("::")
    if separator and not Path(location).expanduser().exists():
        return path, inside
    return location, ""


def open_hdf5(path: Path, name: str, inside: str = "") -> Image:
    """Open a dataset of an HDF5 file.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    inside
        The dataset's path in the file; empty: the only one.
    """
    h5py = _h5py(name)
    try:
        with h5py.File(path, "r") as file:
            key = _dataset(h5py, file, name, inside)
            axes, sizes = _axes(file[key]), _sizes(file[key])
        whole = f"{name}::{key}"
        data = _opened(str(path), key, whole)
    except DECODE_ERRORS as exc:
        raise read_error(exc, name) from exc
    image = bare(data, whole, "hdf5", axes or None)
    by_axis = dict(zip("zyx", sizes, strict=True)) if len(sizes) == 3 else {}
    if not image.axes:
        return image
    return replace(
        image,
        scale=tuple(by_axis.get(axis, 1.0) for axis in image.axes),
        units=tuple("micrometer" if axis in by_axis else None for axis in image.axes),
    )


def _opened(path: str, key: str, name: str) -> Guarded:
    file = _h5py(name).File(path, "r")
    reopen = partial(_opened, path, key, name)
    return Guarded(file[key], name, reopen=reopen, close=file.close)


def _h5py(name: str) -> Any:
    try:
        import h5py
    except ImportError as exc:
        raise MissingExtra(
            f"{name!r} is an HDF5 file, which needs h5py; install it: "
            "pip install 'napari-tilewise[hdf5]'."
        ) from exc
    return h5py


def _dataset(h5py: Any, file: Any, name: str, inside: str) -> str:
    """Return the path of the dataset that is meant."""
    found: list[str] = []

    def look(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim and item.dtype.kind in "biufc":
            found.append(f"/{key}")

    file.visititems(look)
    wanted = f"/{inside.strip('/')}"
    if inside and wanted in found:
        return wanted
    if not inside and len(found) == 1:
        return found[0]
    shown = ", ".join(map(repr, found[:8])) + (", ..." if len(found) > 8 else "")
    has = f"holds the arrays {shown}" if found else "holds no array of numbers"
    example = found[0] if found else "/path"
    raise SourceUnreadable(
        f"{name!r} {has}{f', not {wanted!r}' if inside else ''}; expected the name of one of them: "
        f"give it as in {f'{name}::{example}'!r}."
    )


def _axes(dataset: Any) -> tuple[str, ...]:
    """Return one letter per axis where the dataset names its axes, else nothing."""
    names = [str(dimension.label) for dimension in dataset.dims]
    with suppress(KeyError, ValueError, TypeError):
        tags = json.loads(dataset.attrs["axistags"])
        names = [str(axis["key"]) for axis in tags["axes"]]
    letters = tuple(name.lower() for name in names)
    known = len(set(letters)) == dataset.ndim and set(letters) <= set(KINDS)
    return letters if known else ()


def _sizes(dataset: Any) -> tuple[float, ...]:
    """Return the size of a pixel along z, y and x in micrometres, where it is told."""
    with suppress(KeyError, ValueError, TypeError):
        return tuple(float(size) for size in dataset.attrs["element_size_um"])
    return ()
