"""The axes of a call's image: which are tiled, which holds the channels.

Declarations answer questions about calls. The functions below are the usual answers to which shape
a result has, and which of its axes is none of the image's spatial ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class CallGeometry:
    """What follows from the shape of a call's image and its channel axis.

    `shape` counts the channel axis where there is one; the other axes are the spatial ones.
    """

    shape: tuple[int, ...]
    channel_axis: int | None

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The array axes that are tiled."""
        axes = tuple(range(len(self.shape)))
        channel = self.channel_axis
        return axes if channel is None else axes[:channel] + axes[channel + 1 :]

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """The shape along the tiled axes."""
        shape, channel = self.shape, self.channel_axis
        return shape if channel is None else shape[:channel] + shape[channel + 1 :]

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.shape) - (self.channel_axis is not None)

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


def same_shape(call: CallGeometry) -> tuple[int, ...] | None:
    """Return the shape of a result that has the image's."""
    return call.shape


def same_channel(call: CallGeometry) -> int | None:
    """Return the channel axis of a result that keeps it."""
    return call.channel_axis


def no_channel(call: CallGeometry) -> int | None:
    """Return the channel axis of a result that has none."""
    return None


def first_axis(call: CallGeometry) -> int | None:
    """Return the channel axis of a result whose first axis is none of the image's."""
    return 0


def last_axis(call: CallGeometry) -> int | None:
    """Return the channel axis of a result whose axis behind the spatial ones is none of them."""
    return call.ndim
