"""`skimage.transform.pyramid_*`: every level is the one before, smoothed and sampled.

A tile of a level is pulled from the image through all levels between, each grown by what the next
one needs. That doubles with every level; so from the first level that is small, which is gathered
whole, scikit-image makes the smaller ones in memory.

A level is clipped to the range of the smoothed level before it. All these ranges come from one pass
over the image as long as nothing is clipped, which is nearly always; where something is, the pass
is repeated from that level on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.common import CHANNEL, CVAL, as_float
from napari_tilewise.operations.grid import Grid, Region
from napari_tilewise.operations.model import (
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
from napari_tilewise.operations.parameters import Choice, Flag, Number
from napari_tilewise.operations.private import reach
from napari_tilewise.operations.transform.ranges import (
    Extremes,
    clip_limits,
    gather_limits,
    refuse_nan,
)
from napari_tilewise.operations.transform.resize import TOLERANCE, TOLERANCE32
from napari_tilewise.operations.transform.sampling import Blur, Patch, Zoom, support

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

SMALL = 2**22
"""Pixels of a level from which on the levels are made in memory."""

Limits = tuple[np.ndarray, np.ndarray]


# -- geometry --------------------------------------------------------------------------------------


def _factor(call: Call) -> float:
    name = "upscale" if "upscale" in call.params else "downscale"
    return call[name]  # type: ignore[no-any-return]


def _reduced(call: Call, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the spatial shape of the level after one of this spatial shape."""
    return tuple(ceil(n / float(_factor(call))) for n in shape)


def _reduced_shape(call: Call) -> tuple[int, ...]:
    return call.with_channel(_reduced(call, call.spatial_shape), _channels(call))


def _expanded_shape(call: Call) -> tuple[int, ...]:
    lengths = [ceil(_factor(call) * n) for n in call.spatial_shape]
    return call.with_channel(lengths, _channels(call))


def _channels(call: Call) -> int | None:
    return None if call.channel_axis is None else call.shape[call.channel_axis]


def _blur(call: Call, shape: tuple[int, ...]) -> Blur:
    sigma = call["sigma"]
    if sigma is None:
        sigma = 2 * _factor(call) / 6.0
    sigmas = (float(sigma),) * len(shape) + (0.0,) * (call.channel_axis is not None)
    return Blur(shape, sigmas, call["mode"], call["cval"], call.wraps)


def _zoom(call: Call, before: tuple[int, ...], after: tuple[int, ...]) -> Zoom:
    channels = _channels(call)
    behind = None if channels is None else (channels, channels)
    lengths = tuple(zip(before, after, strict=True))
    return Zoom(lengths, behind, call["order"], call["mode"], call["cval"])


def _halo(call: Call) -> HaloLike:
    return _blur(call, call.spatial_shape).reach[0] + support(call["order"])


# -- pixels ----------------------------------------------------------------------------------------


def _converted(call: Call, values: np.ndarray) -> np.ndarray:
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(values, call["preserve_range"]))


def _channels_last(call: Call, data: np.ndarray) -> np.ndarray:
    if call.channel_axis is not None:
        data = np.moveaxis(data, call.channel_axis, -1)
    return np.ascontiguousarray(data)


def _image(call: Call, block: Block) -> Patch:
    """Return a block as floats, channels last."""
    return Patch(_channels_last(call, _converted(call, block.data)), block.region)


def _restored(call: Call, data: np.ndarray) -> np.ndarray:
    """Return pixels with the channels where the image has them."""
    if call.channel_axis is not None:
        data = np.moveaxis(data, -1, call.channel_axis)
    return np.ascontiguousarray(data)


def _clipped(data: np.ndarray, limits: Limits | None) -> np.ndarray:
    return data if limits is None else np.clip(data, *limits)


# -- expand ----------------------------------------------------------------------------------------


