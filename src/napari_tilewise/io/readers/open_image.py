"""Opening sources: arrays, paths and URLs become an `Image`, without reading its pixels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from napari_tilewise.engine.labelled import is_labelled
from napari_tilewise.errors import InvalidParameter, SourceNotFound, SourceUnreadable, option
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers import hdf5, microscopes, npy, pictures, tiff
from napari_tilewise.io.readers.checked_arrays import CheckedArray

FORMATS = (
    "OME-Zarr 0.4 and 0.5, Zarr arrays, TIFF (BigTIFF, OME-TIFF, ImageJ), HDF5, .npy, "
    "PNG, JPEG and others that Pillow reads; CZI, LIF, ND2 and other microscope formats with bioio"
)
"""The formats that can be read, for messages."""


def open_image(source: object, *, level: int = 0, series: int = 0) -> Image:
    """Open an image without reading its pixels (except PNG, JPEG and similar: read at once).

    Parameters
    ----------
    source
        A path (``file.h5::/dataset`` within HDF5), a URL, an `Image`, or anything with `shape`,
        `dtype` and slicing.
    level
        Level of the pyramid that becomes `data`, with its `scale`; 0 is the finest.
    series
        Which image of a file that holds several; 0, the first, is the only one that the readers
        can open so far.

    Returns
    -------
    Image
        Lazy: `data` reads the pixels that it is sliced for.

    Raises
    ------
    SourceNotFound
        When there is nothing at the path.
    SourceUnreadable
        When it is not an image of a known format.
    InvalidParameter
        When there is no such level or series.
    """
    if series != 0:
        raise InvalidParameter(
            f"series={series!r} cannot be opened: only the first series of a file can be read; "
            "give series=0, or save the other one as a file of its own."
        )
    if isinstance(source, Image):
        image = source
    elif isinstance(source, (str, os.PathLike)):
        image = _from_location(os.fspath(source))
    elif all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
        image = _from_array(source)
    else:
        raise SourceUnreadable(
            f"A source of type {type(source).__name__} cannot be read; expected a path, a URL or "
            "an array: give anything with shape, dtype and slicing."
        )
    return image if level == 0 else _at_level(image, level)


def _at_level(image: Image, level: int) -> Image:
    if not 0 <= level < len(image.levels):
        raise InvalidParameter(
            f"{option('level', level)} is not a level of {image.name!r}; "
            f"expected 0 to {len(image.levels) - 1}."
        )
    finest, data = image.levels[0].shape, image.levels[level]
    if image.level_scales:
        scale = image.level_scales[level]
    else:
        sizes = zip(image.scale, finest, data.shape, strict=True)
        scale = tuple(s * n / m if m else s for s, n, m in sizes)
    return replace(image, data=data, scale=scale)


def _from_location(location: str) -> Image:
    url = urlsplit(location)
    if url.scheme == "file":
        return _from_location(unquote(url.path))
    if "://" in location:
        from napari_tilewise.io.readers.zarr_arrays import open_zarr

        return open_zarr(location)
    location, inside = hdf5.split(location)
    path = Path(location).expanduser()
    try:
        if path.is_dir():
            return _from_folder(path, location)
        with path.open("rb") as file:
            start = file.read(8)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceNotFound(
            f"There is nothing at {location!r} (looked in {str(path.parent.absolute())!r}); "
            "check the spelling of the path."
        ) from None
    except PermissionError as exc:
        raise SourceUnreadable(
            f"{location!r} cannot be opened ({exc.strerror}); expected a file that you may read: "
            "change its permissions."
        ) from exc
    if inside and not start.startswith(hdf5.MAGIC):
        raise SourceUnreadable(
            f"{location!r} is not an HDF5 file, so it has no dataset {inside!r}; expected an HDF5 "
            "file before '::': remove '::' and what follows."
        )
    return _from_file(path, location, start, inside)


def _from_folder(path: Path, name: str) -> Image:
    from napari_tilewise.io.readers.zarr_arrays import is_zarr, open_zarr

    if is_zarr(path):
        return replace(open_zarr(str(path)), name=name)
    raise SourceUnreadable(
        f"{name!r} is a folder but not a Zarr (it holds no zarr.json, .zgroup or .zarray); "
        f"expected one of {FORMATS}: for many images use napari_tilewise.batch."
    )


def _from_file(path: Path, name: str, start: bytes, inside: str) -> Image:
    if start[:4] in tiff.MAGIC:
        return tiff.open_tiff(path, name)
    if start.startswith(npy.MAGIC):
        return npy.open_npy(path, name)
    if path.suffix.lower() in microscopes.PLUGINS:  # some of them are HDF5 inside
        return microscopes.open_with_bioio(path, name)
    if start.startswith(hdf5.MAGIC):
        return hdf5.open_hdf5(path, name, inside)
    return pictures.open_picture(path, name, FORMATS)


def _from_array(source: Any) -> Image:
    if type(source).__module__.partition(".")[0] == "zarr":
        from napari_tilewise.io.readers.zarr_arrays import array_location, from_array

        location = array_location(source)
        if location is not None:
            return from_array(source, location)
        # Without a name that opens it, it is an array like others.
        return replace(from_array(source, f"zarr.Array {source.name}"), format="array")
    if is_labelled(source):
        from napari_tilewise.io.readers.labelled_arrays import open_labelled

        return open_labelled(source)
    if hasattr(source.dtype, "numpy_dtype"):  # TensorStore's, which is not a data type of NumPy
        name = type(source).__name__
        return bare(CheckedArray(source, name, waits=None), name, "array")
    return bare(source, type(source).__name__, "array")
