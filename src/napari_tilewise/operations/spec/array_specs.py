"""Specs of arrays: footprints, small arrays that every tile needs, and further images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter, InvalidParameterType
from napari_tilewise.operations.spec.value_specs import Number, Spec, shown

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.value_specs import Factors
    from napari_tilewise.types import Parameters, Value

# -- footprints ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Footprint(Spec):
    """A neighbourhood: an array, or a sequence of (array, repetitions) where `sequences`."""

    sequences: bool = True

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, Mapping):
            return self._check(name, footprint_from(name, value), ndim)
        if isinstance(value, Sequence) and not isinstance(value, str) and value:
            if all(_is_repeated(item) for item in value):
                if not self.sequences:
                    raise InvalidParameter(
                        f"{name} is a sequence of footprints: expected one array here."
                    )
                return tuple((self._array(name, fp, ndim), int(n)) for fp, n in value)
        return self._array(name, value, ndim)

    def _array(self, name: str, value: Any, ndim: int | None) -> np.ndarray:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InvalidParameter(
                f"{shown(name, value)}: rows differ in length, expected {self.describe()}."
            ) from error
        if array.dtype.kind not in "buif":
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        if array.size == 0 or (ndim is not None and array.ndim != ndim):
            raise InvalidParameter(
                f"{name} has shape {array.shape}: expected a non-empty array with "
                f"{count_of_axes(ndim or 1)}, one per spatial axis."
            )
        return array

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the footprint in larger pixels: its size divided, or its items sampled."""
        if value is None or all(factor == 1 for factor in factors):
            return value
        if isinstance(value, Mapping):
            name = FOOTPRINTS[str(value["shape"])]
            size = value[name] / prod(factors) ** (1 / len(factors))
            whole = 2 * round((size - 1) / 2) + 1 if name == "width" else round(size)
            return {"shape": value["shape"], name: max(whole, name == "width")}
        if isinstance(value, Sequence) and value and all(map(_is_repeated, value)):
            return tuple((_sampled(array, factors), count) for array, count in value)
        return _sampled(value, factors)

    def describe(self) -> str:
        """Return the expected values in words."""
        text = "an array, or a shape such as {'shape': 'disk', 'radius': 3}"
        return text + (" or None" if self.optional else "")


def count_of_axes(number: int) -> str:
    """Return a number of axes in words."""
    return "1 axis" if number == 1 else f"{number} axes"


def _sampled(footprint: Any, factors: Factors) -> np.ndarray:
    """Return the items of a footprint that larger pixels meet, its centre among them."""
    array = np.asarray(footprint)
    for axis, factor in enumerate(factors):
        centre = array.shape[axis] // 2
        reach = int(centre / factor)
        steps = np.arange(-reach, reach + 1) * factor
        items = np.clip(np.rint(centre + steps).astype(int), 0, array.shape[axis] - 1)
        array = array.take(items, axis)
    return array


def _is_repeated(item: Any) -> bool:
    """Return whether an item of a sequence is (footprint, repetitions), not a row of an array."""
    return (
        isinstance(item, Sequence)
        and not isinstance(item, str)
        and len(item) == 2
        and isinstance(item[0], Sequence | np.ndarray)
        and isinstance(item[1], Integral)
    )


FOOTPRINTS: Mapping[str, str] = {
    "disk": "radius",
    "square": "width",
    "diamond": "radius",
    "ball": "radius",
    "cube": "width",
    "octahedron": "radius",
}
"""Shapes that a form or a recipe may name, each with its one size."""
LARGEST = 2**28
"""Pixels of the largest footprint that is named: the larger ones hardly fit into memory."""


def footprint_from(name: str, shape: Parameters) -> np.ndarray:
    """Return the footprint that a ``{"shape": ..., "radius"|"width": ...}`` mapping names."""
    from skimage import morphology

    kind = shape.get("shape")
    size_name = FOOTPRINTS.get(str(kind))
    if size_name is None or set(shape) != {"shape", size_name}:
        forms = ", ".join(f"{{'shape': {s!r}, {k!r}: n}}" for s, k in FOOTPRINTS.items())
        raise InvalidParameter(f"{name}={dict(shape)!r}: expected one of {forms}.")
    size = Number(integer=True, minimum=0).check(f"{name}.{size_name}", shape[size_name], None)
    axes = 3 if kind in {"ball", "cube", "octahedron"} else 2
    longest = int(LARGEST ** (1 / axes))
    if size * (1 if size_name == "width" else 2) > longest:
        raise InvalidParameter(
            f"{name}={dict(shape)!r}: expected a footprint of at most {longest} pixels along each "
            "axis."
        )
    if size_name == "width":
        return np.ones((size,) * axes, dtype=np.uint8)
    return np.asarray(getattr(morphology, str(kind))(size))


