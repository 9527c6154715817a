"""What a run needs of a layer, taken when it starts, so that no worker ever touches a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import dask.array as da
import numpy as np
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.placement import Placement

if TYPE_CHECKING:
    from napari.components import ViewerModel

Box: TypeAlias = tuple[slice, ...]
"""A part of a layer's data, along the layer's axes (an RGB layer's samples not counted)."""

_behind: WeakKeyDictionary[Layer, tuple[str, da.Array]] = WeakKeyDictionary()
"""The lazy arrays behind layers that hold the part shown at first in memory."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A layer's data and looks at one moment."""

    name: str
    levels: tuple[Any, ...]
    """The pyramid's arrays, the finest first; one where the layer has no pyramid."""
    is_multiscale: bool
    is_rgb: bool
    is_labels: bool
    placement: Placement
    limits: tuple[float, float] | None
    """Contrast limits of an image."""
    colormap: Any

    @property
    def finest(self) -> Any:
        """The data at full resolution; a memory map as a lazy array, so that it stays on disk."""
        data = self.levels[0]
        return da.from_array(data, name=False) if isinstance(data, np.memmap) else data

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data type of the pixels."""
        dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the finest array, an RGB layer's samples counted."""
        return tuple(int(n) for n in self.levels[0].shape)

    @property
    def in_memory(self) -> bool:
        """Whether all pixels are NumPy's, in memory."""
        return all(
            isinstance(level, np.ndarray) and not isinstance(level, np.memmap)
            for level in self.levels
        )


def take(layer: Layer) -> Snapshot:
    """Return a snapshot of an image or labels layer; reads no pixel.

    Parameters
    ----------
    layer
        The layer.
    """
    data = tuple(layer.data) if layer.multiscale else (_lazy(layer),)
    is_image = isinstance(layer, Image)
    limits = map(float, layer.contrast_limits) if is_image else ()
    return Snapshot(
        name=layer.name,
        levels=data,
        is_multiscale=bool(layer.multiscale),
        is_rgb=bool(getattr(layer, "rgb", False)),
        is_labels=isinstance(layer, Labels),
        placement=Placement.of(layer),
        limits=tuple(limits) or None,  # type: ignore[arg-type]  # a pair
        colormap=layer.colormap if is_image else None,
    )


def remember(layer: Layer, lazy: da.Array) -> None:
    """Note the lazy array that a layer's data stands for, so that a chain pulls through it.

    Parameters
    ----------
    layer
        A layer made from a lazy result.
    lazy
        That result.
    """
    _behind[layer] = (layer.data.name, lazy)


def _lazy(layer: Layer) -> Any:
    name, lazy = _behind.get(layer, ("", None))
    return lazy if lazy is not None and getattr(layer.data, "name", None) == name else layer.data


def shown(layer: Layer, viewer: ViewerModel) -> Box:
    """Return the part of a layer's data that the viewer reads at once.

    Parameters
    ----------
    layer
        The layer.
    viewer
        The viewer that shows it.
    """
    dims = viewer.dims
    shape = np.shape(layer.data[0] if layer.multiscale else layer.data)
    displayed = displayed_axes(layer, viewer)
    point = np.asarray(layer.world_to_data(dims.point))[-layer.ndim :]
    box = []
    for axis in range(layer.ndim):
        if axis in displayed:
            box.append(slice(0, int(shape[axis])))
        else:
            at = min(max(round(float(point[axis])), 0), int(shape[axis]) - 1)
            box.append(slice(at, at + 1))
    return tuple(box)


def displayed_axes(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the layer's axes that the viewer displays, in the viewer's order.

    Parameters
    ----------
    layer
        The layer.
    viewer
        The viewer that shows it.
    """
    before = max(viewer.dims.ndim - layer.ndim, 0)
    axes = tuple(axis - before for axis in viewer.dims.displayed if axis >= before)
    return axes if len(axes) >= min(2, layer.ndim) else tuple(range(layer.ndim))[-2:]
