"""`equalize_adapthist` (CLAHE): each block maps gray levels; pixels blend the maps around them.

The blocks form a grid anchored at the image's origin. If there are few of them (by default 8 or 9
along an axis, however large the image), one reduction computes all their histograms, and the rest
is pointwise. A fine grid is processed tile by tile with scikit-image's own kernel, on regions
aligned to the grid. The whole image's range is needed before and after equalizing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import hsv2rgb, rgb2hsv
from skimage.exposure import rescale_intensity

from napari_tilewise.errors import InvalidImage
from napari_tilewise.grid import Region, align, clip, extent, grow, within
from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.histograms import gather_range, join_ranges
from napari_tilewise.operations.shared.narrowing import narrow, needs_maximum
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.retained import Retained
from napari_tilewise.operations.spec.operation import Block, Call, Plan, Reduce, Tiles
from napari_tilewise.operations.spec.substitution import instruction_set, run_fastest

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes

LOOK_UP = "numpy.take"
"""The function that maps 8- and 16-bit levels by a table."""

LEVELS = 2**14
"""Number of gray levels that CLAHE uses internally."""

MOST_COUNTS = 2**22
"""Largest number of bins of all blocks' histograms together that is held in memory (32 MiB)."""


AROUND = 25
"""Blocks that a pixel of a plane depends on, at most: its own and two on each side."""


def _is_color(call: Call) -> bool:
    """Return whether scikit-image treats the last axis as colours and equalizes the HSV value."""
    return len(call.shape) == 3 and call.shape[-1] in (3, 4)


def clahe_dtype(call: Call) -> DTypeLike:
    """Return the dtype of the result."""
    return as_float(call)


