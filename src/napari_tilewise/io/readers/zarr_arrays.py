"""Reading Zarr: plain arrays and OME-Zarr pyramids, formats 2 and 3, local or remote."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import zarr
from zarr.storage import FsspecStore, GpuMemoryStore, LocalStore, MemoryStore, WrapperStore

from napari_tilewise.axes import KINDS
from napari_tilewise.errors import (
    MissingExtra,
    SourceNotFound,
    SourceUnreadable,
    SourceWarning,
)
from napari_tilewise.io.image import EMPTY, KEY, Image
from napari_tilewise.io.metadata.channels import count_of, from_omero
from napari_tilewise.io.metadata.details import Details
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.network import NEAR, is_of_network, network_error
from napari_tilewise.io.network_stores import patient
from napari_tilewise.io.plain_data import DEEPEST, is_too_deep
from napari_tilewise.io.readers.checked_arrays import DECODE_ERRORS
from napari_tilewise.io.readers.checked_stores import checked
from napari_tilewise.io.readers.zarr_details import (
    details_of,
    other_attributes,
    without_found_windows,
)
from napari_tilewise.io.readers.zarr_folders import stem_of_zarr
from napari_tilewise.sizes import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zarr.abc.store import Store

    from napari_tilewise.io.image import ZarrArray
    from napari_tilewise.io.plain_data import Metadata

_BROKEN = (*DECODE_ERRORS, KeyError, TypeError, AttributeError, IndexError, RecursionError)
_OLD_AXES = ("t", "c", "z", "y", "x")  # OME-Zarr 0.1 and 0.2 name none

_METADATA = {".zarray", ".zattrs", ".zmetadata", "zarr.json"}
"""Names in the folder of an array of version 2 that are not chunks."""


def open_node(location: str) -> zarr.Group | ZarrArray:
    """Return the array or group at a path or URL, opened for reading.

    Parameters
    ----------
    location
        A local folder that holds a Zarr, or a URL.
    """
    try:
        if "://" in location and location.partition("://")[0] not in NEAR:
            store = patient(FsspecStore.from_url(location, read_only=True))
            return zarr.open(store, mode="r")
        return zarr.open(location, mode="r")
    except ImportError as exc:
        raise MissingExtra(
            f"{location!r} needs a package that is not installed ({exc}); "
            "install fsspec and the file system it names."
        ) from exc
    except FileNotFoundError as exc:
        if Path(location).exists():
            raise _unreadable(location, str(exc)) from exc
        raise SourceNotFound(
            f"There is no Zarr at {location!r}; check the spelling of the path or URL."
        ) from exc
    except Exception as exc:
        if is_of_network(exc, location):
            raise network_error(exc, repr(location)) from exc
        if isinstance(exc, _BROKEN):
            raise _unreadable(location, f"{type(exc).__name__}: {exc}") from exc
        raise


def open_zarr(location: str) -> Image:
    """Open a Zarr array or an OME-Zarr image.

    Parameters
    ----------
    location
        A local folder that holds a Zarr, or a URL.
    """
    node = open_node(location)
    if isinstance(node, zarr.Array):
        if node.metadata.zarr_format == 2:  # those of version 3 are made to be filled later
            _warn_without_chunks(node, location)
        return from_array(node, location)
    own = own_metadata(node)
    if own.get("complete") is False:
        raise SourceUnreadable(
            f"{location!r} is an unfinished output; expected a finished one: "
            "run it again to complete it, or delete it."
        )
    _refuse_plate(ome_metadata(node), location)
    multiscales = ome_metadata(node).get("multiscales")
    try:
        if not multiscales:
            return _only_array(node, location)
        return _from_multiscales(node, multiscales[0], location)
    except SourceUnreadable:
        raise
    except Exception as exc:
        if is_of_network(exc, location):
            raise network_error(exc, repr(location)) from exc
        if not isinstance(exc, _BROKEN):
            raise
        raise _unreadable(location, f"its OME-Zarr metadata: {exc!r}") from exc


def from_array(array: ZarrArray, name: str) -> Image:
    """Return an open array as an image; its axes are known only if it names them.

    Parameters
    ----------
    array
        An open array.
    name
        The source, as the user named it.
    """
    names = getattr(array.metadata, "dimension_names", None)
    axes = axis_letters([{"name": name} for name in names]) if names and all(names) else ()
    data = checked(array, name)
    return Image(
        data=data,
        axes=axes if "q" not in axes else (),
        scale=(1.0,) * data.ndim,
        units=(None,) * data.ndim,
        levels=(data,),
        labels=False,
        name=name,
        recipe=None,
        format=f"zarr {array.metadata.zarr_format}",
        details=Details(attributes=other_attributes(_attributes(array))),
    )


def array_location(array: ZarrArray) -> str | None:
    """Return the path or URL under which any process opens an array; None where there is none.

    Parameters
    ----------
    array
        An open array, the root of its store or in a group.
    """
    store = _innermost(array.store)
    if isinstance(store, LocalStore):
        return str((store.root / array.path).absolute())
    if not isinstance(store, FsspecStore) or is_of_this_process(array):
        return None
    if set(store.fs.storage_options) - {"asynchronous"}:
        return None  # the URL alone would open it without its options, such as a login
    url = str(store.fs.unstrip_protocol(store.path)).rstrip("/")
    url = f"{url}/{array.path}" if array.path else url
    return url.removeprefix("file://")


def is_of_this_process(array: ZarrArray) -> bool:
    """Return whether an array is in the memory of this process, where no other can read it.

    Parameters
    ----------
    array
        An open array.
    """
    store = _innermost(array.store)
    if isinstance(store, FsspecStore):
        protocol = store.fs.protocol
        return "memory" in ((protocol,) if isinstance(protocol, str) else protocol)
    return isinstance(store, (MemoryStore, GpuMemoryStore))


def _innermost(store: Store) -> Store:
    """Return the store that others are wrapped around."""
    while isinstance(store, WrapperStore):
        store = store._store
    return store


def ome_metadata(group: zarr.Group) -> Metadata:
    """Return a group's OME-Zarr metadata, which 0.5 keeps under one key and 0.4 does not."""
    attributes = _attributes(group)
    ome = attributes.get("ome")
    return ome if isinstance(ome, dict) else attributes


