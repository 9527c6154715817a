"""Morphological snakes: a level set, a mask of inside and outside, updated in every iteration.

Geodesic contours depend on their surroundings only, so one pass makes several iterations, with
their total reach as its halo. Contours without edges compare each pixel with the means inside and
outside, which a reduction over the whole image computes before every iteration.

scikit-image alternates between two smoothing operators and never resets the cycle, so the same call
gives a different result every other time. Here every call gives the result of a fresh process.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.shared.common import (
    check_differences,
    gaussian_radius,
    kernel_length,
)
from napari_tilewise.operations.shared.global_numbers import largest_cut, sums
from napari_tilewise.operations.shared.percentiles import percentiles
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    SMALL_WHOLE,
    Accuracy,
    Adapter,
    Block,
    Call,
    Cost,
    Deviation,
    HaloLike,
    Kind,
    Limits,
    Neighbourhood,
    Operation,
    Output,
    Plan,
    ResultSpec,
    Sweep,
    Tiles,
)
from napari_tilewise.operations.spec.parameters import (
    ChoiceSpec,
    Either,
    FunctionSpec,
    ImageOr,
    Number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.passes import Passes
    from napari_tilewise.types import AnyFunction

LEVEL = "level_set"
"""The name of the stored image."""
REACH = 48
"""Widest halo, in pixels, of a pass that makes several iterations."""

# -- smoothing -------------------------------------------------------------------------------------


_smoothing = threading.Lock()


def _as_in_a_fresh_process(function: AnyFunction) -> AnyFunction:
    """Return scikit-image's function, its cycle of smoothing operators begun anew at each call."""

    @wraps(function)
    def evolve(*args: Any, **params: Any) -> Any:
        smooth = reach("segmentation.morphsnakes", "_curvop")
        with _smoothing:
            original = smooth.funcs
            smooth.funcs = (lambda u, n=n: _smooth_once(u, n) for n in itertools.count())
            try:
                return function(*args, **params)
            finally:
                smooth.funcs = original

    return evolve


def _smooth_once(level: np.ndarray, number: int) -> np.ndarray:
    """Return a level set smoothed by the operator with this number in scikit-image's cycle."""
    sup_inf = reach("segmentation.morphsnakes", "sup_inf")
    inf_sup = reach("segmentation.morphsnakes", "inf_sup")
    inner, outer = (sup_inf, inf_sup) if number % 2 else (inf_sup, sup_inf)
    return np.asarray(outer(inner(level)))


def no_callback(level: np.ndarray) -> None:
    """Do nothing, as scikit-image's default does, which is a lambda and cannot be pickled."""


def _needs_whole_image(call: Call) -> bool:
    """Return whether a call needs the whole image at once.

    A callback receives the whole level set, and NumPy's sums of half precision differ.
    """
    return call["iter_callback"] is not no_callback or call.dtype == np.float16


# -- level set -------------------------------------------------------------------------------------


