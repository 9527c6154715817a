"""A layer's data when a run starts, so that no worker touches the layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import dask.array as da
import numpy as np
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import dimensions, layer_record
from napari_tilewise._napari.layers.placement import Placement
from napari_tilewise.axes import ALPHA, RED_GREEN_BLUE, PixelSizes, default_axes
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.operations.spec.pixel_positions import Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel

Box: TypeAlias = tuple[slice, ...]
"""A part of a layer's data, along the layer's axes (without samples)."""

_lazy_results: WeakKeyDictionary[Layer, tuple[str, da.Array]] = WeakKeyDictionary()
"""The lazy results of layers, whose data have the shown part in memory."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A layer's data and appearance at one moment."""

    name: str
    levels: tuple[Any, ...]
    """The pyramid's arrays, the finest first; one array without a pyramid."""
    is_multiscale: bool
    is_rgb: bool
    """Whether the last axis of the arrays holds samples, and is not an axis of the placement."""
    is_labels: bool
    placement: Placement
    limits: tuple[float, float] | None
    """The contrast limits of an image."""
    colormap: Any
    channels_first: bool = False
    """Whether the layer has first the channels that the arrays have last."""
    inserted: int | None = None
    """The layer's axis of length one that the arrays lack."""
    path: str | None = None
    """The file, folder or URL that napari opened the layer from; None for a result."""
    is_part: bool = False
    """Whether a region limits it: the arrays are a part of the layer's."""

    @property
    def hidden_axis(self) -> int | None:
        """The layer's axis that is none of the placement's."""
        return 0 if self.channels_first else self.inserted

    @property
    def finest(self) -> Any:
        """The data at full resolution."""
        return self.levels[0]

    @property
    def names(self) -> tuple[str, ...] | None:
        """One letter per axis of the arrays, if the labels are known names or there are samples."""
        axes = dimensions.letters(self.placement.inner.axis_labels)
        if not self.is_rgb:
            return axes
        if axes is None or "c" in axes:
            # Samples always have a name, so that they are never a spatial axis.
            return default_axes(len(self.shape), is_rgb=True) if len(self.shape) < 6 else None
        return (*axes, "c")

    @property
    def sizes(self) -> PixelSizes:
        """The pixel size along the axes of the arrays, samples left out."""
        inner = self.placement.inner
        units = tuple(unit_name(str(unit)) for unit in inner.units)
        return PixelSizes(tuple(map(float, inner.scale)), units)

    @property
    def samples(self) -> tuple[str, ...]:
        """Names of the samples of a colour with an alpha; empty for other layers."""
        samples = (*RED_GREEN_BLUE, ALPHA)
        return samples if self.is_rgb and self.shape[-1] == len(samples) else ()

    def axis(self, of_layer: int) -> int:
        """Return the arrays' axis for an axis of the layer.

        Parameters
        ----------
        of_layer
            An axis of the layer, from 0.
        """
        if self.inserted is not None:
            return of_layer - (of_layer > self.inserted)
        if not self.channels_first:
            return of_layer
        return len(self.shape) - 1 if of_layer == 0 else of_layer - 1

    @property
    def dtype(self) -> np.dtype:
        """The data type of the pixels."""
        dtype: np.dtype = np.dtype(self.levels[0].dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the finest array, with an RGB layer's samples."""
        return tuple(int(n) for n in self.levels[0].shape)

    @property
    def in_memory(self) -> bool:
        """Whether all pixels are in memory."""
        return all(isinstance(level, np.ndarray) for level in self.levels)


def take(layer: Layer, *, as_result: bool = True) -> Snapshot:
    """Return a snapshot of an image or labels layer; reads no pixel.

    Parameters
    ----------
    layer
        An image or labels layer.
    as_result
        Whether the arrays are as the layer's recipe gives them (masks as booleans, channels last),
        not as the layer shows them.
    """
    record = layer_record.of(layer) if as_result else None
    placement = Placement.of(layer)
    channels_first = record is not None and record.channels_first
    inserted = None if record is None else record.inserted
    if channels_first:
        placement = placement.for_axes(range(1, layer.ndim))
    elif inserted is not None:
        placement = placement.for_axes([i for i in range(layer.ndim) if i != inserted])
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
        inserted=inserted,
        path=None if layer.source.path is None else str(layer.source.path),
    )