def own_metadata(node: zarr.Group | ZarrArray) -> Metadata:
    """Return the record of a Zarr that this package wrote; empty where there is none."""
    own = _attributes(node).get(KEY)
    return own if isinstance(own, dict) else {}


def _attributes(node: zarr.Group | ZarrArray) -> Metadata:
    """Return the attributes of a group or an array."""
    try:
        attributes: Metadata = node.attrs.asdict()
    except (ValueError, TypeError) as exc:  # they are a list, or a text
        raise _unreadable(str(node.store_path), "its attributes are not a mapping") from exc
    if is_too_deep(attributes):
        reason = f"its attributes are nested more than {DEEPEST} deep"
        raise _unreadable(str(node.store_path), reason)
    return attributes


_AXIS_NAMES = {"time": "t", "channel": "c", "band": "c"}
"""Axes that xarray and programs for satellite images name by words."""


def axis_letters(axes: Sequence[Metadata]) -> tuple[str, ...]:
    """Return one distinct letter per axis of an OME-Zarr, whatever the names of its axes.

    Parameters
    ----------
    axes
        The axes of the metadata: mappings with a name and optionally a type.
    """
    letters: list[str] = []
    spaces = [axis for axis in axes if axis.get("type") == "space"]
    for axis in axes:
        name = str(axis.get("name", "")).lower()
        letter = _AXIS_NAMES.get(name, name)
        if letter not in KINDS:
            by_type = {"time": "t", "channel": "c"}.get(str(axis.get("type")), "q")
            letter = "zyx"[-len(spaces) :][spaces.index(axis)] if axis in spaces[:3] else by_type
        if letter in letters:
            letter = next(other for other in "qip" if other not in letters)
        letters.append(letter)
    return tuple(letters)


