"""`skimage.transform.pyramid_*`: every level is the previous one, smoothed and resampled.

A tile of a level is computed from the image through all levels in between, each grown by what the
next one needs. This margin doubles with every level; so the first small level is assembled in
memory, and scikit-image computes all smaller levels from it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from math import ceil, log, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.grid import LazySequence
from napari_tilewise.operations.shared.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.shared.whole import from_memory
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    PER_PIXEL,
    SMALL_WHOLE,
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
from napari_tilewise.operations.spec.pixel_positions import resampled
from napari_tilewise.operations.transform.levels import (
    Levels,
    blur_of,
    channels_of,
    clipped,
    converted,
    factor_of,
    find_limits,
    image_of,
    level_tiles,
    reduced,
    restored,
    tile_grid,
    zoom_of,
)
from napari_tilewise.operations.transform.ranges import Resampling, reduce_limits, scaled_grid
from napari_tilewise.operations.transform.resize import TOLERANCE, TOLERANCE32
from napari_tilewise.operations.transform.sampling import Patch, support

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise.grid import Grid, Region
    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import AnyFunction

SMALL = 2**22
"""Largest number of pixels of a level that is assembled in memory."""


# -- one level -------------------------------------------------------------------------------------


def _reduced_shape(call: Call) -> tuple[int, ...]:
    return call.with_channel(reduced(call, call.spatial_shape), channels_of(call))


def _expanded_shape(call: Call) -> tuple[int, ...]:
    lengths = [ceil(factor_of(call) * n) for n in call.spatial_shape]
    return call.with_channel(lengths, channels_of(call))


def _halo(call: Call) -> HaloLike:
    return blur_of(call, call.spatial_shape).reach[0] + support(call["order"])


def _blur_length(call: Call) -> int:
    """Return what the blur's kernel takes, in pixels of the image."""
    return 4 * blur_of(call, call.spatial_shape).reach[0]


def _expand(call: Call) -> Plan:
    input_shape = call.spatial_shape
    output_shape = tuple(ceil(factor_of(call) * n) for n in input_shape)
    zoom, blur = zoom_of(call, input_shape, output_shape), blur_of(call, output_shape)

    limits = None
    if zoom.order:
        resampling = Resampling(
            convert=lambda values: converted(call, values),
            sample=lambda block, tile: zoom.run(image_of(call, block), tile),
            source=zoom.needs,
            result_shape=output_shape,
            spline=zoom.order,
        )
        limits = yield from reduce_limits(call, resampling)

    def compute(block: Block) -> np.ndarray:
        box = blur.needs(block.tile)
        resampled = clipped(zoom.run(image_of(call, block), box), limits)
        return restored(call, blur.run(Patch(np.ascontiguousarray(resampled), box), block.tile))

    return Tiles(compute, source=lambda tile: zoom.needs(blur.needs(tile)))


def _reduce(call: Call) -> Plan:
    grid = yield from tile_grid(call)
    levels = Levels(call, [call.spatial_shape, reduced(call, call.spatial_shape)])
    yield from find_limits(call, levels, grid)
    return level_tiles(call, levels, 1)


# -- whole pyramids --------------------------------------------------------------------------------


def _gaussian_shapes(call: Call) -> list[tuple[int, ...]]:
    shapes = [call.spatial_shape]
    while len(shapes) - 1 != call["max_layer"]:
        next_shape = reduced(call, shapes[-1])
        if next_shape == shapes[-1]:
            break
        shapes.append(next_shape)
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
        """Return the shapes of the levels up to the first one that is assembled in memory."""
        shapes = self.shapes(call)
        channels = channels_of(call) or 1
        small = [level for level, shape in enumerate(shapes) if prod(shape) * channels <= SMALL]
        return shapes[: small[0] + 1] if small else shapes

    def halo(self, call: Call) -> HaloLike:
        """Return the halo in the image for the last level that is computed by tiles."""
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
        grid = yield from tile_grid(call)
        levels = Levels(call, self.pulled(call))
        yield from find_limits(call, levels, grid)
        base = len(levels.shapes) - 1
        whole = yield from _reduce_to_array(call, levels, base, grid)
        layers = len(self.shapes(call)) - 1 - base
        small = call.function(restored(call, whole), max_layer=layers, preserve_range=True)
        return Parts(
            (
                *(self.tiles(call, levels, level) for level in range(base)),
                *map(from_memory, self.parts(call)[base:], small),
            )
        )


