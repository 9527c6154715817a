"""Opening sources: arrays, paths and URLs become one thing, an `Image`, without reading it."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np

from napari_tilewise.errors import InvalidParameter, SourceNotFound, SourceUnreadable
from napari_tilewise.io.guarded import DECODE_ERRORS, Guarded, read_error
from napari_tilewise.io.image import Image, Pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = (
    "OME-Zarr 0.4 and 0.5, Zarr arrays, TIFF (BigTIFF, OME-TIFF, ImageJ), .npy, "
    "PNG, JPEG and what else Pillow reads"
)
"""The formats known, in words."""

_NPY = b"\x93NUMPY"


def open_image(source: object, *, level: int = 0) -> Image:
    """Open an image without reading its pixels (except PNG, JPEG and their like: read at once).

    Parameters
    ----------
    source
        A path, a URL, an `Image`, or anything with `shape`, `dtype` and slicing.
    level
        Which level of a pyramid becomes `data`; 0 is the finest. Its `scale` follows.
    """
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
            f"level={level!r} is not a level of {image.name!r}; "
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
        from napari_tilewise.io.zarrs import open_zarr

        return open_zarr(location)
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
    return _from_file(path, location, start)


def _from_folder(path: Path, name: str) -> Image:
    from napari_tilewise.io.zarrs import is_zarr, open_zarr

    if is_zarr(path):
        return replace(open_zarr(str(path)), name=name)
    raise SourceUnreadable(
        f"{name!r} is a folder but not a Zarr (it holds no zarr.json, .zgroup or .zarray); "
        f"expected one of {FORMATS}: for many images use napari_tilewise.batch."
    )


def _from_file(path: Path, name: str, start: bytes) -> Image:
    from napari_tilewise.io.tiff import MAGIC, open_tiff

    if start[:4] in MAGIC:
        return open_tiff(path, name)
    if start.startswith(_NPY):
        try:
            data = _open_npy(str(path), name)
        except DECODE_ERRORS as exc:
            raise read_error(exc, name) from exc
        return _bare(data, name, "npy")
    return _picture(path, name)


def _open_npy(path: str, name: str) -> Guarded:
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return Guarded(pixels, name, reopen=partial(_open_npy, path, name))


def _picture(path: Path, name: str) -> Image:
    import imageio.v3 as iio
    from PIL.Image import DecompressionBombError

    try:
        data = np.asarray(iio.imread(path, plugin="pillow"))
    except (*DECODE_ERRORS, DecompressionBombError) as exc:
        why = str(exc).partition("\n")[0]
        raise SourceUnreadable(
            f"{name!r} cannot be read as an image ({type(exc).__name__}: {why}); "
            f"expected one of {FORMATS}: convert it, or restore it from its original."
        ) from exc
    is_color = data.ndim > 2 and data.shape[-1] in {3, 4}
    axes = "q" * (data.ndim - 2 - is_color) + "yx" + "c" * is_color
    return _bare(data, name, path.suffix.lstrip(".").lower() or "picture", tuple(axes))


def _from_array(source: Any) -> Image:
    if type(source).__module__.partition(".")[0] == "zarr":
        from napari_tilewise.io.zarrs import from_array

        return from_array(source, str(source.store_path))
    return _bare(source, type(source).__name__, "array")


def _bare(data: Pixels, name: str, form: str, axes: Sequence[str] | None = None) -> Image:
    ndim = len(data.shape)
    if axes is None:
        axes = ("y", "x") if ndim == 2 else ()
    return Image(
        data=data,
        axes=tuple(axes),
        scale=(1.0,) * ndim,
        units=(None,) * ndim,
        levels=(data,),
        labels=False,
        name=name,
        recipe=None,
        format=form,
    )
