"""An item and its result as layers: opened in a thread, so that the window only adds them.

Small images are read whole; large ones are shown by their pyramids, or plane by plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Image, Labels, Layer, Points

from napari_tilewise._napari.layers import prefetch
from napari_tilewise._napari.layers.layer_pyramids import LARGE
from napari_tilewise._napari.widgets.panel_titles import PLUGIN
from napari_tilewise.batches.tables import read_csv
from napari_tilewise.engine.views.cropped import CroppedView
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_tilewise._napari.layers.placement import LayerArguments
    from napari_tilewise.batches import Item
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image as OpenImage
    from napari_tilewise.types import Array, ArrayLike

SMALL = 64 * 2**20
"""The most bytes of an image that is read whole."""
COORDINATES = ("axis-", "centroid-")
"""Prefixes of the names of columns with a point's coordinates."""
OPENED = f"{PLUGIN} opened"
"""The metadata key of the image that a layer shows."""


@dataclass(frozen=True)
class ViewState:
    """The viewer's current view, so that no thread touches the viewer."""

    point: tuple[float, ...]
    displayed: int
    """The number of displayed axes."""


@dataclass(frozen=True, eq=False)
class ImageLayerData:
    """An image, ready to become a layer."""

    name: str
    levels: Sequence[ArrayLike]
    arguments: LayerArguments
    """Scale, position, axes and units, as napari's layers take them."""
    is_labels: bool = False
    is_mask: bool = False
    is_rgb: bool = False
    limits: tuple[float, float] | None = None
    key: str = ""
    """Identifies the image."""

    @property
    def is_lazy(self) -> bool:
        """Whether only the shown plane is in memory."""
        return len(self.levels) == 1 and not isinstance(self.levels[0], np.ndarray)

    def layer(self) -> Layer:
        """Return the layer; reads no pixel."""
        multiscale = len(self.levels) > 1
        data = list(self.levels) if multiscale else self.levels[0]
        common = {
            "name": self.name, "multiscale": multiscale, **self.arguments,
            "metadata": {OPENED: self.key},
        }  # fmt: skip
        if self.is_labels:
            return Labels(data, **common)
        limits = {} if self.is_rgb else {"contrast_limits": self.limits or (0.0, 1.0)}
        return Image(data, rgb=self.is_rgb, **limits, **common)


