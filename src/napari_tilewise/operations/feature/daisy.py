"""`skimage.feature.daisy`: a descriptor at every few pixels, from smoothed gradients around it.

scikit-image describes every pixel and keeps those of a grid; here only those are made, in its order
of operations, which takes a tenth of the memory.
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RED = [1, 0, 0]


@dataclass(frozen=True, kw_only=True)
class _Radius(Number):
    """A radius, usually of whole pixels."""

    integer: bool = True

    def _one(self, name: str, value: Any) -> Any:
        return Number(minimum=self.minimum).check(name, value, None)


@dataclass(frozen=True)
class _Layout:
    """Where a descriptor looks, as `daisy` works it out from its parameters."""

    call: Call

    @cached_property
    def radii(self) -> list[float]:
        """The radius of every ring."""
        given = self.call["ring_radii"]
        if given is not None:
            return list(given)
        return [self.radius * (i + 1) / float(self.rings) for i in range(self.rings)]

    @cached_property
    def rings(self) -> int:
        """How many rings there are."""
        if self.call["sigmas"] is not None:
            return len(self.call["sigmas"]) - 1
        given = self.call["ring_radii"]
        return int(self.call["rings"] if given is None else len(given))

    @cached_property
    def radius(self) -> int:
        """The radius of the outermost ring, which is kept clear at the image's border."""
        given = self.call["ring_radii"]
        return int(self.call["radius"] if given is None else given[-1])

    @cached_property
    def sigmas(self) -> list[float]:
        """How the centre and every ring are smoothed."""
        given = self.call["sigmas"]
        if given is None:
            given = [self.radius * (i + 1) / float(2 * self.rings) for i in range(self.rings)]
        # Given or not, scikit-image smooths the first ring as it does the centre.
        return [given[0], *given]

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
        """How many numbers a descriptor has."""
        return int((self.rings * self.call["histograms"] + 1) * self.call["orientations"])

    def offset(self, ring: float, angle: float) -> tuple[int, int]:
        """Return where a histogram lies relative to the centre."""
        return round(ring * math.sin(angle)), round(ring * math.cos(angle))

    @cached_property
    def halo(self) -> int:
        """How far gradients and smoothing reach."""
        used = self.sigmas[: self.rings + 1]
        return max(gaussian_radius(sigma) for sigma in used) + 1

    @cached_property
    def places(self) -> tuple[int, ...]:
        """How many descriptors there are along each axis."""
        step = int(self.call["step"])
        return tuple(-(-(n - 2 * self.radius) // step) for n in self.call.shape)

    @property
    def drawn(self) -> int:
        """How far from its centre a descriptor's drawing reaches."""
        return self.radius + math.ceil(max(self.sigmas)) + 2

    def histograms(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield, for every histogram on a ring: the ring, its number, and its offset."""
        for ring, radius in enumerate(self.radii):
            for number, angle in enumerate(self.angles):
                yield (ring, number, *self.offset(radius, angle))


def _check(call: Call) -> None:
    name, sigmas, radii = call.operation.name, call["sigmas"], call["ring_radii"]
    for parameter, given in (("sigmas", sigmas), ("ring_radii", radii)):
        if given is not None and np.ndim(given) != 1:
            raise InvalidParameter(
                f"{name}: {parameter}={given!r}: expected a sequence of numbers."
            )
    if sigmas is not None and radii is not None and len(sigmas) - 1 != len(radii):
        raise InvalidParameter(
            f"{name}: {len(sigmas)} sigmas and {len(radii)} ring_radii: expected one more sigma "
            "than radii."
        )
    layout = _Layout(call)
    if radii is not None and not isinstance(radii[-1], Integral):
        raise InvalidParameter(
            f"{name}: ring_radii={radii!r}: expected the last one, which is the width of the "
            "border, to be a whole number."
        )
    far = max((abs(by) for item in layout.histograms() for by in item[2:]), default=0)
    if far > layout.radius or layout.radius < 1:
        raise InvalidParameter(
            f"{name}: ring_radii={layout.radii!r}: expected the last one to be the largest, and at "
            "least 1."
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


def _source(layout: _Layout, places: Region) -> Region:
    """Return the pixels that the descriptors of a box of places look at."""
    step = int(layout.call["step"])
    return tuple(
        slice(
            p.start * step - layout.halo, (p.stop - 1) * step + 2 * layout.radius + 1 + layout.halo
        )
        for p in places
    )


def _not_alone(layout: _Layout, places: Region) -> Region:
    """Return a box of at least two places, if there are so many.

    NumPy adds up a lone descriptor pairwise, and many of them number by number.
    """
    if max(extent(places)) > 1 or max(layout.places) == 1:
        return places
    box = list(places)
    axis = int(np.argmax(layout.places))
    last = places[axis].stop == layout.places[axis]
    box[axis] = slice(places[axis].start - last, places[axis].stop + (not last))
    return tuple(box)


def _descriptors(layout: _Layout, block: Block, places: Region) -> np.ndarray:
    """Return the descriptors of a box of places, as `daisy` does, the descriptor's axis last."""
    call, wider = layout.call, _not_alone(layout, places)
    bins = int(call["orientations"])
    step = int(call["step"])
    found = np.empty((layout.length, *extent(wider)), _dtype(call))
    histograms = _gradients(layout, np.asarray(img_as_float(block.data)))

    def sample(smooth: np.ndarray, row: int, column: int) -> np.ndarray:
        box = []
        for p, by, start in zip(wider, (row, column), block.start, strict=True):
            first = p.start * step + layout.radius + by - start
            box.append(slice(first, first + (p.stop - p.start - 1) * step + 1, step))
        return smooth[tuple(box)]

    for number in range(layout.rings + 1):
        for o in range(bins):
            smooth = reach("_shared.filters", "gaussian")(
                histograms[o], sigma=layout.sigmas[number], mode="reflect"
            )
            if number == 0:
                found[o] = sample(smooth, 0, 0)
                continue
            for ring, j, row, column in layout.histograms():
                if ring == number - 1:
                    at = bins * (1 + ring * int(call["histograms"]) + j)
                    found[at + o] = sample(smooth, row, column)
    result = _normalized(call, found.swapaxes(0, 1).swapaxes(1, 2))
    return result[
        tuple(
            slice(p.start - w.start, p.stop - w.start) for p, w in zip(places, wider, strict=True)
        )
    ]


def _gradients(layout: _Layout, image: np.ndarray) -> np.ndarray:
    """Return one image per orientation: how strong the gradient is that way."""
    dx, dy = np.zeros(image.shape, image.dtype), np.zeros(image.shape, image.dtype)
    dx[:, :-1] = np.diff(image, n=1, axis=1)
    dy[:-1, :] = np.diff(image, n=1, axis=0)
    magnitude = np.sqrt(dx**2 + dy**2)
    orientation = np.arctan2(dy, dx)
    kappa = layout.call["orientations"] / np.pi
    found = np.empty((len(layout.orientations), *image.shape), image.dtype)
    for number, angle in enumerate(layout.orientations):
        found[number] = np.exp(kappa * np.cos(orientation - angle))
        found[number] = np.multiply(found[number], magnitude)
    return found


def _normalized(call: Call, descriptors: np.ndarray) -> np.ndarray:
    how = call["normalization"]
    if how == "off":
        return descriptors
    descriptors += 1e-10
    if how == "l1":
        descriptors /= np.sum(descriptors, axis=2)[:, :, np.newaxis]
    elif how == "l2":
        descriptors /= np.sqrt(np.sum(descriptors**2, axis=2))[:, :, np.newaxis]
    else:
        bins = int(call["orientations"])
        for start in range(0, descriptors.shape[2], bins):
            part = descriptors[:, :, start : start + bins]
            part /= np.sqrt(np.sum(part**2, axis=2))[:, :, np.newaxis]
    return descriptors


def _described(layout: _Layout) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        if 0 in extent(block.tile):
            return np.empty((*extent(block.tile), layout.length), _dtype(layout.call))
        return _descriptors(layout, block, block.tile)

    def source(tile: Region) -> Region | None:
        # no descriptor fits into an image of twice the radius
        return None if 0 in extent(tile) else _source(layout, _not_alone(layout, tile))

    return Tiles(compute, source=source)


# -- the image -------------------------------------------------------------------------------------


def _drawn_places(layout: _Layout, tile: Region) -> Region:
    """Return the places whose drawings may reach into a tile."""
    step, far = int(layout.call["step"]), layout.drawn
    found = []
    for s, n in zip(tile, layout.places, strict=True):
        first = -(-(s.start - far - layout.radius) // step)
        last = (s.stop - 1 + far - layout.radius) // step
        start = min(max(first, 0), n)
        found.append(slice(start, max(start, min(last + 1, n))))
    return tuple(found)


def _drawing_source(layout: _Layout, tile: Region) -> Region:
    places = _drawn_places(layout, tile)
    if 0 in extent(places):
        return tile
    looked = _source(layout, _not_alone(layout, places))
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(tile, looked, strict=True)
    )


def _drawing(layout: _Layout) -> Tiles:
    def compute(block: Block) -> np.ndarray:
        image = np.asarray(gray2rgb(img_as_float(block.data[block.core])))
        places = _drawn_places(layout, block.tile)
        if 0 in extent(places):
            return image
        pen = _Pen(layout, image, (block.tile[0].start, block.tile[1].start))
        for row, line in enumerate(_descriptors(layout, block, places), places[0].start):
            for column, descriptor in enumerate(line, places[1].start):
                pen.draw(descriptor, row, column)
        return image

    return Tiles(compute, source=lambda tile: _drawing_source(layout, tile))


@dataclass
class _Pen:
    """Draws descriptors into a tile, in the whole image's coordinates."""

    layout: _Layout
    image: np.ndarray
    start: tuple[int, int]

    def draw(self, descriptor: np.ndarray, row: int, column: int) -> None:
        """Draw one descriptor: a circle with spokes per histogram, as `daisy` does."""
        layout = self.layout
        bins, step = int(layout.call["orientations"]), int(layout.call["step"])
        y, x = row * step + layout.radius, column * step + layout.radius
        largest = np.max(descriptor)
        self._histogram(y, x, layout.sigmas[0], descriptor[:bins], largest, RED)
        for ring, number, by_row, by_column in layout.histograms():
            share = float(1 + ring) / layout.rings
            at = bins * (1 + ring * int(layout.call["histograms"]) + number)
            self._histogram(
                y + by_row,
                x + by_column,
                layout.sigmas[ring + 1],
                descriptor[at : at + bins],
                largest,
                (1 - share, 1, share),
            )

    def _histogram(
        self, y: int, x: int, sigma: float, values: np.ndarray, largest: Any, color: Sequence[float]
    ) -> None:
        down, right = self.start
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


def _dtype(call: Call) -> Any:
    return call.dtype if call.dtype.kind == "f" else np.float64


def _shape(call: Call) -> tuple[int, ...]:
    layout = _Layout(call)
    return (*layout.places, layout.length)


def _parts(call: Call) -> tuple[Part, ...] | None:
    if not call["visualize"]:
        return None
    return (
        Part(Output.IMAGE, _dtype(call), _shape(call), call.ndim),
        Part(Output.IMAGE, _dtype(call), (*call.shape, 3), call.ndim),
    )


def _plan(call: Call) -> Tiles | Parts:
    layout = _Layout(call)
    described = _described(layout)
    return Parts((described, _drawing(layout))) if call["visualize"] else described


WIDTHS = Number(minimum=0, length=True, usual=(0.5, 3))

OPERATIONS = (
    Operation(
        name="feature.daisy",
        family=families.TEXTURE,
        kind=Kind.GEOMETRY,
        specs={
            "step": Number(integer=True, minimum=1, length=True, usual=(1, 6)),
            "radius": Number(integer=True, minimum=1, length=True, usual=(1, 7)),
            "rings": Number(integer=True, minimum=1, usual=(1, 3)),
            "histograms": Number(integer=True, minimum=1, usual=(1, 8)),
            "orientations": Number(integer=True, minimum=1, usual=(1, 8)),
            "normalization": ChoiceSpec(choices=("l1", "l2", "daisy", "off"), advanced=True),
            "sigmas": Numbers(item=WIDTHS, optional=True, advanced=True),
            "ring_radii": Numbers(
                item=_Radius(minimum=0, length=True, usual=(1, 6)), optional=True, advanced=True
            ),
            "visualize": Flag(advanced=True),
        },
        neighbourhood=Neighbourhood(halo=_halo),
        result=ResultSpec(dtype=_dtype, shape=_shape, channel=last_axis, parts=_parts),
        plan_of=_plan,
        limits=Limits(ndim=(2, 2), check=_check),
        cost=Cost(memory=40.0),
    ),
)
