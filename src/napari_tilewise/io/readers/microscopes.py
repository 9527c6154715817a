"""Microscope formats, read lazily through bioio and its plugin for each of them."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from napari_tilewise.errors import InvalidParameter, MissingExtra, SourceUnreadable
from napari_tilewise.io.image import Image, SeriesEntry, check_series
from napari_tilewise.io.metadata.channels import Channel, count_of, tidy
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.checked_arrays import CheckedArray, read_error
from napari_tilewise.io.readers.library_messages import library_messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGINS: Mapping[str, str] = MappingProxyType(
    {
        ".czi": "bioio-czi",
        ".lif": "bioio-lif",
        ".nd2": "bioio-nd2",
        ".dv": "bioio-dv",
        ".r3d": "bioio-dv",
        ".sldy": "bioio-sldy",
        ".vsi": "bioio-vsi",
        **dict.fromkeys((".oib", ".oif", ".ims"), "bioio-bioformats"),
    }
)
"""The plugin that reads files of each suffix."""


def open_with_bioio(path: Path, name: str, number: int = 0) -> Image:
    """Open a scene of a microscope's file.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    number
        The scene.

    Raises
    ------
    MissingExtra
        When bioio or the plugin is not installed; the message names both.
    """
    bio = _bio_image(path, name, number, warn=True)
    try:
        # bioio always gives five axes; those of length one carry no information.
        full, lengths = bio.dims.order.lower(), bio.dims.shape
        axes = tuple(a for a, n in zip(full, lengths, strict=True) if n > 1 or a in "yx")
        data = _checked(bio, path, name, axes, number)
        scale, units = _sizes(bio, axes)
        names = [Channel(str(channel)) for channel in bio.channel_names or ()]
    except Exception as exc:  # plugins have classes of their own for what they cannot read
        raise read_error(exc, name) from exc
    return Image(
        data=data,
        axes=axes,
        scale=scale,
        units=units,
        levels=(data,),
        labels=False,
        name=name,
        recipe=None,
        format=path.suffix.lstrip(".").lower(),
        channels=tidy(names, count_of(axes, data.shape)),
        series=number,
        all_series=_scenes(bio) if len(bio.scenes) > 1 else (),
    )


def series_with_bioio(path: Path) -> tuple[SeriesEntry, ...]:
    """Return the scenes of a microscope's file.

    Parameters
    ----------
    path
        An existing file.
    """
    return _scenes(_bio_image(path, str(path)))


def _scenes(bio: Any) -> tuple[SeriesEntry, ...]:
    current, entries = bio.current_scene_index, []
    for number, scene in enumerate(bio.scenes):
        bio.set_scene(number)
        sizes = zip(bio.dims.order.lower(), bio.dims.shape, strict=True)
        axes = [(axis, length) for axis, length in sizes if length > 1 or axis in "yx"]
        shape, letters = tuple(n for _, n in axes), "".join(axis for axis, _ in axes)
        entries.append(SeriesEntry(number, str(scene), shape, letters))
    bio.set_scene(current)
    return tuple(entries)


def _checked(bio: Any, path: Path, name: str, axes: tuple[str, ...], number: int) -> CheckedArray:
    from dask.array import Array

    pixels = bio.get_image_dask_data("".join(axes).upper())
    # A plugin's own kind of dask array (bioio-nd2) opens its file for a computation and closes it
    # after, while other threads still read it; with dask's own each chunk opens the file itself.
    pixels = Array(pixels.dask, pixels.name, pixels.chunks, dtype=pixels.dtype)
    return CheckedArray(pixels, name, reopen=partial(_reopen, path, name, axes, number))


def _reopen(path: Path, name: str, axes: tuple[str, ...], number: int = 0) -> CheckedArray:
    return _checked(_bio_image(path, name, number), path, name, axes, number)


def _bio_image(path: Path, name: str, number: int = 0, *, warn: bool = False) -> Any:
    plugin = PLUGINS[path.suffix.lower()]
    missing = [p for p in ("bioio", plugin) if find_spec(p.replace("-", "_")) is None]
    if missing:
        raise MissingExtra(
            f"{name!r} is read by {plugin} for bioio, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not installed; install both: "
            f"pip install 'napari-tilewise[bioio]' {plugin}."
        )
    module = plugin.replace("-", "_")
    reader = import_module(module).Reader
    try:
        with library_messages(name, ("bioio", "bioio_base", module), warn=warn):
            bio = import_module("bioio").BioImage(str(path), reader=reader)
            check_series(number, len(bio.scenes), name)
            bio.set_scene(number)
    except InvalidParameter:
        raise
    except Exception as exc:
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())  # bioio writes several lines
        raise SourceUnreadable(
            f"{name!r} cannot be read by {plugin} ({reason}); expected a file "
            "of its format: restore it from its original."
        ) from exc
    return bio


def _sizes(bio: Any, axes: tuple[str, ...]) -> tuple[tuple[float, ...], tuple[str | None, ...]]:
    """Return pixel sizes and units, micrometres and seconds where bioio does not say."""
    by_axis: dict[str, tuple[float, str | None]] = {}
    pixel = bio.physical_pixel_sizes
    properties = getattr(bio, "dimension_properties", None)  # computed at every access
    for axis in "zyx":
        size = getattr(pixel, axis.upper(), None)
        if size:
            unit = getattr(getattr(properties, axis.upper(), None), "unit", None)
            by_axis[axis] = (abs(float(size)), unit_name(str(unit)) or "micrometer")  # unit: pint's
    interval = getattr(bio, "time_interval", None)
    if interval is not None:
        seconds = getattr(interval, "total_seconds", lambda: interval)()
        if seconds:
            by_axis["t"] = (float(seconds), "second")
    pairs = [by_axis.get(axis, (1.0, None)) for axis in axes]
    return tuple(size for size, _ in pairs), tuple(unit for _, unit in pairs)
