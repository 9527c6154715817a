"""The levels of a pyramid: each is the previous one, smoothed and resampled.

A tile of a level is computed from the image through all levels in between, each grown by what the
next one needs.

A level is clipped to the range of the smoothed previous level. One reduction computes all these
ranges if no level needs clipping, which is almost always so; otherwise the reduction is repeated
from the clipped level on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.grid import LazySequence
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec.operation import Block, Call, Reduce, Tiles
from napari_tilewise.operations.transform.ranges import (
    Extremes,
    clip_limits,
    reject_nan,
    scaled_grid,
)
from napari_tilewise.operations.transform.sampling import Blur, Patch, Zoom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.grid import Grid, Region
    from napari_tilewise.operations.spec.passes import Passes

Limits = tuple[np.ndarray, np.ndarray]


# -- geometry --------------------------------------------------------------------------------------


def factor_of(call: Call) -> float:
    """Return the factor between the sizes of consecutive levels."""
    name = "upscale" if "upscale" in call.params else "downscale"
    factor: float = call[name]
    return factor


def reduced(call: Call, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the spatial shape of the level that follows one of this spatial shape."""
    return tuple(ceil(n / float(factor_of(call))) for n in shape)


def channels_of(call: Call) -> int | None:
    """Return the number of channels; None without a channel axis."""
    return None if call.channel_axis is None else call.shape[call.channel_axis]


def blur_of(call: Call, shape: tuple[int, ...]) -> Blur:
    """Return the filter that smooths a level of this spatial shape."""
    sigma = call["sigma"]
    if sigma is None:
        sigma = 2 * factor_of(call) / 6.0
    sigmas = (float(sigma),) * len(shape) + (0.0,) * (call.channel_axis is not None)
    return Blur(shape, sigmas, call["mode"], call["cval"], call.wraps)