def _reduce_to_array(call: Call, levels: Levels, level: int, grid: Grid) -> Passes[np.ndarray]:
    """Return a whole level, channels last."""
    boxes_grid = scaled_grid(grid, levels.shapes[level])
    boxes = boxes_grid.regions()

    def tile_pixels(block: Block) -> list[tuple[Region, np.ndarray]]:
        box = boxes[block.position[0]]
        return [(box, levels.pull(level, image_of(call, block), box))]

    def finish(parts: list[tuple[Region, np.ndarray]]) -> np.ndarray:
        pixels_of_level = np.empty(
            (*boxes_grid.shape, *parts[0][1].shape[len(boxes_grid.shape) :]), parts[0][1].dtype
        )
        for box, pixels in parts:
            pixels_of_level[box] = pixels
        return pixels_of_level

    pixels_of_level: np.ndarray = yield Reduce(
        tile_pixels,
        lambda a, b: a + b,
        regions=LazySequence(len(boxes), lambda number: levels.source(level, boxes[number])),
        finish=finish,
        description=f"level {level}",
    )
    return pixels_of_level


def _laplacian_tiles(call: Call, levels: Levels, level: int) -> Tiles:
    blur = levels.blur(level)

    def compute(block: Block) -> np.ndarray:
        padded_box = blur.needs(block.tile)
        pixels = Patch(
            np.ascontiguousarray(levels.pull(level, image_of(call, block), padded_box)), padded_box
        )
        original = pixels.take(block.tile, levels.shapes[level])
        return restored(call, original - blur.run(pixels, block.tile))

    return Tiles(compute, source=lambda tile: levels.source(level, blur.needs(tile)))


# -- declarations ----------------------------------------------------------------------------------

_ORDERS = "Orders 0 and 1 are identical bit for bit."


def _check(call: Call) -> None:
    sigma = call["sigma"]
    if call["mode"] in ("edge", "symmetric") and (sigma is None or sigma > 1e-15):
        raise InvalidParameter(
            f"{call.operation.name}: mode={call['mode']!r}: expected 'reflect', 'constant' or "
            "'wrap', or sigma=0, because scikit-image's Gaussian filter has no mode of this name."
        )


def _check_gaussian(call: Call) -> None:
    if call["max_layer"] != 0:  # with 0 the only level is the image itself
        _check(call)


def _as_tuple(function: AnyFunction) -> AnyFunction:
    """Return scikit-image's function, which yields the levels, with a tuple of them as result."""

    @wraps(function)
    def pyramid(*args: Any, **params: Any) -> tuple[np.ndarray, ...]:
        return tuple(function(*args, **params))

    return pyramid


def _specs(factor: str) -> dict[str, Spec]:
    return {
        factor: Number(minimum=1, exclusive=True, finite=True, usual=(1, 4)),
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
    layers = {"max_layer": Number(minimum=-1, maximum=2**16, integer=True, usual=(-1, 4))}
    return Operation(
        name=f"transform.pyramid_{name}",
        family=families.SIZES,
        kind=Kind.GEOMETRY,
        specs={**layers, **_specs("downscale")},
        result=ResultSpec(dtype=as_float, parts=levels.parts),
        plan_of=levels.plan,
        accuracy=ROUNDING,
        neighbourhood=Neighbourhood(
            halo=levels.halo, typical_halo=_halo, border="mode", sampling=resampled
        ),
        limits=Limits(check=check),
        cost=Cost(
            numbers=PER_PIXEL,
            memory=8.0,
            largest_region=_blur_length,
            at_once=SMALL_WHOLE._replace(function=2**22),
        ),
        step=AsStep(text="tuple({call})"),
        adapter=Adapter(wrap=_as_tuple),
        note=f"{_ORDERS} Returns a tuple of the levels; scikit-image returns a generator. Levels "
        "of up to four million pixels are computed in memory.",
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
        neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=resampled),
        limits=Limits(check=_check),
        cost=Cost(memory=8.0, largest_region=_blur_length, at_once=SMALL_WHOLE),
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
        neighbourhood=Neighbourhood(halo=_halo, border="mode", sampling=resampled),
        limits=Limits(check=_check),
        cost=Cost(memory=10.0, largest_region=_blur_length, at_once=SMALL_WHOLE),
        note=_ORDERS,
    ),
    replace(
        _pyramid("gaussian", PyramidLevels(_gaussian_shapes, level_tiles), _check_gaussian),
        title="Gaussian pyramid",
    ),
    replace(
        _pyramid("laplacian", PyramidLevels(_laplacian_shapes, _laplacian_tiles), _check),
        title="Laplacian pyramid",
    ),
)