def _expand(call: Call) -> Plan:
    before = call.spatial_shape
    after = tuple(ceil(_factor(call) * n) for n in before)
    zoom, blur = _zoom(call, before, after), _blur(call, after)

    def source(tile: Region) -> Region:
        return zoom.needs(tile)

    limits = None
    if zoom.order:
        limits = yield from gather_limits(
            call,
            lambda values: _converted(call, values),
            lambda block, tile: zoom.run(_image(call, block), tile),
            source,
            after,
            spline=zoom.order,
        )

    def compute(block: Block) -> np.ndarray:
        box = blur.needs(block.tile)
        sharp = _clipped(zoom.run(_image(call, block), box), limits)
        return _restored(call, blur.run(Patch(np.ascontiguousarray(sharp), box), block.tile))

    return Tiles(compute, source=lambda tile: source(blur.needs(tile)))


# -- reduce ----------------------------------------------------------------------------------------


@dataclass
class _Levels:
    """The levels that are pulled from the image, the image itself being level 0."""

    call: Call
    shapes: list[tuple[int, ...]]
    """Spatial shapes."""
    limits: list[Limits | None] = field(default_factory=list)
    """What levels 1, 2, ... are clipped to, as far as known."""

    def blur(self, level: int) -> Blur:
        """Return what smooths a level."""
        return _blur(self.call, self.shapes[level])

    def zoom(self, level: int) -> Zoom:
        """Return what makes a level from the smoothed one before."""
        return _zoom(self.call, self.shapes[level - 1], self.shapes[level])

    def source(self, level: int, box: Region) -> Region:
        """Return the box of the image that a box of a level is made of."""
        for number in range(level, 0, -1):
            box = self.blur(number - 1).needs(self.zoom(number).needs(box))
        return box

    def pull(self, level: int, image: Patch, box: Region) -> np.ndarray:
        """Return a box of a level."""
        if level == 0:
            return image.take(box, self.shapes[0])
        inner = self.zoom(level).needs(box)
        smooth = np.ascontiguousarray(self.smooth(level - 1, image, inner))
        return _clipped(self.zoom(level).run(Patch(smooth, inner), box), self.limits[level - 1])

    def smooth(self, level: int, image: Patch, box: Region) -> np.ndarray:
        """Return a box of a smoothed level."""
        wide = self.blur(level).needs(box)
        pixels = np.ascontiguousarray(self.pull(level, image, wide))
        return self.blur(level).run(Patch(pixels, wide), box)

    # -- ranges ----------------------------------------------------------------------------------

    def gather(self, cuts: Grid) -> Generator[Gather, Any, None]:
        """Find what every level is clipped to."""
        last = len(self.shapes) - 1
        boxes = [cuts.region(position) for position in cuts.positions()]
        while len(self.limits) < last:
            known = len(self.limits)
            found = yield Gather(
                lambda block: self._ranges(block, boxes[block.position[0]]),
                _join,
                regions=[self._widest(box)[0] for box in boxes],
                what=f"range of levels {known + 1} to {last}",
            )
            for smooth, made in found[known:]:
                low, high = self._limits(smooth, made)
                self.limits.append((low, high))
                if not (low <= made.low and made.high <= high):
                    break  # levels above this one were made of what should have been clipped

    def _limits(self, smooth: Extremes, made: Extremes) -> Limits:
        order = self.call["order"]
        if order > 1:
            refuse_nan(self.call, smooth, order)
        # NaN that sampling itself made hides the result's range from scikit-image.
        counts = self.call["mode"] == "constant" and made.has_nan <= smooth.has_nan
        return clip_limits(smooth, self.call["cval"], made if counts else None)

    def _share(self, level: int, box: Region) -> Region:
        """Return the box of a level that belongs to a box of the last one; they tile the level."""
        return tuple(
            slice(s.start * n // m, s.stop * n // m)
            for s, n, m in zip(box, self.shapes[level], self.shapes[-1], strict=True)
        )

    def _widest(self, box: Region) -> list[Region]:
        """Return, level by level, what is needed for the ranges in a box of the last level."""
        boxes = [box]
        for level in range(len(self.shapes) - 1, 0, -1):
            inner = _hull(self.zoom(level).needs(boxes[0]), self._share(level - 1, box))
            boxes.insert(0, self.blur(level - 1).needs(inner))
        return boxes

    def _ranges(self, block: Block, box: Region) -> list[tuple[Extremes, Extremes]]:
        """Return, for levels 1, 2, ..., the ranges of what each is made of and of itself."""
        boxes, found = self._widest(box), []
        patch = _image(self.call, block)
        for level in range(1, len(self.shapes)):
            mine = self._share(level - 1, box)
            inner = _hull(self.zoom(level).needs(boxes[level]), mine)
            smooth = Patch(self.blur(level - 1).run(patch, inner), inner)
            made = self.zoom(level).run(
                Patch(np.ascontiguousarray(smooth.data), inner), boxes[level]
            )
            before = Extremes.of(smooth.take(mine, self.shapes[level - 1]))
            share = self._share(level, box)
            own = Patch(made, boxes[level]).take(share, self.shapes[level])
            found.append((before, Extremes.of(own)))
            limits = self.limits[level - 1] if level <= len(self.limits) else None
            patch = Patch(np.ascontiguousarray(_clipped(made, limits)), boxes[level])
        return found


def _hull(a: Region, b: Region) -> Region:
    return tuple(
        slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True)
    )