def clahe_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result: a fourth colour channel is dropped."""
    return (*call.shape[:2], 3) if _is_color(call) else call.shape


def clahe_bins(call: Call) -> int:
    """Return the bins of the histograms that one tile needs at least."""
    return AROUND * int(call["nbins"])


@dataclass(frozen=True)
class _Grid:
    """The grid of blocks over a gray image, and its parameters."""

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    bins: int
    limit: float

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        return tuple(-(-n // k) for n, k in zip(self.shape, self.kernel, strict=True))

    @cached_property
    def is_coarse(self) -> bool:
        """Whether the histograms of all blocks are held in memory at once."""
        return prod(self.counts) * self.bins <= MOST_COUNTS

    def source(self, tile: Region) -> Region:
        """Return the box that scikit-image's kernel needs: the tile and two whole blocks around."""
        if self.is_coarse:
            return tile
        halo = tuple((2 * k, 2 * k) for k in self.kernel)
        return clip(align(grow(tile, halo), self.kernel), self.shape)

    @cached_property
    def mirrored(self) -> list[np.ndarray]:
        """Per axis: the pixel at each position of the grid; the last block is mirrored."""
        positions = []
        for n, k, count in zip(self.shape, self.kernel, self.counts, strict=True):
            pad = (k // 2, count * k - n + -(-k // 2))
            positions.append(np.pad(np.arange(n), pad, mode="reflect")[k // 2 : k // 2 + count * k])
        return positions

    @property
    def levels_per_bin(self) -> int:
        """Number of gray levels that share a histogram bin."""
        return 1 + LEVELS // self.bins

    def histograms(self, grays: np.ndarray, tile: Region) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the blocks, per axis, that contain a tile's pixels, and their counts by bin."""
        indices, blocks, ordinals = [], [], []
        for mirrored, k, box in zip(self.mirrored, self.kernel, tile, strict=True):
            positions = np.flatnonzero((mirrored >= box.start) & (mirrored < box.stop))
            indices.append(mirrored[positions] - box.start)
            block, ordinal = np.unique(positions // k, return_inverse=True)
            blocks.append(block)
            ordinals.append(ordinal)
        if _has_kernel(grays):
            from napari_tilewise.kernels import block_counts

            return blocks, block_counts(grays, indices, ordinals, self.bins)
        sizes = (*map(len, blocks), self.bins)
        flat = np.ravel_multi_index((*np.ix_(*ordinals), grays[np.ix_(*indices)]), sizes)
        return blocks, np.bincount(flat.ravel(), minlength=prod(sizes)).reshape(sizes)

    def maps(self, histograms: np.ndarray) -> np.ndarray:
        """Return every block's map of gray levels from its histogram."""
        size = prod(self.kernel)
        limit = int(np.clip(self.limit * size, 1, None)) if self.limit > 0 else size
        flat = histograms.reshape(-1, self.bins)
        clip_histogram = reach("exposure._adapthist", "clip_histogram")
        flat = np.apply_along_axis(clip_histogram, -1, flat, clip_limit=limit)
        flat = reach("exposure._adapthist", "map_histogram")(flat, 0, LEVELS - 1, size)
        return np.asarray(flat).reshape(histograms.shape)

    def blend(self, grays: np.ndarray, tile: Region, maps: np.ndarray) -> np.ndarray:
        """Return a tile, each pixel mapped by the blocks around it, summed in `_clahe`'s order."""
        around, weights = [], []
        for box, k, n in zip(tile, self.kernel, self.counts, strict=True):
            shifted = np.arange(box.start, box.stop) + k // 2
            distance, lower = (shifted % k) / k, shifted // k - 1
            around.append(np.clip(np.stack([lower, lower + 1], axis=1), 0, n - 1))
            weights.append(np.stack([1 - distance, distance], axis=1))
        if _has_kernel(grays):
            from napari_tilewise.kernels import blended_maps

            return blended_maps(grays, around, weights, maps)
        result = np.zeros(grays.shape, np.float32)
        for corner in product((0, 1), repeat=grays.ndim):
            blocks = [part[:, side] for part, side in zip(around, corner, strict=True)]
            weight: Any = 1.0
            for axis in reversed(range(grays.ndim)):
                along = np.expand_dims(
                    weights[axis][:, corner[axis]], [i for i in range(grays.ndim) if i != axis]
                )
                weight = weight * along
            result += (maps[(*np.ix_(*blocks), grays)] * weight).astype(np.float32)
        return result.astype(np.uint16)


def _has_kernel(grays: np.ndarray) -> bool:
    return grays.ndim in (2, 3) and instruction_set() is not None


def _grid(call: Call) -> _Grid:
    shape = call.shape[:2] if _is_color(call) else call.shape
    kernel_size = call["kernel_size"]
    if kernel_size is None:
        kernel = tuple(max(n // 8, 1) for n in shape)
    else:
        kernel = tuple(kernel_size) if np.ndim(kernel_size) else (kernel_size,) * len(shape)
    if len(kernel) != len(shape):
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape} is treated as a colour image: "
            f"expected kernel_size to be one number or two, not {kernel_size!r}."
        )
    return _Grid(shape, tuple(int(k) for k in kernel), call["nbins"], call["clip_limit"])


# -- passes ----------------------------------------------------------------------------------------


class _Equalizer:
    """The passes of one call: the reductions, and the tiles that use their results."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.color = _is_color(call)
        self.grid = _grid(call)
        self.maximum: Any = None
        self.range: Any = None
        self.maps: np.ndarray | None = None
        self._retained = Retained[np.ndarray](lambda gray: gray.nbytes)

    def source(self, tile: Region) -> Region:
        """Return the box of the image that a tile is computed from, with all colours."""
        if not self.color:
            return self.grid.source(tile)
        return (*self.grid.source(tile[:2]), slice(0, self.call.shape[-1]))

    def halo(self) -> list[int]:
        """Return a halo that contains `source` of any tile."""
        reaches = [0 if self.grid.is_coarse else 3 * k for k in self.grid.kernel]
        return [*reaches, 4] if self.color else reaches

    def value(self, data: np.ndarray) -> np.ndarray:
        """Return the gray image that is equalized, as 16-bit integers."""
        if data.dtype.kind == "f" and not np.isfinite(data).all():
            raise InvalidImage(
                f"{self.call.operation.name}: the image contains NaN or infinite values. "
                "Replace them first, for example with numpy.nan_to_num."
            )
        if self.color:
            data = rgb2hsv(data[..., :3])[..., 2].copy()
        return narrow(data, 16, self.maximum)

    def ends(self, data: np.ndarray) -> tuple[Any, Any]:
        """Return the smallest and the largest value: narrowing keeps the order."""
        if not self.color:
            data = np.array([data.min(), data.max()])
        return _ends(self.value(data))

    def _look_up(self, table: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Return a 16-bit table's value at the value of each pixel."""
        if data.dtype in (np.uint8, np.uint16) and not self.color:
            table = table[self.value(np.arange(np.iinfo(data.dtype).max + 1, dtype=data.dtype))]
            return np.asarray(run_fastest(LOOK_UP, np.take, table, data))
        return np.asarray(run_fastest(LOOK_UP, np.take, table, self.value(data)))

    @cached_property
    def _level_table(self) -> np.ndarray:
        """CLAHE's level of each 16-bit value."""
        values = np.arange(2**16, dtype=np.uint16)
        stretched = rescale_intensity(values, in_range=self.range, out_range=(0, LEVELS - 1))
        return np.asarray(np.round(stretched).astype(np.uint16))

    def levels(self, data: np.ndarray) -> np.ndarray:
        """Return the gray image in CLAHE's levels."""
        return self._look_up(self._level_table, data)

    def grays(self, data: np.ndarray) -> np.ndarray:
        """Return the histogram bin of every pixel."""
        return self._look_up(self._level_table // np.uint16(self.grid.levels_per_bin), data)

    def source_pixels(self, block: Block) -> np.ndarray:
        """Return the pixels of `source` from a block read with `halo`."""
        return block.data[within(self.source(block.tile), block.region)]

    def equalized(self, data: np.ndarray, tile: Region) -> np.ndarray:
        """Return a tile of the equalized gray image from its `source`, in CLAHE's levels."""
        box = tile[:2] if self.color else tile
        if self.maps is not None:
            return self.grid.blend(self.grays(data), box, self.maps)
        clahe = reach("exposure._adapthist", "_clahe")
        grid = self.grid
        gray = clahe(self.levels(data), list(grid.kernel), grid.limit, grid.bins)
        return np.asarray(gray[within(box, grid.source(box))])

    def equalized_ends(self, block: Block) -> tuple[Any, Any]:
        """Return the range of a tile of the equalized image, which is retained."""
        gray = self.equalized(self.source_pixels(block), block.tile)
        self._retained.put(tuple(s.start for s in block.tile), gray)
        return _ends(gray)

    def reduce(self) -> Passes[tuple[Any, Any]]:
        """Compute maximum, range and histograms; return the range of the equalized image."""
        if not self.color and needs_maximum(self.call.dtype, 16):
            ends = yield from gather_range(self.call)
            self.maximum = None if ends is None else ends[1]
        self.range = yield Reduce(
            of=lambda block: self.ends(self.source_pixels(block)),
            merge=join_ranges,
            halo=self.halo(),
            in_groups=True,
            description="range of the image",
        )
        if self.grid.is_coarse:
            self.maps = self.grid.maps((yield from self._reduce_histograms()))
        result_range: tuple[Any, Any] = yield Reduce(
            of=self.equalized_ends,
            merge=join_ranges,
            halo=self.halo(),
            in_groups=True,
            description="range of the result",
        )
        return result_range

    def _reduce_histograms(self) -> Passes[np.ndarray]:
        shape = (*self.grid.counts, self.grid.bins)

        def block_counts(block: Block) -> tuple[list[np.ndarray], np.ndarray]:
            if self.color and block.tile[2].start:
                # the tile with the first colour counts these pixels
                return [np.zeros(0, int)] * 2, np.zeros((0, 0, self.grid.bins), int)
            box = block.tile[:2] if self.color else block.tile
            return self.grid.histograms(self.grays(self.source_pixels(block)), box)

        def total(counted: Any) -> np.ndarray:
            if isinstance(counted, np.ndarray):
                return counted
            return add(np.zeros(shape, np.int64), counted)

        def add(whole: np.ndarray, counted: Any) -> np.ndarray:
            blocks, counts = counted
            whole[np.ix_(*blocks)] += counts
            return whole

        return total(
            (
                yield Reduce(
                    of=block_counts,
                    merge=lambda a, b: add(total(a), b),
                    halo=self.halo(),
                    description="histograms of the blocks",
                )
            )
        )

    def tile(self, block: Block, ends: tuple[Any, Any]) -> np.ndarray:
        """Return a tile of the result."""
        gray = self._retained.take(tuple(s.start for s in block.tile))
        if gray is None or gray.shape != extent(block.tile):
            gray = self.equalized(block.data, block.tile)
        gray = self._rescaled(gray, ends)
        if not self.color:
            return np.asarray(gray)
        core = block.data[within(block.tile[:2], block.region[:2])]
        hsv = rgb2hsv(core[..., :3])
        hsv[..., 2] = gray
        return np.asarray(hsv2rgb(hsv)[..., block.tile[2]])

    def _rescaled(self, gray: np.ndarray, ends: tuple[Any, Any]) -> np.ndarray:
        """Return CLAHE's levels as floats, stretched from this range."""
        kind = as_float(self.call)
        low, high = (np.asarray(end).astype(kind)[()] for end in ends)
        if gray.dtype != np.uint16 or gray.size < 2**16:
            return np.asarray(rescale_intensity(gray.astype(kind), in_range=(low, high)))
        table = rescale_intensity(np.arange(2**16).astype(kind), in_range=(low, high))
        return np.asarray(run_fastest(LOOK_UP, np.take, table, gray))


def _ends(image: np.ndarray) -> tuple[Any, Any]:
    return image.min(), image.max()


def clahe_plan(call: Call) -> Plan:
    """Reduce the image to its ranges (and histograms), then equalize tile by tile."""
    equalizer = _Equalizer(call)
    ends = yield from equalizer.reduce()
    return Tiles(lambda block: equalizer.tile(block, ends), source=equalizer.source)
