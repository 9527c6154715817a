"""`segmentation.chan_vese`: a reduction to the means inside and outside before every iteration.

An iteration is local once these two means are known. One pass over the image adds up, in NumPy's
order, the change of the level set and the sums for the next iteration's means; the next pass writes
the changed level set.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.shared.common import as_float
from napari_tilewise.operations.shared.global_numbers import extremes, largest_cut, sums
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    IN_MEMORY,
    AtOnce,
    Block,
    Call,
    Cost,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Part,
    Parts,
    Plan,
    ResultSpec,
    Sweep,
    Tiles,
    Trial,
    Value,
)
from napari_tilewise.operations.spec.parameters import ChoiceSpec, Flag, ImageOr, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import AnyFunction, DType

LEVEL = "phi"
"""The name of the stored image."""
ETA = 1e-16
"""The constant that scikit-image adds to slopes, to avoid dividing by zero."""


class _Problem:
    """The image as scikit-image normalises it, and the formulas of one call."""

    def __init__(self, call: Call, low: Any, high: Any) -> None:
        self.call = call
        self.dtype: DType = np.dtype(as_float(call))
        scalar: AnyFunction = self.dtype.type
        self.low = scalar(low)
        self.span = scalar(high) - self.low

    def image(self, block: Block) -> np.ndarray:
        """Return the region's pixels between 0 and 1."""
        image = block.data.astype(self.dtype, copy=False) - self.low
        return np.asarray(image / self.span if self.span != 0 else image)

    def level(self, block: Block) -> np.ndarray:
        """Return the region's current level set."""
        return block.images[LEVEL] if LEVEL in block.images else self.initial(block)

    def initial(self, block: Block) -> np.ndarray:
        """Return the region's part of the initial level set."""
        init = self.call["init_level_set"]
        if not isinstance(init, str):
            return block.images["init_level_set"].astype(self.dtype)
        if init == "checkerboard":
            factor = np.pi / 5
            waves = []
            for span in block.region:
                waves_along = np.arange(span.start, span.stop, dtype=self.dtype)
                waves_along *= factor
                waves.append(np.sin(waves_along))
            return np.asarray(waves[0][:, None] * waves[1])
        centre = [int((n - 1) / 2) for n in self.call.shape]
        radius = float(min(centre)) / (1 if init == "disk" else 2)
        y, x = np.ogrid[block.region]
        distance = np.sqrt(((y - centre[0]) ** 2 + (x - centre[1]) ** 2).astype(float))
        disk = (radius - distance) / (radius * (1 if init == "disk" else 3))
        return np.asarray(disk.astype(self.dtype, copy=False))

    def variation(self, block: Block, means: tuple[Any, Any]) -> np.ndarray:
        """Return the region's level set after one iteration."""
        call, image, phi = self.call, self.image(block), self.level(block)
        mu, dt = call["mu"], call["dt"]
        padded = np.pad(phi, 1, mode="edge")
        centre = padded[1:-1, 1:-1]
        east, west = padded[1:-1, 2:], padded[1:-1, :-2]
        south, north = padded[2:, 1:-1], padded[:-2, 1:-1]
        x_slope, y_slope = (east - west) / 2.0, (south - north) / 2.0
        c1 = 1.0 / np.sqrt(ETA + (east - centre) ** 2 + y_slope**2)
        c2 = 1.0 / np.sqrt(ETA + (centre - west) ** 2 + y_slope**2)
        c3 = 1.0 / np.sqrt(ETA + x_slope**2 + (south - centre) ** 2)
        c4 = 1.0 / np.sqrt(ETA + x_slope**2 + (centre - north) ** 2)
        curved = east * c1 + west * c2 + south * c3 + north * c4
        inside, outside = means
        separation = (
            -call["lambda1"] * (image - inside) ** 2 + call["lambda2"] * (image - outside) ** 2
        )
        delta = reach("segmentation._chan_vese", "_cv_delta")(phi)
        changed = phi + (dt * delta) * (mu * curved + separation)
        return np.asarray(changed / (1 + mu * dt * delta * (c1 + c2 + c3 + c4)))


