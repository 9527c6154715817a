"""`color.label2rgb`: a label's colour depends on its rank among all labels of the image.

A reduction counts the labels; the colours are then a lookup table. Means of regions are summed in
scikit-image's own order, pixel by pixel over the whole image.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import color_dict, gray2rgb, hsv2rgb, rgb2hsv
from skimage.util import img_as_float

from napari_tilewise.axes import RED_GREEN_BLUE
from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.color.color_spaces import (
    check_new_axis,
    new_axis,
    shape_with_axis,
)
from napari_tilewise.operations.color.region_means import reduce_means
from napari_tilewise.operations.exposure.matching import Tally, reduce_tallies
from napari_tilewise.operations.shared.common import as_float_type
from napari_tilewise.operations.shared.global_numbers import refuse_unless_finite
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_ONE_CALL,
    PER_PIXEL,
    AsStep,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Operation,
    Plan,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import AlignedImage, ChoiceSpec, Names, Number
from napari_tilewise.operations.spec.value_specs import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike

    from napari_tilewise.types import Value

COLORS = tuple(color_dict)


@dataclass(frozen=True, kw_only=True)
class Color(ChoiceSpec):
    """A colour: its name, or three numbers for red, green and blue."""

    choices: tuple[Any, ...] = COLORS

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(items, Sequence) or isinstance(items, str):
            return super()._check(name, value, ndim)
        if len(items) < 3 or not all(isinstance(item, Real) for item in items):
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        return tuple(items)

    def describe(self) -> str:
        """Return the expected values in words."""
        text = "a colour's name such as 'red', or three numbers (red, green, blue)"
        return text + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Colors(Names):
    """Several colours, each a name or three numbers."""

    names: tuple[str, ...] = COLORS

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or not len(value):
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        return tuple(Color().check(name, item, ndim) for item in value)

    def describe(self) -> str:
        """Return the expected values in words."""
        return f"at least one colour, each {Color().describe()}"


# -- overlay ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Palette:
    """The colours of an image's labels."""

    labels: np.ndarray
    """All labels of the image, in ascending order."""
    indices: np.ndarray
    """The index in `colors` of each label."""
    colors: np.ndarray
    transparent: Any
    """The index of the label whose pixels show the image without a colour; None: no such label."""


def _palette(call: Call, labels: np.ndarray) -> _Palette:
    """Colour the labels as scikit-image colours an image that contains each label once."""
    module, background = "color.colorlabel", call["bg_label"]
    values = labels
    offset = min(values.min(), background)
    if offset != 0:
        values = values - offset
        background = background - offset
    indices = values.astype(np.min_scalar_type(int(values.max())))
    rgb_vector = reach(module, "_rgb_vector")
    names = call["colors"] or reach(module, "DEFAULT_COLORS")
    ranks, cycle = reach(module, "_match_label_with_color")(
        indices, [rgb_vector(color) for color in names], background, call["bg_color"]
    )
    colors = np.stack(list(islice(cycle, int(ranks.max()) + 1)))
    transparent = background if call["bg_color"] is None and 0 in ranks else None
    # stored in the labels' own dtype, which may be too small by one, as scikit-image does
    indices[:] = ranks
    return _Palette(labels, indices, colors, transparent)


def _overlay(call: Call, labels: np.ndarray) -> Callable[[Block], np.ndarray]:
    palette = _palette(call, labels)
    if not 0 <= call["saturation"] <= 1:
        warnings.warn(f"saturation must be in range [0, 1], got {call['saturation']}", stacklevel=2)

    def compute(block: Block) -> np.ndarray:
        indices = palette.indices[np.searchsorted(palette.labels, block.data)]
        base = _base_image(call, block)
        if base is None:
            alpha, base = 1, np.zeros((*indices.shape, 3))
        else:
            alpha = call["alpha"]
        mixed: np.ndarray = palette.colors[indices] * alpha + base * (1 - alpha)
        if palette.transparent is not None:
            background = indices == palette.transparent
            mixed[background] = base[background]
        return mixed

    return compute