# -- small arrays ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Array(Spec):
    """A small array that every tile needs whole: a kernel, a template, a matrix, coordinates."""

    ndim: int | None = None
    """Its number of axes; None: as many as the image has spatial axes."""
    shape: tuple[int, ...] | None = None
    """Its shape where only one will do."""
    usual: tuple[float, float] = (0, 1)
    """The range that a property test draws items from."""
    longest: int = 5
    """The longest axis that a property test draws."""
    integer: bool = False
    matrix: bool = False
    """Whether it maps coordinates: forms take its numbers as text, not from a layer."""
    position: bool = False
    """Whether it holds coordinates of pixels along the spatial axes (previews scale them)."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise InvalidParameter(
                f"{name} has rows of different lengths: expected {self.describe()}."
            ) from error
        if array.dtype.kind not in "buifc":
            raise InvalidParameterType(f"{shown(name, value)}: expected {self.describe()}.")
        axes = ndim if self.ndim is None else self.ndim
        fits = array.shape == self.shape if self.shape else axes is None or array.ndim == axes
        if array.size == 0 or not fits:
            raise InvalidParameter(f"{name} has shape {array.shape}: expected {self.describe()}.")
        return array

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return positions in larger pixels; any other array as it is."""
        if value is None or not self.position:
            return value
        return (np.asarray(value, float) + 0.5) / prod(factors) ** (1 / len(factors)) - 0.5

    def describe(self) -> str:
        """Return the expected values in words."""
        axes = "one axis per spatial axis" if self.ndim is None else count_of_axes(self.ndim)
        text = f"an array of shape {self.shape}" if self.shape else f"a non-empty array with {axes}"
        return text + (" or None" if self.optional else "")


# -- further images --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AlignedImage(Spec):
    """A further image on the same grid of pixels, such as a mask: tiled along with the first."""

    optional: bool = True
    role: str = "mask"
    """What the image is: mask, labels or intensity; decides which layers a form offers."""
    like: bool = False
    """Whether it has the image's own shape, channels included, and kind of pixels."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if not (hasattr(value, "shape") and hasattr(value, "dtype")):
            raise InvalidParameterType(f"{shown(name, value)}: expected {self._array_text()}.")
        return value

    def describe(self) -> str:
        """Return the expected values in words."""
        return self._array_text()

    def _array_text(self) -> str:
        return "an array of the image's shape" + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class OtherImage(AlignedImage):
    """A further image of any size, gathered over by itself: not part of any block."""

    def describe(self) -> str:
        """Return the expected values in words."""
        return "an image" + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class ImageOr(AlignedImage):
    """An aligned image, or in its place a value of another kind: a name, a number."""

    other: Spec

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if is_image(self, value):
            return super()._check(name, value, ndim)
        try:
            return self.other.check(name, value, ndim)
        except InvalidParameter:
            raise InvalidParameterType(
                f"{shown(name, value)}: expected {self.describe()}."
            ) from None

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return a value of the other kind in larger pixels."""
        return value if is_image(self, value) else self.other.scaled(value, factors)

    def describe(self) -> str:
        """Return the expected values in words."""
        text = f"{self.other.describe()}, or an array of the image's shape"
        return text + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class NumberOrImage(Number):
    """A number, in whose place a script may give one per pixel: an aligned image."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        return value if is_image(self, value) else super()._check(name, value, ndim)

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return a number in larger pixels."""
        return value if is_image(self, value) else super().scaled(value, factors)

    def describe(self) -> str:
        """Return the expected values in words."""
        return f"{super().describe()}, or an array of the image's shape"


def is_image(spec: Spec, value: Any) -> bool:
    """Tell whether a parameter's value is an image (None is one that was not given)."""
    if isinstance(spec, ImageOr | NumberOrImage):
        return hasattr(value, "dtype") and len(getattr(value, "shape", ())) > 0
    return isinstance(spec, AlignedImage)
