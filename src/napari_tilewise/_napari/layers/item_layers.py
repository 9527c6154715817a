"""An item and its result as layers: opened in a thread, so that the window only has to add them.

What fits is read; the rest is shown by its pyramid, or plane by plane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from napari.layers import Image, Labels, Layer, Points

from napari_tilewise._napari.jobs.compute import LARGE
from napari_tilewise._napari.layers import prefetch
from napari_tilewise._napari.widgets.wording import PLUGIN
from napari_tilewise.batches.tables import read_csv
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.cropped import CroppedView

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_tilewise.batches import Item
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image as OpenImage

SMALL = 64 * 2**20
"""Bytes of an image that is read whole."""
COORDINATES = ("axis-", "centroid-")
"""What the names of columns begin with that hold a point's coordinates."""
OPENED = f"{PLUGIN} opened"
"""The key of what a layer shows, in its metadata."""


@dataclass(frozen=True)
class Look:
    """What the viewer shows at the moment, so that no thread asks it."""

    point: tuple[float, ...]
    displayed: int
    """How many axes it shows at a time."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image ready to become a layer."""

    name: str
    levels: Sequence[Any]
    arguments: Mapping[str, Any]
    """Scale, position, axes and units, as napari takes them."""
    is_labels: bool = False
    is_mask: bool = False
    is_rgb: bool = False
    limits: tuple[float, float] | None = None
    key: str = ""
    """Stands for what it shows."""

    @property
    def is_lazy(self) -> bool:
        """Whether only the plane that is shown is in memory."""
        return len(self.levels) == 1 and not isinstance(self.levels[0], np.ndarray)

    def layer(self) -> Layer:
        """Return the layer; reads nothing."""
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
class ItemRows:
    """Points of a table, ready to become a layer."""

    name: str
    points: np.ndarray[Any, Any]
    features: Mapping[str, Any]
    arguments: Mapping[str, Any]
    key: str = ""

    def layer(self) -> Layer:
        """Return the layer."""
        return Points(
            self.points,
            name=self.name, features=self.features, face_color="transparent",
            border_color="#ffb000", metadata={OPENED: self.key}, **self.arguments,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Opening:
    """Opens an item and its result; called in a thread."""

    item: Item
    result: Path | Any | None
    """Its file, or the pixels; None where there is no result."""
    look: Look
    key: str = ""
    """Stands for the item."""
    result_key: str = ""
    """Stands for this result of it."""
    with_input: bool = True
    """Whether the item itself is opened; else it is a layer already."""
    is_labels: bool = False
    """Whether the result names objects, should its format not say so."""

    def __call__(
        self, progress: Listener, cancel: threading.Event
    ) -> tuple[Picture | None, Picture | ItemRows | None]:
        """Return the item and its result, as far as they can be shown."""
        image = open_image(self.item.open())
        shown = None
        if self.with_input:
            shown = self._picture(image, self.item.stem, cancel, self.key)
        return shown, self._result(image, cancel)

    def __str__(self) -> str:
        return f"Opening {self.item.stem!r}"

    def _result(self, image: OpenImage, cancel: threading.Event) -> Picture | ItemRows | None:
        if self.result is None:
            return None
        name = f"{self.item.stem} - result"
        if isinstance(self.result, np.ndarray):
            made = replace(open_image(self.result), labels=self.is_labels)
            return self._picture(made, name, cancel, self.result_key, like=image)
        if self.result.suffix == ".csv":
            return self._points(name, image)
        if self.result.suffix == ".json":
            return None
        made = open_image(self.result)
        made = replace(made, labels=made.labels or self.is_labels)
        return self._picture(made, name, cancel, self.result_key, like=image)

    def _picture(
        self,
        image: OpenImage,
        name: str,
        cancel: threading.Event,
        key: str,
        like: OpenImage | None = None,
    ) -> Picture:
        """Return an image, with what is shown in memory; a result lies where its input does."""
        if like is not None and tuple(like.data.shape) == tuple(image.data.shape):
            axes = image.axes or like.axes
            image = replace(image, axes=axes, scale=like.scale, units=like.units)
        samples, kind = _samples(image), np.dtype(image.data.dtype).kind
        is_mask = kind == "b"
        is_labels = is_mask or (image.labels and kind in "iu")  # floats name nothing
        arguments = _placed(image, self.item, samples)
        levels = _levels(image)
        if len(levels) == 1:
            levels = [self._held(levels[0], arguments, samples, name, cancel)]
        if is_mask:
            levels = [_integers(level) for level in levels]
        limits = prefetch.value_range([_some(levels[-1])])
        return Picture(
            name, levels, arguments, is_labels=is_labels, is_mask=is_mask,
            is_rgb=samples > 0, limits=_apart(limits), key=key,
        )  # fmt: skip

    def _held(
        self, level: Any, arguments: Mapping[str, Any], samples: int, name: str, cancel: Any
    ) -> Any:
        """Return an image without a pyramid: read whole where it is small, else its shown plane."""
        shape, dtype = tuple(level.shape), np.dtype(level.dtype)
        if prod(shape) * dtype.itemsize <= SMALL:
            return np.asarray(level[(slice(None),) * len(shape)])
        first = len(shape) - samples - self.look.displayed
        if prod(shape[max(0, first) :]) > LARGE:
            raise InvalidImage(
                f"{name!r} of shape {shape} is too large to be shown without a pyramid: make one "
                "with napari-tilewise convert, and open that."
            )
        chunks = tuple(1 if axis < first else n for axis, n in enumerate(shape))
        box = []
        for axis, n in enumerate(shape):
            at = self._position(axis, len(shape) - samples, n, arguments)
            box.append(slice(at, at + 1) if axis < first else slice(0, n))
        held, _ = prefetch.with_shown(_lazy(level, chunks), tuple(box), cancel)
        return held

    def _position(self, axis: int, ndim: int, length: int, arguments: Mapping[str, Any]) -> int:
        """Return where the viewer stands along an axis."""
        point = self.look.point[len(self.look.point) - ndim + axis :]
        if axis >= ndim or len(point) != ndim - axis:
            return 0
        at = (point[0] - arguments["translate"][axis]) / arguments["scale"][axis]
        return int(min(max(round(at), 0), length - 1))

    def _points(self, name: str, image: OpenImage) -> ItemRows | None:
        """Return a table's points; None of a table that has none."""
        rows = list(read_csv(self.result))  # type: ignore[arg-type]  # a file here
        samples = _samples(image)
        names = list(rows[0]) if rows else []
        axes = _coordinates(names)
        if len(axes) != len(image.data.shape) - samples:
            return None
        points = np.array([[float(row[name]) for name in axes] for row in rows])
        features = {name: [row[name] for row in rows] for name in names if name not in axes}
        placed = _placed(image, self.item, samples)
        return ItemRows(name, points, features, placed, self.result_key)


def _coordinates(names: Sequence[str]) -> list[str]:
    """Return the columns of a table that hold a point's coordinates."""
    for start in COORDINATES:
        if found := [name for name in names if name.startswith(start)]:
            return found
    return []


def _samples(image: OpenImage) -> int:
    """Return 1 where the last axis holds an RGB image's samples, else 0."""
    shape = tuple(image.data.shape)
    is_rgb = len(shape) > 2 and bool(image.axes) and image.axes[-1] == "c" and shape[-1] in (3, 4)
    return int(is_rgb and not image.labels)


def _levels(image: OpenImage) -> list[Any]:
    """Return the pyramid, or the image alone where it has none that napari would use."""
    levels = list(image.levels)
    small = prod(levels[0].shape) * np.dtype(levels[0].dtype).itemsize <= SMALL
    if small or len(levels) == 1:
        return levels[:1]
    return [_lazy(level, getattr(level, "chunks", None) or "auto") for level in levels]


def _lazy(level: Any, chunks: Any) -> da.Array:
    """Return an array that is read where it is looked at."""
    whole = CroppedView(level, (None,) * len(level.shape))
    lazy: da.Array = da.from_array(whole, chunks=chunks, name=False, asarray=True)
    return lazy


def _placed(image: OpenImage, item: Item, samples: int) -> dict[str, Any]:
    """Return where an image lies; a window lies where it is in its image."""
    ndim = len(image.data.shape) - samples
    kept = [place for place in item.parts or () if not isinstance(place, int)]
    starts = [place[0] if place is not None else 0 for place in kept]
    starts = starts[:ndim] if len(starts) >= ndim else [0] * ndim
    scale = tuple(map(float, image.scale[:ndim]))
    found: dict[str, Any] = {
        "scale": scale,
        "translate": tuple(at * by for at, by in zip(starts, scale, strict=True)),
        "units": tuple(unit or "pixel" for unit in image.units[:ndim]),
    }
    if image.axes:
        found["axis_labels"] = tuple(image.axes[:ndim])
    return found


def _integers(level: Any) -> Any:
    """Return booleans as napari's labels take them."""
    return level.view(np.uint8) if isinstance(level, np.ndarray) else level.astype(np.uint8)


def _some(level: Any) -> np.ndarray[Any, Any]:
    """Return pixels to choose contrast limits by: all in memory, else the middle plane."""
    if isinstance(level, np.ndarray):
        return level
    shape = tuple(level.shape)
    key = tuple(slice(None) if axis >= len(shape) - 2 else n // 2 for axis, n in enumerate(shape))
    return np.asarray(level[key])


def _apart(limits: tuple[float, float] | None) -> tuple[float, float]:
    low, high = limits or (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1)
