"""The results of a batch as one layer: planes at their positions, or images along a new axis.

The planes of failed items are blank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers.placement import Placement
from napari_tilewise._napari.layers.prefetch import value_range
from napari_tilewise._napari.widgets.panel_titles import PLUGIN
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from napari_tilewise._napari.layers.placement import LayerArguments
    from napari_tilewise.batches import Item
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.plain_data import Metadata
    from napari_tilewise.types import Array, Value

BATCH = f"{PLUGIN} batch"
"""The metadata key of a batch's layer."""
ITEM = "item"
"""The name of the new axis."""


@dataclass(frozen=True, eq=False)
class ResultStack:
    """Results as one image, ready to become a layer."""

    name: str
    pixels: Array
    arguments: LayerArguments
    """Scale, axes and units, as napari takes them."""
    is_labels: bool
    """Whether the pixels are labels or a mask."""
    is_rgb: bool
    limits: tuple[float, float]
    provenance: Metadata
    """What the layer stores about the batch."""

    def layer(self, source: Layer | None) -> Layer:
        """Return the layer, placed like its source if they have the same shape.

        Parameters
        ----------
        source
            The layer whose parts were the items, if there is one.
        """
        arguments = dict(self.arguments)
        ndim = self.pixels.ndim - self.is_rgb
        if source is not None and (np.shape(source.data), source.ndim) == (self.pixels.shape, ndim):
            arguments |= Placement.of(source).arguments()
        common = {"name": self.name, "metadata": {BATCH: dict(self.provenance)}, **arguments}
        if self.is_labels:
            pixels = self.pixels.view(np.uint8) if self.pixels.dtype == bool else self.pixels
            return Labels(pixels, **common)
        limits = {} if self.is_rgb else {"contrast_limits": self.limits}
        return Image(self.pixels, rgb=self.is_rgb, **limits, **common)


@dataclass(frozen=True, eq=False)
class StackResults:
    """Stacks a batch's results into one image; called in a thread."""

    name: str
    """The name of the layer."""
    items: Sequence[Item]
    """All items, failed ones too."""
    values: Mapping[int, Value]
    """Results by the items' numbers."""
    is_labels: bool
    """Whether the results are labels."""
    provenance: Metadata
    """What the layer stores about the batch."""

    def __str__(self) -> str:
        return f"Stacking {len(self.values):,} results"

    def __call__(self, progress: Listener, cancel: threading.Event) -> ResultStack:
        """Return the image; raises `InvalidImage` if the results have several shapes."""
        pixels = self._pixels()
        along = _positions(self.items)
        return self._at_positions(pixels, along) if along else self._along_new_axis(pixels)

    @property
    def _first(self) -> Item:
        """The first item that gave an image."""
        return next(item for item in self.items if item.index in self.values)

    def _at_positions(self, pixels: Array, along: tuple[int, ...]) -> ResultStack:
        """Return planes at the positions that they were taken from."""
        whole = open_image(self._first.source)
        counts = [int(whole.data.shape[axis]) for axis in along]
        pixels = pixels.reshape(*counts, *pixels.shape[1:])
        if pixels.ndim != len(whole.data.shape):  # the operation changed the number of axes
            return self._stack(pixels, (), (1.0,) * pixels.ndim, (None,) * pixels.ndim)
        pixels = np.moveaxis(pixels, range(len(along)), along)
        return self._stack(pixels, whole.axes, whole.scale, whole.units)

    def _along_new_axis(self, pixels: Array) -> ResultStack:
        """Return images stacked along a new first axis."""
        image = open_image(self._first.open())
        if len(image.data.shape) != pixels.ndim - 1:
            return self._stack(pixels, (), (1.0,) * pixels.ndim, (None,) * pixels.ndim)
        axes = (ITEM, *image.axes) if image.axes else ()
        return self._stack(pixels, axes, (1.0, *image.scale), (None, *image.units))

    def _stack(
        self,
        pixels: Array,
        axes: tuple[str, ...],
        scale: tuple[float, ...],
        units: tuple[str | None, ...],
    ) -> ResultStack:
        is_labels = pixels.dtype.kind == "b" or (self.is_labels and pixels.dtype.kind in "iu")
        is_rgb = not is_labels and axes[-1:] == ("c",) and pixels.shape[-1] in (3, 4)
        if axes[-1:] == ("c",) and not is_rgb:  # an axis, not samples: y and x must come last
            pixels = np.moveaxis(pixels, -1, -3)
            axes, scale, units = map(_last_third, (axes, scale, units))
        ndim = pixels.ndim - is_rgb
        arguments: LayerArguments = {
            "scale": scale[:ndim],
            "units": tuple(unit or "pixel" for unit in units[:ndim]),
        }
        if axes:
            arguments["axis_labels"] = axes[:ndim]
        low, high = value_range([pixels]) or (0.0, 1.0)
        limits = (low, high if high > low else low + 1)
        return ResultStack(self.name, pixels, arguments, is_labels, is_rgb, limits, self.provenance)

    def _pixels(self) -> Array:
        """Return the results stacked along the first axis; missing ones are blank."""
        images = {n: value for n, value in self.values.items() if isinstance(value, np.ndarray)}
        names = {item.index: item.stem for item in self.items}
        if not images:
            raise InvalidImage(
                "No item gave an image to make a layer of: write the results to a folder."
            )
        first, shape = next((n, np.shape(value)) for n, value in images.items())
        for number, value in images.items():
            if value.shape != shape:
                raise InvalidImage(
                    f"The results cannot become one layer: {names[first]!r} has the shape {shape}, "
                    f"{names[number]!r} the shape {value.shape}. Write them to a folder."
                )
        dtype = np.result_type(*{value.dtype for value in images.values()})
        pixels = np.zeros((len(self.items), *shape), dtype)
        for row, item in enumerate(self.items):
            if item.index in images:
                pixels[row] = images[item.index]
        return pixels


def _last_third(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return one value per axis, with the last axis moved before the two before it."""
    return (*items[:-3], items[-1], *items[-3:-1])


def _positions(items: Sequence[Item]) -> tuple[int, ...]:
    """Return the axes along which all items are positions of one image; else none."""
    first = items[0]
    parts = first.parts or ()
    along = tuple(axis for axis, position in enumerate(parts) if isinstance(position, int))
    windows = any(isinstance(position, tuple) for position in parts)
    same = all(item.source is first.source for item in items)
    return along if same and not windows else ()
