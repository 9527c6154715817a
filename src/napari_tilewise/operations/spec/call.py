"""A call: an operation's parameters, bound, and what is known of the image before it is read.

Declarations answer questions about calls. The functions below are the usual answers to which axis
of a result is none of the image's spatial ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.spec.parameters import is_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_tilewise.operations.spec.operation import Operation


class BoundParameters(dict[str, Any]):
    """All parameters of an operation, bound as far as that is possible without an image.

    What depends on the number of axes is checked by `for_image`; nothing else is checked again.

    Parameters
    ----------
    operation
        The operation that bound them.
    values
        All its parameters, defaults filled in.
    explicit
        Names of the parameters that are not left to their defaults.
    """

    def __init__(
        self, operation: Operation, values: Mapping[str, Any], explicit: Iterable[str]
    ) -> None:
        super().__init__(values)
        self.operation = operation
        self.explicit = frozenset(explicit)

    def __or__(self, values: Mapping[str, Any]) -> BoundParameters:  # type: ignore[override]
        """Return these parameters with other values in place of some."""
        return BoundParameters(self.operation, {**self, **values}, self.explicit | values.keys())

    def for_image(self, ndim: int) -> dict[str, Any]:
        """Return the parameters for an image; raise `InvalidParameter` where one does not fit.

        Parameters
        ----------
        ndim
            Its number of spatial axes.
        """
        name, specs = self.operation.name, self.operation.specs
        return {
            key: specs[key].check(f"{name}: {key}", value, ndim) if key in self.explicit else value
            for key, value in self.items()
        }


@dataclass(frozen=True)
class Call:
    """An operation's parameters, bound, and the image they are applied to (one plane or volume).

    `shape` counts the channel axis where there is one; the other axes are the spatial ones.
    """

    operation: Operation
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channel_axis: int | None = None

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value."""
        return self.params[name]

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The array axes that are tiled."""
        return tuple(i for i in range(len(self.shape)) if i != self.channel_axis)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """The shape along the tiled axes."""
        return tuple(self.shape[i] for i in self.spatial_axes)

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.spatial_axes)

    @property
    def wraps(self) -> bool:
        """Whether the border mode continues the image periodically."""
        return self.operation.border is not None and self.params[self.operation.border] == "wrap"

    def per_axis(self, value: Any) -> tuple[Any, ...]:
        """Return a scalar-or-sequence parameter value as one value per spatial axis."""
        if np.ndim(value) == 0:
            return (value,) * self.ndim
        return tuple(value)

    def with_channel(self, spatial: Sequence[Any], channel: Any) -> tuple[Any, ...]:
        """Return one item per array axis from items per spatial axis and one for the channel."""
        items = list(spatial)
        if self.channel_axis is not None:
            items.insert(self.channel_axis, channel)
        return tuple(items)

    def function(self, data: np.ndarray, /, **overrides: Any) -> Any:
        """Call the scikit-image function on an array with the bound parameters."""
        return self.operation.function(data, **{**self.keywords, **overrides})

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The parameters as scikit-image's function takes them, without the further images."""
        return {
            name: value
            for name, value in self.params.items()
            if not is_image(self.operation.specs[name], value)
        }


def same_channel(call: Call) -> int | None:
    """Return the channel axis of a result that keeps it."""
    return call.channel_axis


def no_channel(call: Call) -> int | None:
    """Return the channel axis of a result that has none."""
    return None


def first_axis(call: Call) -> int | None:
    """Return the channel axis of a result whose first axis is none of the image's."""
    return 0


def last_axis(call: Call) -> int | None:
    """Return the channel axis of a result whose axis behind the spatial ones is none of them."""
    return call.ndim
