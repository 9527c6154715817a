"""The levels of a pyramid: each is the one before, smoothed and sampled.

A tile of a level is pulled from the image through all levels between, each grown by what the next
one needs.

A level is clipped to the range of the smoothed level before it. All these ranges come from one pass
over the image as long as nothing is clipped, which is nearly always; where something is, the pass
is repeated from that level on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Tiles
from napari_tilewise.operations.transform.ranges import Extremes, clip_limits, refuse_nan, scaled
from napari_tilewise.operations.transform.sampling import Blur, Patch, Zoom

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_tilewise.grid import Grid, Region

Limits = tuple[np.ndarray, np.ndarray]


# -- geometry --------------------------------------------------------------------------------------


def factor_of(call: Call) -> float:
    """Return how much larger or smaller each level is."""
    name = "upscale" if "upscale" in call.params else "downscale"
    return call[name]  # type: ignore[no-any-return]


def reduced(call: Call, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the spatial shape of the level after one of this spatial shape."""
    return tuple(ceil(n / float(factor_of(call))) for n in shape)


def channels_of(call: Call) -> int | None:
    """Return the number of channels; None where there is no axis of them."""
    return None if call.channel_axis is None else call.shape[call.channel_axis]


def blur_of(call: Call, shape: tuple[int, ...]) -> Blur:
    """Return what smooths a level of this spatial shape."""
    sigma = call["sigma"]
    if sigma is None:
        sigma = 2 * factor_of(call) / 6.0
    sigmas = (float(sigma),) * len(shape) + (0.0,) * (call.channel_axis is not None)
    return Blur(shape, sigmas, call["mode"], call["cval"], call.wraps)


def zoom_of(call: Call, before: tuple[int, ...], after: tuple[int, ...]) -> Zoom:
    """Return what samples a level of one spatial shape to make one of another."""
    channels = channels_of(call)
    behind = None if channels is None else (channels, channels)
    lengths = tuple(zip(before, after, strict=True))
    return Zoom(lengths, behind, call["order"], call["mode"], call["cval"])


# -- pixels ----------------------------------------------------------------------------------------


def converted(call: Call, values: np.ndarray) -> np.ndarray:
    """Return pixels as floats, scaled as the call asks for."""
    convert = reach("_shared.utils", "convert_to_float")
    return np.asarray(convert(values, call["preserve_range"]))


def _channels_last(call: Call, data: np.ndarray) -> np.ndarray:
    if call.channel_axis is not None:
        data = np.moveaxis(data, call.channel_axis, -1)
    return np.ascontiguousarray(data)


def image_of(call: Call, block: Block) -> Patch:
    """Return a block as floats, channels last."""
    return Patch(_channels_last(call, converted(call, block.data)), block.region)


def restored(call: Call, data: np.ndarray) -> np.ndarray:
    """Return pixels with the channels where the image has them."""
    if call.channel_axis is not None:
        data = np.moveaxis(data, -1, call.channel_axis)
    return np.ascontiguousarray(data)


def clipped(data: np.ndarray, limits: Limits | None) -> np.ndarray:
    """Return pixels within limits, where there are any."""
    return data if limits is None else np.clip(data, *limits)


# -- reduce ----------------------------------------------------------------------------------------


@dataclass
class Levels:
    """The levels that are pulled from the image, the image itself being level 0."""

    call: Call
    shapes: list[tuple[int, ...]]
    """Spatial shapes."""
    limits: list[Limits | None] = field(default_factory=list)
    """What levels 1, 2, ... are clipped to, as far as known."""

    def blur(self, level: int) -> Blur:
        """Return what smooths a level."""
        return blur_of(self.call, self.shapes[level])

    def zoom(self, level: int) -> Zoom:
        """Return what makes a level from the smoothed one before."""
        return zoom_of(self.call, self.shapes[level - 1], self.shapes[level])

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
        return clipped(self.zoom(level).run(Patch(smooth, inner), box), self.limits[level - 1])

    def smooth(self, level: int, image: Patch, box: Region) -> np.ndarray:
        """Return a box of a smoothed level."""
        wide = self.blur(level).needs(box)
        pixels = np.ascontiguousarray(self.pull(level, image, wide))
        return self.blur(level).run(Patch(pixels, wide), box)

    # -- ranges ----------------------------------------------------------------------------------

    def gather(self, cuts: Grid) -> Generator[Reduce, Any, None]:
        """Find what every level is clipped to."""
        last = len(self.shapes) - 1
        boxes = [cuts.region(position) for position in cuts.positions()]
        while len(self.limits) < last:
            known = len(self.limits)
            found = yield Reduce(
                lambda block: self._ranges(block, boxes[block.position[0]]),
                _join,
                regions=[self._widest(box)[0] for box in boxes],
                description=f"range of levels {known + 1} to {last}",
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
        patch = image_of(self.call, block)
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
            patch = Patch(np.ascontiguousarray(clipped(made, limits)), boxes[level])
        return found


def _hull(a: Region, b: Region) -> Region:
    return tuple(
        slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True)
    )


def _join(
    a: list[tuple[Extremes, Extremes]], b: list[tuple[Extremes, Extremes]]
) -> list[tuple[Extremes, Extremes]]:
    return [(p.join(r), q.join(s)) for (p, q), (r, s) in zip(a, b, strict=True)]


def find_limits(call: Call, levels: Levels, grid: Grid) -> Generator[Reduce, Any, None]:
    """Find what every level is clipped to, where anything can need it."""
    if call["order"] == 0:  # the nearest pixel is never out of range
        levels.limits = [None] * (len(levels.shapes) - 1)
    if len(levels.shapes) > 1:
        yield from levels.gather(scaled(grid, levels.shapes[-1]))


def _look(block: Block) -> Grid:
    return block.grid


def grid_of(call: Call) -> Generator[Reduce, Any, Grid]:
    """Ask for the grid of tiles, which a plan sees from a block only."""
    corner = tuple(slice(0, 1) for _ in call.spatial_shape)
    grid: Grid = yield Reduce(_look, lambda a, b: a, regions=[corner], description="tiles")
    return grid


def level_tiles(call: Call, levels: Levels, level: int) -> Tiles:
    """Return the last pass of a level that is pulled from the image."""
    return Tiles(
        lambda block: restored(call, levels.pull(level, image_of(call, block), block.tile)),
        source=lambda tile: levels.source(level, tile),
    )