def _join(
    a: list[tuple[Extremes, Extremes]], b: list[tuple[Extremes, Extremes]]
) -> list[tuple[Extremes, Extremes]]:
    return [(p.join(r), q.join(s)) for (p, q), (r, s) in zip(a, b, strict=True)]


def _find_limits(call: Call, levels: _Levels, grid: Grid) -> Generator[Gather, Any, None]:
    if call["order"] == 0:  # the nearest pixel is never out of range
        levels.limits = [None] * (len(levels.shapes) - 1)
    if len(levels.shapes) > 1:
        yield from levels.gather(_cuts(levels, grid))


def _cuts(levels: _Levels, grid: Grid) -> Grid:
    """Return tiles of the last level that come from about one tile of the image each."""
    last = levels.shapes[-1]
    tile = [
        max(1, min(m, round(length * m / n)))
        for length, m, n in zip(grid.tile, last, grid.shape, strict=True)
    ]
    return Grid(last, tuple(tile))


def _look(block: Block) -> Grid:
    return block.grid


def _grid(call: Call) -> Generator[Gather, Any, Grid]:
    """Ask for the grid of tiles, which a plan sees from a block only."""
    corner = tuple(slice(0, 1) for _ in call.spatial_shape)
    grid: Grid = yield Gather(_look, lambda a, b: a, regions=[corner], what="tiles")
    return grid


def _reduce(call: Call) -> Plan:
    grid = yield from _grid(call)
    levels = _Levels(call, [call.spatial_shape, _reduced(call, call.spatial_shape)])
    yield from _find_limits(call, levels, grid)
    return _level(call, levels, 1)


def _level(call: Call, levels: _Levels, level: int) -> Tiles:
    return Tiles(
        lambda block: _restored(call, levels.pull(level, _image(call, block), block.tile)),
        source=lambda tile: levels.source(level, tile),
    )


# -- whole pyramids --------------------------------------------------------------------------------


def _gaussian_shapes(call: Call) -> list[tuple[int, ...]]:
    shapes = [call.spatial_shape]
    while len(shapes) - 1 != call["max_layer"]:
        after = _reduced(call, shapes[-1])
        if after == shapes[-1]:
            break
        shapes.append(after)
    return shapes


def _laplacian_shapes(call: Call) -> list[tuple[int, ...]]:
    shapes, count = [call.spatial_shape], call["max_layer"]
    if count == -1:
        count = ceil(log(max(call.spatial_shape), call["downscale"]))
    for _ in range(count):
        shapes.append(_reduced(call, shapes[-1]))
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
    small = [k for k, shape in enumerate(shapes) if prod(shape) * (_channels(call) or 1) <= SMALL]
    return shapes[: small[0] + 1] if small else shapes


def _parts(call: Call) -> tuple[Part, ...]:
    return tuple(
        Part(Output.IMAGE, as_float(call), call.with_channel(s, _channels(call)), call.channel_axis)
        for s in _shapes(call)
    )


