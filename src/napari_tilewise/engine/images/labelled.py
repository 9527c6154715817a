"""Arrays that name their axes, such as xarray's: what comes in with names goes out with them.

Nothing of xarray is imported: an array with `dims`, `coords` and `attrs` is one, and results are
made with its own type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise import axes as _axes
from napari_tilewise.engine.result_axes import own_axes
from napari_tilewise.engine.stack import CHANNEL
from napari_tilewise.errors import InvalidAxes
from napari_tilewise.operations.spec.kinds import Output
from napari_tilewise.operations.spec.pixel_positions import UNMOVED, Sampling

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from napari_tilewise.engine.stack import Stack
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Array, Parameters, SpatialAxes, Value

NEW_AXES = ("c", "q", "p", "i")
"""Names of an axis that the image does not have: channels, then others."""

CHANNEL_DIMS = ("c", "channel", "channels")
"""Names of an axis of channels, in any case."""


def is_labelled(array: object) -> bool:
    """Return whether an array names its axes.

    Parameters
    ----------
    array
        Any object.
    """
    return all(hasattr(array, name) for name in ("dims", "coords", "attrs", "dtype"))


def is_in_memory(array: Any) -> bool:
    """Return whether the pixels of an array that names its axes are in memory.

    Parameters
    ----------
    array
        An array with `dims`, `coords` and `attrs`.
    """
    return bool(getattr(array.variable, "_in_memory", False))


def is_lazy_labelled(array: Any) -> bool:
    """Return whether an array that names its axes is made of tasks, as results then are.

    Parameters
    ----------
    array
        An array with `dims`, `coords` and `attrs`.
    """
    return array.chunks is not None


def channel_dim(array: Any) -> Hashable | None:
    """Return the axis of channels; None where none is called so.

    Parameters
    ----------
    array
        An array with `dims`, `coords` and `attrs`.
    """
    return next((dim for dim in array.dims if str(dim).lower() in CHANNEL_DIMS), None)


def channel_names(array: Any) -> tuple[str, ...]:
    """Return the names of the channels, which are texts along their axis; empty without any.

    Parameters
    ----------
    array
        An array with `dims`, `coords` and `attrs`.
    """
    dim = channel_dim(array)
    if dim is None or dim not in array.coords:
        return ()
    names = np.asarray(array.coords[dim])
    return tuple(map(str, names)) if all(isinstance(name, str) for name in names) else ()


def pixels_of(array: Any) -> Value:
    """Return the pixels of an array that names its axes: in memory, of dask, or still in a file.

    Parameters
    ----------
    array
        An array with `dims`, `coords` and `attrs`.
    """
    # Asking for `data` would read all of a file that is behind the array: it is sliced instead.
    return array.data if is_in_memory(array) or is_lazy_labelled(array) else array


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image that names its axes."""

    array: Any
    """The array, with `dims`, `coords` and `attrs`."""

    @property
    def dims(self) -> tuple[Hashable, ...]:
        """Names of the axes."""
        return tuple(self.array.dims)

    def spatial(self, spatial: SpatialAxes | Sequence[str] | None) -> Sequence[int] | None:
        """Return the axes to run over as numbers.

        Parameters
        ----------
        spatial
            Names of axes, one name, or the letters of names that are letters; or numbers.
        """
        if spatial is None:
            return None
        is_single = spatial in self.dims if isinstance(spatial, str) else np.ndim(spatial) == 0
        items: Sequence[Any] = [spatial] if is_single else spatial
        return [self._number(item, spatial) if isinstance(item, str) else item for item in items]

    def _number(self, name: str, spatial: object) -> int:
        if name not in self.dims:
            raise InvalidAxes(
                f"spatial={spatial!r} names {name!r}, which is not among the image's axes "
                f"{self.dims!r}; choose from these."
            )
        return self.dims.index(name)

    def selection(
        self, axes: str | Sequence[str] | None, spatial: SpatialAxes | Sequence[str] | None
    ) -> _axes.AxisSelection:
        """Return the axes of a call; `axes` goes before the image's own names.

        Parameters
        ----------
        axes
            Letters of the axes, where the call names them.
        spatial
            The axes to run over.
        """
        if axes is not None:
            return _axes.AxisSelection(axes, spatial)
        return _axes.AxisSelection(None, self.spatial(spatial))

    def parameters(self, operation: Operation, params: Parameters) -> dict[str, Value]:
        """Return parameters with images in the order of this one's axes, channels by number.

        Parameters
        ----------
        operation
            The operation.
        params
            Its parameters by name.
        """
        ordered = {name: self._aligned(value) for name, value in params.items()}
        channel = operation.channel
        if channel is not None and params.get(channel) in self.dims:
            ordered[channel] = self.dims.index(params[channel])
        return ordered

    def _aligned(self, value: Value) -> Value:
        if not is_labelled(value) or tuple(value.dims) == self.dims:
            return value
        common = [name for name in self.dims if name in value.dims]
        return value.transpose(*common) if len(common) == len(value.dims) else value

    def labelled(self, stack: Stack, value: Value) -> Value:
        """Return a result with names: images and scalars; points and tables as they are.

        Parameters
        ----------
        stack
            The operation on the image.
        value
            The result as `apply` returns it for an array without names.
        """
        output = stack.part.output
        if output is Output.TABLE and isinstance(value, dict):
            return self._named_columns(stack, value)
        if output is Output.SCALAR:
            return self._scalar(stack, value)
        if not output.is_image:
            return value
        axes = own_axes(stack)
        origins, samplings = [axis.origin for axis in axes], [axis.sampling for axis in axes]
        split = stack.call.operation.result.split
        if split is None or stack.channel is None:
            return self._array(value, origins, samplings)
        del origins[stack.channel], samplings[stack.channel]
        return split(self._array(image, origins, samplings) for image in value)

    def _named_columns(self, stack: Stack, table: dict[str, Array]) -> dict[Hashable, Array]:
        """Return a table with names of axes, and beside the number of a channel its name."""
        columns: dict[Hashable, Array] = {}
        for number, (column, items) in enumerate(table.items()):
            if number >= len(stack.loops):
                columns[column] = items
                continue
            dim = self.dims[stack.loops[number]]
            name = dim if column.startswith("axis-") else column
            columns[name] = items
            names = channel_names(self.array) if dim == channel_dim(self.array) else ()
            if names:
                title = CHANNEL if name != CHANNEL else f"{CHANNEL}_name"
                columns[title] = np.array(names)[items]
        return columns

    def _scalar(self, stack: Stack, value: Value) -> Value:
        if isinstance(value, list | tuple):  # one number per channel
            return value
        value = value if hasattr(value, "shape") else np.asarray(value)
        origins: list[int | None] = list(stack.loops[: value.ndim])
        origins += [None] * (value.ndim - len(origins))
        return self._array(value, origins, [UNMOVED if o is not None else None for o in origins])

    def _array(
        self, value: Value, origins: Sequence[int | None], samplings: Sequence[Sampling | None]
    ) -> Any:
        new = (name for name in NEW_AXES if name not in self.dims)
        dims = [next(new) if origin is None else self.dims[origin] for origin in origins]
        source, lengths = self.array, dict(zip(dims, value.shape, strict=True))
        same = {
            name
            for name, sampling in zip(dims, samplings, strict=True)
            if sampling == UNMOVED and lengths[name] == source.sizes.get(name)
        }
        positions = {
            name: sampling.start + sampling.step * np.arange(lengths[name])
            for name, sampling in zip(dims, samplings, strict=True)
            if sampling is not None and name not in same
        }
        changed = [name for name in self.dims if name not in same]
        coords = source.coords.to_dataset().drop_dims(changed, errors="ignore").coords
        result = type(source)(value, coords, dims, name=source.name, attrs=dict(source.attrs))
        return result.assign_coords(self._coordinates_at(positions))

    def _coordinates_at(
        self, positions: Mapping[Hashable, Array]
    ) -> dict[Hashable, tuple[Hashable, Array, dict[str, Any]]]:
        """Return the coordinates at other positions along some axes, where they are defined."""
        coordinates = {}
        for name, coordinate in self.array.coords.items():
            if len(coordinate.dims) != 1 or coordinate.dims[0] not in positions:
                continue
            dim = coordinate.dims[0]
            values = _values_at(np.asarray(coordinate), positions[dim])
            if values is not None:
                coordinates[name] = (dim, values, dict(coordinate.attrs))
        return coordinates


