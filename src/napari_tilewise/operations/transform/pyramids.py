"""`skimage.transform.pyramid_*`: every level is the one before, smoothed and sampled.

A tile of a level is pulled from the image through all levels between, each grown by what the next
one needs. That doubles with every level; so from the first level that is small, which is gathered
whole, scikit-image makes the smaller ones in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from math import ceil, log, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.whole import from_memory
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Accuracy,
    Adapter,
    AsStep,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Spec
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
    from collections.abc import Callable, Generator

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


@dataclass(frozen=True, eq=False)
class PyramidLevels:
    """The levels of a pyramid, and how each is computed."""

    shapes: Callable[[Call], list[tuple[int, ...]]]
    """Returns the spatial shape of each level."""
    tiles: Callable[[Call, Levels, int], Tiles]
    """Returns the pass that computes a level."""

    def pulled(self, call: Call) -> list[tuple[int, ...]]:
        """Return the shapes down to that of the level that is gathered whole."""
        shapes = self.shapes(call)
        channels = channels_of(call) or 1
        small = [level for level, shape in enumerate(shapes) if prod(shape) * channels <= SMALL]
        return shapes[: small[0] + 1] if small else shapes

    def halo(self, call: Call) -> HaloLike:
        """Return what the last pulled level needs of the image."""
        shapes, factor = self.pulled(call), factor_of(call)
        near = max(blur_of(call, call.spatial_shape).reach) + support(call["order"])
        bound = ceil(sum(near * factor**level for level in range(len(shapes))))
        return tuple(min(bound, n) for n in call.spatial_shape)

    def parts(self, call: Call) -> tuple[Part, ...]:
        """Return what each level is."""
        shapes = [call.with_channel(shape, channels_of(call)) for shape in self.shapes(call)]
        return tuple(Part(Output.IMAGE, as_float(call), s, call.channel_axis) for s in shapes)

    def plan(self, call: Call) -> Plan:
        """Pull the large levels tile by tile, and compute the small ones in memory."""
        grid = yield from grid_of(call)
        levels = Levels(call, self.pulled(call))
        yield from find_limits(call, levels, grid)
        base = len(levels.shapes) - 1
        whole = yield from _gathered(call, levels, base, grid)
        layers = len(self.shapes(call)) - 1 - base
        small = call.function(restored(call, whole), max_layer=layers, preserve_range=True)
        return Parts(
            (
                *(self.tiles(call, levels, level) for level in range(base)),
                *map(from_memory, self.parts(call)[base:], small),
            )
        )


def _gathered(
    call: Call, levels: Levels, level: int, grid: Grid
) -> Generator[Reduce, Any, np.ndarray]:
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

    whole: np.ndarray = yield Reduce(
        of,
        lambda a, b: a + b,
        regions=[levels.source(level, box) for box in boxes],
        finish=finish,
        description=f"level {level}",
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


def _as_tuple(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return scikit-image's function, which yields the levels, with a tuple of them as result."""

    @wraps(function)
    def pyramid(*args: Any, **params: Any) -> tuple[np.ndarray, ...]:
        return tuple(function(*args, **params))

    return pyramid


def _specs(factor: str) -> dict[str, Spec]:
    return {
        factor: Number(minimum=1, exclusive=True, usual=(1, 4)),
        "sigma": Number(minimum=0, optional=True, length=True, usual=(0, 3)),
        "order": ChoiceSpec(choices=(0, 1, 2, 3, 4, 5)),
        "mode": ChoiceSpec(
            choices=("reflect", "constant", "edge", "symmetric", "wrap"), advanced=True
        ),
        "cval": CVAL,
        "preserve_range": Flag(advanced=True),
        "channel_axis": CHANNEL,
    }


def _pyramid(name: str, levels: PyramidLevels, check: Callable[[Call], None]) -> Operation:
    layers = {"max_layer": Number(minimum=-1, integer=True, usual=(-1, 4))}
    return Operation(
        name=f"transform.pyramid_{name}",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        specs={**layers, **_specs("downscale")},
        result=ResultSpec(dtype=as_float, parts=levels.parts),
        plan_of=levels.plan,
        accuracy=ROUNDING,
        neighbourhood=Neighbourhood(halo=levels.halo, typical_halo=_halo, border="mode"),
        limits=Limits(check=check),
        cost=Cost(memory=8.0),
        step=AsStep(text="tuple({call})"),
        adapter=Adapter(wrap=_as_tuple),
        note=f"{_ORDERS} Returns a tuple of the levels, where scikit-image returns a generator of "
        "them. Levels of up to four million pixels are made in memory.",
    )


ROUNDING = Accuracy(tolerance=TOLERANCE, single=TOLERANCE32)

OPERATIONS = (
    Operation(
        name="transform.pyramid_reduce",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        specs=_specs("downscale"),
        result=ResultSpec(dtype=as_float, shape=_reduced_shape),
        plan_of=_reduce,
        accuracy=ROUNDING,
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        limits=Limits(check=_check),
        cost=Cost(memory=8.0),
        note=_ORDERS,
    ),
    Operation(
        name="transform.pyramid_expand",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        specs=_specs("upscale"),
        result=ResultSpec(dtype=as_float, shape=_expanded_shape),
        plan_of=_expand,
        accuracy=ROUNDING,
        neighbourhood=Neighbourhood(halo=_halo, border="mode"),
        limits=Limits(check=_check),
        cost=Cost(memory=10.0),
        note=_ORDERS,
    ),
    _pyramid("gaussian", PyramidLevels(_gaussian_shapes, level_tiles), _check_gaussian),
    _pyramid("laplacian", PyramidLevels(_laplacian_shapes, _difference), _check),
)
