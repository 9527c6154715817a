"""`skimage.transform.resize` and `rescale`: smooth, sample, clip to the image's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Accuracy,
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
from napari_tilewise.operations.transform.ranges import clipped_tiles
from napari_tilewise.operations.transform.sampling import MODES, Blur, Patch, Zoom, support

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_tilewise.grid import Region

SPLINES = ChoiceSpec(choices=(0, 1, 2, 3, 4, 5), optional=True)
MODE = ChoiceSpec(choices=tuple(MODES), advanced=True)

TOLERANCE, TOLERANCE32 = 1e-12, 2.0**-22
"""Orders 0 and 1 are bit for bit the whole image's. A recursive filter is not: where the image is
flat it comes to rest on one of several neighbouring numbers, depending on where it began. Beyond
what fades (below 2**-75) that is a few roundings, which a spline of order 5 amplifies up to 7.5
times per axis; a result in single precision may then fall to the next number."""


@dataclass(frozen=True, kw_only=True)
class Lengths(Numbers):
    """A shape: one length per axis."""

    def _check(self, name: str, value: Any, ndim: int | None) -> Any:
        if np.ndim(value) != 1:
            raise InvalidParameter(f"{name}={value!r}: expected {self.describe()}.")
        shape = tuple(int(n) for n in super()._check(name, value, ndim))
        if ndim is not None and not ndim - 1 <= len(shape) <= ndim + 1:
            raise InvalidParameter(
                f"{name}={shape} for an image of {ndim} axes: expected {ndim}, one per axis "
                f"({ndim - 1}: the last keeps its length; {ndim + 1}: one axis more). Add axes to "
                "the image first (image[..., None]) for more."
            )
        return shape

    def describe(self) -> str:
        """Return the expected values in words."""
        return "a shape: one positive integer per axis" + (" or None" if self.optional else "")


LENGTH = Number(minimum=1, integer=True, length=True, usual=(1, 60))


# -- geometry --------------------------------------------------------------------------------------


def order_of(call: Call) -> int:
    """Return the order of the spline that samples the image; scikit-image's own rule."""
    if call["order"] is None:
        return 0 if call.dtype == bool else 1
    return int(call["order"])


def _scaled_shape(call: Call) -> tuple[int, ...]:
    """Return the shape that `rescale` makes."""
    scale = np.atleast_1d(call["scale"])
    lengths = np.maximum(np.round(scale * np.asarray(call.spatial_shape)), 1)
    return call.with_channel(
        [int(n) for n in lengths],
        None if call.channel_axis is None else call.shape[call.channel_axis],
    )


def _given_shape(call: Call) -> tuple[int, ...]:
    """Return the shape that `resize` makes: the last axis is kept where it was left out."""
    shape: tuple[int, ...] = call["output_shape"]
    return (*shape, call.shape[-1]) if len(shape) == call.ndim - 1 else shape


def _behind(call: Call) -> tuple[int, int] | None:
    """Return the lengths before and after of the axis that is not tiled, where there is one."""
    if call.channel_axis is not None:
        return (call.shape[call.channel_axis],) * 2
    after = call.operation.result.shape(call)
    assert after is not None
    return (1, after[-1]) if len(after) > call.ndim else None


def _lengths(call: Call) -> tuple[tuple[int, int], ...]:
    """Return each spatial axis's length before and after."""
    after = call.operation.result.shape(call)
    assert after is not None
    return tuple((call.shape[axis], after[axis]) for axis in call.spatial_axes)


def _smooths(call: Call) -> bool:
    """Return whether the image is smoothed before sampling."""
    wanted = call["anti_aliasing"]
    if wanted is not None:
        return bool(wanted)
    nearest_of_integers = call.dtype.kind in "ui" and call["order"] == 0
    shrinks = any(m < n for n, m in _lengths(call))
    return bool(call.dtype != bool and not nearest_of_integers and shrinks)


def _blur(call: Call) -> Blur | None:
    if not _smooths(call):
        return None
    behind = _behind(call)
    factors = [n / m for n, m in (*_lengths(call), *([] if behind is None else [behind]))]
    given = call["anti_aliasing_sigma"]
    if given is None:
        sigmas = tuple(max(0.0, (factor - 1) / 2) for factor in factors)
    else:
        sigmas = tuple(float(s) for s in np.atleast_1d(given) * np.ones(len(factors)))
    mode = call["mode"]
    return Blur(call.spatial_shape, sigmas, MODES[mode], call["cval"], mode == "wrap")