def _values_at(coordinates: Array, positions: Array) -> Array | None:
    """Return the coordinates at positions between pixels: None where they are not even."""
    last = len(coordinates) - 1
    numbers = np.rint(positions).astype(np.intp)
    is_inside = len(numbers) == 0 or (numbers.min() >= 0 and numbers.max() <= last)
    if is_inside and np.array_equal(numbers, positions):
        return coordinates[numbers]
    spacing = even_spacing(coordinates)
    return None if spacing is None else float(coordinates[0]) + spacing * positions


def even_spacing(coordinates: Array) -> float | None:
    """Return the distance of evenly spaced coordinates; None where there is no such.

    Parameters
    ----------
    coordinates
        Coordinates of the pixels along an axis.
    """
    if coordinates.dtype.kind not in "iuf" or len(coordinates) < 2:
        return None
    values = coordinates.astype(np.float64)
    spacing = float(values[-1] - values[0]) / (len(values) - 1)
    is_even = spacing != 0 and np.allclose(np.diff(values), spacing, rtol=1e-3, atol=0)
    return spacing if is_even else None


def plain_images(params: Parameters) -> dict[str, Value]:
    """Return parameters with the pixels of arrays that name their axes.

    Parameters
    ----------
    params
        Parameters by name.
    """
    return {
        name: pixels_of(value) if is_labelled(value) else value for name, value in params.items()
    }