def zoom_of(call: Call, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Zoom:
    """Return the resampling from one spatial shape to another."""
    channels = channels_of(call)
    channel_lengths = None if channels is None else (channels, channels)
    lengths = tuple(zip(input_shape, output_shape, strict=True))
    return Zoom(lengths, channel_lengths, call["order"], call["mode"], call["cval"])


# -- pixels ----------------------------------------------------------------------------------------


def converted(call: Call, values: np.ndarray) -> np.ndarray:
    """Return pixels as floats, scaled unless `preserve_range`."""
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
    """Return pixels with the channels moved back to the image's channel axis."""
    if call.channel_axis is not None:
        data = np.moveaxis(data, -1, call.channel_axis)
    return np.ascontiguousarray(data)


def clipped(data: np.ndarray, limits: Limits | None) -> np.ndarray:
    """Return pixels clipped to limits, if there are any."""
    return data if limits is None else np.clip(data, *limits)


# -- reduce ----------------------------------------------------------------------------------------


@dataclass
class Levels:
    """The levels that are computed from the image, which is level 0."""

    call: Call
    shapes: list[tuple[int, ...]]
    """Spatial shapes of the levels."""
    limits: list[Limits | None] = field(default_factory=list)
    """The ranges that levels 1, 2, ... are clipped to, as far as they are known."""

    def blur(self, level: int) -> Blur:
        """Return the filter that smooths a level."""
        return blur_of(self.call, self.shapes[level])

    def zoom(self, level: int) -> Zoom:
        """Return the resampling from the smoothed previous level to a level."""
        return zoom_of(self.call, self.shapes[level - 1], self.shapes[level])

    def source(self, level: int, box: Region) -> Region:
        """Return the box of the image that a box of a level depends on."""
        for index in range(level, 0, -1):
            box = self.blur(index - 1).needs(self.zoom(index).needs(box))
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
        padded_box = self.blur(level).needs(box)
        pixels = np.ascontiguousarray(self.pull(level, image, padded_box))
        return self.blur(level).run(Patch(pixels, padded_box), box)

    # -- ranges ----------------------------------------------------------------------------------

    def reduce_limits(self, cuts: Grid) -> Passes[None]:
        """Compute the range that every level is clipped to."""
        last_level = len(self.shapes) - 1
        boxes = cuts.regions()
        while len(self.limits) < last_level:
            known_levels = len(self.limits)
            ranges = yield Reduce(
                lambda block: self._ranges(block, boxes[block.position[0]]),
                _merge_ranges,
                regions=LazySequence(len(boxes), lambda n: self._boxes_for_ranges(boxes[n])[0]),
                description=f"range of levels {known_levels + 1} to {last_level}",
            )
            for smooth, result in ranges[known_levels:]:
                low, high = self._limits(smooth, result)
                self.limits.append((low, high))
                if not (low <= result.low and result.high <= high):
                    break  # the next levels were computed from pixels that need clipping

    def _limits(self, smooth: Extremes, result: Extremes) -> Limits:
        order = self.call["order"]
        if order > 1:
            reject_nan(self.call, smooth, order)
        # If resampling itself produces NaN, scikit-image does not see the result's range.
        cval_counts = self.call["mode"] == "constant" and result.has_nan <= smooth.has_nan
        return clip_limits(smooth, self.call["cval"], result if cval_counts else None)

    def _share(self, level: int, box: Region) -> Region:
        """Return a level's share of a box of the last level; the shares of all boxes tile it."""
        return tuple(
            slice(s.start * n // m, s.stop * n // m)
            for s, n, m in zip(box, self.shapes[level], self.shapes[-1], strict=True)
        )

    def _boxes_for_ranges(self, box: Region) -> list[Region]:
        """Return, level by level, the boxes needed for the ranges of a box of the last level."""
        boxes = [box]
        for level in range(len(self.shapes) - 1, 0, -1):
            inner = _hull(self.zoom(level).needs(boxes[0]), self._share(level - 1, box))
            boxes.insert(0, self.blur(level - 1).needs(inner))
        return boxes

    def _ranges(self, block: Block, box: Region) -> list[tuple[Extremes, Extremes]]:
        """Return, for levels 1, 2, ..., the ranges of the smoothed previous level and of itself."""
        boxes, ranges = self._boxes_for_ranges(box), []
        patch = image_of(self.call, block)
        for level in range(1, len(self.shapes)):
            share_before = self._share(level - 1, box)
            inner = _hull(self.zoom(level).needs(boxes[level]), share_before)
            smooth = Patch(self.blur(level - 1).run(patch, inner), inner)
            result_pixels = self.zoom(level).run(
                Patch(np.ascontiguousarray(smooth.data), inner), boxes[level]
            )
            smooth_extremes = Extremes.of(smooth.take(share_before, self.shapes[level - 1]))
            share = self._share(level, box)
            result_share = Patch(result_pixels, boxes[level]).take(share, self.shapes[level])
            ranges.append((smooth_extremes, Extremes.of(result_share)))
            limits = self.limits[level - 1] if level <= len(self.limits) else None
            patch = Patch(np.ascontiguousarray(clipped(result_pixels, limits)), boxes[level])
        return ranges


def _hull(a: Region, b: Region) -> Region:
    return tuple(
        slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True)
    )


def _merge_ranges(
    a: list[tuple[Extremes, Extremes]], b: list[tuple[Extremes, Extremes]]
) -> list[tuple[Extremes, Extremes]]:
    return [(p.join(r), q.join(s)) for (p, q), (r, s) in zip(a, b, strict=True)]


def find_limits(call: Call, levels: Levels, grid: Grid) -> Passes[None]:
    """Compute the range that every level is clipped to, if pixels can exceed it."""
    if call["order"] == 0:  # nearest neighbours are never out of range
        levels.limits = [None] * (len(levels.shapes) - 1)
    if len(levels.shapes) > 1:
        yield from levels.reduce_limits(scaled_grid(grid, levels.shapes[-1]))


def _grid_of_block(block: Block) -> Grid:
    return block.grid


def tile_grid(call: Call) -> Passes[Grid]:
    """Return the grid of tiles, which a plan receives only with a block."""
    corner = tuple(slice(0, 1) for _ in call.spatial_shape)
    grid: Grid = yield Reduce(_grid_of_block, lambda a, b: a, regions=[corner], description="tiles")
    return grid


def level_tiles(call: Call, levels: Levels, level: int) -> Tiles:
    """Return the tiled pass for a level that is computed from the image."""
    return Tiles(
        lambda block: restored(call, levels.pull(level, image_of(call, block), block.tile)),
        source=lambda tile: levels.source(level, tile),
    )
