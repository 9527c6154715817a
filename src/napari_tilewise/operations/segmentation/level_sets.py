"""Contours that evolve: an image of inside and outside, rewritten iteration by iteration.

Geodesic contours look at their surroundings only, so several iterations fit into one pass whose
halo is their common reach. Contours without edges compare each pixel with the mean inside and
outside: these means are gathered over the whole image before every iteration.

scikit-image alternates between two smoothing operators and never begins anew: the same call gives
another result every other time. Here every call gives what it gives in a fresh process.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from napari_tilewise.operations.shared.common import gaussian_radius
from napari_tilewise.operations.shared.global_numbers import largest_cut, sums
from napari_tilewise.operations.shared.percentiles import percentiles
from napari_tilewise.operations.shared.private import reach
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec import families
from napari_tilewise.operations.spec.operation import (
    Adapter,
    Block,
    Call,
    Cost,
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
    from collections.abc import Callable, Generator, Iterator

    from napari_tilewise.operations.spec.operation import Reduce

LEVEL = "level_set"
"""The name of the stored image."""
REACH = 48
"""Iterations are done in one pass as long as its halo is not wider than this."""

# -- in a fresh process ----------------------------------------------------------------------------


_smoothing = threading.Lock()


def _as_in_a_fresh_process(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return scikit-image's function, its cycle of smoothing operators begun anew at each call."""

    @wraps(function)
    def evolve(*args: Any, **params: Any) -> Any:
        smooth = reach("segmentation.morphsnakes", "_curvop")
        with _smoothing:
            before = smooth.funcs
            smooth.funcs = (lambda u, n=n: _smoothed(u, n) for n in itertools.count())
            try:
                return function(*args, **params)
            finally:
                smooth.funcs = before

    return evolve


def _smoothed(level: np.ndarray, number: int) -> np.ndarray:
    """Return a level set smoothed by the operator that scikit-image takes the n-th time."""
    sup_inf = reach("segmentation.morphsnakes", "sup_inf")
    inf_sup = reach("segmentation.morphsnakes", "inf_sup")
    first, second = (sup_inf, inf_sup) if number % 2 else (inf_sup, sup_inf)
    return np.asarray(second(first(level)))


def no_callback(level: np.ndarray) -> None:
    """Do nothing: scikit-image's own default has no name to be pickled by."""


def _must_be_whole(call: Call) -> bool:
    """Tell whether a call needs the whole image at once.

    A callback is shown the whole level set, and NumPy adds up half precision in a way of its own.
    """
    return call["iter_callback"] is not no_callback or call.dtype == np.float16


# -- the first level set ---------------------------------------------------------------------------