def _arrays(layer: Layer, record: layer_record.Record | None) -> tuple[Any, ...]:
    levels = tuple(map(_on_disk, layer.data if layer.multiscale else (layer.data,)))
    if record is None:
        return levels
    name, lazy = _lazy_results.get(layer, ("", None))
    if lazy is not None and getattr(layer.data, "name", None) == name:
        return (lazy,)
    if record.is_mask:
        levels = tuple(map(_booleans, levels))
    if record.inserted is not None:
        return tuple(level[(slice(None),) * record.inserted + (0,)] for level in levels)
    return tuple(map(_channels_last, levels)) if record.channels_first else levels


def _on_disk(level: Any) -> Any:
    """Return a memory map as a lazy array, which stays on disk."""
    return da.from_array(level, name=False) if isinstance(level, np.memmap) else level


def _booleans(level: Any) -> Any:
    """Return a mask's pixels as booleans, without a copy if they are in memory."""
    if isinstance(level, np.ndarray) and level.dtype == np.uint8:
        return level.view(bool)
    return level.astype(bool)


def _channels_last(level: Any) -> Any:
    move = da.moveaxis if isinstance(level, da.Array) else np.moveaxis
    return move(level, 0, -1)


def remember_lazy(layer: Layer, lazy: da.Array) -> None:
    """Store the lazy result of a layer, so that later operations compute from it.

    Parameters
    ----------
    layer
        The layer of a lazy result.
    lazy
        The result, as the recipe gives it.
    """
    _lazy_results[layer] = (layer.data.name, lazy)


def forget_lazy(layer: Layer) -> None:
    """Forget the lazy result of a layer, whose pixels are computed now.

    Parameters
    ----------
    layer
        Any layer.
    """
    _lazy_results.pop(layer, None)


def move_lazy(source: Layer, target: Layer) -> None:
    """Store the lazy result of one layer with another layer, which has the same data.

    Parameters
    ----------
    source
        The layer of a result, lazy or not.
    target
        The layer that has the data now.
    """
    if source in _lazy_results:
        _lazy_results[target] = _lazy_results[source]
    else:
        _lazy_results.pop(target, None)


