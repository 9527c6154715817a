"""Measurements in a layer's units: the distances of its pixels as scikit-image's `spacing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.io.metadata.units import converted, unit_name
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise._napari.layers.snapshot import Snapshot
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Parameters

IN_PIXELS = {"moments_hu", "moments_weighted_hu", "weighted_moments_hu", "HuMoments",
             "WeightedHuMoments"}  # fmt: skip
"""Properties that scikit-image measures in pixels only."""
OF_SQUARES = {"perimeter", "perimeter_crofton", "Perimeter", "CroftonPerimeter"}
"""Properties that it measures only where pixels are as long as wide."""


def spacing(
    operation: Operation, params: Parameters, source: Snapshot, over: Sequence[int]
) -> dict[str, tuple[float, ...]]:
    """Return the parameter that calibrates a table; empty if it is set, or pixels are of size 1.

    Lengths are in the unit of the first of the axes.

    Parameters
    ----------
    operation
        Any operation; only tables are calibrated.
    params
        Its parameters.
    source
        The measured layer.
    over
        The axes of its arrays that the operation runs over.

    Raises
    ------
    InvalidParameter
        For a property that scikit-image does not measure with such pixels.
    """
    is_measured = operation.output is Output.TABLE and "spacing" in operation.specs
    if not is_measured or params.get("spacing") is not None:
        return {}
    inner = source.placement.inner
    if max(over, default=0) >= len(inner.scale):
        return {}  # over samples too, which have no length
    sizes = [abs(float(inner.scale[axis])) for axis in over]
    units = [unit_name(str(inner.units[axis])) for axis in over]
    lengths = [converted(size, unit, units[0]) for size, unit in zip(sizes, units, strict=True)]
    distances = tuple(
        size if length is None else length for size, length in zip(sizes, lengths, strict=True)
    )
    if set(distances) == {1.0}:
        return {}
    _check_properties(operation, params.get("properties") or (), distances)
    return {"spacing": distances}


def _check_properties(
    operation: Operation, properties: str | Sequence[str], distances: Sequence[float]
) -> None:
    """Refuse properties that scikit-image does not measure with these distances of pixels."""
    names = {properties} if isinstance(properties, str) else set(properties)
    refused = names & IN_PIXELS
    if len(set(distances)) > 1:
        refused |= names & OF_SQUARES
    if refused:
        sizes = " x ".join(f"{distance:g}" for distance in distances)
        raise InvalidParameter(
            f"{operation.name}: scikit-image does not measure {', '.join(sorted(refused))} with "
            f"pixels of {sizes}: set spacing to 1 to measure in pixels, or leave this property out."
        )
