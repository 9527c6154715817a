"""`skimage.feature.daisy`: descriptors on a grid of pixels, from smoothed gradients around them.

scikit-image computes a descriptor for every pixel and selects those of the grid; here only those
are computed, in the same order of operations, which takes a tenth of the memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import draw
from skimage.color import gray2rgb
from skimage.util import img_as_float

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.grid import Region, extent
from napari_tilewise.operations.shared.common import gaussian_radius
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
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
    ResultSpec,
    Tiles,
    last_axis,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, Number, Numbers
from napari_tilewise.operations.spec.pixel_positions import Sampling, unmoved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.pixel_positions import Samplings

RED = [1, 0, 0]
_MOST = 2**12
"""Rings, and histograms of a ring, and directions: all are listed before the first pixel."""


@dataclass(frozen=True, kw_only=True)
class _Radius(Number):
    """A radius, usually of whole pixels."""

    integer: bool = True

    def _check_number(self, name: str, value: Any) -> Any:
        return Number(minimum=self.minimum, length=self.length).check(name, value, None)


@dataclass(frozen=True)
class _Layout:
    """The geometry of a descriptor, derived from the parameters as in `daisy`."""

    call: Call

    @cached_property
    def radii(self) -> list[float]:
        """The radius of every ring."""
        ring_radii = self.call["ring_radii"]
        if ring_radii is not None:
            return list(ring_radii)
        return [self.radius * (i + 1) / float(self.rings) for i in range(self.rings)]

    @cached_property
    def rings(self) -> int:
        """The number of rings."""
        if self.call["sigmas"] is not None:
            return len(self.call["sigmas"]) - 1
        ring_radii = self.call["ring_radii"]
        return int(self.call["rings"] if ring_radii is None else len(ring_radii))

    @cached_property
    def radius(self) -> int:
        """The radius of the outermost ring: the width of the border without descriptors."""
        ring_radii = self.call["ring_radii"]
        return int(self.call["radius"] if ring_radii is None else ring_radii[-1])

    @cached_property
    def sigmas(self) -> list[float]:
        """The Gaussian's scale for the centre and for every ring."""
        sigmas = self.call["sigmas"]
        if sigmas is None:
            sigmas = [self.radius * (i + 1) / float(2 * self.rings) for i in range(self.rings)]
        # In both cases scikit-image uses the scale of the centre for the first ring.
        return [sigmas[0], *sigmas]

    @cached_property
    def angles(self) -> list[float]:
        """The angle of every histogram on a ring."""
        count = self.call["histograms"]
        return [2 * math.pi * j / count for j in range(count)]

    @cached_property
    def orientations(self) -> list[float]:
        """The angle of every bin of a histogram."""
        count = self.call["orientations"]
        return [2 * o * np.pi / count - np.pi for o in range(count)]

    @cached_property
    def length(self) -> int:
        """The length of a descriptor."""
        return int((self.rings * self.call["histograms"] + 1) * self.call["orientations"])

    def offset(self, ring: float, angle: float) -> tuple[int, int]:
        """Return the position of a histogram relative to the centre."""
        return round(ring * math.sin(angle)), round(ring * math.cos(angle))

    @cached_property
    def halo(self) -> int:
        """The reach of gradients and smoothing."""
        sigmas = self.sigmas[: self.rings + 1]
        return max(gaussian_radius(sigma) for sigma in sigmas) + 1

    @cached_property
    def grid_shape(self) -> tuple[int, ...]:
        """The number of descriptors along each axis."""
        step = int(self.call["step"])
        return tuple(-(-(n - 2 * self.radius) // step) for n in self.call.shape)

    @property
    def drawing_radius(self) -> int:
        """The distance from its centre within which a descriptor is drawn."""
        return self.radius + math.ceil(max(self.sigmas)) + 2

    def histograms(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield, for every histogram on a ring: the ring, the angle's index, and the offset."""
        for ring, radius in enumerate(self.radii):
            for number, angle in enumerate(self.angles):
                yield (ring, number, *self.offset(radius, angle))


def _check(call: Call) -> None:
    name, sigmas, radii = call.operation.name, call["sigmas"], call["ring_radii"]
    for parameter, values in (("sigmas", sigmas), ("ring_radii", radii)):
        if values is not None and np.ndim(values) != 1:
            raise InvalidParameter(
                f"{name}: {parameter}={values!r}: expected a sequence of numbers."
            )
    if sigmas is not None and radii is not None and len(sigmas) - 1 != len(radii):
        raise InvalidParameter(
            f"{name}: {len(sigmas)} sigmas and {len(radii)} ring_radii: expected one more sigma "
            "than radii."
        )
    layout = _Layout(call)
    if radii is not None and not isinstance(radii[-1], Integral):
        raise InvalidParameter(
            f"{name}: ring_radii={radii!r}: expected the last radius, which is the width of the "
            "border, to be an integer."
        )
    largest_offset = max(
        (abs(offset) for item in layout.histograms() for offset in item[2:]), default=0
    )
    if largest_offset > layout.radius or layout.radius < 1:
        raise InvalidParameter(
            f"{name}: ring_radii={layout.radii!r}: expected the last radius to be the largest, and "
            "at least 1."
        )
    if min(call.shape) < 2 * layout.radius:
        raise InvalidImage(
            f"{name}: an image of shape {call.shape} is too small for a radius of {layout.radius}: "
            "expected at least twice that along each axis."
        )


def _halo(call: Call) -> HaloLike:
    layout = _Layout(call)
    return layout.radius + layout.halo


# -- descriptors -----------------------------------------------------------------------------------


def _source(layout: _Layout, grid_box: Region) -> Region:
    """Return the box of pixels that a box of descriptors depends on."""
    step = int(layout.call["step"])
    return tuple(
        slice(
            p.start * step - layout.halo, (p.stop - 1) * step + 2 * layout.radius + 1 + layout.halo
        )
        for p in grid_box
    )


def _at_least_two(layout: _Layout, grid_box: Region) -> Region:
    """Return a box of at least two descriptors, if the grid has two.

    NumPy adds up a single descriptor pairwise, but several descriptors one number after the other.
    """
    if max(extent(grid_box)) > 1 or max(layout.grid_shape) == 1:
        return grid_box
    box = list(grid_box)
    axis = int(np.argmax(layout.grid_shape))
    at_end = grid_box[axis].stop == layout.grid_shape[axis]
    box[axis] = slice(grid_box[axis].start - at_end, grid_box[axis].stop + (not at_end))
    return tuple(box)


def _descriptors(layout: _Layout, block: Block, grid_box: Region) -> np.ndarray:
    """Return a box of descriptors, as `daisy` computes them, with the descriptor's axis last."""
    call, wider_box = layout.call, _at_least_two(layout, grid_box)
    bins = int(call["orientations"])
    step = int(call["step"])
    descriptors = np.empty((layout.length, *extent(wider_box)), _dtype(call))
    histograms = _gradients(layout, np.asarray(img_as_float(block.data)))

    def sample(smooth: np.ndarray, row: int, column: int) -> np.ndarray:
        box = []
        for p, offset, start in zip(wider_box, (row, column), block.start, strict=True):
            first_pixel = p.start * step + layout.radius + offset - start
            box.append(slice(first_pixel, first_pixel + (p.stop - p.start - 1) * step + 1, step))
        return smooth[tuple(box)]

    for ring_number in range(layout.rings + 1):
        for o in range(bins):
            smooth = reach("_shared.filters", "gaussian")(
                histograms[o], sigma=layout.sigmas[ring_number], mode="reflect"
            )
            if ring_number == 0:
                descriptors[o] = sample(smooth, 0, 0)
                continue
            for ring, j, row, column in layout.histograms():
                if ring == ring_number - 1:
                    channel = bins * (1 + ring * int(call["histograms"]) + j)
                    descriptors[channel + o] = sample(smooth, row, column)
    result = _normalize(call, descriptors.swapaxes(0, 1).swapaxes(1, 2))
    return result[
        tuple(
            slice(p.start - w.start, p.stop - w.start)
            for p, w in zip(grid_box, wider_box, strict=True)
        )
    ]


def _gradients(layout: _Layout, image: np.ndarray) -> np.ndarray:
    """Return one image per orientation with the gradient's strength in that direction."""
    dx, dy = np.zeros(image.shape, image.dtype), np.zeros(image.shape, image.dtype)
    dx[:, :-1] = np.diff(image, n=1, axis=1)
    dy[:-1, :] = np.diff(image, n=1, axis=0)
    magnitude = np.sqrt(dx**2 + dy**2)
    orientation = np.arctan2(dy, dx)
    kappa = layout.call["orientations"] / np.pi
    strengths = np.empty((len(layout.orientations), *image.shape), image.dtype)
    for number, angle in enumerate(layout.orientations):
        strengths[number] = np.exp(kappa * np.cos(orientation - angle))
        strengths[number] = np.multiply(strengths[number], magnitude)
    return strengths


def _normalize(call: Call, descriptors: np.ndarray) -> np.ndarray:
    normalization = call["normalization"]
    if normalization == "off":
        return descriptors
    descriptors += 1e-10
    if normalization == "l1":
        descriptors /= np.sum(descriptors, axis=2)[:, :, np.newaxis]
    elif normalization == "l2":
        descriptors /= np.sqrt(np.sum(descriptors**2, axis=2))[:, :, np.newaxis]
    else:
        bins = int(call["orientations"])
        for start in range(0, descriptors.shape[2], bins):
            histogram = descriptors[:, :, start : start + bins]
            histogram /= np.sqrt(np.sum(histogram**2, axis=2))[:, :, np.newaxis]
    return descriptors


def _descriptor_tiles(layout: _Layout) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        if 0 in extent(block.tile):
            return np.empty((*extent(block.tile), layout.length), _dtype(layout.call))
        return _descriptors(layout, block, block.tile)

    def source(tile: Region) -> Region | None:
        # an image as large as twice the radius has no descriptors
        return None if 0 in extent(tile) else _source(layout, _at_least_two(layout, tile))

    return Tiles(compute, source=source)


# -- the image -------------------------------------------------------------------------------------


def _drawn_positions(layout: _Layout, tile: Region) -> Region:
    """Return the box of descriptors whose drawings may reach into a tile."""
    step, radius = int(layout.call["step"]), layout.drawing_radius
    grid_box = []
    for s, n in zip(tile, layout.grid_shape, strict=True):
        first_position = -(-(s.start - radius - layout.radius) // step)
        last_position = (s.stop - 1 + radius - layout.radius) // step
        start = min(max(first_position, 0), n)
        grid_box.append(slice(start, max(start, min(last_position + 1, n))))
    return tuple(grid_box)


def _drawing_source(layout: _Layout, tile: Region) -> Region:
    grid_box = _drawn_positions(layout, tile)
    if 0 in extent(grid_box):
        return tile
    needed = _source(layout, _at_least_two(layout, grid_box))
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(tile, needed, strict=True)
    )


def _drawing_tiles(layout: _Layout) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        image = np.asarray(gray2rgb(img_as_float(block.data[block.core])))
        grid_box = _drawn_positions(layout, block.tile)
        if 0 in extent(grid_box):
            return image
        pen = _Pen(layout, image, (block.tile[0].start, block.tile[1].start))
        for row, grid_row in enumerate(_descriptors(layout, block, grid_box), grid_box[0].start):
            for column, descriptor in enumerate(grid_row, grid_box[1].start):
                pen.draw(descriptor, row, column)
        return image

    return Tiles(compute, source=lambda tile: _drawing_source(layout, tile))


@dataclass
class _Pen:
    """A pen that draws descriptors into a tile, in the whole image's coordinates."""

    layout: _Layout
    image: np.ndarray
    start: tuple[int, int]

    def draw(self, descriptor: np.ndarray, row: int, column: int) -> None:
        """Draw one descriptor, with a circle and spokes per histogram, as `daisy` does."""
        layout = self.layout
        bins, step = int(layout.call["orientations"]), int(layout.call["step"])
        y, x = row * step + layout.radius, column * step + layout.radius
        largest = np.max(descriptor)
        self._histogram((y, x), layout.sigmas[0], descriptor[:bins], largest, RED)
        for ring, number, row_offset, column_offset in layout.histograms():
            share = float(1 + ring) / layout.rings
            channel = bins * (1 + ring * int(layout.call["histograms"]) + number)
            self._histogram(
                (y + row_offset, x + column_offset),
                layout.sigmas[ring + 1],
                descriptor[channel : channel + bins],
                largest,
                (1 - share, 1, share),
            )

    def _histogram(
        self,
        centre: tuple[int, int],
        sigma: float,
        values: np.ndarray,
        largest: Any,
        color: Sequence[float],
    ) -> None:
        (y, x), (down, right) = centre, self.start
        self._color(draw.circle_perimeter_aa(y - down, x - right, int(sigma)), color)
        for value, angle in zip(values, self.layout.orientations, strict=True):
            share = value / largest
            dy, dx = sigma * share * math.sin(angle), sigma * share * math.cos(angle)
            line = draw.line_aa(y - down, x - right, int(y + dy) - down, int(x + dx) - right)
            self._color(line, color)

    def _color(self, shape: Any, color: Sequence[float]) -> None:
        rows, columns, alpha = shape
        draw.set_color(self.image, (rows, columns), color, alpha=alpha)


# -- declaration -----------------------------------------------------------------------------------


def _dtype(call: Call) -> DTypeLike:
    return call.dtype if call.dtype.kind == "f" else np.float64


def _shape(call: Call) -> tuple[int, ...]:
    layout = _Layout(call)
    return (*layout.grid_shape, layout.length)


def _parts(call: Call) -> tuple[Part, ...] | None:
    if not call["visualize"]:
        return None
    return (
        Part(Output.IMAGE, _dtype(call), _shape(call), call.ndim),
        Part(Output.IMAGE, _dtype(call), (*call.shape, 3), call.ndim),
    )


def _sampling(call: Call, shape: tuple[int, ...]) -> Samplings:
    layout = _Layout(call)
    if shape != layout.grid_shape:  # the drawing
        return unmoved(call, shape)
    return (Sampling(float(call["step"]), float(layout.radius)),) * len(shape)


def _plan(call: Call) -> Tiles | Parts:
    layout = _Layout(call)
    described = _descriptor_tiles(layout)
    return Parts((described, _drawing_tiles(layout))) if call["visualize"] else described


WIDTHS = Number(minimum=0, length=True, usual=(0.5, 3))

OPERATIONS = (
    Operation(
        name="feature.daisy",
        title="DAISY descriptors",
        family=families.TEXTURE,
        kind=Kind.GEOMETRY,
        specs={
            "step": Number(integer=True, minimum=1, length=True, usual=(1, 6)),
            "radius": Number(integer=True, minimum=1, length=True, usual=(1, 7)),
            "rings": Number(integer=True, minimum=1, maximum=_MOST, usual=(1, 3)),
            "histograms": Number(integer=True, minimum=1, maximum=_MOST, usual=(1, 8)),
            "orientations": Number(integer=True, minimum=1, maximum=_MOST, usual=(1, 8)),
            "normalization": ChoiceSpec(choices=("l1", "l2", "daisy", "off"), advanced=True),
            "sigmas": Numbers(item=WIDTHS, optional=True, advanced=True),
            "ring_radii": Numbers(
                item=_Radius(minimum=0, length=True, usual=(1, 6)), optional=True, advanced=True
            ),
            "visualize": Flag(advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_halo, sampling=_sampling),
        result=ResultSpec(dtype=_dtype, shape=_shape, channel=last_axis, parts=_parts),
        plan_of=_plan,
        limits=Limits(ndim=(2, 2), check=_check),
        cost=Cost(memory=40.0),
    ),
)
