"""Conversions between colour spaces: pointwise, with one declaration for all of them.

A matrix product processes the pixels of a row together, and BLAS may use a different routine for a
row of one pixel than for longer rows. With a halo of one pixel along the rows, no tile has a row of
one pixel unless the image does; products of 3 x 3 matrices with any longer row round identically
(measured with every x86 kernel of OpenBLAS, both precisions, rows of 2 to a million pixels, cut
anywhere).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.axes import ALPHA, RED_GREEN_BLUE
from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.shared.common import AnyCase, as_float, as_float_type
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.accuracy import IDENTICAL
from napari_tilewise.operations.spec.adapter import DIRECT
from napari_tilewise.operations.spec.operation import (
    KERNELS_AT_ONCE,
    LIGHT,
    Accuracy,
    Adapter,
    AsStep,
    AtOnce,
    Call,
    Cost,
    Deviation,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    ResultSpec,
    no_channel,
)
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChannelAxis,
    ImageOr,
    Number,
    Numbers,
    Spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.adapter import Function
    from napari_tilewise.operations.spec.passes import HaloLike


@dataclass(frozen=True, kw_only=True)
class Channels(ChannelAxis):
    """A channel axis with a fixed or smallest number of channels."""

    optional: bool = False
    advanced: bool = True
    least: int = 3
    most: int | None = 3
    """The largest number of channels; None: any."""
    description: str = "the three components of a colour"

    def check_image(self, call: Call) -> None:
        """Raise `InvalidImage` if the image has too few or too many channels."""
        axis = call.channel_axis
        if axis is None:
            raise InvalidImage(
                f"{call.operation.name}: channel_axis=None: expected the axis with "
                f"{self.description}."
            )
        count = call.shape[axis]
        if count < self.least or (self.most is not None and count > self.most):
            expected = f"{self.least}" if self.most is not None else f"at least {self.least}"
            remedy = (
                "Drop the alpha channel (image[..., :3]) or blend it first "
                "(skimage.color.rgba2rgb)."
                if (count, self.most) == (4, 3)
                else "Set channel_axis to the right axis."
            )
            raise InvalidImage(
                f"{call.operation.name}: axis {axis} of an image of shape {call.shape} has "
                f"{count} channels: expected {expected} ({self.description}). "
                f"{remedy}"
            )


COLOR = Channels()
"""The channel axis of an image in any colour space with three components."""

UNIT = Number(minimum=0, maximum=1, usual=(0, 1))

WHITE: Mapping[str, Spec] = {
    "illuminant": AnyCase(choices=("A", "B", "C", "D50", "D55", "D65", "D75", "E"), advanced=True),
    "observer": AnyCase(choices=("2", "10", "R"), advanced=True),
}
"""The reference white."""


def check_channels(call: Call) -> None:
    """Raise `InvalidImage` if the number of channels does not match the parameter's spec."""
    spec = call.operation.specs["channel_axis"]
    if isinstance(spec, Channels):
        spec.check_image(call)


def row_neighbour(call: Call) -> HaloLike:
    """Return a halo of one pixel along the rows, so that BLAS never gets a row of one pixel."""
    return (*((0, 0),) * (call.ndim - 1), (1, 1))


def double(call: Call) -> Any:
    """Return the dtype of the stains: scikit-image scales by a float64 logarithm."""
    return np.float64


def spatial(call: Call) -> tuple[int, ...]:
    """Return the shape of a result that has one value per pixel."""
    return call.spatial_shape


# -- hue -------------------------------------------------------------------------------------------


def _black_without_number(function: Function) -> Function:
    """Return `rgb2hsv` with 0 for pixels that hold NaN, whose hue scikit-image never writes."""

    @wraps(function)
    def rgb2hsv(rgb: np.ndarray, *, channel_axis: int = -1) -> np.ndarray:
        hsv: np.ndarray = function(rgb, channel_axis=channel_axis)
        if np.asarray(rgb).dtype.kind == "f":
            missing = np.isnan(rgb).any(axis=channel_axis, keepdims=True)
            hsv[np.broadcast_to(missing, hsv.shape)] = 0
        return hsv

    return rgb2hsv


UNWRITTEN_HUE = Deviation(
    calls="images with NaN",
    library="returns unwritten memory as the hue of pixels with NaN",
    ours="0, as for their saturation and value",
    versions="0.26",
    applies=lambda image, params: image.dtype.kind == "f" and bool(np.isnan(image).any()),
)