def _first(call: Call, block: Block) -> np.ndarray:
    """Return the region's part of the level set that evolution begins with."""
    init = call["init_level_set"]
    if not isinstance(init, str):
        return np.asarray(block.images["init_level_set"] > 0, np.int8)
    places = np.ogrid[block.region]
    if init == "checkerboard":
        squares = [(place // 5) & 1 for place in places]
        return np.asarray(_joined(np.bitwise_xor, squares), np.int8)
    shape = call.spatial_shape
    squares = [(place - n // 2) ** 2 for place, n in zip(places, shape, strict=True)]
    radius = min(shape) * 3.0 / 8.0
    return np.asarray(radius - np.sqrt(_joined(np.add, squares)) > 0, np.int8)


def _joined(join: np.ufunc, items: list[np.ndarray]) -> np.ndarray:
    total = items[0]
    for item in items[1:]:
        total = join(total, item)
    return np.asarray(total)


def _level(call: Call, block: Block) -> np.ndarray:
    """Return the region's part of the level set as it is now."""
    return block.images[LEVEL] if LEVEL in block.images else _first(call, block)


# -- morphological_geodesic_active_contour ---------------------------------------------------------


def _step_reach(call: Call) -> int:
    """Return how far one iteration sees: a balloon, a gradient and twice two smoothings."""
    return 1 + int(call["balloon"] != 0) + 2 * int(call["smoothing"])


def _steps_at_once(call: Call) -> int:
    return max(1, min(int(call["num_iter"]), REACH // _step_reach(call)))


def _geodesic_halo(call: Call) -> HaloLike:
    if _must_be_whole(call):
        return call.spatial_shape
    return max(1, min(int(call["num_iter"]), _steps_at_once(call)) * _step_reach(call))


def _geodesic(call: Call) -> Plan:
    if _must_be_whole(call):
        return (yield from whole(call))
    threshold = call["threshold"]
    if threshold == "auto" and call["balloon"] != 0:
        # A typed 40 makes the rank round as NumPy's own does.
        wanted = [call.dtype.type(40)]
        found = yield from percentiles(
            call, lambda block: block.data[block.core], wanted, call.dtype
        )
        threshold = found[0]
    at_once, last = _steps_at_once(call), call["num_iter"]
    halo = _geodesic_halo(call)
    done = 0
    while done + at_once < last:
        yield Sweep(
            _Evolution(call, threshold, range(done, done + at_once)),
            np.int8,
            start=None if done else lambda block: _first(call, block),
            halo=halo,
            most=1,
            name=LEVEL,
            description="iterations",
        )
        done += at_once
    return Tiles(_Evolution(call, threshold, range(done, last)), halo=halo)


@dataclass(frozen=True, eq=False)
class _Evolution:
    """Some iterations of a geodesic contour, on a region."""

    call: Call
    threshold: Any
    steps: range

    def __call__(self, block: Block) -> np.ndarray:
        """Return the level set after these iterations."""
        image, balloon = block.data, self.call["balloon"]
        level = _level(self.call, block)
        slopes = np.gradient(image)
        if balloon != 0:
            blown = image > self.threshold / np.abs(balloon)
        for step in self.steps:
            if balloon != 0:
                grown = self._grown(level)
                level[blown] = grown[blown]
            pull = np.zeros_like(image)
            for slope, rise in zip(slopes, np.gradient(level), strict=True):
                pull += slope * rise
            level[pull > 0] = 1
            level[pull < 0] = 0
            level = _smooth(self.call, level, step)
        return level

    def _grown(self, level: np.ndarray) -> np.ndarray:
        structure = np.ones((3,) * level.ndim, np.int8)
        if self.call["balloon"] > 0:
            return np.asarray(ndi.binary_dilation(level, structure))
        return np.asarray(ndi.binary_erosion(level, structure))


def _smooth(call: Call, level: np.ndarray, step: int) -> np.ndarray:
    """Return a level set after one iteration's smoothings."""
    times = int(call["smoothing"])
    for number in range(step * times, (step + 1) * times):
        level = _smoothed(level, number)
    return level


# -- morphological_chan_vese -----------------------------------------------------------------------


def _chan_vese_halo(call: Call) -> HaloLike:
    return call.spatial_shape if _must_be_whole(call) else 1 + 2 * int(call["smoothing"])


def _morphological_chan_vese(call: Call) -> Plan:
    if _must_be_whole(call):
        return (yield from whole(call))
    halo = _chan_vese_halo(call)
    compute: Any = lambda block: _level(call, block)  # noqa: E731
    for step in range(call["num_iter"]):
        if step:
            yield Sweep(
                compute,
                np.int8,
                start=None if step > 1 else lambda block: _first(call, block),
                halo=halo,
                most=1,
                name=LEVEL,
                description="iterations",
            )
        compute = _Separation(call, *(yield from _means(call)), step)
    return Tiles(compute, halo=halo)


def _means(call: Call) -> Generator[Reduce, Any, tuple[Any, Any]]:
    """Compute the mean outside and inside, as scikit-image divides them."""

    def of(block: Block) -> Iterator[np.ndarray]:
        image, level = block.data, _level(call, block)
        yield image * (1 - level)
        yield 1 - level
        yield image * level
        yield level

    outside, n_outside, inside, n_inside = yield from sums(call, of, description="means")
    return outside / float(n_outside + 1e-8), inside / float(n_inside + 1e-8)


@dataclass(frozen=True, eq=False)
class _Separation:
    """One iteration of a contour without edges, on a region."""

    call: Call
    outside: Any
    inside: Any
    step: int

    def __call__(self, block: Block) -> np.ndarray:
        """Return the level set after this iteration."""
        call, image = self.call, block.data
        level = _level(call, block)
        rise = np.abs(np.gradient(level)).sum(0)
        pull = rise * (
            call["lambda1"] * (image - self.inside) ** 2
            - call["lambda2"] * (image - self.outside) ** 2
        )
        level[pull < 0] = 1
        level[pull > 0] = 0
        return _smooth(call, level, self.step)


# -- declarations ----------------------------------------------------------------------------------


def _gradient_dtype(call: Call) -> Any:
    """Return the image's own floats; SciPy takes half precision where it smooths nothing."""
    return call.dtype if call.dtype in (np.float16, np.float32) else np.float64


INIT = ImageOr(role="mask", optional=False, other=ChoiceSpec(choices=("checkerboard", "disk")))
ITERATIONS = Number(integer=True, minimum=0, usual=(0, 8))
SMOOTHING = Number(integer=True, minimum=0, usual=(0, 3))
CALLBACK = FunctionSpec(advanced=True, samples=(no_callback,))

SNAKES: dict[str, Any] = {
    "kind": Kind.ITERATIVE,
    "result": ResultSpec(output=Output.MASK, dtype=lambda call: np.int8),
    "adapter": Adapter(wrap=_as_in_a_fresh_process, overrides={"iter_callback": no_callback}),
    "note": "The result is that of a fresh process: scikit-image's function goes on with the "
    "smoothing operator at which the call before stopped. With iter_callback= the whole image is "
    "read at once.",
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
        cost=Cost(memory=6.0),
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
        limits=Limits(ndim=(2, 3), shortest=2, dtypes="f"),
        cost=Cost(memory=10.0),
        neighbourhood=Neighbourhood(halo=_geodesic_halo),
        plan_of=_geodesic,
    ),
    Operation(
        name="segmentation.morphological_chan_vese",
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
        limits=Limits(ndim=(2, 3), shortest=2),
        cost=Cost(memory=10.0, largest_region=largest_cut),
    ),
)
