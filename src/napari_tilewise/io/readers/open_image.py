"""Opening sources: arrays, paths and URLs become an `Image`, without reading its pixels."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_tilewise.engine.system.from_zero import from_zero
from napari_tilewise.errors import (
    InvalidParameter,
    SourceNotFound,
    SourceUnreadable,
    SourceWarning,
    TilewiseError,
    command,
    option,
)
from napari_tilewise.io.image import Image, bare, check_series
from napari_tilewise.io.readers import hdf5, microscopes, netpbm, npy, pictures, tiff_header
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.file_series import is_series, open_series
from napari_tilewise.io.readers.locations import (
    Location,
    check_kind,
    checked_path,
    path_of_url,
    split_location,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = (
    "OME-Zarr 0.4 and 0.5, Zarr arrays, TIFF (BigTIFF, OME-TIFF, ImageJ), HDF5, .npy, "
    "PNG, JPEG and others that Pillow reads; CZI, LIF, ND2 and other microscope formats with bioio"
)
"""The formats that can be read, for messages."""


SUFFIXES = (
    ".ome.zarr", ".zarr", *tiff_header.SUFFIXES, *npy.SUFFIXES, *hdf5.SUFFIXES, *pictures.SUFFIXES,
    *microscopes.PLUGINS,
)  # fmt: skip
"""Suffixes of all that can be read, longer ones before shorter ones that they end with."""


def open_image(source: object, *, level: int = 0, series: int | None = None) -> Image:
    """Open an image without reading its pixels (except small PNGs, JPEGs and similar).

    Parameters
    ----------
    source
        A path (``file.h5::/dataset`` within HDF5, ``slide.ome.tif[1]`` for the second image of a
        file), a pattern (``frames/*.tif``: the files in natural order are the first axis), a URL,
        an `Image`, or anything with `shape`, `dtype` and slicing.
    level
        Level of the pyramid that becomes `data`, with its `scale`; 0 is the finest.
    series
        Which image of a file that holds several (series of a TIFF, scenes of a microscope's file);
        by default the one that `source` names, or the first, with a warning.

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

    Warns
    -----
    SourceWarning
        When the file holds several images and none was chosen, or a library found it odd.
    """
    if isinstance(source, (str, os.PathLike)):
        image = _from_location(checked_path(source), series)
    elif series not in (None, getattr(source, "series", 0)):
        raise InvalidParameter(
            f"{option('series', series)}: an array has no series; expected a path: omit it."
        )
    elif isinstance(source, Image):
        image = source
    elif all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
        image = _from_array(source)
    else:
        raise SourceUnreadable(
            f"A source of type {type(source).__name__} cannot be read; expected a path, a URL or "
            "an array: give anything with shape, dtype and slicing."
        )
    return image if level == 0 else _at_level(image, level)


def open_header(location: str) -> Image:
    """Open an image of which nothing but metadata is read: pictures too.

    Parameters
    ----------
    location
        A path or URL.
    """
    return _from_location(location, None, decodes=False)


def _at_level(image: Image, level: int) -> Image:
    if level not in range(len(image.levels)):
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


def _from_location(location: str, series: int | None, *, decodes: bool = True) -> Image:
    if is_series(location):
        check_series(series or 0, 1, location)
        return open_series(location, open_image)
    if location[:5].lower() == "file:":
        return _from_location(path_of_url(location), series, decodes=decodes)
    if "://" in location:
        from napari_tilewise.io.readers.zarr_arrays import open_zarr

        return open_zarr(location)
    parts = split_location(location)
    path, number = parts.path, parts.series if series is None else series
    check_kind(path, location)
    with _refusals(path, location):
        if path.is_dir():
            check_series(number or 0, 1, location)
            return _from_folder(path, location)
        with open(path, "rb", buffering=0) as file:
            start = file.read(8)
    name = location if parts.series is None else location[: location.rindex("[")]
    image = _from_file(parts, name, start, number or 0, decodes=decodes)
    count = sum(entry.is_main for entry in image.all_series)
    if number is not None and image.all_series:
        return replace(image, name=f"{name}[{number}]")
    if count > 1:
        warnings.warn(
            f"{location!r} holds {count} images: the first is taken. {f'{location}[1]'!r} is the "
            "second; a batch takes each of them.",
            SourceWarning,
            stacklevel=4,
        )
    return image


@contextmanager
def _refusals(path: Path, location: str) -> Iterator[None]:
    """Raise what the system says of a location in the words of this package."""
    try:
        yield
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
    except TilewiseError:
        raise
    except OSError as exc:
        raise SourceUnreadable(
            f"{location!r} cannot be opened ({exc.strerror}); expected a file or a folder that "
            "this system can open."
        ) from exc


def _from_folder(path: Path, name: str) -> Image:
    from napari_tilewise.io.readers.zarr_arrays import open_zarr
    from napari_tilewise.io.readers.zarr_folders import is_zarr

    if is_zarr(path):
        return replace(open_zarr(str(path)), name=name)
    raise SourceUnreadable(
        f"{name!r} is a folder but not a Zarr (it holds no zarr.json, .zgroup or .zarray); "
        f"expected one of {FORMATS}: for many images use "
        f"{command('napari_tilewise.batch', 'napari-tilewise batch')}."
    )


def _from_file(parts: Location, name: str, start: bytes, number: int, *, decodes: bool) -> Image:
    path, inside = parts.path, parts.dataset
    if inside and not start.startswith(hdf5.MAGIC):
        raise SourceUnreadable(
            f"{name!r} is not an HDF5 file, so it has no dataset {inside!r}; expected an HDF5 "
            "file before '::': remove '::' and what follows."
        )
    # Some of them are HDF5 inside, or a TIFF of an overview whose pixels are in other files.
    if path.suffix.lower() in microscopes.PLUGINS and not inside:
        return microscopes.open_with_bioio(path, name, number)
    if start[:4] in tiff_header.MAGIC:
        from napari_tilewise.io.readers import tiff

        return tiff.open_tiff(path, name, number)
    check_series(number, 1, name)
    if start.startswith(npy.MAGIC):
        return npy.open_npy(path, name)
    if start.startswith(hdf5.MAGIC):
        return hdf5.open_hdf5(path, name.removesuffix(f"::{inside}"), inside)
    if start.startswith(netpbm.MAGIC):
        return netpbm.open_netpbm(path, name)
    return pictures.open_picture(path, name, FORMATS, decodes=decodes)


def _from_array(source: Any) -> Image:
    if type(source).__module__.partition(".")[0] == "zarr":
        from napari_tilewise.io.readers.zarr_arrays import array_location, from_array

        location = array_location(source)
        if location is not None:
            return from_array(source, location)
        # Without a name that opens it, it is an array like others.
        return replace(from_array(source, f"zarr.Array {source.name}"), format="array")
    if all(hasattr(source, name) for name in ("dims", "coords", "attrs")):
        from napari_tilewise.io.readers.labelled_arrays import open_labelled

        return open_labelled(source)
    if hasattr(source.dtype, "numpy_dtype"):  # TensorStore's, which is not a data type of NumPy
        name = type(source).__name__
        return bare(CheckedArray(from_zero(source), name, waits=None), name, "array")
    return bare(source, type(source).__name__, "array")