def _weighted_pixels(image: np.ndarray, inside: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the arrays whose sums are the arguments of `_means`."""
    yield inside
    outside = 1.0 - inside
    yield outside
    yield image * inside
    yield image * outside


def _means(totals: list[Any]) -> tuple[Any, Any]:
    """Return the means inside and outside from the sums of `_weighted_pixels`."""
    n_inside, n_outside, inside, outside = totals
    if n_inside != 0:
        inside /= n_inside
    if n_outside != 0:
        outside /= n_outside
    return inside, outside


def _energy(problem: _Problem) -> Passes[Any]:
    """Return the energy of the current level set."""
    call = problem.call
    heaviside = reach("segmentation._chan_vese", "_cv_heavyside")
    edge_length = reach("segmentation._chan_vese", "_cv_edge_length_term")

    def weighted_pixels(block: Block) -> Iterator[np.ndarray]:
        return _weighted_pixels(problem.image(block), heaviside(problem.level(block)))

    totals = yield from sums(call, weighted_pixels, description="means")
    inside, outside = _means(totals)

    def terms(block: Block) -> Iterator[np.ndarray]:
        image, phi = problem.image(block), problem.level(block)
        weight = heaviside(phi)
        inside_energy = call["lambda1"] * (image - inside) ** 2 * weight
        outside_energy = call["lambda2"] * (image - outside) ** 2 * (1.0 - weight)
        yield (inside_energy + outside_energy)[block.core]
        yield edge_length(phi, call["mu"])[block.core]

    difference, length = yield from sums(call, terms, halo=1, description="energy")
    return difference + length


def _chan_vese(call: Call) -> Plan:
    low, high = yield from extremes(call)
    problem = _Problem(call, low, high)

    def initial_pixels(block: Block) -> Iterator[np.ndarray]:
        inside = (problem.level(block) > 0).astype(problem.dtype)
        return _weighted_pixels(problem.image(block), inside)

    means = _means((yield from sums(call, initial_pixels, description="means")))
    compute: Any = problem.initial
    energies: list[Any] = []
    iterations, change = 0, call["tol"] + 1
    while change > call["tol"] and iterations < call["max_num_iter"]:
        if iterations:
            start = None if iterations > 1 else problem.initial
            yield Sweep(compute, problem.dtype, start, 1, 1, LEVEL, "iterations")
        if call["extended_output"]:
            energies.append((yield from _energy(problem)))
        compute = _Iteration(problem, means)
        total, *totals = yield from sums(
            call, compute.measures, halo=1, description="change and means"
        )
        change = np.sqrt(total.dtype.type(total / np.intp(prod(call.shape))))
        means = _means(totals)
        iterations += 1
    segmentation = Tiles(lambda block: np.asarray(compute(block) > 0), halo=1)
    if not call["extended_output"]:
        return segmentation
    return Parts((segmentation, Tiles(compute, halo=1), Value(energies)))


class _Iteration:
    """One iteration with given means."""

    def __init__(self, problem: _Problem, means: tuple[Any, Any]) -> None:
        self.problem = problem
        self.means = means

    def __call__(self, block: Block) -> np.ndarray:
        """Return the region's level set after the iteration."""
        return self.problem.variation(block, self.means)

    def measures(self, block: Block) -> Iterator[np.ndarray]:
        """Yield the squared change and the terms of the next means, on the tile."""
        previous, updated = self.problem.level(block)[block.core], self(block)[block.core]
        yield (updated - previous) ** 2
        inside = (updated > 0).astype(self.problem.dtype)
        yield from _weighted_pixels(self.problem.image(block)[block.core], inside)


def _parts(call: Call) -> tuple[Part, ...] | None:
    if not call["extended_output"]:
        return None
    return (
        Part(Output.MASK, np.bool_, call.shape),
        Part(Output.IMAGE, as_float(call), call.shape),
        Part(Output.VALUES),
    )


OPERATIONS = (
    Operation(
        name="segmentation.chan_vese",
        title="Chan-Vese segmentation",
        family=families.SEGMENTATION,
        kind=Kind.ITERATIVE,
        specs={
            "mu": Number(minimum=0, usual=(0, 1)),
            "lambda1": Number(usual=(0, 2)),
            "lambda2": Number(usual=(0, 2)),
            "tol": Number(usual=(0, 0.1)),
            "max_num_iter": Number(integer=True, minimum=0, usual=(0, 8)),
            "dt": Number(usual=(0.1, 1)),
            "init_level_set": ImageOr(
                role="mask",
                optional=False,
                other=ChoiceSpec(choices=("checkerboard", "disk", "small disk")),
            ),
            "extended_output": Flag(advanced=True),
        },
        result=ResultSpec(output=Output.MASK, dtype=lambda call: np.bool_, parts=_parts),
        limits=Limits(ndim=(2, 2)),
        neighbourhood=Neighbourhood(halo=lambda call: 1),
        plan_of=_chan_vese,
        cost=Cost(
            trial=Trial(length=12),
            largest_region=largest_cut,
            memory=24.0,
            at_once=AtOnce(function=IN_MEMORY, finite=True),
        ),
        note="Every iteration takes two passes over the image, and two more for the energies of "
        "extended_output.",
    ),
)
