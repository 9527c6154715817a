"""The units of the properties of regions: areas and volumes, lengths, moments; most have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.calibration import Calibration

if TYPE_CHECKING:
    from napari_tilewise.types import Parameters

AREAS = frozenset(("area", "area_bbox", "area_convex", "area_filled"))
"""Areas of planes, or volumes."""
LENGTHS = frozenset((
    "axis_major_length", "axis_minor_length", "centroid", "centroid_local", "centroid_weighted",
    "centroid_weighted_local", "coords_scaled", "equivalent_diameter_area", "feret_diameter_max",
    "perimeter", "perimeter_crofton",
))  # fmt: skip
"""Lengths and positions."""
SQUARES = frozenset(("inertia_tensor", "inertia_tensor_eigvals"))
"""Squares of lengths, whatever the number of axes."""
MOMENTS = frozenset((
    "moments", "moments_central", "moments_weighted", "moments_weighted_central",
))  # fmt: skip
"""Sums of products of positions, as many of each as a column's name says."""

_ALIASES: dict[str, str] = reach("measure._regionprops", "PROPS")


def _names(*present: str) -> frozenset[str]:
    """Return properties by all names that scikit-image takes for them."""
    former = (name for name, new in _ALIASES.items() if new in present)
    return frozenset((*present, *former))


def _requested(params: Parameters) -> set[str]:
    names = params["properties"]
    return {names} if isinstance(names, str) else set(names)


def _power(column: str, ndim: int, params: Parameters) -> int:
    """Return the exponent of the unit of length in a column of a table."""
    separator, extra = str(params["separator"]), params.get("extra_properties") or ()
    stem, *numbers = column.split(separator) if separator else [column]
    if stem in {function.__name__ for function in extra}:
        return 0  # only its author knows
    name = _ALIASES.get(stem, stem)
    if name in AREAS:
        return ndim
    if name in MOMENTS:
        return sum(map(int, numbers[:ndim]))
    return 2 if name in SQUARES else int(name in LENGTHS)


REGION_UNITS = Calibration(
    parameter="spacing",
    power=_power,
    requested=_requested,
    in_pixels=_names("moments_hu", "moments_weighted_hu"),
    of_squares=_names("perimeter", "perimeter_crofton"),
)