def shown_box(layer: Layer, viewer: ViewerModel, *, without: int | None = None) -> Box:
    """Return the part of a layer's data that the viewer shows.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    without
        The layer's axis that is none of its snapshot's placement.
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
            index = min(max(round(float(point[axis])), 0), int(shape[axis]) - 1)
            box.append(slice(index, index + 1))
    return tuple(span for axis, span in enumerate(box) if axis != without)


def limited(
    source: Snapshot, region: Mapping[int, slice], inside: da.Array | None = None
) -> Snapshot:
    """Return a part of a snapshot at full resolution, which lies where its pixels are.

    Parameters
    ----------
    source
        The snapshot.
    region
        The part along some of the layer's axes, in pixels.
    inside
        Which pixels stay, along the region's axes; the others become 0. All unless given.
    """
    data = cropped(source.finest, source, region)
    if inside is not None:
        over = {source.axis(axis) for axis in region}
        mask = inside[tuple(slice(None) if i in over else None for i in range(data.ndim))]
        data = data * (mask.compute() if isinstance(data, np.ndarray) else mask)
    starts = [0] * len(source.placement.inner.scale)
    for axis, span in region.items():
        starts[_placed(source, axis)] = span.start
    samplings = [Sampling(1.0, float(start)) for start in starts]
    return replace(
        source,
        levels=(data,),
        is_multiscale=False,
        placement=source.placement.sampled(samplings),
        path=None,
        is_part=True,
    )


def cropped(array: Any, source: Snapshot, region: Mapping[int, slice]) -> Any:
    """Return the part of an array that lies on a region of a layer; all of another array.

    Parameters
    ----------
    array
        The layer's pixels, or a further image, which lies on its first or last axes.
    source
        The layer's snapshot.
    region
        The part along some of the layer's axes, in pixels.
    """
    if not lies_on(array, source):
        return array
    key = [slice(None)] * len(source.shape)
    for axis, span in region.items():
        key[source.axis(axis)] = span
    if not isinstance(array, np.ndarray | da.Array):
        # The same name at each call: previews tell arrays apart by it.
        array = da.from_array(array, name=f"layer-{id(array)}")
    ndim = len(array.shape)
    on_first = tuple(array.shape) == source.shape[:ndim]
    return array[tuple(key[:ndim] if on_first else key[-ndim:])]


def with_coarser(part: Snapshot, source: Snapshot, region: Mapping[int, slice]) -> Snapshot:
    """Return a part of a snapshot with a pyramid: the parts of the coarser levels, about there.

    Parameters
    ----------
    part
        The part at full resolution, as `limited` returns it.
    source
        The layer's snapshot.
    region
        The part along some of the layer's axes, in pixels.
    """
    levels = [part.finest]
    for level in source.levels[1:]:
        key = [slice(None)] * len(source.shape)
        for axis, span in region.items():
            of_array = source.axis(axis)
            factor = source.shape[of_array] / level.shape[of_array]
            start = min(int(span.start / factor), level.shape[of_array] - 1)
            key[of_array] = slice(start, max(start + 1, ceil(span.stop / factor)))
        if not isinstance(level, np.ndarray | da.Array):
            level = da.from_array(level, name=f"layer-{id(level)}")
        levels.append(level[tuple(key)])
    return replace(part, levels=tuple(levels), is_multiscale=source.is_multiscale)


def visible_in(box: Box, source: Snapshot, region: Mapping[int, slice]) -> Box | None:
    """Return a visible part of a layer in pixels of a region; None if none of that is visible.

    Parameters
    ----------
    box
        The visible part, along the placement's axes.
    source
        The snapshot.
    region
        The part along some of the layer's axes, in pixels.
    """
    spans = list(box)
    for axis, span in region.items():
        number = _placed(source, axis)
        start, stop = max(box[number].start, span.start), min(box[number].stop, span.stop)
        if start >= stop:
            return None
        spans[number] = slice(start - span.start, stop - span.start)
    return tuple(spans)


def lies_on(array: Any, source: Snapshot) -> bool:
    """Return whether an array has pixels for those of a layer, along its first or last axes.

    Parameters
    ----------
    array
        A further image.
    source
        The layer's snapshot.
    """
    shape = tuple(np.shape(array))
    return bool(shape) and shape in (source.shape[: len(shape)], source.shape[-len(shape) :])


def _placed(source: Snapshot, axis: int) -> int:
    """Return the placement's axis for an axis of the layer."""
    hidden = source.hidden_axis
    return axis if hidden is None else axis - (axis > hidden)


def within(box: Box, source: Snapshot) -> Box:
    """Return a shown part of a layer as a part of what a region limits.

    Parameters
    ----------
    box
        A part of the layer, whole along the displayed axes.
    source
        The layer's snapshot, or a part of it.
    """
    lengths = source.shape[: len(box)]
    return tuple(slice(s.start, min(s.stop, n)) for s, n in zip(box, lengths, strict=True))


def first_box(source: Snapshot) -> Box:
    """Return the part of a layer's data that napari shows first: its first plane.

    Parameters
    ----------
    source
        The layer's snapshot.
    """
    lengths = source.shape[: len(source.placement.inner.scale)]
    planes = len(lengths) - 2
    return tuple(slice(0, 1 if axis < planes else n) for axis, n in enumerate(lengths))


def displayed_axes(layer: Layer, viewer: ViewerModel) -> tuple[int, ...]:
    """Return the layer's axes that the viewer displays, in the viewer's order.

    Parameters
    ----------
    layer
        A layer of the viewer.
    viewer
        The viewer.
    """
    offset = max(viewer.dims.ndim - layer.ndim, 0)
    axes = tuple(axis - offset for axis in viewer.dims.displayed if axis >= offset)
    return axes if len(axes) >= min(2, layer.ndim) else tuple(range(layer.ndim))[-2:]
