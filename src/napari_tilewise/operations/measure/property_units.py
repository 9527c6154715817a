"""The units of the properties of regions: areas and volumes, lengths, moments; most have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.measuring.calibration import Calibration
from napari_tilewise.operations.spec.measuring.quantities import (
    LENGTH,
    NUMBER,
    SQUARE,
    Quantity,
    along_axes,
    area,
    mean_length,
    position,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_tilewise.types import Parameters

AREAS = frozenset(("area", "area_bbox", "area_convex", "area_filled"))
"""Areas of planes, or volumes."""
LENGTHS = frozenset((
    "axis_major_length", "axis_minor_length", "coords_scaled", "feret_diameter_max", "perimeter",
    "perimeter_crofton",
))  # fmt: skip
"""Lengths in any direction."""
MEAN_LENGTHS = frozenset(("equivalent_diameter_area",))
"""Lengths that follow from the area."""
POSITIONS = frozenset((
    "centroid", "centroid_local", "centroid_weighted", "centroid_weighted_local",
))  # fmt: skip
"""Coordinates, one per axis."""
SQUARES = frozenset(("inertia_tensor_eigvals",))
"""Squares of lengths, whatever the number of axes."""
INERTIA = frozenset(("inertia_tensor",))
"""Tensors of such squares, an item per pair of axes."""
MOMENTS = frozenset((
    "moments", "moments_central", "moments_weighted", "moments_weighted_central",
))  # fmt: skip
"""Sums of products of positions, as many of each as a column's name says."""

_ALIASES: dict[str, str] = reach("measure._regionprops", "PROPS")
_PROPERTIES = (*_ALIASES, *_ALIASES.values(), *reach("measure._regionprops", "COL_DTYPES"))


def _names(*present: str) -> frozenset[str]:
    """Return properties by all names that scikit-image takes for them."""
    former = (name for name, new in _ALIASES.items() if new in present)
    return frozenset((*present, *former))


def _requested(params: Parameters) -> set[str]:
    names = params["properties"]
    return {names} if isinstance(names, str) else set(names)


def _quantity(column: str, ndim: int, params: Parameters) -> Quantity:
    """Return what a column of a table measures."""
    separator, extra = str(params["separator"]), params.get("extra_properties") or ()
    if _property(column, separator, (function.__name__ for function in extra)):
        return NUMBER  # only its author knows
    column_name = _property(column, separator, _PROPERTIES)
    make = _KINDS.get(_ALIASES.get(column_name, column_name))
    if make is None:
        return NUMBER
    items = column[len(column_name) :].split(separator) if separator else []
    return make([int(item) for item in items if item.isdecimal()], ndim)


def _property(column: str, separator: str, names: Iterable[str]) -> str:
    """Return the property that a column holds, or one of its items; empty if it is another."""
    whole = (name for name in names if column == name or column.startswith(f"{name}{separator}"))
    return max(whole, key=len, default="")


def inertia(axes: Sequence[int], ndim: int) -> Quantity:
    """Return what an item of an inertia tensor measures.

    Parameters
    ----------
    axes
        The item's row and column.
    ndim
        Number of spatial axes.
    """
    first, second = axes[:2]
    if first != second:
        return along_axes([int(axis in (first, second)) for axis in range(ndim)])
    # On the diagonal: the sum of the squares along all other axes.
    return along_axes([2 * int(axis != first) for axis in range(ndim)]) if ndim == 2 else SQUARE


_KINDS: dict[str, Callable[[Sequence[int], int], Quantity]] = {
    **dict.fromkeys(AREAS, lambda items, ndim: area(ndim)),
    **dict.fromkeys(LENGTHS, lambda items, ndim: LENGTH),
    **dict.fromkeys(MEAN_LENGTHS, lambda items, ndim: mean_length(ndim)),
    **dict.fromkeys(POSITIONS, lambda items, ndim: position(items[0], ndim)),
    **dict.fromkeys(SQUARES, lambda items, ndim: SQUARE),
    **dict.fromkeys(MOMENTS, lambda items, ndim: along_axes(items[:ndim])),
    **dict.fromkeys(INERTIA, inertia),
}
"""What the items of each property measure, from their numbers and the number of axes."""


REGION_UNITS = Calibration(
    parameter="spacing",
    quantity=_quantity,
    requested=_requested,
    in_pixels=_names("moments_hu", "moments_weighted_hu"),
    of_squares=_names("perimeter", "perimeter_crofton"),
)
