"""Reading TIFF lazily: uncompressed pixels are memory-mapped, others decoded chunk by chunk."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_tilewise.axes import KINDS
from napari_tilewise.errors import InvalidParameter, MissingExtra, SourceUnreadable
from napari_tilewise.io.image import KEY, Image, SeriesEntry, check_series
from napari_tilewise.io.metadata.channels import (
    RED_GREEN_BLUE,
    Channel,
    count_of,
    from_imagej,
    from_ome,
)
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.checked_arrays import (
    DECODE_ERRORS,
    CheckedArray,
    read_error,
)
from napari_tilewise.io.readers.library_messages import library_messages
from napari_tilewise.io.readers.tiff_details import read_text, split_info
from napari_tilewise.io.readers.tiff_header import (
    MappedPixels,
    image_alike,
    is_one_plain_page,
    plain_header,
    remember_alike,
)
from napari_tilewise.io.readers.tiff_integrity import (
    check_end,
    check_folder,
    check_places,
    check_planes,
    check_set,
    file_names,
)
from napari_tilewise.io.readers.tiff_samples import (
    InvertedPixels,
    PalettePixels,
    check_samples,
    has_warnings,
    is_white_zero,
    palette_of,
    samples_of_page,
    warn_of_multiplied_colours,
    warn_of_orientation,
)
from napari_tilewise.io.readers.tiff_strips import accept_long_strips

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_tilewise.io.plain_data import Metadata, MetadataDict
    from napari_tilewise.types import Array

_SLIDES = ("svs", "ndpi", "scn", "bif", "qpi", "philips", "ventana", "avs", "lsm")
"""Kinds of files whose first series is the image, and others belong to it."""
_ASSOCIATED = {"label", "label image", "macro", "macro image", "thumbnail", "overview"}
_INCH = 2
_MICROMETRES = {_INCH: 25_400.0, 3: 10_000.0}
"""Length of TIFF's units of resolution: inch and centimetre."""
_PRINTED = frozenset({1.0, 72.0, 96.0, 300.0})
"""Pixels per inch that programs write where they know no pixel size."""
_BROKEN = (*DECODE_ERRORS, KeyError, TypeError, AttributeError, IndexError)
_Sizes = dict[str, tuple[float, str | None]]


def open_tiff(path: Path, name: str, number: int = 0) -> Image:
    """Open a series of a TIFF: plain, BigTIFF, OME, ImageJ or a scanner's.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    number
        The series.
    """
    pixels: MappedPixels | None = None
    try:
        header = None if number else plain_header(path)
        alike = image_alike(header, path, name)
        if alike is not None:
            return alike
        check_places(path, name)
        with library_messages(name) as messages, tifffile.TiffFile(path) as tiff:
            check_end(tiff, name)
            check_set(tiff, name)
            check_series(number, len(tiff.series), name)
            check_planes(tiff, number, name)
            series = tiff.series[number]
            check_samples(series.keyframe, name)
            warn_of_orientation(series.keyframe, name)
            warn_of_multiplied_colours(series.keyframe, name)
            palette = palette_of(tiff, series.keyframe)
            entries = series_entries(tiff)
            axes = _letters(series.axes + "S" * (palette is not None))
            sizes = _sizes(tiff, number)
            count = len(series.levels)
            shape = (*series.shape, *(() if palette is None else (3,)))
            kind = next((k for k in ("ome", "imagej") if getattr(tiff, f"is_{k}")), "")
            _check_codec(tiff, name)
            channels = _channels(tiff, axes, shape, number) if palette is None else RED_GREEN_BLUE
            text = read_text(tiff, number, sizes)
            record = _record(tiff)
            levels = tuple(_level(tiff, str(path), name, level, number) for level in range(count))
            if count == len(entries) == 1 and not messages and not has_warnings(series.keyframe):
                pixels = _mapped(tiff, series.levels[0], 0, number)
    except (MissingExtra, InvalidParameter):
        raise
    except _BROKEN as exc:
        raise read_error(exc, name) from exc
    if len(axes) != len(shape):
        axes = ()
    unknown = (1.0, None)
    calibration = [sizes.get(axis, unknown) for axis in axes] or [unknown] * len(shape)
    details = text.details
    own = {path.name, path.name.partition(".")[0], re.sub(r"\.ome\.tiff?$", "", path.name)}
    if details.title in own:
        details = replace(details, title=None)
    position = tuple(text.position.get(axis, 0.0) for axis in axes)
    image = Image(
        data=levels[0],
        axes=axes,
        scale=tuple(scale for scale, _ in calibration),
        units=tuple(unit for _, unit in calibration),
        levels=levels,
        labels=bool(record.get("labels")),
        name=name,
        recipe=record.get("recipe"),
        format=f"{kind}-tiff" if kind else "tiff",
        channels=channels,
        series=number,
        all_series=entries if len(entries) > 1 else (),
        level_positions=(position,) if any(position) else (),
        details=details,
    )
    if header is not None and pixels is not None and text.details.title is None:
        remember_alike(header, image, pixels)
    return image