def _from_multiscales(group: zarr.Group, multiscale: Metadata, name: str) -> Image:
    datasets = multiscale["datasets"]
    levels = tuple(checked(_array(group, item["path"], name), name) for item in datasets)
    own = own_metadata(group)
    if not own.get(EMPTY):
        _warn_without_chunks(_array(group, datasets[0]["path"], name), name)
    ndim = levels[0].ndim
    declared = multiscale.get("axes") or _OLD_AXES
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in declared]
    if len(axes) != ndim:
        raise _unreadable(name, f"it names {len(axes)} axes, but its array has {ndim}")
    outer = _scale(multiscale, ndim)
    scales = tuple(
        tuple(a * b for a, b in zip(outer, _scale(item, ndim), strict=True)) for item in datasets
    )
    positions = tuple(_position(multiscale, item, ndim) for item in datasets)
    metadata = ome_metadata(group)
    version = metadata.get("version") or multiscale.get("version") or "0.4"
    letters = axis_letters(axes)
    channels = from_omero(metadata, count_of(letters, levels[0].shape))
    if own and "windows" not in own:
        channels = without_found_windows(channels)
    details = details_of(
        _attributes(group), metadata, multiscale, dict(zip(letters, axes, strict=True))
    )
    if details.title == stem_of_zarr(name):
        details = replace(details, title=None)
    return Image(
        data=levels[0],
        axes=letters,
        scale=scales[0],
        units=tuple(unit_name(axis.get("unit")) for axis in axes),
        levels=levels,
        labels="image-label" in metadata or bool(own.get("labels")),
        name=name,
        recipe=own.get("recipe"),
        format=f"ome-zarr {version}",
        level_scales=scales,
        level_positions=positions,
        channels=channels,
        details=details,
    )


def _position(multiscale: Metadata, dataset: Metadata, ndim: int) -> tuple[float, ...]:
    """Return where the first pixel of a level is: its translation, moved and scaled with all."""
    inner, outer = (_transformation(item, "translation", ndim) for item in (dataset, multiscale))
    scale = _scale(multiscale, ndim)
    axes = zip(scale, inner or (0.0,) * ndim, outer or (0.0,) * ndim, strict=True)
    return tuple(factor * shift + further for factor, shift, further in axes)


def _scale(item: Metadata, ndim: int) -> tuple[float, ...]:
    return _transformation(item, "scale", ndim) or (1.0,) * ndim


def _transformation(item: Metadata, kind: str, ndim: int) -> tuple[float, ...] | None:
    """Return the values of the first transformation of a kind that has one for each axis."""
    for transformation in item.get("coordinateTransformations") or ():
        if transformation.get("type") == kind and kind in transformation:
            values = tuple(float(value) for value in transformation[kind])
            if len(values) == ndim:
                return values
    return None


def _refuse_plate(metadata: Metadata, name: str) -> None:
    """Say of a plate and of a well what they are, and what takes their fields."""
    plate, well = metadata.get("plate"), metadata.get("well")
    if isinstance(plate, dict):
        wells = plate.get("wells") or []
        first = f"{name}/{wells[0].get('path')}/0" if wells and isinstance(wells[0], dict) else name
        raise SourceUnreadable(
            f"{name!r} is a plate of {plural(len(wells), 'well')}, not an image; expected one of "
            f"its fields, such as {first!r}, or a batch over the plate, which takes all fields."
        )
    if isinstance(well, dict):
        fields = well.get("images") or []
        raise SourceUnreadable(
            f"{name!r} is a well of {plural(len(fields), 'field')}, not an image; expected one of "
            f"its fields, such as {f'{name}/0'!r}."
        )


def _array(group: zarr.Group, path: str, name: str) -> ZarrArray:
    node = group.get(path)
    if not isinstance(node, zarr.Array):
        raise _unreadable(name, f"its level {path!r} is missing")
    return node


def _warn_without_chunks(array: ZarrArray, name: str) -> None:
    """Warn of an array on disk that has no chunk, such as one that was half copied."""
    location = array_location(array)
    if not array.size or location is None or "://" in location:
        return
    with suppress(OSError):
        names = (name for _, _, names in os.walk(location) for name in names)
        if all(name in _METADATA for name in names):
            warnings.warn(
                f"{name!r} has no chunk on disk: all its pixels are {array.fill_value}, which "
                "stands for what is not there. Is the copy complete?",
                SourceWarning,
                stacklevel=2,
            )


def _only_array(group: zarr.Group, name: str) -> Image:
    arrays = dict(group.arrays())
    if len(arrays) == 1:
        return from_array(next(iter(arrays.values())), name)
    members = sorted([*arrays, *(key for key, _ in group.groups())])
    if not members:
        raise _unreadable(name, "the group is empty")
    shown = ", ".join(map(repr, members[:8])) + (", ..." if len(members) > 8 else "")
    raise SourceUnreadable(
        f"{name!r} is a Zarr group without an image of its own; "
        f"expected an OME-Zarr image or an array: open one of its members, {shown}."
    )


def _unreadable(name: str, reason: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"{name!r} cannot be read ({reason}); expected a Zarr array or an OME-Zarr image, "
        "so restore it from its original."
    )
