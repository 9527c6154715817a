"""`skimage.transform.resize` and `rescale`: smooth, resample, clip to the image's range."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Plan,
    ResultSpec,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Numbers, Spec
from napari_tilewise.operations.spec.pixel_positions import resampled
from napari_tilewise.operations.spec.substitution import instruction_set
from napari_tilewise.operations.spec.value_specs import shown
from napari_tilewise.operations.transform.ranges import Resampling, clipped_tiles
from napari_tilewise.operations.transform.sampling import (
    MODES,
    SMOOTHING,
    Blur,
    Patch,
    Zoom,
    support,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import DTypeLike

    from napari_tilewise.grid import Region
    from napari_tilewise.operations.spec.value_specs import Factors
    from napari_tilewise.types import Value

SMALL = 2**16
"""Pixels up to which the function gets the image whole, whatever the order."""
SPLINES = ChoiceSpec(choices=(0, 1, 2, 3, 4, 5), optional=True)
MODE = ChoiceSpec(choices=tuple(MODES), advanced=True)

TOLERANCE, TOLERANCE32 = 1e-12, 2.0**-22
"""Orders 0 and 1 give the whole image's result bit for bit. A recursive filter does not: in flat
areas it converges to one of several neighbouring numbers, depending on where it started. Besides
the decaying part (below 2**-75) this is a few rounding errors, which a spline of order 5 amplifies
up to 7.5 times per axis; a result in single precision may then be rounded to the next number."""


@dataclass(frozen=True, kw_only=True)
class Lengths(Numbers):
    """A shape: one length per axis."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if np.ndim(value) != 1:
            raise InvalidParameter(f"{shown(name, value)}: expected {self.describe()}.")
        shape = tuple(int(n) for n in super()._check(name, value, ndim))
        if ndim is not None and not ndim - 1 <= len(shape) <= ndim + 1:
            raise InvalidParameter(
                f"{name}={shape} for an image with {ndim} axes: expected {ndim} lengths, one per "
                f"axis ({ndim - 1}: the last axis keeps its length; {ndim + 1}: one new axis). For "
                "more axes, add them to the image first (image[..., None])."
            )
        return shape

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return the shape in larger pixels; the length of another axis as it is."""
        if value is None:
            return None
        spatial = [max(1, round(n / f)) for n, f in zip(value, factors, strict=False)]
        return (*spatial, *value[len(spatial) :])

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a shape: one positive integer per axis" + (" or None" if self.optional else "")


LENGTH = Number(minimum=1, integer=True, length=True, usual=(1, 60))


# -- geometry --------------------------------------------------------------------------------------


def order_of(call: Call) -> int:
    """Return the spline's order, with scikit-image's default."""
    if call["order"] is None:
        return 0 if call.dtype == bool else 1
    return int(call["order"])


def _scaled_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result of `rescale`."""
    scale = np.atleast_1d(call["scale"])
    lengths = np.maximum(np.round(scale * np.asarray(call.spatial_shape)), 1)
    return call.with_channel(
        [int(n) for n in lengths],
        None if call.channel_axis is None else call.shape[call.channel_axis],
    )