def contents_of_tiff(path: Path) -> tuple[tuple[SeriesEntry, ...], frozenset[str]]:
    """Return the images of a TIFF, and the names of the files of the OME-TIFF set that it is of.

    Parameters
    ----------
    path
        An existing file.

    Raises
    ------
    SourceUnreadable
        When it is damaged.
    """
    if is_one_plain_page(path):
        return (), frozenset()
    try:
        check_places(path, str(path))
        with library_messages(str(path), warn=False), tifffile.TiffFile(path) as tiff:
            check_folder(tiff, str(path))
            if tiff.is_ome and tiff.ome_metadata:
                names = frozenset(file_names(ElementTree.fromstring(tiff.ome_metadata)))
                return series_entries(tiff), names if len(names) > 1 else frozenset()
            return () if len(tiff.pages) == 1 else series_entries(tiff), frozenset()
    except (*_BROKEN, ElementTree.ParseError) as exc:
        raise read_error(exc, str(path)) from exc


def series_entries(tiff: tifffile.TiffFile) -> tuple[SeriesEntry, ...]:
    """Return the images of an open TIFF.

    Parameters
    ----------
    tiff
        The file.
    """
    is_slide = any(getattr(tiff, f"is_{kind}", False) for kind in _SLIDES)
    return tuple(
        SeriesEntry(
            number,
            series.name or "",
            tuple(series.shape),
            "".join(_letters(series.axes)),
            number == 0
            or not (
                is_slide
                or getattr(series.keyframe, "is_reduced", False)
                or (series.name or "").lower() in _ASSOCIATED
            ),
        )
        for number, series in enumerate(tiff.series)
    )


def read_tiff_record(path: Path) -> Metadata | None:
    """Return the record of how a TIFF of this package was made; None where there is none.

    Parameters
    ----------
    path
        An existing file.
    """
    try:
        check_places(path, str(path))
        with library_messages(str(path), warn=False), tifffile.TiffFile(path) as tiff:
            return _record(tiff) or None
    except _BROKEN as exc:
        raise read_error(exc, str(path)) from exc


def open_level(path: str, name: str, level: int, number: int = 0) -> CheckedArray:
    """Open one level of a series of a TIFF.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    level
        Number of the level, 0 the finest.
    number
        The series.
    """
    with tifffile.TiffFile(path) as tiff:
        return _level(tiff, path, name, level, number)


def _level(tiff: tifffile.TiffFile, path: str, name: str, level: int, number: int) -> CheckedArray:
    """Return one level of a series of a TIFF that is open; it may be closed then."""
    pages = tiff.series[number].levels[level]
    mapped = _mapped(tiff, pages, level, number)
    if mapped is not None:
        return mapped.open(path, name)
    import zarr

    with tifffile.TiffFile(path) as opened:  # the store opens the file again
        accept_long_strips(opened.series[number].levels[level].keyframe)
        store: Any = opened.aszarr(series=number, level=level)
    stored: Any = zarr.open_array(store, mode="r")
    return CheckedArray(
        _shown(tiff, pages.keyframe)(stored),
        name,
        reopen=partial(open_level, path, name, level, number),
        close=store.close,
        files=[] if pages.is_multifile else [path],
    )


def _mapped(
    tiff: tifffile.TiffFile, pages: tifffile.TiffPageSeries, level: int, number: int
) -> MappedPixels | None:
    """Return where the pixels of a level lie; None where they are compressed, or scattered."""
    if pages.dataoffset is None or not pages.size:
        return None
    return MappedPixels(
        np.dtype(pages.dtype.newbyteorder(tiff.byteorder).str),  # NumPy's own, where it is native
        pages.dataoffset,
        pages.shape,
        _shown(tiff, pages.keyframe),
        lambda path, name: partial(open_level, path, name, level, number),
        is_one_file=not pages.is_multifile,
    )