@dataclass(frozen=True, eq=False)
class PointsLayerData:
    """The points of a table, ready to become a layer."""

    name: str
    points: Array
    features: Mapping[str, Any]
    arguments: LayerArguments
    key: str = ""

    def layer(self) -> Layer:
        """Return the layer."""
        return Points(
            self.points,
            name=self.name, features=self.features, face_color="transparent",
            border_color="#ffb000", metadata={OPENED: self.key}, **self.arguments,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class OpenItem:
    """Opens an item and its result; called in a thread."""

    item: Item
    result: Path | Array | None
    """The result's file, or its pixels; None if there is no result."""
    view: ViewState
    key: str = ""
    """Identifies the item."""
    result_key: str = ""
    """Identifies the result."""
    with_input: bool = True
    """Whether the item is opened too; not if it is a layer already."""
    is_labels: bool = False
    """Whether the result is labels, if its format does not tell."""

    def __call__(
        self, progress: Listener, cancel: threading.Event
    ) -> tuple[ImageLayerData | None, ImageLayerData | PointsLayerData | None]:
        """Return the item and its result; None for what cannot be shown."""
        image = open_image(self.item.open())
        item = None
        if self.with_input:
            item = self._layer_data(image, self.item.stem, self.key, cancel)
        return item, self._result(image, cancel)

    def __str__(self) -> str:
        return f"Opening {self.item.stem!r}"

    def _result(
        self, image: OpenImage, cancel: threading.Event
    ) -> ImageLayerData | PointsLayerData | None:
        if self.result is None:
            return None
        name = f"{self.item.stem} - result"
        if isinstance(self.result, np.ndarray):
            result = replace(open_image(self.result), labels=self.is_labels)
            return self._layer_data(_placed_like(result, image), name, self.result_key, cancel)
        if self.result.suffix == ".csv":
            return self._points(self.result, name, image)
        if self.result.suffix == ".json":
            return None
        result = open_image(self.result)
        result = replace(result, labels=result.labels or self.is_labels)
        return self._layer_data(_placed_like(result, image), name, self.result_key, cancel)

    def _layer_data(
        self, image: OpenImage, name: str, key: str, cancel: threading.Event
    ) -> ImageLayerData:
        """Return an image with the shown part in memory."""
        samples, kind = _samples(image), np.dtype(image.data.dtype).kind
        is_mask = kind == "b"
        is_labels = is_mask or (image.labels and kind in "iu")  # floats are not label ids
        arguments = _placed(image, self.item, samples)
        levels = _levels(image)
        if len(levels) == 1:
            levels = [self._loaded(levels[0], arguments, samples, name, cancel)]
        if is_mask:
            levels = [_integers(level) for level in levels]
        limits = prefetch.value_range([_sample(levels[-1])])
        return ImageLayerData(
            name, levels, arguments, is_labels=is_labels, is_mask=is_mask,
            is_rgb=samples > 0, limits=_distinct(limits), key=key,
        )  # fmt: skip

    def _loaded(
        self,
        level: ArrayLike,
        arguments: LayerArguments,
        samples: int,
        name: str,
        cancel: threading.Event,
    ) -> np.ndarray | da.Array:
        """Return an image without a pyramid: read whole if it is small, else its shown plane."""
        shape, dtype = tuple(level.shape), np.dtype(level.dtype)
        if prod(shape) * dtype.itemsize <= SMALL:
            return np.asarray(level[(slice(None),) * len(shape)])
        first = len(shape) - samples - self.view.displayed
        if prod(shape[max(0, first) :]) > LARGE:
            raise InvalidImage(
                f"{name!r} of shape {shape} is too large to be shown without a pyramid: convert it "
                "with `napari-tilewise convert`, and open the converted file."
            )
        chunks = tuple(1 if axis < first else n for axis, n in enumerate(shape))
        box = []
        for axis, n in enumerate(shape):
            index = self._position(axis, len(shape) - samples, n, arguments)
            box.append(slice(index, index + 1) if axis < first else slice(0, n))
        lazy, _ = prefetch.with_shown(_lazy(level, chunks), tuple(box), cancel)
        return lazy

    def _position(self, axis: int, ndim: int, length: int, arguments: LayerArguments) -> int:
        """Return the index along an axis that the viewer shows."""
        point = self.view.point[len(self.view.point) - ndim + axis :]
        if axis >= ndim or len(point) != ndim - axis:
            return 0
        index = (point[0] - arguments["translate"][axis]) / arguments["scale"][axis]
        return int(min(max(round(index), 0), length - 1))

    def _points(self, path: Path, name: str, image: OpenImage) -> PointsLayerData | None:
        """Return a table's points; None if its rows have no coordinates."""
        rows = list(read_csv(path))
        samples = _samples(image)
        names = list(rows[0]) if rows else []
        axes = _coordinates(names)
        if len(axes) != len(image.data.shape) - samples:
            return None
        points = np.array([[float(row[name]) for name in axes] for row in rows])
        features = {name: [row[name] for row in rows] for name in names if name not in axes}
        placed = _placed(image, self.item, samples)
        return PointsLayerData(name, points, features, placed, self.result_key)


def _placed_like(result: OpenImage, image: OpenImage) -> OpenImage:
    """Return a result with its input's axes, scale and units, if both have the same shape."""
    if tuple(image.data.shape) != tuple(result.data.shape):
        return result
    return replace(
        result,
        axes=result.axes or image.axes,
        scale=image.scale,
        units=image.units,
        level_positions=result.level_positions or (image.translate,),
    )


def _coordinates(names: Sequence[str]) -> list[str]:
    """Return the columns of a table with a point's coordinates."""
    for prefix in COORDINATES:
        if columns := [name for name in names if name.startswith(prefix)]:
            return columns
    return []


def _samples(image: OpenImage) -> int:
    """Return 1 if the last axis holds an RGB image's samples, else 0."""
    shape = tuple(image.data.shape)
    is_rgb = len(shape) > 2 and bool(image.axes) and image.axes[-1] == "c" and shape[-1] in (3, 4)
    return int(is_rgb and not image.labels)


def _levels(image: OpenImage) -> list[Any]:
    """Return the pyramid, or the image alone if it is small or has none."""
    levels = list(image.levels)
    small = prod(levels[0].shape) * np.dtype(levels[0].dtype).itemsize <= SMALL
    if small or len(levels) == 1:
        return levels[:1]
    return [_lazy(level, getattr(level, "chunks", None) or "auto") for level in levels]


def _lazy(level: ArrayLike, chunks: Any) -> da.Array:
    """Return an array that reads only the requested parts."""
    whole = CroppedView(level, (None,) * len(level.shape))
    lazy: da.Array = da.from_array(whole, chunks=chunks, name=False, asarray=True)
    return lazy


def _placed(image: OpenImage, item: Item, samples: int) -> LayerArguments:
    """Return an image's placement; a window that does not say where it lies, in its image."""
    ndim = len(image.data.shape) - samples
    parts = () if image.level_positions else item.parts or ()
    spans = [span for span in parts if not isinstance(span, int)]
    starts = [0 if span is None else span[0] for span in spans]
    starts = starts[:ndim] if len(starts) >= ndim else [0] * ndim
    scale = tuple(map(float, image.scale[:ndim]))
    placement: LayerArguments = {
        "scale": scale,
        "translate": tuple(
            float(position) + start * size
            for position, start, size in zip(image.translate[:ndim], starts, scale, strict=True)
        ),
        "units": tuple(unit or "pixel" for unit in image.units[:ndim]),
    }
    if image.axes:
        placement["axis_labels"] = tuple(image.axes[:ndim])
    return placement


def _integers(level: np.ndarray | da.Array) -> np.ndarray | da.Array:
    """Return booleans as the integers that napari's labels take."""
    return level.view(np.uint8) if isinstance(level, np.ndarray) else level.astype(np.uint8)


def _sample(level: ArrayLike) -> Array:
    """Return pixels to choose contrast limits from: all in memory, else the middle plane."""
    if isinstance(level, np.ndarray):
        return level
    shape = tuple(level.shape)
    key = tuple(slice(None) if axis >= len(shape) - 2 else n // 2 for axis, n in enumerate(shape))
    return np.asarray(level[key])


def _distinct(limits: tuple[float, float] | None) -> tuple[float, float]:
    low, high = limits or (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)
