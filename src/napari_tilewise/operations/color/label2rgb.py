"""`color.label2rgb`: a label's colour follows its place among all labels of the image.

One pass counts the labels that there are; the colours are then a table. Means of regions are summed
in scikit-image's own order, pixel after pixel over the whole image.
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

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.color.color_spaces import check_new_axis, new_axis, with_axis
from napari_tilewise.operations.color.region_means import gather_means
from napari_tilewise.operations.exposure.matching import Tally, gather_tallies
from napari_tilewise.operations.shared.common import as_float_type
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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

if TYPE_CHECKING:
    from collections.abc import Callable

COLORS = tuple(color_dict)


@dataclass(frozen=True, kw_only=True)
class Color(ChoiceSpec):
    """A colour: its name, or red, green and blue."""

    choices: tuple[Any, ...] = COLORS

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(items, Sequence) or isinstance(items, str):
            return super()._check(name, value, ndim)
        if len(items) < 3 or not all(isinstance(item, Real) for item in items):
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        return tuple(items)

    def describe(self) -> str:
        """Return the expected values in words."""
        text = "a colour's name such as 'red', or three numbers (red, green, blue)"
        return text + (" or None" if self.optional else "")


@dataclass(frozen=True, kw_only=True)
class Colors(Names):
    """Several colours, each a name or three numbers."""

    known: tuple[str, ...] = COLORS

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or not len(value):
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        return tuple(Color().check(name, item, ndim) for item in value)

    def describe(self) -> str:
        """Return the expected values in words."""
        return f"at least one colour, each {Color().describe()}"


# -- overlay ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Palette:
    """The colours of an image's labels."""

    labels: np.ndarray
    """All there are, in order."""
    places: np.ndarray
    """Each one's place in `colors`."""
    colors: np.ndarray
    kept: Any
    """The place whose pixels show the image alone; None where there is none."""


def _palette(call: Call, labels: np.ndarray) -> _Palette:
    """Colour the labels as scikit-image colours an image in which each of them occurs once."""
    module, background = "color.colorlabel", call["bg_label"]
    values = labels
    offset = min(values.min(), background)
    if offset != 0:
        values = values - offset
        background = background - offset
    places = values.astype(np.min_scalar_type(int(values.max())))
    vector = reach(module, "_rgb_vector")
    names = call["colors"] or reach(module, "DEFAULT_COLORS")
    ranks, cycle = reach(module, "_match_label_with_color")(
        places, [vector(color) for color in names], background, call["bg_color"]
    )
    colors = np.stack(list(islice(cycle, int(ranks.max()) + 1)))
    kept = background if call["bg_color"] is None and 0 in ranks else None
    # written into the labels' own type, which may be too small by one, as scikit-image does
    places[:] = ranks
    return _Palette(labels, places, colors, kept)


def _overlay(call: Call, labels: np.ndarray) -> Callable[[Block], np.ndarray]:
    palette = _palette(call, labels)
    if not 0 <= call["saturation"] <= 1:
        warnings.warn(f"saturation must be in range [0, 1], got {call['saturation']}", stacklevel=2)

    def compute(block: Block) -> np.ndarray:
        places = palette.places[np.searchsorted(palette.labels, block.data)]
        under = _under(call, block)
        if under is None:
            alpha, under = 1, np.zeros((*places.shape, 3))
        else:
            alpha = call["alpha"]
        mixed: np.ndarray = palette.colors[places] * alpha + under * (1 - alpha)
        if palette.kept is not None:
            background = places == palette.kept
            mixed[background] = under[background]
        return mixed

    return compute


def _under(call: Call, block: Block) -> np.ndarray | None:
    """Return the image that shows through, in RGB, as scikit-image prepares it."""
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


def _averages(call: Call, found: Tally, means: np.ndarray) -> Callable[[Block], np.ndarray]:
    colors = np.zeros((len(found.values), 3), call["image"].dtype)
    colors[:] = means if means.ndim == 2 else means[:, np.newaxis]
    background = np.flatnonzero(found.values == call["bg_label"])
    if background.size:
        colors[background] = call["bg_color"]
    return lambda block: colors[np.searchsorted(found.values, block.data)]


# -- label2rgb -------------------------------------------------------------------------------------


def _plan(call: Call) -> Plan:
    (found,) = yield gather_tallies(call, lambda block: [block.data])
    if call["kind"] == "overlay":
        colored = _overlay(call, found.values)
    else:
        means = yield from gather_means(call, "image", found, without=call["bg_label"])
        colored = _averages(call, found, means)
    axis = new_axis(call)
    return Tiles(lambda block: np.moveaxis(colored(block), -1, axis))


def _dtype(call: Call) -> Any:
    return np.float64 if call["kind"] == "overlay" else call["image"].dtype


def _check(call: Call) -> None:
    check_new_axis(call)
    name, image, axis = call.operation.name, call["image"], call["channel_axis"]
    if image is None:
        if call["kind"] == "avg":
            raise InvalidParameter(
                f"{name}: kind='avg' colours labels by an image: expected one as image=."
            )
        return
    shape = tuple(image.shape)
    if len(shape) > call.ndim and (len(shape) > call.ndim + 1 or shape[-1] != 3):
        raise InvalidImage(
            f"{name}: image has shape {shape}: expected the labels' {call.shape}, or with red, "
            "green and blue behind these."
        )
    if axis not in (-1, len(shape) - 1):
        raise InvalidParameter(
            f"{name}: channel_axis={axis}: expected -1 where an image is given, with its "
            "channels last (numpy.moveaxis puts them there)."
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
        result=ResultSpec(dtype=_dtype, shape=with_axis(3), channel=new_axis),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(memory=17.0),
        note="An image under the labels has its channels last.",
    ),
)