def _base_image(call: Call, block: Block) -> np.ndarray | None:
    """Return the image below the colours, in RGB, as scikit-image prepares it."""
    image = block.images.get("image")
    if image is None:
        return None
    if image.min() < 0:
        warnings.warn("Negative intensities in `image` are not supported", stacklevel=2)
    image = img_as_float(image).astype(as_float_type(image.dtype), copy=False)
    if image.ndim > block.data.ndim:
        hsv = rgb2hsv(image)
        hsv[..., 1] *= call["saturation"]
        image = hsv2rgb(hsv)
    else:
        image = gray2rgb(image)
    weighted: np.ndarray = image * call["image_alpha"] + (1 - call["image_alpha"])
    return weighted


# -- avg -------------------------------------------------------------------------------------------


def _averages(call: Call, tally: Tally, means: np.ndarray) -> Callable[[Block], np.ndarray]:
    colors = np.zeros((len(tally.values), 3), call.image_dtype("image"))
    colors[:] = means if means.ndim == 2 else means[:, np.newaxis]
    background = np.flatnonzero(tally.values == call["bg_label"])
    if background.size:
        colors[background] = call["bg_color"]
    return lambda block: colors[np.searchsorted(tally.values, block.data)]


# -- label2rgb -------------------------------------------------------------------------------------


def _plan(call: Call) -> Plan:
    (tally,) = yield reduce_tallies(call, lambda block: [block.data])
    refuse_unless_finite(call, tally.values[0], tally.values[-1])  # sorted, NaN last
    if call["kind"] == "overlay":
        colored = _overlay(call, tally.values)
    else:
        means = yield from reduce_means(call, "image", tally, excluded=call["bg_label"])
        colored = _averages(call, tally, means)
    axis = new_axis(call)
    return Tiles(lambda block: np.moveaxis(colored(block), -1, axis))


def _dtype(call: Call) -> DTypeLike:
    return np.float64 if call["kind"] == "overlay" else call.image_dtype("image")


def _check(call: Call) -> None:
    check_new_axis(call)
    name, image, axis = call.operation.name, call["image"], call["channel_axis"]
    if image is None:
        if call["kind"] == "avg":
            raise InvalidParameter(
                f"{name}: kind='avg' colours each label with its mean in image=, which is missing."
            )
        return
    shape = tuple(image.shape)
    if len(shape) > call.ndim and (len(shape) > call.ndim + 1 or shape[-1] != 3):
        raise InvalidImage(
            f"{name}: image has shape {shape}: expected {call.shape}, as the labels, or "
            f"{(*call.shape, 3)} for a colour image."
        )
    if axis not in (-1, len(shape) - 1):
        raise InvalidParameter(
            f"{name}: channel_axis={axis}: with image=, expected -1 and an image with its channels "
            "last (use numpy.moveaxis)."
        )


OPERATIONS = (
    Operation(
        name="color.label2rgb",
        family=families.COLOUR,
        kind=Kind.STATISTIC,
        specs={
            "image": AlignedImage(role="image"),
            "colors": Colors(optional=True, advanced=True),
            "alpha": Number(usual=(0, 1)),
            "bg_label": Number(integer=True, usual=(-1, 3), advanced=True),
            "bg_color": Color(optional=True, advanced=True),
            "image_alpha": Number(usual=(0, 1), advanced=True),
            "kind": ChoiceSpec(choices=("overlay", "avg")),
            "saturation": Number(usual=(0, 1), advanced=True),
            "channel_axis": Number(integer=True, usual=(-1, -1), advanced=True),
        },
        result=ResultSpec(dtype=_dtype, shape=shape_with_axis(3), channel=new_axis),
        step=AsStep(samples=RED_GREEN_BLUE),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(
            numbers=PER_PIXEL,
            memory=17.0,
            at_once=AtOnce(function=IN_ONE_CALL, finite=True, counted=True),
        ),
        note="The channels of `image` must be its last axis. Labels that are NaN or infinite are "
        "refused.",
    ),
)
