"""Chambolle's total variation: all tiles run as many iterations as the whole image needs.

Each iteration extends the halo by one pixel. Reductions determine the iteration at which the energy
of the whole image converges, for a growing number of iterations so that halos stay short; the tiled
pass then runs exactly that number. Each channel has its own energy and number of iterations.
"""

from __future__ import annotations

from math import isfinite, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.util import img_as_float

from napari_tilewise.grid import Region, size
from napari_tilewise.operations.shared import global_numbers
from napari_tilewise.operations.shared.common import CHANNEL, as_float
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
    AtOnce,
    Block,
    Call,
    Cost,
    HaloLike,
    Kind,
    Neighbourhood,
    Operation,
    Plan,
    Reduce,
    ResultSpec,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.kernels import VariationIteration
    from napari_tilewise.operations.spec.passes import Passes

FIRST_PASS = 16
"""Iterations of the first pass; each further pass doubles the number."""

TYPICAL = 32
"""Typical number of iterations: with the default `eps` images converge after 10 to 30."""

LARGEST_BOX = 2**23
"""Largest box, in pixels, of the pass that decides ties in the function's own precision. For images
so wide that 33 rows are larger, sums in double precision decide ties."""

LARGEST_SUM = 2**17
"""Largest number of pixels summed at once in that pass: a smaller one wastes time on the rows of
the halo, a larger one takes more memory."""


def _halo(call: Call) -> HaloLike:
    """Return the largest halo that any image needs: one pixel per iteration."""
    return int(call["max_num_iter"])


def _typical_halo(call: Call) -> HaloLike:
    return int(min(call["max_num_iter"], TYPICAL))


def _plan(call: Call) -> Plan:
    counts = yield from _iteration_counts(call)

    def compute(block: Block) -> np.ndarray:
        out = np.empty(block.data.shape, as_float(call))
        for number, count in enumerate(counts):
            index = _channel(call, number)
            out[index] = call.function(
                block.data[index], max_num_iter=count, eps=0.0, channel_axis=None
            )
        return out

    return Tiles(compute, halo=max(counts) - 1)


def _channel(call: Call, number: int) -> tuple[Any, ...]:
    return call.with_channel((slice(None),) * call.ndim, number)


def _iteration_counts(call: Call) -> Passes[list[int]]:
    """Return the number of iterations that the function runs on each channel of the whole image."""
    max_iterations = int(call["max_num_iter"])
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    counts = (
        {}
        if call["eps"] > 0 and max_iterations > 2
        else dict.fromkeys(range(channels), max_iterations)
    )
    last_iteration = FIRST_PASS
    while len(counts) < channels:
        last_iteration = min(last_iteration, max_iterations)
        totals, is_flat = yield _reduce_energies(call, channels, last_iteration)
        exact = None
        for channel in [c for c in range(channels) if c not in counts]:
            energies = totals[channel]
            if is_flat[channel] or not isfinite(energies[0]):
                # Without gradients nothing changes; with NaN the energy never converges.
                counts[channel] = 1 if is_flat[channel] else max_iterations
                continue
            stop = _stop(energies, call, _rounding(call))
            if stop is None and exact is None:
                exact = (yield from _exact_energies(call, channels, last_iteration)) or totals
            if stop is None and exact is not None:
                stop = _stop(exact[channel], call, 0.0)
            if stop or last_iteration == max_iterations:
                counts[channel] = stop or max_iterations
        last_iteration *= 2
    return [counts[channel] for channel in range(channels)]


def _stop(energies: Any, call: Call, rounding: float) -> int | None:
    """Return the number of iterations until the energy converges, 0 if it does not.

    None means that the result depends on rounding errors.
    """
    tolerance = call["eps"] * energies[0]
    for i in range(1, len(energies)):
        change = np.abs(energies[i - 1] - energies[i])
        if abs(change - tolerance) < rounding * (energies[i - 1] + energies[i] + tolerance):
            return None
        if change < tolerance:
            return i + 1
    return 0


def _rounding(call: Call) -> float:
    """Return a bound on the relative rounding error of the function's and the tiled energies."""
    steps = 32 + log2(prod(call.spatial_shape))  # pairwise sums of positive numbers
    return float(steps * np.finfo(as_float(call)).eps + 2**20 * np.finfo(float).eps)


# -- energies --------------------------------------------------------------------------------------


