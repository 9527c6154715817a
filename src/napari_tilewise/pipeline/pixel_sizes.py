"""Tables in the units of their image: they are measured by the size of its pixels.

Every way to run a step goes through here: layers, runs, batches and recipes measure alike. A value
that the caller sets goes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.axes import PixelSizes
from napari_tilewise.io.metadata.units import converted
from napari_tilewise.operations.spec.measuring.calibration import (
    Calibration,
    MeasuredLengths,
    PixelLengths,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_tilewise.engine.result_axes import ResultAxis
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.operations.spec.binding import BoundParameters
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Value


def stated_sizes(image: Image) -> PixelSizes | None:
    """Return the pixel sizes that an image states; None without units and sizes other than 1.

    Such an image is measured in pixels, even where it is resampled before.

    Parameters
    ----------
    image
        An open image.
    """
    is_stated = any(image.units) or any(size != 1 for size in image.scale)
    return PixelSizes(image.scale, image.units) if is_stated else None


def power_text(unit: str, power: int) -> str:
    """Return the power of a unit as records have it, such as ``micrometer^2``.

    Parameters
    ----------
    unit
        Its OME-Zarr name.
    power
        The exponent.
    """
    return unit if power == 1 else f"{unit}^{power}"


def scalars_in_unit(measured: MeasuredIn | None, name: str, value: Value) -> dict[str, Value]:
    """Return a scalar that counts pixels in the unit, or one per plane; empty without unit.

    Parameters
    ----------
    measured
        By which pixel size it is measured.
    name
        What the number in pixels is called; the unit follows in brackets.
    value
        The number, or an array of them.
    """
    lengths = None if measured is None else measured.lengths
    if lengths is None or lengths.unit is None or len(lengths.columns) != 1:
        return {}
    (column,) = lengths.columns
    if column.to_unit is None:
        return {}
    return {
        f"{name} ({power_text(lengths.unit, column.power)})": np.multiply(value, column.to_unit)
    }


@dataclass(frozen=True)
class MeasuredIn:
    """The pixel size by which a table is measured, and its unit."""

    operation: Operation
    params: BoundParameters
    """The step's parameters, defaults and the pixel size included."""
    spacing: tuple[float, ...]
    """The size of a pixel along each spatial axis."""
    unit: str | None = None
    """Its OME-Zarr name; None for pixels, or an unknown unit."""

    def units(self, columns: Iterable[str]) -> dict[str, str]:
        """Return the unit of each column that has one, such as ``micrometer^2``.

        Parameters
        ----------
        columns
            Names of columns.
        """
        spec = self.operation.step.calibration
        if not isinstance(spec, Calibration) or self.unit is None:
            return {}
        ndim = len(self.spacing)
        powers = {name: spec.quantity(name, ndim, self.params).power for name in columns}
        return {name: power_text(self.unit, power) for name, power in powers.items() if power}

    @property
    def is_calibrated(self) -> bool:
        """Whether the function measures by the pixel size itself; other numbers stay in pixels."""
        return isinstance(self.operation.step.calibration, Calibration)

    @property
    def lengths(self) -> MeasuredLengths | None:
        """What the result's numbers are in the unit, and in pixels; None if none count them."""
        spec = self.operation.step.calibration
        if not isinstance(spec, PixelLengths):
            return None
        return spec.in_units(self.params, self.spacing, self.unit)

    def __str__(self) -> str:
        """Return the pixel size as text."""
        if self.unit is None and set(self.spacing) == {1.0}:
            return "in pixels"
        sizes = " x ".join(f"{size:g}" for size in self.spacing)
        return f"with pixels of {sizes} {self.unit or ''}".strip()

    def to_dict(self, columns: Iterable[str]) -> MetadataDict:
        """Return what a record says, as plain data.

        Parameters
        ----------
        columns
            Names of the table's columns.
        """
        return {"spacing": list(self.spacing), "units": self.units(columns)}

    def numbers_to_dict(self) -> MetadataDict:
        """Return what a record says of numbers that count pixels, as plain data."""
        entries = {} if self.lengths is None else self.lengths.to_dict()
        return {"lengths": entries} if entries else {}


def measured_in(
    operation: Operation,
    params: BoundParameters,
    axes: Sequence[ResultAxis | None],
    sizes: PixelSizes | None,
) -> MeasuredIn | None:
    """Return by which pixel size an operation measures; None for one that has no lengths.

    Lengths are in the unit of the first of the axes.

    Parameters
    ----------
    operation
        Any operation.
    params
        Its parameters, defaults included.
    axes
        The spatial axes of the image that it measures, with respect to the one with the sizes;
        None where that is unknown.
    sizes
        The pixel sizes of that image, if they are known.

    Raises
    ------
    InvalidParameter
        For a property that scikit-image does not measure with such pixels.
    """
    spec = operation.step.calibration
    if isinstance(spec, PixelLengths) and sizes is not None:
        return MeasuredIn(operation, params, *_known_spacing(axes, sizes))
    if not isinstance(spec, Calibration):
        return None
    stated = spacing_along(axes, sizes)
    requested = params[spec.parameter]
    if requested is not None:
        if np.size(requested) not in (1, len(axes)):
            return None  # refused when it is bound to the image
        spacing = tuple(np.broadcast_to(np.asarray(requested, float), len(axes)).tolist())
        unit = None if stated is None or set(spacing) == {1.0} else stated[1]
        return MeasuredIn(operation, params, spacing, unit)
    if stated is None:
        return MeasuredIn(operation, params, (1.0,) * len(axes))
    spacing, unit = stated
    if set(spacing) != {1.0}:
        spec.check(operation.name, params, spacing)
        params = params | {spec.parameter: spacing}
    return MeasuredIn(operation, params, spacing, unit)


def spacing_along(
    axes: Sequence[ResultAxis | None], sizes: PixelSizes | None
) -> tuple[tuple[float, ...], str | None] | None:
    """Return the pixel size along axes, and the first's unit; None where it is not known.

    Parameters
    ----------
    axes
        Axes with respect to the image that has the sizes; None for those of another.
    sizes
        The pixel sizes of that image, if they are known.
    """
    known = [] if sizes is None else [_size_along(axis, sizes) for axis in axes]
    lengths = [length for length in known if length is not None]
    if not lengths or len(lengths) < len(known):
        return None
    first = lengths[0][1]
    in_first = [converted(size, unit, first) for size, unit in lengths]
    spacing = tuple(
        size if length is None else length
        for (size, _), length in zip(lengths, in_first, strict=True)
    )
    return spacing, None if None in in_first else first


def _known_spacing(
    axes: Sequence[ResultAxis | None], sizes: PixelSizes
) -> tuple[tuple[float, ...], str | None]:
    """Return the pixel size along axes, and the unit of the first that has one.

    The size is NaN where it has no unit, or one that is no multiple of that.
    """
    lengths = [_size_along(axis, sizes) or (nan, None) for axis in axes]
    unit = next((unit for _, unit in lengths if unit is not None), None)
    in_unit = (converted(size, own, unit) if own else None for size, own in lengths)
    return tuple(nan if size is None else size for size in in_unit), unit


def _size_along(axis: ResultAxis | None, sizes: PixelSizes) -> tuple[float, str | None] | None:
    """Return the size of a pixel along an axis, and its unit; None for one of no known size."""
    if axis is None or axis.origin is None or axis.sampling is None:
        return None
    if axis.origin >= len(sizes.scale):
        return None  # samples, which have no length
    return float(abs(sizes.scale[axis.origin] * axis.sampling.step)), sizes.units[axis.origin]
