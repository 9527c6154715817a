"""`skimage.transform.pyramid_*`: every level is the one before, smoothed and sampled.

A tile of a level is pulled from the image through all levels between, each grown by what the next
one needs. That doubles with every level; so from the first level that is small, which is gathered
whole, scikit-image makes the smaller ones in memory.
"""

from __future__ import annotations

from math import ceil, log, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.whole import from_memory
from napari_tilewise.operations.spec.operation import (
    Block,
    Call,
    Exactness,
    Gather,
    HaloLike,
    Kind,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number
from napari_tilewise.operations.transform.levels import (
    Levels,
    blur_of,
    channels_of,
    clipped,
    converted,
    factor_of,
    find_limits,
    grid_of,
    image_of,
    level_tiles,
    reduced,
    restored,
    zoom_of,
)
from napari_tilewise.operations.transform.ranges import gather_limits, scaled
from napari_tilewise.operations.transform.resize import TOLERANCE, TOLERANCE32
from napari_tilewise.operations.transform.sampling import Patch, support

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_tilewise.grid import Grid, Region

SMALL = 2**22
"""Pixels of a level from which on the levels are made in memory."""


# -- one level -------------------------------------------------------------------------------------


def _reduced_shape(call: Call) -> tuple[int, ...]:
    return call.with_channel(reduced(call, call.spatial_shape), channels_of(call))


def _expanded_shape(call: Call) -> tuple[int, ...]:
    lengths = [ceil(factor_of(call) * n) for n in call.spatial_shape]
    return call.with_channel(lengths, channels_of(call))


def _halo(call: Call) -> HaloLike:
    return blur_of(call, call.spatial_shape).reach[0] + support(call["order"])


def _expand(call: Call) -> Plan:
    before = call.spatial_shape
    after = tuple(ceil(factor_of(call) * n) for n in before)
    zoom, blur = zoom_of(call, before, after), blur_of(call, after)

    def source(tile: Region) -> Region:
        return zoom.needs(tile)

    limits = None
    if zoom.order:
        limits = yield from gather_limits(
            call,
            lambda values: converted(call, values),
            lambda block, tile: zoom.run(image_of(call, block), tile),
            source,
            after,
            spline=zoom.order,
        )

    def compute(block: Block) -> np.ndarray:
        box = blur.needs(block.tile)
        sharp = clipped(zoom.run(image_of(call, block), box), limits)
        return restored(call, blur.run(Patch(np.ascontiguousarray(sharp), box), block.tile))

    return Tiles(compute, source=lambda tile: source(blur.needs(tile)))


def _reduce(call: Call) -> Plan:
    grid = yield from grid_of(call)
    levels = Levels(call, [call.spatial_shape, reduced(call, call.spatial_shape)])
    yield from find_limits(call, levels, grid)
    return level_tiles(call, levels, 1)


# -- whole pyramids --------------------------------------------------------------------------------


def _gaussian_shapes(call: Call) -> list[tuple[int, ...]]:
    shapes = [call.spatial_shape]
    while len(shapes) - 1 != call["max_layer"]:
        after = reduced(call, shapes[-1])
        if after == shapes[-1]:
            break
        shapes.append(after)
    return shapes


def _laplacian_shapes(call: Call) -> list[tuple[int, ...]]:
    shapes, count = [call.spatial_shape], call["max_layer"]
    if count == -1:
        count = ceil(log(max(call.spatial_shape), call["downscale"]))
    for _ in range(count):
        shapes.append(reduced(call, shapes[-1]))
    return shapes


class _Pyramid(Operation):
    """scikit-image returns a generator of the levels: here it is a tuple."""

    def function(self, data: np.ndarray, /, **params: Any) -> Any:
        """Return all levels that scikit-image yields."""
        return tuple(super().function(data, **params))

    @property
    def is_laplacian(self) -> bool:
        """Whether a level is what smoothing takes from it."""
        return self.name.endswith("laplacian")

    def shapes(self, call: Call) -> list[tuple[int, ...]]:
        """Return the levels' spatial shapes."""
        return _laplacian_shapes(call) if self.is_laplacian else _gaussian_shapes(call)


def _shapes(call: Call) -> list[tuple[int, ...]]:
    assert isinstance(call.operation, _Pyramid)
    return call.operation.shapes(call)


def _pulled(call: Call) -> list[tuple[int, ...]]:
    """Return the shapes down to that of the level that is gathered whole."""
    shapes = _shapes(call)
    small = [k for k, shape in enumerate(shapes) if prod(shape) * (channels_of(call) or 1) <= SMALL]
    return shapes[: small[0] + 1] if small else shapes


def _parts(call: Call) -> tuple[Part, ...]:
    shapes = [call.with_channel(shape, channels_of(call)) for shape in _shapes(call)]
    return tuple(Part(Output.IMAGE, as_float(call), s, call.channel_axis) for s in shapes)


def _pyramid(call: Call) -> Plan:
    grid = yield from grid_of(call)
    levels = Levels(call, _pulled(call))
    yield from find_limits(call, levels, grid)
    base = len(levels.shapes) - 1
    whole = yield from _gathered(call, levels, base, grid)
    laplacian = isinstance(call.operation, _Pyramid) and call.operation.is_laplacian
    pulled = _difference if laplacian else level_tiles
    made = call.function(
        restored(call, whole), max_layer=len(_shapes(call)) - 1 - base, preserve_range=True
    )
    return Parts(
        (
            *(pulled(call, levels, k) for k in range(base)),
            *map(from_memory, _parts(call)[base:], made),
        )
    )


def _gathered(
    call: Call, levels: Levels, level: int, grid: Grid
) -> Generator[Gather, Any, np.ndarray]:
    """Return a level whole, channels last."""
    cuts = scaled(grid, levels.shapes[level])
    boxes = [cuts.region(position) for position in cuts.positions()]

    def of(block: Block) -> list[tuple[Region, np.ndarray]]:
        box = boxes[block.position[0]]
        return [(box, levels.pull(level, image_of(call, block), box))]

    def finish(parts: list[tuple[Region, np.ndarray]]) -> np.ndarray:
        whole = np.empty((*cuts.shape, *parts[0][1].shape[len(cuts.shape) :]), parts[0][1].dtype)
        for box, pixels in parts:
            whole[box] = pixels
        return whole

    whole: np.ndarray = yield Gather(
        of,
        lambda a, b: a + b,
        regions=[levels.source(level, box) for box in boxes],
        finish=finish,
        what=f"level {level}",
    )
    return whole


def _difference(call: Call, levels: Levels, level: int) -> Tiles:
    blur = levels.blur(level)

    def compute(block: Block) -> np.ndarray:
        wide = blur.needs(block.tile)
        pixels = Patch(np.ascontiguousarray(levels.pull(level, image_of(call, block), wide)), wide)
        sharp = pixels.take(block.tile, levels.shapes[level])
        return restored(call, sharp - blur.run(pixels, block.tile))

    return Tiles(compute, source=lambda tile: levels.source(level, blur.needs(tile)))


# -- declarations ----------------------------------------------------------------------------------

_ORDERS = "Orders 0 and 1 are identical bit for bit."


def _check(call: Call) -> None:
    sigma = call["sigma"]
    if call["mode"] in ("edge", "symmetric") and (sigma is None or sigma > 1e-15):
        raise InvalidParameter(
            f"{call.operation.name}: mode={call['mode']!r}: scikit-image smooths with this mode "
            "too, and its Gaussian filter has none of this name: expected 'reflect', 'constant' or "
            "'wrap', or sigma=0."
        )


def _check_gaussian(call: Call) -> None:
    if call["max_layer"] != 0:  # else nothing but the image is asked for
        _check(call)


def _halo_of_levels(call: Call) -> HaloLike:
    """Return what the last pulled level needs of the image."""
    shapes, factor = _pulled(call), factor_of(call)
    near = max(blur_of(call, call.spatial_shape).reach) + support(call["order"])
    bound = ceil(sum(near * factor**level for level in range(len(shapes))))
    return tuple(min(bound, n) for n in call.spatial_shape)


def _operation(
    name: str, factor: str, *, kind: type[Operation] = Operation, **fields: Any
) -> Operation:
    layers = {"max_layer": Number(minimum=-1, integer=True, usual=(-1, 4))}
    return kind(
        name=f"transform.pyramid_{name}",
        kind=Kind.GEOMETRY,
        exactness=Exactness.CLOSE,
        tolerance=TOLERANCE,
        tolerance32=TOLERANCE32,
        specs={
            **(layers if kind is _Pyramid else {}),
            factor: Number(minimum=1, exclusive=True, usual=(1, 4)),
            "sigma": Number(minimum=0, optional=True, length=True, usual=(0, 3)),
            "order": ChoiceSpec(choices=(0, 1, 2, 3, 4, 5)),
            "mode": ChoiceSpec(
                choices=("reflect", "constant", "edge", "symmetric", "wrap"), advanced=True
            ),
            "cval": CVAL,
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        dtype_of=as_float,
        border="mode",
        **{"check": _check, **fields},
    )


def _levels(name: str, **fields: Any) -> Operation:
    return _operation(
        name,
        "downscale",
        kind=_Pyramid,
        halo_of=_halo_of_levels,
        typical_halo_of=_halo,
        parts_of=_parts,
        step_text="tuple({call})",  # scikit-image returns a generator
        plan_of=_pyramid,
        working=8.0,
        note=f"{_ORDERS} Returns a tuple of the levels, where scikit-image returns a generator of "
        "them. Levels of up to four million pixels are made in memory.",
        **fields,
    )


OPERATIONS = (
    _operation(
        "reduce",
        "downscale",
        halo_of=_halo,
        shape_of=_reduced_shape,
        plan_of=_reduce,
        working=8.0,
        note=_ORDERS,
    ),
    _operation(
        "expand",
        "upscale",
        halo_of=_halo,
        shape_of=_expanded_shape,
        plan_of=_expand,
        working=10.0,
        note=_ORDERS,
    ),
    _levels("gaussian", check=_check_gaussian),
    _levels("laplacian"),
)