def _pyramid(call: Call) -> Plan:
    grid = yield from _grid(call)
    levels = _Levels(call, _pulled(call))
    yield from _find_limits(call, levels, grid)
    base = len(levels.shapes) - 1
    whole = yield from _gathered(call, levels, base, grid)
    laplacian = isinstance(call.operation, _Pyramid) and call.operation.is_laplacian
    pulled = _difference if laplacian else _level
    made = call.function(
        _restored(call, whole), max_layer=len(_shapes(call)) - 1 - base, preserve_range=True
    )
    return Parts(
        (
            *(pulled(call, levels, k) for k in range(base)),
            *(_handed_out(call, level) for level in made),
        )
    )


def _gathered(
    call: Call, levels: _Levels, level: int, grid: Grid
) -> Generator[Gather, Any, np.ndarray]:
    """Return a level whole, channels last."""
    cuts = _cuts(levels, grid)
    boxes = [cuts.region(position) for position in cuts.positions()]

    def of(block: Block) -> list[tuple[Region, np.ndarray]]:
        box = boxes[block.position[0]]
        return [(box, levels.pull(level, _image(call, block), box))]

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


def _difference(call: Call, levels: _Levels, level: int) -> Tiles:
    blur = levels.blur(level)

    def compute(block: Block) -> np.ndarray:
        wide = blur.needs(block.tile)
        pixels = Patch(np.ascontiguousarray(levels.pull(level, _image(call, block), wide)), wide)
        sharp = pixels.take(block.tile, levels.shapes[level])
        return _restored(call, sharp - blur.run(pixels, block.tile))

    return Tiles(compute, source=lambda tile: levels.source(level, blur.needs(tile)))


def _handed_out(call: Call, level: np.ndarray) -> Tiles:
    return Tiles(
        lambda block: level[call.with_channel(block.tile, slice(None))].copy(),
        source=lambda tile: None,
    )


# -- declarations ----------------------------------------------------------------------------------


def _check(call: Call) -> None:
    sigma = call["sigma"]
    if call["mode"] in ("edge", "symmetric") and (sigma is None or sigma > 1e-15):
        raise InvalidParameter(
            f"{call.operation.name}: mode={call['mode']!r}: scikit-image smooths with this mode "
            "too, and its Gaussian filter has none of this name: expected 'reflect', 'constant' or "
            "'wrap', or sigma=0."
        )


def _halo_of_levels(call: Call) -> HaloLike:
    """Return what the last pulled level needs of the image."""
    shapes, factor = _pulled(call), _factor(call)
    near = max(_blur(call, call.spatial_shape).reach) + support(call["order"])
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
            "order": Choice(choices=(0, 1, 2, 3, 4, 5)),
            "mode": Choice(
                choices=("reflect", "constant", "edge", "symmetric", "wrap"), advanced=True
            ),
            "cval": CVAL,
            "preserve_range": Flag(advanced=True),
            "channel_axis": CHANNEL,
        },
        dtype_of=as_float,
        border="mode",
        check=_check,
        **fields,
    )


_LEVELS_NOTE = (
    "Orders 0 and 1 are identical bit for bit. Returns a tuple of the levels, where scikit-image "
    "returns a generator of them. Levels of up to four million pixels are made in memory."
)

OPERATIONS = (
    _operation(
        "reduce",
        "downscale",
        halo_of=_halo,
        shape_of=_reduced_shape,
        plan_of=_reduce,
        working=8.0,
        note="Orders 0 and 1 are identical bit for bit.",
    ),
    _operation(
        "expand",
        "upscale",
        halo_of=_halo,
        shape_of=_expanded_shape,
        plan_of=_expand,
        working=10.0,
        note="Orders 0 and 1 are identical bit for bit.",
    ),
    _operation(
        "gaussian",
        "downscale",
        kind=_Pyramid,
        halo_of=_halo_of_levels,
        typical_halo_of=_halo,
        parts_of=_parts,
        plan_of=_pyramid,
        working=8.0,
        note=_LEVELS_NOTE,
    ),
    _operation(
        "laplacian",
        "downscale",
        kind=_Pyramid,
        halo_of=_halo_of_levels,
        typical_halo_of=_halo,
        parts_of=_parts,
        plan_of=_pyramid,
        working=8.0,
        note=_LEVELS_NOTE,
    ),
)