def _initial_level(call: Call, block: Block) -> np.ndarray:
    """Return the region's part of the initial level set."""
    init = call["init_level_set"]
    if not isinstance(init, str):
        return np.asarray(block.images["init_level_set"] > 0, np.int8)
    positions = np.ogrid[block.region]
    if init == "checkerboard":
        squares = [(axis_positions // 5) & 1 for axis_positions in positions]
        return np.asarray(_combine(np.bitwise_xor, squares), np.int8)
    shape = call.spatial_shape
    squares = [
        (axis_positions - n // 2) ** 2 for axis_positions, n in zip(positions, shape, strict=True)
    ]
    radius = min(shape) * 3.0 / 8.0
    return np.asarray(radius - np.sqrt(_combine(np.add, squares)) > 0, np.int8)


def _combine(ufunc: np.ufunc, items: list[np.ndarray]) -> np.ndarray:
    total = items[0]
    for item in items[1:]:
        total = ufunc(total, item)
    return np.asarray(total)


def _current_level(call: Call, block: Block) -> np.ndarray:
    """Return the region's part of the current level set."""
    return block.images[LEVEL] if LEVEL in block.images else _initial_level(call, block)


# -- morphological_geodesic_active_contour ---------------------------------------------------------


def _iteration_reach(call: Call) -> int:
    """Return the reach of an iteration: balloon, gradient, and two steps per smoothing."""
    return 1 + int(call["balloon"] != 0) + 2 * int(call["smoothing"])


def _iterations_per_pass(call: Call) -> int:
    return max(1, min(int(call["num_iter"]), REACH // _iteration_reach(call)))


def _geodesic_halo(call: Call) -> HaloLike:
    if _needs_whole_image(call):
        return call.spatial_shape
    return max(1, min(int(call["num_iter"]), _iterations_per_pass(call)) * _iteration_reach(call))


def _geodesic(call: Call) -> Plan:
    if _needs_whole_image(call):
        return (yield from whole(call))
    threshold = call["threshold"]
    if threshold == "auto" and call["balloon"] != 0:
        # With 40 in the image's dtype the rank is rounded as in NumPy.
        percentages = [call.dtype.type(40)]
        thresholds = yield from percentiles(
            call, lambda block: block.data[block.core], percentages, call.dtype
        )
        threshold = thresholds[0]
    batch, num_iter = _iterations_per_pass(call), call["num_iter"]
    halo = _geodesic_halo(call)
    iteration = 0
    while iteration + batch < num_iter:
        yield Sweep(
            _Evolution(call, threshold, range(iteration, iteration + batch)),
            np.int8,
            start=None if iteration else lambda block: _initial_level(call, block),
            halo=halo,
            most=1,
            name=LEVEL,
            description="iterations",
        )
        iteration += batch
    return Tiles(_Evolution(call, threshold, range(iteration, num_iter)), halo=halo)


@dataclass(frozen=True, eq=False)
class _Evolution:
    """Several iterations of a geodesic contour on a region."""

    call: Call
    threshold: Any
    steps: range

    def __call__(self, block: Block) -> np.ndarray:
        """Return the level set after these iterations."""
        image, balloon = block.data, self.call["balloon"]
        level = _current_level(self.call, block)
        slopes = np.gradient(image)
        if balloon != 0:
            above_threshold = image > self.threshold / np.abs(balloon)
        for step in self.steps:
            if balloon != 0:
                expanded = self._expand(level)
                level[above_threshold] = expanded[above_threshold]
            force = np.zeros_like(image)
            for slope, rise in zip(slopes, np.gradient(level), strict=True):
                force += slope * rise
            level[force > 0] = 1
            level[force < 0] = 0
            level = _smooth(self.call, level, step)
        return level

    def _expand(self, level: np.ndarray) -> np.ndarray:
        structure = np.ones((3,) * level.ndim, np.int8)
        if self.call["balloon"] > 0:
            return np.asarray(ndi.binary_dilation(level, structure))
        return np.asarray(ndi.binary_erosion(level, structure))


def _smooth(call: Call, level: np.ndarray, step: int) -> np.ndarray:
    """Return a level set after one iteration's smoothings."""
    times = int(call["smoothing"])
    for number in range(step * times, (step + 1) * times):
        level = _smooth_once(level, number)
    return level


# -- morphological_chan_vese -----------------------------------------------------------------------


def _chan_vese_halo(call: Call) -> HaloLike:
    return call.spatial_shape if _needs_whole_image(call) else 1 + 2 * int(call["smoothing"])


def _morphological_chan_vese(call: Call) -> Plan:
    if _needs_whole_image(call):
        return (yield from whole(call))
    halo = _chan_vese_halo(call)

    def compute(block: Block) -> np.ndarray:
        return _current_level(call, block)

    for step in range(call["num_iter"]):
        if step:
            yield Sweep(
                compute,
                np.int8,
                start=None if step > 1 else lambda block: _initial_level(call, block),
                halo=halo,
                most=1,
                name=LEVEL,
                description="iterations",
            )
        compute = _Separation(call, *(yield from _reduce_means(call)), step)
    return Tiles(compute, halo=halo)


def _check_iterations(call: Call) -> None:
    if call["num_iter"]:  # each takes differences
        check_differences(call)


def _reduce_means(call: Call) -> Passes[tuple[Any, Any]]:
    """Return the means outside and inside, divided as in scikit-image."""

    def terms(block: Block) -> Iterator[np.ndarray]:
        image, level = block.data, _current_level(call, block)
        yield image * (1 - level)
        yield 1 - level
        yield image * level
        yield level

    outside, n_outside, inside, n_inside = yield from sums(call, terms, description="means")
    return outside / float(n_outside + 1e-8), inside / float(n_inside + 1e-8)


@dataclass(frozen=True, eq=False)
class _Separation:
    """One iteration of a contour without edges on a region."""

    call: Call
    outside: Any
    inside: Any
    step: int

    def __call__(self, block: Block) -> np.ndarray:
        """Return the level set after this iteration."""
        call, image = self.call, block.data
        level = _current_level(call, block)
        rise = np.abs(np.gradient(level)).sum(0)
        force = rise * (
            call["lambda1"] * (image - self.inside) ** 2
            - call["lambda2"] * (image - self.outside) ** 2
        )
        level[force < 0] = 1
        level[force > 0] = 0
        return _smooth(call, level, self.step)


# -- declarations ----------------------------------------------------------------------------------


def _gradient_dtype(call: Call) -> DTypeLike:
    """Return the image's own float dtype; SciPy accepts half precision if it does not smooth."""
    return call.dtype if call.dtype in (np.float16, np.float32) else np.float64


INIT = ImageOr(role="mask", optional=False, other=ChoiceSpec(choices=("checkerboard", "disk")))
ITERATIONS = Number(integer=True, minimum=0, usual=(0, 8))
SMOOTHING = Number(integer=True, minimum=0, usual=(0, 3))
CALLBACK = FunctionSpec(advanced=True, samples=(no_callback,))

CONTINUED_SMOOTHING = Deviation(
    calls="every call with `smoothing` above 0 but the first of a process",
    library="continues with the smoothing operator at which the previous call stopped, on whatever "
    "image",
    ours="that of a fresh process",
    versions="0.24 to 0.26",
    applies=lambda image, params: params["smoothing"] > 0,
)

SNAKES: dict[str, Any] = {
    "kind": Kind.ITERATIVE,
    "result": ResultSpec(output=Output.MASK, dtype=lambda call: np.int8),
    "adapter": Adapter(
        wrap=_as_in_a_fresh_process,
        overrides={"iter_callback": no_callback},
    ),
    "accuracy": Accuracy(deviations=(CONTINUED_SMOOTHING,)),
    "note": "The result is that of a fresh process: scikit-image's function continues with the "
    "smoothing operator at which the previous call stopped. With iter_callback= the whole image "
    "is read at once.",
}

OPERATIONS = (
    Operation(
        name="segmentation.inverse_gaussian_gradient",
        family=families.SEGMENTATION,
        kind=Kind.NEIGHBOURHOOD,
        specs={
            "alpha": Number(minimum=0, usual=(0, 200)),
            "sigma": Number(minimum=0, per_axis=True, length=True, usual=(0, 4)),
        },
        neighbourhood=Neighbourhood(
            halo=lambda call: [gaussian_radius(s) for s in call.per_axis(call["sigma"])]
        ),
        result=ResultSpec(dtype=_gradient_dtype),
        cost=Cost(memory=6.0, largest_region=kernel_length),
    ),
    Operation(
        name="segmentation.morphological_geodesic_active_contour",
        family=families.SEGMENTATION,
        **SNAKES,
        specs={
            "num_iter": ITERATIONS,
            "init_level_set": INIT,
            "smoothing": SMOOTHING,
            "threshold": Either(options=(ChoiceSpec(choices=("auto",)), Number(usual=(0, 1)))),
            "balloon": Number(usual=(-2, 2)),
            "iter_callback": CALLBACK,
        },
        limits=Limits(ndim=(2, 3), check=check_differences, dtypes="f"),
        cost=Cost(memory=10.0, at_once=SMALL_WHOLE),
        neighbourhood=Neighbourhood(halo=_geodesic_halo),
        plan_of=_geodesic,
    ),
    Operation(
        name="segmentation.morphological_chan_vese",
        title="Morphological Chan-Vese segmentation",
        family=families.SEGMENTATION,
        **SNAKES,
        specs={
            "num_iter": ITERATIONS,
            "init_level_set": INIT,
            "smoothing": SMOOTHING,
            "lambda1": Number(minimum=0, usual=(0, 3)),
            "lambda2": Number(minimum=0, usual=(0, 3)),
            "iter_callback": CALLBACK,
        },
        neighbourhood=Neighbourhood(halo=_chan_vese_halo),
        plan_of=_morphological_chan_vese,
        limits=Limits(ndim=(2, 3), check=_check_iterations),
        cost=Cost(
            memory=10.0,
            largest_region=largest_cut,
            at_once=SMALL_WHOLE,
        ),
    ),
)