# -- conversions -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The properties in which the conversions differ."""

    name: str
    working: float
    product: bool = False
    """Whether pixels are multiplied by a matrix."""
    specs: Mapping[str, Spec] = field(default_factory=dict)
    channel: Channels = COLOR
    dtype_of: Callable[[Call], Any] = as_float
    check: Callable[[Call], None] = check_channels
    dtypes: str = "buif"
    adapter: Adapter = DIRECT
    accuracy: Accuracy = IDENTICAL
    at_once: AtOnce = KERNELS_AT_ONCE
    title: str = ""

    def operation(self) -> Operation:
        """Return the declaration."""
        return Operation(
            name=f"color.{self.name}",
            title=self.title,
            family=families.COLOUR_SPACES,
            kind=Kind.POINTWISE,
            specs={**self.specs, "channel_axis": self.channel},
            neighbourhood=Neighbourhood(halo=row_neighbour if self.product else lambda call: 0),
            result=ResultSpec(
                dtype=self.dtype_of,
            ),
            step=AsStep(samples=RED_GREEN_BLUE if self.name.endswith("2rgb") else ()),
            limits=Limits(check=self.check, dtypes=self.dtypes),
            cost=Cost(memory=self.working, at_once=self.at_once),
            adapter=self.adapter,
            accuracy=self.accuracy,
        )


def _product_dtype(call: Call) -> DTypeLike:
    """Return the dtype of float64 logarithms times `conv_matrix`."""
    return np.result_type(np.float64, call.image_dtype("conv_matrix"))


def _is_same(call: Call) -> bool:
    """Return whether `convert_colorspace` returns the image unchanged, whatever its channels."""
    return bool(call["fromspace"] == call["tospace"] == "rgb")


def _converted_dtype(call: Call) -> DTypeLike:
    return call.dtype if _is_same(call) else as_float(call)


def _check_converted(call: Call) -> None:
    if not _is_same(call):
        check_channels(call)
    if call["fromspace"] == "ycbcr" and call.dtype == bool:
        raise InvalidImage(
            f"{call.operation.name}: fromspace={call['fromspace']!r} takes no image of type bool: "
            "expected integers or floating-point numbers. Convert it first."
        )


SPACES = ("rgb", "hsv", "rgb cie", "xyz", "yuv", "yiq", "ypbpr", "ycbcr", "ydbdr")
"""The colour spaces of `convert_colorspace`."""

LAB = Channels(least=3, most=None, description="L*, a*, b*")
MATRIX: Mapping[str, Spec] = {"conv_matrix": Array(shape=(3, 3), usual=(-2, 2))}

CONVERSIONS = (
    Conversion(
        name="convert_colorspace",
        title="Convert colour space",
        product=True,
        working=15.0,
        specs={"fromspace": AnyCase(choices=SPACES), "tospace": AnyCase(choices=SPACES)},
        dtype_of=_converted_dtype,
        check=_check_converted,
    ),
    Conversion(
        name="rgb2hsv",
        working=6.0,
        adapter=Adapter(wrap=_black_without_number),
        accuracy=Accuracy(deviations=(UNWRITTEN_HUE,)),
    ),
    Conversion(name="hsv2rgb", working=15.0),
    Conversion(name="rgb2xyz", product=True, working=5.0),
    Conversion(name="xyz2rgb", product=True, working=5.0),
    Conversion(name="rgb2rgbcie", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="rgbcie2rgb", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="rgb2lab", product=True, working=6.0, specs=WHITE),
    Conversion(name="lab2rgb", product=True, working=6.0, specs=WHITE),
    Conversion(name="xyz2lab", working=6.0, specs=WHITE),
    Conversion(name="lab2xyz", working=6.0, specs=WHITE),
    Conversion(name="lab2lch", working=5.0, channel=LAB),
    Conversion(
        name="lch2lab", working=5.0, channel=Channels(least=3, most=None, description="L*, C*, h*")
    ),
    Conversion(name="rgb2luv", product=True, working=6.0),
    Conversion(name="luv2rgb", product=True, working=6.0),
    Conversion(name="xyz2luv", working=6.0, specs=WHITE),
    Conversion(name="luv2xyz", working=6.0, specs=WHITE),
    Conversion(name="rgb2hed", product=True, working=5.0, dtype_of=double),
    Conversion(name="hed2rgb", product=True, working=5.0, dtype_of=double),
    Conversion(
        name="separate_stains", product=True, working=5.0, specs=MATRIX, dtype_of=_product_dtype
    ),
    Conversion(
        name="combine_stains", product=True, working=5.0, specs=MATRIX, dtype_of=_product_dtype
    ),
    Conversion(name="rgb2yuv", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="yuv2rgb", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="rgb2yiq", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="yiq2rgb", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="rgb2ypbpr", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="ypbpr2rgb", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="rgb2ycbcr", product=True, working=4.0),
    Conversion(
        name="ycbcr2rgb",
        product=True,
        working=4.0,
        dtypes="uif",  # it subtracts from the image in place
    ),
    Conversion(name="rgb2ydbdr", product=True, working=4.0, at_once=LIGHT),
    Conversion(name="ydbdr2rgb", product=True, working=4.0, at_once=LIGHT),
)