def _reduce_energies(call: Call, channels: int, iterations: int) -> Reduce:
    """Return the reduction to every channel's energies, and to whether it is constant."""
    pixels = prod(call.spatial_shape)

    def tile_energies(block: Block) -> tuple[np.ndarray, np.ndarray]:
        totals = np.zeros((channels, iterations))
        is_flat = np.zeros(channels, bool)
        for channel in range(channels):
            energies, is_flat[channel] = _tile_energies(block, call, channel, iterations)
            totals[channel] = energies / pixels
        return totals, is_flat

    def merge(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
        return a[0] + b[0], a[1] & b[1]

    return Reduce(
        tile_energies, merge, halo=iterations, description=f"energies of {iterations} iterations"
    )


def _tile_energies(
    block: Block, call: Call, channel: int, iterations: int
) -> tuple[np.ndarray, bool]:
    """Return the energy of a tile after each iteration, and whether its gradients are all zero."""
    weight, iteration = call["weight"], _kernel_iteration(block, call, channel)
    if iteration is not None:
        sums, is_flat = iteration.energies(iterations, block.core)
        return sums[:, 0] + weight * sums[:, 1], is_flat
    energies, is_flat = np.zeros(iterations), False
    for i, (gradient, squares, norm) in enumerate(_energy_terms(block, call, channel, iterations)):
        is_flat = not gradient.any() if i == 0 else is_flat
        energies[i] = squares.sum(dtype=float) + weight * norm.sum(dtype=float)
    return energies, is_flat


def _energy_arrays(
    block: Block, call: Call, channel: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, per iteration, the squared divergence and the gradient norm on the tile."""
    iteration = _kernel_iteration(block, call, channel)
    if iteration is None:
        for _, squares, norm in _energy_terms(block, call, channel, count):
            yield squares, norm
        return
    squares, norm = np.empty((2, *iteration.shape), as_float(call))
    for _ in range(count):
        iteration.step(squares=squares, norms=norm)
        yield squares[block.core], norm[block.core]


def _kernel_iteration(block: Block, call: Call, channel: int) -> VariationIteration | None:
    """Return the iteration on a channel by a kernel; None where there is none."""
    from napari_tilewise.kernels import VariationIteration, available

    image = _channel_pixels(block, call, channel)
    is_known = available() and image.ndim in (2, 3)
    return VariationIteration(image, call["weight"]) if is_known else None


def _channel_pixels(block: Block, call: Call, channel: int) -> np.ndarray:
    """Return one channel of a block in floating point."""
    image = block.data[_channel(call, channel)]
    if image.dtype.kind != "f":
        image = img_as_float(image)
    return np.asarray(image.astype(as_float(call), copy=False))


def _exact_energies(call: Call, channels: int, iterations: int) -> Passes[list[list[Any]] | None]:
    """Return the energies with the function's own rounding; None if boxes are too large."""
    if size(_largest_box(call, iterations)) > LARGEST_BOX:
        return None

    def arrays(block: Block) -> Iterator[np.ndarray]:
        for channel in range(channels):
            for squares, norm in _energy_arrays(block, call, channel, iterations):
                yield np.ascontiguousarray(squares)
                yield np.ascontiguousarray(norm)

    totals = yield from global_numbers.sums(
        call, arrays, halo=iterations, description="energies, exactly", piece=LARGEST_SUM
    )
    energies = []
    for squares, norm in zip(totals[::2], totals[1::2], strict=True):
        energy = squares
        energy += call["weight"] * norm
        energy /= float(prod(call.spatial_shape))
        energies.append(energy)
    return [energies[c * iterations : (c + 1) * iterations] for c in range(channels)]


def _largest_box(call: Call, iterations: int) -> Region:
    shape = call.spatial_shape
    box = global_numbers.band(shape, 0, min(LARGEST_SUM, prod(shape)))
    return tuple(
        slice(0, min(s.stop - s.start + 2 * iterations + 1, n))
        for s, n in zip(box, shape, strict=True)
    )


def _largest(call: Call) -> int:
    """Return the largest box of the exact pass, in pixels of double precision."""
    boxes = (size(_largest_box(call, iterations)) for iterations in (FIRST_PASS, TYPICAL))
    largest_size = max((pixels for pixels in boxes if pixels <= LARGEST_BOX), default=0)
    return int(largest_size * np.dtype(as_float(call)).itemsize // 8)


def _energy_terms(
    block: Block, call: Call, channel: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, per iteration, the gradient, squared divergence and gradient norm on the tile."""
    image = _channel_pixels(block, call, channel)
    for gradient, divergence, norm in _iterate(image, call["weight"], count):
        yield gradient[(slice(None), *block.core)], divergence[block.core] ** 2, norm[block.core]


def _iterate(
    image: np.ndarray, weight: float, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the steps of `skimage.restoration._denoise._denoise_tv_chambolle_nd`."""
    axes = range(image.ndim)
    low = [(slice(None),) * axis + (slice(0, -1),) for axis in axes]
    high = [(slice(None),) * axis + (slice(1, None),) for axis in axes]
    p = np.zeros((image.ndim, *image.shape), image.dtype)
    gradient = np.zeros_like(p)
    divergence = np.zeros(image.shape, image.dtype)
    tau = 1.0 / (2.0 * image.ndim)
    for i in range(count):
        if i > 0:
            divergence = -p.sum(0)
            for axis in axes:
                divergence[high[axis]] += p[axis][low[axis]]
        out = image + divergence if i > 0 else image
        for axis in axes:
            gradient[axis][low[axis]] = np.diff(out, axis=axis)
        norm = np.sqrt((gradient**2).sum(axis=0))
        yield gradient, divergence, norm
        norm = norm[np.newaxis] * (tau / weight)
        norm += 1.0
        p -= tau * gradient
        p /= norm


OPERATIONS = (
    Operation(
        name="restoration.denoise_tv_chambolle",
        title="Total variation denoising (Chambolle)",
        family=families.DENOISING,
        kind=Kind.ITERATIVE,
        specs={
            "weight": Number(minimum=0, exclusive=True, usual=(0.02, 1)),
            "eps": Number(minimum=0, usual=(1e-4, 1e-2), advanced=True),
            "max_num_iter": Number(minimum=1, integer=True, usual=(1, 60)),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_halo, typical_halo=_typical_halo),
        adapter=Adapter(kernels=("skimage.restoration.denoise_tv_chambolle",)),
        cost=Cost(largest_region=_largest, memory=20.0, at_once=AtOnce(kernel=2**24)),
        result=ResultSpec(dtype=as_float),
        plan_of=_plan,
    ),
)
