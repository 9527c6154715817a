"""What a run needs of a layer, taken when it starts, so that no worker ever touches a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import dask.array as da
import numpy as np
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import dimensions, layer_record
from napari_tilewise._napari.layers.placement import Placement
from napari_tilewise.axes import default_axes

if TYPE_CHECKING:
    from napari.components import ViewerModel

Box: TypeAlias = tuple[slice, ...]
"""A part of a layer's data, along the layer's axes (samples of a colour not counted)."""

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
    """Whether the last axis of the arrays holds samples, and is none of the placement's axes."""
    is_labels: bool
    placement: Placement
    limits: tuple[float, float] | None
    """Contrast limits of an image."""
    colormap: Any
    channels_first: bool = False
    """Whether the layer has first what the arrays have last."""

    @property
    def finest(self) -> Any:
        """The data at full resolution."""
        return self.levels[0]

    @property
    def names(self) -> tuple[str, ...] | None:
        """One letter per axis of the arrays, where the layer's labels say so or it has colours."""
        found = dimensions.letters(self.placement.inner.axis_labels)
        if not self.is_rgb:
            return found
        if found is None or "c" in found:
            # Samples always have a name, so that no operation takes them for space.
            return default_axes(len(self.shape), is_rgb=True) if len(self.shape) < 6 else None
        return (*found, "c")

    def axis(self, of_layer: int) -> int:
        """Return the arrays' axis that is one of the layer's.

        Parameters
        ----------
        of_layer
            The layer's axis.
        """
        if not self.channels_first:
            return of_layer
        return len(self.shape) - 1 if of_layer == 0 else of_layer - 1

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
        return all(isinstance(level, np.ndarray) for level in self.levels)


def take(layer: Layer, *, as_made: bool = True) -> Snapshot:
    """Return a snapshot of an image or labels layer; reads no pixel.

    Parameters
    ----------
    layer
        The layer.
    as_made
        Whether the arrays are what the layer's recipe gives, which napari cannot always show
        (booleans as booleans, channels last); else as the layer has them.
    """
    record = layer_record.of(layer) if as_made else None
    placement = Placement.of(layer)
    channels_first = record is not None and record.channels_first
    if channels_first:
        placement = placement.kept(range(1, layer.ndim))
    is_image = isinstance(layer, Image)
    limits = map(float, layer.contrast_limits) if is_image else ()
    return Snapshot(
        name=layer.name,
        levels=_arrays(layer, record),
        is_multiscale=bool(layer.multiscale),
        is_rgb=channels_first or bool(getattr(layer, "rgb", False)),
        is_labels=isinstance(layer, Labels),
        placement=placement,
        limits=tuple(limits) or None,  # type: ignore[arg-type]  # a pair
        colormap=layer.colormap if is_image else None,
        channels_first=channels_first,
    )


def _arrays(layer: Layer, record: layer_record.Record | None) -> tuple[Any, ...]:
    levels = tuple(map(_on_disk, layer.data if layer.multiscale else (layer.data,)))
    if record is None:
        return levels
    name, lazy = _behind.get(layer, ("", None))
    if lazy is not None and getattr(layer.data, "name", None) == name:
        return (lazy,)
    if record.is_mask:
        levels = tuple(map(_booleans, levels))
    return tuple(map(_channels_last, levels)) if record.channels_first else levels


def _on_disk(level: Any) -> Any:
    """Return a memory map as a lazy array, so that it stays on disk."""
    return da.from_array(level, name=False) if isinstance(level, np.memmap) else level


def _booleans(level: Any) -> Any:
    """Return a mask's pixels as booleans: in memory the same bytes."""
    if isinstance(level, np.ndarray) and level.dtype == np.uint8:
        return level.view(bool)
    return level.astype(bool)


def _channels_last(level: Any) -> Any:
    move = da.moveaxis if isinstance(level, da.Array) else np.moveaxis
    return move(level, 0, -1)


def remember(layer: Layer, lazy: da.Array) -> None:
    """Note the lazy array that a layer's data stand for, so that a chain pulls through it.

    Parameters
    ----------
    layer
        A layer made from a lazy result.
    lazy
        That result, as the recipe gives it.
    """
    _behind[layer] = (layer.data.name, lazy)


def move(made: Layer, layer: Layer) -> None:
    """Note that a layer has now the data of another one, and so what is behind them.

    Parameters
    ----------
    made
        The layer whose data they were.
    layer
        The one that has them now.
    """
    if made in _behind:
        _behind[layer] = _behind[made]
    else:
        _behind.pop(layer, None)


def shown(layer: Layer, viewer: ViewerModel, *, channels_first: bool = False) -> Box:
    """Return the part of a layer's data that the viewer reads at once.

    Parameters
    ----------
    layer
        The layer.
    viewer
        The viewer that shows it.
    channels_first
        Whether the first axis is one that the layer's snapshot counts as samples.
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
    return tuple(box[1:] if channels_first else box)


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