def _resized_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result of `resize`; a missing last axis keeps its length."""
    shape: tuple[int, ...] = call["output_shape"]
    return (*shape, call.shape[-1]) if len(shape) == call.ndim - 1 else shape


def _image_shape(call: Call) -> tuple[int, ...]:
    return call.operation.result.shape(call) or call.shape


def _untiled_lengths(call: Call) -> tuple[int, int] | None:
    """Return the input and output length of the axis that is not tiled; None without one."""
    if call.channel_axis is not None:
        return (call.shape[call.channel_axis],) * 2
    shape = _image_shape(call)
    return (1, shape[-1]) if len(shape) > call.ndim else None


def _lengths(call: Call) -> tuple[tuple[int, int], ...]:
    """Return the input and output length of each spatial axis."""
    shape = _image_shape(call)
    return tuple((call.shape[axis], shape[axis]) for axis in call.spatial_axes)


def _smooths(call: Call) -> bool:
    """Return whether the image is smoothed before sampling."""
    anti_aliasing = call["anti_aliasing"]
    if anti_aliasing is not None:
        return bool(anti_aliasing)
    is_nearest = call.dtype.kind in "ui" and call["order"] == 0
    shrinks = any(m < n for n, m in _lengths(call))
    return bool(call.dtype != bool and not is_nearest and shrinks)


def _blur(call: Call) -> Blur | None:
    if not _smooths(call):
        return None
    channel_lengths = _untiled_lengths(call)
    factors = [
        n / m for n, m in (*_lengths(call), *([] if channel_lengths is None else [channel_lengths]))
    ]
    sigma = call["anti_aliasing_sigma"]
    if sigma is None:
        sigmas = tuple(max(0.0, (factor - 1) / 2) for factor in factors)
    else:
        sigmas = tuple(float(s) for s in np.atleast_1d(sigma) * np.ones(len(factors)))
    mode = call["mode"]
    return Blur(call.spatial_shape, sigmas, MODES[mode], call["cval"], mode == "wrap")


def _zoom(call: Call) -> Zoom:
    return Zoom(_lengths(call), _untiled_lengths(call), order_of(call), call["mode"], call["cval"])


def _check(call: Call) -> None:
    if call.dtype == bool:
        for name in ("order", "anti_aliasing"):
            if call[name]:
                raise InvalidParameter(
                    f"{call.operation.name}: {name}={call[name]!r} on a bool image: expected "
                    f"{name}={0 if name == 'order' else False}, or convert the image to float "
                    "first."
                )
    sigma = call["anti_aliasing_sigma"]
    if np.size(sigma) > 1 and _untiled_lengths(call) is not None and _smooths(call):
        raise InvalidParameter(
            f"{call.operation.name}: anti_aliasing_sigma={sigma!r} with a channel axis: expected "
            "one number, which scikit-image applies to the channels too, or None."
        )


def _halo(call: Call) -> HaloLike:
    blur, radius = _blur(call), support(order_of(call))
    return tuple(radius + r for r in (blur.reach if blur else (0,) * call.ndim))


# -- pixels ----------------------------------------------------------------------------------------


def _converted(call: Call, data: np.ndarray) -> np.ndarray:
    if call.dtype == np.float16:
        return data.astype(np.float32)
    if order_of(call) == 0:
        return data
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(data, call["preserve_range"]))


def _plan(call: Call) -> Plan:
    blur, zoom, channel_lengths = _blur(call), _zoom(call), _untiled_lengths(call)

    def source(tile: Region) -> Region:
        box = zoom.needs(tile)
        return box if blur is None else blur.needs(box)

    def sample(block: Block, tile: Region) -> np.ndarray:
        data = block.data
        if call.channel_axis is not None:
            data = np.ascontiguousarray(np.moveaxis(data, call.channel_axis, -1))
        elif channel_lengths is not None:
            data = data[..., np.newaxis]
        patch = Patch(_converted(call, data), block.region)
        if blur is not None:
            box = zoom.needs(tile)
            patch = Patch(np.ascontiguousarray(blur.run(patch, box)), box)
        return np.ascontiguousarray(zoom.run(patch, tile))

    return (
        yield from clipped_tiles(
            call,
            Resampling(
                convert=lambda values: _converted(call, values),
                sample=sample,
                source=source,
                result_shape=zoom.output_shape,
                spline=zoom.order,
            ),
            # Nearest neighbours are never out of range, unless float64 rounds them.
            overshoots=zoom.order == 1 or blur is not None or call.dtype in (np.int64, np.uint64),
        )
    )


def _dtype(call: Call) -> DTypeLike:
    if order_of(call) == 0 and call.dtype != np.float16:
        return call.dtype
    return as_float(call)


def _channel(call: Call) -> int | None:
    """Return the axis of the result that is not tiled."""
    if call.channel_axis is not None:
        return call.channel_axis
    return call.ndim if _untiled_lengths(call) is not None else None


ONE_TILE = 2**20
"""Pixels of an image that kernels smooth and sample in bands: tiles, and what lies around them,
take longer."""
FEW_SAMPLES = 2**18
"""Pixels of a result that the function samples in the time that handing out tiles takes."""
FEW_NEAREST = 2**20
"""The same of nearest neighbours: tiles read the pixels between them too."""


def _takes_whole(call: Call) -> bool:
    """Return whether tiles cannot pay: splines of every tile begin far outside of it.

    With kernels these cost less than one thread does. Nor do tiles pay where few pixels are sampled
    of many, and none is smoothed.
    """
    if prod(call.shape) <= SMALL:
        return True
    if order_of(call) > 1:
        return instruction_set() is None
    few = FEW_SAMPLES if order_of(call) else FEW_NEAREST
    return not _smooths(call) and prod(_image_shape(call)) <= few


def _operation(
    name: str,
    first_specs: Mapping[str, Spec],
    last_specs: Mapping[str, Spec],
    *,
    shape: Callable[[Call], tuple[int, ...]],
    note: str,
) -> Operation:
    return Operation(
        name=f"transform.{name}",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        accuracy=Accuracy(tolerance=TOLERANCE, single=TOLERANCE32),
        specs={
            **first_specs,
            "order": SPLINES,
            "mode": MODE,
            "cval": CVAL,
            "clip": Flag(advanced=True),
            "preserve_range": Flag(advanced=True),
            "anti_aliasing": Flag(optional=True),
            "anti_aliasing_sigma": Number(
                minimum=0, per_axis=True, optional=True, length=True, usual=(0, 4), advanced=True
            ),
            **last_specs,
        },
        neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=resampled),
        result=ResultSpec(dtype=_dtype, shape=shape, channel=_channel),
        plan_of=_plan,
        limits=Limits(check=_check),
        adapter=Adapter(kernels=(SMOOTHING,)),
        cost=Cost(memory=8.0, at_once=AtOnce(function=2**24, when=_takes_whole, passes=ONE_TILE)),
        note=note,
    )


OPERATIONS = (
    _operation(
        "resize",
        {"output_shape": Lengths(item=LENGTH)},
        {},
        shape=_resized_shape,
        note="Orders 0 and 1 are identical bit for bit. Adds at most one axis: for more, add axes "
        "to the image first (image[..., None]).",
    ),
    _operation(
        "rescale",
        {"scale": Number(minimum=0, exclusive=True, finite=True, per_axis=True, usual=(0.2, 3))},
        {"channel_axis": CHANNEL},
        shape=_scaled_shape,
        note="Orders 0 and 1 are identical bit for bit.",
    ),
)