def _zoom(call: Call) -> Zoom:
    return Zoom(_lengths(call), _behind(call), order_of(call), call["mode"], call["cval"])


def _check(call: Call) -> None:
    if call.dtype == bool:
        for name in ("order", "anti_aliasing"):
            if call[name]:
                raise InvalidParameter(
                    f"{call.operation.name}: {name}={call[name]!r} on an image of type bool: "
                    f"expected {name}={0 if name == 'order' else False}, or convert the image to "
                    "float first."
                )
    given = call["anti_aliasing_sigma"]
    if np.size(given) > 1 and _behind(call) is not None and _smooths(call):
        raise InvalidParameter(
            f"{call.operation.name}: anti_aliasing_sigma={given!r} together with an axis of "
            "channels: expected one number, which scikit-image applies to the channels too, or "
            "None."
        )


def _halo(call: Call) -> HaloLike:
    blur, near = _blur(call), support(order_of(call))
    return tuple(near + r for r in (blur.reach if blur else (0,) * call.ndim))


# -- pixels ----------------------------------------------------------------------------------------


def _converted(call: Call, data: np.ndarray) -> np.ndarray:
    if call.dtype == np.float16:
        return data.astype(np.float32)
    if order_of(call) == 0:
        return data
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(data, call["preserve_range"]))


def _plan(call: Call) -> Plan:
    blur, zoom, behind = _blur(call), _zoom(call), _behind(call)

    def source(tile: Region) -> Region:
        box = zoom.needs(tile)
        return box if blur is None else blur.needs(box)

    def sample(block: Block, tile: Region) -> np.ndarray:
        data = block.data
        if call.channel_axis is not None:
            data = np.ascontiguousarray(np.moveaxis(data, call.channel_axis, -1))
        elif behind is not None:
            data = data[..., np.newaxis]
        patch = Patch(_converted(call, data), block.region)
        if blur is not None:
            box = zoom.needs(tile)
            patch = Patch(np.ascontiguousarray(blur.run(patch, box)), box)
        return np.ascontiguousarray(zoom.run(patch, tile))

    return (
        yield from clipped_tiles(
            call,
            lambda values: _converted(call, values),
            sample,
            source,
            zoom.after,
            spline=zoom.order,
            # the nearest pixel alone is never out of range
            overshoots=zoom.order == 1 or blur is not None,
        )
    )


def _dtype(call: Call) -> Any:
    if order_of(call) == 0 and call.dtype != np.float16:
        return call.dtype
    return as_float(call)


def _channel(call: Call) -> int | None:
    """Return the axis of the result that is not tiled."""
    if call.channel_axis is not None:
        return call.channel_axis
    return call.ndim if _behind(call) is not None else None


def _operation(
    name: str,
    first: Mapping[str, Spec],
    last: Mapping[str, Spec],
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
            **first,
            "order": SPLINES,
            "mode": MODE,
            "cval": CVAL,
            "clip": Flag(advanced=True),
            "preserve_range": Flag(advanced=True),
            "anti_aliasing": Flag(optional=True),
            "anti_aliasing_sigma": Number(
                minimum=0, per_axis=True, optional=True, length=True, usual=(0, 4), advanced=True
            ),
            **last,
        },
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        result=ResultSpec(dtype=_dtype, shape=shape, channel=_channel),
        plan_of=_plan,
        limits=Limits(check=_check),
        cost=Cost(memory=8.0),
        note=note,
    )


OPERATIONS = (
    _operation(
        "resize",
        {"output_shape": Lengths(item=LENGTH)},
        {},
        shape=_given_shape,
        note="Orders 0 and 1 are identical bit for bit. Adds one axis at most: for more, give the "
        "image the others first (image[..., None]).",
    ),
    _operation(
        "rescale",
        {"scale": Number(minimum=0, exclusive=True, per_axis=True, usual=(0.2, 3))},
        {"channel_axis": CHANNEL},
        shape=_scaled_shape,
        note="Orders 0 and 1 are identical bit for bit.",
    ),
)
