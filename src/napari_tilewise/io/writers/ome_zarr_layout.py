"""The layout of an OME-Zarr: the order of its axes, its chunks, its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.axes import kind, parse
from napari_tilewise.errors import InvalidAxes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.io.plain_data import Metadata, MetadataDict

SUFFIXES = (".ome.zarr", ".zarr")
"""What a destination's name may end in."""

_LARGE = 16384


def default_chunks(
    shape: tuple[int, ...], axes: tuple[str, ...], looped: Collection[int] = ()
) -> tuple[int, ...]:
    """Return the chunk for an image: planes of 512 (large ones 1024), or bricks of 32 x 256 x 256.

    Parameters
    ----------
    shape
        Shape of the image.
    axes
        One letter per axis.
    looped
        Axes along which each position is computed on its own: no chunk spans two.
    """
    together = {a: n for i, (a, n) in enumerate(zip(axes, shape, strict=True)) if i not in looped}
    longest = max((n for axis, n in together.items() if axis in "yx"), default=1)
    deep = together.get("z", 1) > 1
    side = 256 if deep else 1024 if longest >= _LARGE else 512
    lengths = {"y": side, "x": side, "z": 32}
    return tuple(lengths.get(axis, 1) if axis in together else 1 for axis in axes)


def check_axes(axes: Sequence[str] | None, ndim: int, path: Path) -> tuple[str, ...]:
    """Return axes as letters; refuse those that an OME-Zarr cannot hold.

    Parameters
    ----------
    axes
        One letter per axis.
    ndim
        Number of axes of the image.
    path
        The destination, which the message names.
    """
    letters = parse(axes, ndim)
    if letters is None:
        raise InvalidAxes(f"OME-Zarr names its axes; name those of {str(path)!r}.")
    kinds = [kind(axis) for axis in letters]
    if kinds.count("space") not in {2, 3} or kinds.count("channel") + kinds.count("other") > 1:
        raise InvalidAxes(
            f"OME-Zarr holds two or three spatial axes, at most one of time and one other; "
            f"{str(path)!r} would have {''.join(letters)!r}: choose the axes or split the image."
        )
    return letters


def storage_rank(axis: str) -> tuple[int, int]:
    """Return the rank of an axis in the order of OME-Zarr: time, channel, then z, y, x."""
    order = {"time": 0, "channel": 1, "other": 1, "space": 2}
    return order[kind(axis)], "zyx".find(axis)


def axis_entries(
    axes: Sequence[str], units: Sequence[str | None], declared: Mapping[str, Metadata]
) -> list[MetadataDict]:
    """Return OME-Zarr's entries of axes: a name, a type and a unit each.

    Parameters
    ----------
    axes
        One letter per axis, in the order of OME-Zarr.
    units
        Unit of each axis.
    declared
        The entries of the source by letter, whose names and types stay.
    """
    entries: list[MetadataDict] = []
    for axis, unit in zip(axes, units, strict=True):
        entry: MetadataDict = {"name": axis}
        if kind(axis) != "other":
            entry["type"] = kind(axis)
        entry |= declared.get(axis, {})
        if unit is not None and kind(axis) in {"space", "time"}:
            entry["unit"] = unit
        entries.append(entry)
    if len({entry["name"] for entry in entries}) == len(entries):
        return entries
    return axis_entries(axes, units, {})


def multiscale(
    name: str,
    axes: list[MetadataDict],
    scales: list[list[float]],
    positions: list[list[float]],
    *,
    average: bool,
) -> MetadataDict:
    """Return the metadata of a pyramid whose levels are the arrays ``"0"``, ``"1"``, ...

    Parameters
    ----------
    name
        Name of the image.
    axes
        See `axis_entries`.
    scales
        Size of a pixel along each axis, for every level.
    positions
        Position of the first pixel along each axis, for every level.
    average
        Whether smaller levels are averages.
    """
    datasets = []
    for level, (scale, position) in enumerate(zip(scales, positions, strict=True)):
        transformations: list[dict[str, object]] = [{"type": "scale", "scale": scale}]
        if any(map(any, positions)):  # of a level of means, though the finest lies at the origin
            transformations.append({"type": "translation", "translation": position})
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    rule = "the mean of 2 x 2 pixels" if average else "the top left of 2 x 2 pixels"
    return {
        "name": name,
        "axes": axes,
        "datasets": datasets,
        "type": "mean" if average else "nearest",
        "metadata": {
            "method": "napari_tilewise.io.writers.pyramid.halve",
            "description": f"Every level is half the one below in y and x: {rule}.",
        },
    }
