"""Total variation, Chambolle's way: the image stops iterating as a whole, so the tiles do too.

Each iteration reaches one pixel further. A first pass finds the iteration at which the energy of
the whole image settles, in growing blocks of iterations so that halos stay short; the last pass
runs exactly that many on every tile. Each channel has its own energy and stops on its own.
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
    from collections.abc import Generator, Iterator

FIRST = 16
"""Iterations of the first pass; each further pass doubles them."""

TYPICAL = 32
"""With the default `eps` images settle after 10 to 30 iterations."""

LARGEST = 2**23
"""Most pixels in a box of the pass that settles a tie in the function's own precision. Images so
wide that 33 rows of them are more have ties decided by sums in double precision."""

PIECE = 2**17
"""Most pixels summed at once in that pass: what is small against the rows of its halo is wasted,
what is large costs memory."""


def _halo(call: Call) -> HaloLike:
    """Return the most that any image needs: one pixel per iteration."""
    return int(call["max_num_iter"])


def _typical_halo(call: Call) -> HaloLike:
    return int(min(call["max_num_iter"], TYPICAL))


def _plan(call: Call) -> Plan:
    counts = yield from _iterations(call)

    def compute(block: Block) -> np.ndarray:
        out = np.empty(block.data.shape, as_float(call))
        for number, count in enumerate(counts):
            at = _channel(call, number)
            out[at] = call.function(block.data[at], max_num_iter=count, eps=0.0, channel_axis=None)
        return out

    return Tiles(compute, halo=max(counts) - 1)


def _channel(call: Call, number: int) -> tuple[Any, ...]:
    return call.with_channel((slice(None),) * call.ndim, number)


def _iterations(call: Call) -> Generator[Reduce, Any, list[int]]:
    """Return how many iterations the function does on each channel of the whole image."""
    most = int(call["max_num_iter"])
    channels = 1 if call.channel_axis is None else call.shape[call.channel_axis]
    counts = {} if call["eps"] > 0 and most > 2 else dict.fromkeys(range(channels), most)
    upto = FIRST
    while len(counts) < channels:
        upto = min(upto, most)
        totals, flat = yield _energy_pass(call, channels, upto)
        exact = None
        for channel in [c for c in range(channels) if c not in counts]:
            energies = totals[channel]
            if flat[channel] or not isfinite(energies[0]):
                # Without gradients nothing moves; with NaN nothing ever settles.
                counts[channel] = 1 if flat[channel] else most
                continue
            stop = _stop(energies, call, _rounding(call))
            if stop is None and exact is None:
                exact = (yield from _exact_energies(call, channels, upto)) or totals
            if stop is None and exact is not None:
                stop = _stop(exact[channel], call, 0.0)
            if stop or upto == most:
                counts[channel] = stop or most
        upto *= 2
    return [counts[channel] for channel in range(channels)]


def _stop(energies: Any, call: Call, rounding: float) -> int | None:
    """Return the number of iterations done when the energy settles, 0 when it does not yet.

    None means that rounding could decide.
    """
    wanted = call["eps"] * energies[0]
    for i in range(1, len(energies)):
        change = np.abs(energies[i - 1] - energies[i])
        if abs(change - wanted) < rounding * (energies[i - 1] + energies[i] + wanted):
            return None
        if change < wanted:
            return i + 1
    return 0


def _rounding(call: Call) -> float:
    """Return a bound on the relative rounding of the function's energies and of those gathered."""
    steps = 32 + log2(prod(call.spatial_shape))  # pairwise sums of positive numbers
    return float(steps * np.finfo(as_float(call)).eps + 2**20 * np.finfo(float).eps)


# -- energies --------------------------------------------------------------------------------------


def _energy_pass(call: Call, channels: int, upto: int) -> Reduce:
    """Return the pass that gathers every channel's energies, and whether it is flat."""
    weight, pixels = call["weight"], prod(call.spatial_shape)

    def of(block: Block) -> tuple[np.ndarray, np.ndarray]:
        totals = np.zeros((channels, upto))
        flat = np.zeros(channels, bool)
        for channel in range(channels):
            parts = _parts(block, call, channel, upto)
            for i, (gradient, squares, norm) in enumerate(parts):
                if i == 0:
                    flat[channel] = not gradient.any()
                energy = squares.sum(dtype=float) + weight * norm.sum(dtype=float)
                totals[channel, i] = energy / pixels
        return totals, flat

    def merge(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
        return a[0] + b[0], a[1] & b[1]

    return Reduce(of, merge, halo=upto, description=f"energies of {upto} iterations")


def _exact_energies(
    call: Call, channels: int, upto: int
) -> Generator[Reduce, Any, list[list[Any]] | None]:
    """Return the energies with the function's own rounding, None where boxes get too large."""
    if size(_largest_box(call, upto)) > LARGEST:
        return None

    def arrays(block: Block) -> Iterator[np.ndarray]:
        for channel in range(channels):
            for _, squares, norm in _parts(block, call, channel, upto):
                yield np.ascontiguousarray(squares)
                yield np.ascontiguousarray(norm)

    found = yield from global_numbers.sums(
        call, arrays, halo=upto, description="energies, exactly", piece=PIECE
    )
    energies = []
    for squares, norm in zip(found[::2], found[1::2], strict=True):
        energy = squares
        energy += call["weight"] * norm
        energy /= float(prod(call.spatial_shape))
        energies.append(energy)
    return [energies[c * upto : (c + 1) * upto] for c in range(channels)]


def _largest_box(call: Call, upto: int) -> Region:
    shape = call.spatial_shape
    box = global_numbers.band(shape, 0, min(PIECE, prod(shape)))
    return tuple(
        slice(0, min(s.stop - s.start + 2 * upto + 1, n)) for s, n in zip(box, shape, strict=True)
    )


def _largest(call: Call) -> int:
    """Return the largest box of the exact pass, in pixels of double precision."""
    boxes = (size(_largest_box(call, upto)) for upto in (FIRST, TYPICAL))
    most = max((pixels for pixels in boxes if pixels <= LARGEST), default=0)
    return int(most * np.dtype(as_float(call)).itemsize // 8)


def _parts(
    block: Block, call: Call, channel: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, per iteration, the gradient, squared divergence and gradient norm on the tile."""
    image = block.data[_channel(call, channel)]
    if image.dtype.kind != "f":
        image = img_as_float(image)
    for gradient, divergence, norm in _iterate(
        image.astype(as_float(call), copy=False), call["weight"], count
    ):
        yield gradient[(slice(None), *block.core)], divergence[block.core] ** 2, norm[block.core]


def _iterate(
    image: np.ndarray, weight: float, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Do what `skimage.restoration._denoise._denoise_tv_chambolle_nd` does, step by step."""
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
        family=families.DENOISING,
        kind=Kind.ITERATIVE,
        specs={
            "weight": Number(minimum=0, exclusive=True, usual=(0.02, 1)),
            "eps": Number(minimum=0, usual=(1e-4, 1e-2), advanced=True),
            "max_num_iter": Number(minimum=1, integer=True, usual=(1, 60)),
            "channel_axis": CHANNEL,
        },
        neighbourhood=Neighbourhood(halo=_halo, typical_halo=_typical_halo),
        cost=Cost(largest_region=_largest, memory=20.0),
        result=ResultSpec(dtype=as_float),
        plan_of=_plan,
    ),
)