# -- more or fewer channels ------------------------------------------------------------------------


def _check_background(call: Call) -> None:
    check_channels(call)
    background = call["background"]
    if np.size(background) != 3:
        raise InvalidParameter(
            f"{call.operation.name}: background={background!r}: expected three numbers from 0 to "
            "1 (red, green, blue)."
        )


def _three_channels(call: Call) -> tuple[int, ...]:
    return call.with_channel(call.spatial_shape, 3)


def new_axis(call: Call) -> int:
    """Return the index of the result's new channel axis."""
    return int(call["channel_axis"]) % (call.ndim + 1)


def check_new_axis(call: Call) -> None:
    """Raise `InvalidParameter` if the result has no axis `channel_axis`."""
    axis, ndim = call["channel_axis"], call.ndim + 1
    if not -ndim <= axis < ndim:
        raise InvalidParameter(
            f"{call.operation.name}: channel_axis={axis}: expected a number from {-ndim} to "
            f"{ndim - 1}, because the result has {ndim} axes."
        )


def shape_with_axis(length: int) -> Callable[[Call], tuple[int, ...]]:
    """Return the function for the shape of a gray image repeated along a new axis."""

    def shape_of(call: Call) -> tuple[int, ...]:
        shape = list(call.shape)
        shape.insert(new_axis(call), length)
        return tuple(shape)

    return shape_of


NEW_AXIS = Number(integer=True, usual=(-2, 1), advanced=True)
"""The channel axis of the result, counted among the result's axes."""


# -- differences -----------------------------------------------------------------------------------


def _difference_dtype(call: Call) -> DTypeLike:
    return np.result_type(as_float(call), as_float_type(call.image_dtype("lab2")))


def _difference(name: str, working: float, **weights: Spec) -> Operation:
    return Operation(
        name=f"color.{name}",
        family=families.COLOUR,
        kind=Kind.POINTWISE,
        specs={
            "lab2": AlignedImage(role="image", like=True, optional=False),
            **weights,
            "channel_axis": LAB,
        },
        result=ResultSpec(dtype=_difference_dtype, shape=spatial, channel=no_channel),
        limits=Limits(check=check_channels),
        cost=Cost(memory=working),
        note="For a single colour pass numpy.broadcast_to(colour, image.shape), which takes no "
        "memory.",
    )


WEIGHT = Number(minimum=0, exclusive=True, usual=(0, 2), advanced=True)
FACTOR = Number(minimum=0, usual=(0, 0.1), advanced=True)

OPERATIONS = (
    *(conversion.operation() for conversion in CONVERSIONS),
    Operation(
        name="color.gray2rgb",
        family=families.COLOUR,
        kind=Kind.POINTWISE,
        specs={"channel_axis": NEW_AXIS},
        result=ResultSpec(shape=shape_with_axis(3), channel=new_axis),
        step=AsStep(samples=RED_GREEN_BLUE),
        limits=Limits(check=check_new_axis, dtypes="buifc"),
        cost=Cost(memory=3.0, at_once=LIGHT),
    ),
    Operation(
        name="color.gray2rgba",
        family=families.COLOUR,
        kind=Kind.POINTWISE,
        specs={
            "alpha": ImageOr(role="intensity", other=Number(usual=(0, 1))),
            "channel_axis": NEW_AXIS,
        },
        result=ResultSpec(shape=shape_with_axis(4), channel=new_axis),
        step=AsStep(samples=(*RED_GREEN_BLUE, ALPHA)),
        limits=Limits(check=check_new_axis),
        cost=Cost(memory=3.0, at_once=LIGHT),
    ),
    Operation(
        name="color.rgba2rgb",
        family=families.COLOUR,
        kind=Kind.POINTWISE,
        specs={
            "background": Numbers(item=UNIT, least=3, most=3, advanced=True),
            "channel_axis": Channels(least=4, most=4, description="red, green, blue, alpha"),
        },
        result=ResultSpec(dtype=as_float, shape=_three_channels),
        step=AsStep(samples=RED_GREEN_BLUE),
        limits=Limits(check=_check_background, takes_alpha=True),
        cost=Cost(memory=5.0),
    ),
    _difference("deltaE_cie76", 4.0),
    _difference("deltaE_ciede94", 7.5, kH=WEIGHT, kC=WEIGHT, kL=WEIGHT, k1=FACTOR, k2=FACTOR),
    _difference("deltaE_ciede2000", 12.5, kL=WEIGHT, kC=WEIGHT, kH=WEIGHT),
    _difference("deltaE_cmc", 9.0, kL=WEIGHT, kC=WEIGHT),
)