def _shown(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Callable[[Any], Any]:
    """Return what turns the numbers of a page into pixels, with 0 as black or as colours."""
    highest = 2**page.bitspersample - 1 if is_white_zero(tiff, page) else None
    return partial(_as_shown, highest=highest, palette=palette_of(tiff, page))


def _as_shown(pixels: Any, highest: int | None, palette: Array | None) -> Any:
    """Return pixels with 0 as black, and as the colours that they are numbers of."""
    if palette is not None:
        return PalettePixels(pixels, palette)
    return pixels if highest is None else InvertedPixels(pixels, highest)


def _check_codec(tiff: tifffile.TiffFile, name: str) -> None:
    """Refuse a compression whose decoder comes with an extra, before any pixel is read."""
    page = tiff.pages.first
    try:
        _ = tifffile.TIFF.DECOMPRESSORS[page.compression]
        if page.predictor != 1:
            _ = tifffile.TIFF.UNPREDICTORS[page.predictor]
    except KeyError as exc:
        if "not a known" in str(exc):  # tifffile's word for a number that no decoder has
            raise SourceUnreadable(
                f"{name!r} is compressed in a way that nobody knows ({str(exc).strip(chr(34))}); "
                "expected a compression of TIFF: restore the file from its original."
            ) from exc
        raise MissingExtra(
            f"{name!r} is compressed in a way that needs imagecodecs ({str(exc).strip(chr(34))}); "
            "install it: pip install 'napari-tilewise[codecs]'."
        ) from exc


def _channels(
    tiff: tifffile.TiffFile, axes: tuple[str, ...], shape: tuple[int, ...], number: int
) -> tuple[Channel, ...]:
    """Return the names and colours of the channels of a TIFF."""
    count = count_of(axes, shape) if len(axes) == len(shape) else 1
    samples = samples_of_page(tiff.series[number].keyframe, count)
    if samples:
        return samples
    with suppress(ElementTree.ParseError, ValueError, TypeError):
        if tiff.is_ome and tiff.ome_metadata:
            pixels = _pixels(tiff.ome_metadata, number)
            return () if pixels is None else from_ome(pixels, count)
        if tiff.is_imagej:
            return from_imagej(tiff.imagej_metadata or {}, count)
    return ()


def _record(tiff: tifffile.TiffFile) -> MetadataDict:
    """Return the record of how a TIFF of this package was made; empty where there is none."""
    text: str | None = None
    with suppress(ElementTree.ParseError, ValueError, TypeError):
        if tiff.is_ome and tiff.ome_metadata and KEY in tiff.ome_metadata:
            root = ElementTree.fromstring(tiff.ome_metadata)
            value = root.find(f".//{{*}}CommentAnnotation[@Namespace='{KEY}']/{{*}}Value")
            text = None if value is None else value.text
        elif tiff.is_imagej:
            return dict(split_info((tiff.imagej_metadata or {}).get("Info", ""))[0])
        record = None if text is None else json.loads(text)
        return record if isinstance(record, dict) else {}
    return {}


def _letters(axes: str) -> tuple[str, ...]:
    letters: list[str] = []
    for axis in axes.lower():
        letter = "c" if axis == "s" and "C" not in axes else axis
        if letter not in KINDS or letter in letters:
            letter = next((other for other in "qip" if other not in letters), "q")
        letters.append(letter)
    return tuple(letters) if len(set(letters)) == len(letters) else ()


def _sizes(tiff: tifffile.TiffFile, number: int) -> _Sizes:
    """Return pixel size and unit per axis letter, from whichever metadata the file has."""
    with suppress(ElementTree.ParseError, ValueError, TypeError, ZeroDivisionError, KeyError):
        if tiff.is_ome and tiff.ome_metadata:
            return _ome_sizes(tiff.ome_metadata, number)
        if tiff.is_imagej:
            return _imagej_sizes(tiff)
        if tiff.is_svs:
            match = re.search(r"MPP\s*=\s*([0-9.]+)", tiff.pages.first.description)
            return {} if match is None else _square(float(match[1]), "micrometer")
        page = tiff.pages.first
        unit, resolution = page.tags.valueof("ResolutionUnit"), _resolution(page)
        is_default = unit == _INCH and _PRINTED.issuperset(resolution.values())
        if unit in _MICROMETRES and not is_default:
            length = _MICROMETRES[unit]
            return {axis: (length / number, "micrometer") for axis, number in resolution.items()}
    return {}


def _square(size: float, unit: str | None) -> _Sizes:
    return {"y": (size, unit), "x": (size, unit)}


def _pixels(xml: str, number: int) -> ElementTree.Element | None:
    """Return OME's description of the pixels of a series."""
    elements = ElementTree.fromstring(xml).findall(".//{*}Image/{*}Pixels")
    return elements[number] if number < len(elements) else None


def _ome_sizes(xml: str, number: int) -> _Sizes:
    pixels = _pixels(xml, number)
    if pixels is None:
        return {}
    sizes: _Sizes = {}
    for axis, attribute, unit in (
        ("x", "PhysicalSizeX", "µm"),
        ("y", "PhysicalSizeY", "µm"),
        ("z", "PhysicalSizeZ", "µm"),
        ("t", "TimeIncrement", "s"),
    ):
        value = float(pixels.get(attribute, 0))
        if value > 0:
            sizes[axis] = (value, unit_name(pixels.get(f"{attribute}Unit", unit)))
    return sizes


def _imagej_sizes(tiff: tifffile.TiffFile) -> _Sizes:
    metadata = tiff.imagej_metadata or {}
    unit = unit_name(metadata.get("unit"))
    sizes: _Sizes = {
        axis: (1.0 / resolution, unit) for axis, resolution in _resolution(tiff.pages.first).items()
    }
    spacing = float(metadata.get("spacing", 0))
    if spacing > 0:
        sizes["z"] = (spacing, unit)
    interval = float(metadata.get("finterval", 0))
    if interval > 0:
        sizes["t"] = (interval, unit_name(metadata.get("tunit", "s")))
    return sizes


def _resolution(page: tifffile.TiffPage) -> dict[str, float]:
    """Return pixels per unit along y and x."""
    resolution = {}
    for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
        value = page.tags.valueof(tag)
        if value and value[0] and value[1]:
            resolution[axis] = value[0] / value[1]
    return resolution
