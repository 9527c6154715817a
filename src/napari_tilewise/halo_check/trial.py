"""The trial of a function: for each set of parameters a halo is measured, then used by the engine.

A halo that is measured along single axes must also work for tiles of an image; if it does not, a
longer one is searched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.functions.user_function import plan_tiles
from napari_tilewise.halo_check.measure_halo import (
    ImagesRefused,
    MeasuredHalo,
    call,
    difference,
    differing,
    measure,
)
from napari_tilewise.halo_check.parameter_sets import parameter_sets
from napari_tilewise.halo_check.sample_images import samples
from napari_tilewise.operations.spec.kinds import Kind
from napari_tilewise.operations.spec.operation import Neighbourhood

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_tilewise.functions import UserFunction
    from napari_tilewise.grid import Halo
    from napari_tilewise.halo_check.sample_images import Sample
    from napari_tilewise.types import Array, Parameters, Value

MOST = 300
"""The longest declared halo, in pixels, that the size of the first images follows."""


@dataclass(frozen=True)
class HaloCase:
    """One set of parameters and the halo measured with it."""

    params: Parameters
    measured: MeasuredHalo
    needed: Halo
    declared: Halo | None
    """None: the whole image."""
    difference: float = 0.0

    @property
    def lacking(self) -> int:
        """Pixels by which the declared halo is too small, on the side where it is smallest."""
        return 0 if self.declared is None else max(n - d for n, d in self._sides())

    @property
    def is_larger(self) -> bool:
        """Whether a smaller halo than the declared one is enough."""
        return self.declared is None or any(d > n for n, d in self._sides())

    def _sides(self) -> Iterator[tuple[int, int]]:
        for needed, declared in zip(self.needed, self.declared or (), strict=True):
            yield from zip(needed, declared, strict=True)


class DependsOnWholeImage(Exception):
    """No halo makes tiles equal."""

    def __init__(self, params: Parameters, longest: int) -> None:
        super().__init__(longest)
        self.params, self.longest = params, longest


class FunctionTrial:
    """The cases of one operation.

    Parameters
    ----------
    operation
        The user's function.
    fixed
        Values that are the same in every set, by parameter.
    seed
        Seed of the random images and parameters.

    Raises
    ------
    UnknownParameter, InvalidParameter
        If the fixed values do not match the function's parameters, or another one cannot be drawn.
    """

    def __init__(self, operation: UserFunction, fixed: Parameters, seed: int) -> None:
        self._op = operation
        self._seed = seed
        low, high = operation.limits.ndim
        self._ndim = min(max(2, low), high)
        rng = np.random.default_rng(seed)
        self._sets = parameter_sets(operation, self._ndim, fixed, rng)
        operation.bind({**self._required(), **self._sets[0]}, self._ndim)
        self.images = 0

    def cases(self) -> Iterator[HaloCase]:
        """Yield a case for each set of parameters that the function takes."""
        for number, params in enumerate(self._sets):
            declared = self.declared(params)
            expected = min(MOST, max((max(pair) for pair in declared or ()), default=0))
            try:
                measured = measure(self._op, params, self._ndim, expected, self._seed + number)
            except ImagesRefused:
                if number == 0:
                    raise
                continue  # the function refuses the drawn values
            self.images += measured.images
            if measured.halo is None:
                if declared is None:
                    self._difference(
                        self._op, params, 0, exact=True
                    )  # checks the result's shape and type
                raise DependsOnWholeImage(params, measured.longest)
            yield self._measured_case(params, measured, measured.halo, declared)

    def declared(self, params: Parameters) -> Halo | None:
        """Return the declared halo; None for the whole image.

        Parameters
        ----------
        params
            The parameters, without images.
        """
        if self._op.kind is Kind.WHOLE:
            return None
        return self._op.halo(self._ndim, **{**self._required(), **params})

    def _required(self) -> dict[str, Value]:
        """Return images for the arguments that must be given to bind the parameters."""
        parameters = self._op.parameters
        pixel = np.zeros((1,) * self._ndim)
        return {name: pixel for name in self._op.images if parameters[name].required}

    # -- with the engine -------------------------------------------------------------------------

    def _measured_case(
        self, params: Parameters, measured: MeasuredHalo, halo: Halo, declared: Halo | None
    ) -> HaloCase:
        """Return the case, with a longer halo if tiles with the measured one differ."""
        declared_works = (
            declared is not None and self._deviation(params, declared, measured) is not None
        )
        limit = declared if declared_works else None
        deviation = self._deviation(params, halo, measured)
        low = extra = 0
        while deviation is None:
            low, extra = extra, max(1, 2 * extra)
            if max(max(pair) for pair in halo) + extra > measured.longest:
                raise DependsOnWholeImage(params, measured.longest)
            deviation = self._deviation(params, _longer(halo, extra, limit), measured)
        while extra - low > 1:  # tiles differ with `low`, not with `extra`
            middle = (low + extra) // 2
            middle_deviation = self._deviation(params, _longer(halo, middle, limit), measured)
            if middle_deviation is None:
                low = middle
            else:
                extra, deviation = middle, middle_deviation
        case = HaloCase(params, measured, _longer(halo, extra, limit), declared, deviation)
        if declared is not None and not declared_works and case.lacking <= 0:
            # A longer halo than the one that seems to be enough gives other results.
            raise DependsOnWholeImage(params, measured.longest)
        return case

    def _deviation(self, params: Parameters, halo: Halo, measured: MeasuredHalo) -> float | None:
        """Return the largest difference of tiles with a halo; None if larger than measured."""
        variant = replace(
            self._op,
            kind=Kind.NEIGHBOURHOOD,
            neighbourhood=Neighbourhood(halo=lambda call: halo),
            plan_of=plan_tiles,
        )
        longest = max(max(pair) for pair in halo)
        return self._difference(variant, params, longest, exact=measured.exact)

    def _difference(
        self, variant: UserFunction, params: Parameters, longest: int, *, exact: bool
    ) -> float | None:
        """Return the largest difference between tiles and whole; None if it is too large."""
        length = {1: 128, 2: 48, 3: 20}.get(self._ndim, 10) + 2 * longest
        worst = 0.0
        rng = np.random.default_rng([self._seed, longest])
        for number, sample in enumerate(samples(variant, (length,) * self._ndim, rng)):
            if number % 3:
                continue
            try:
                whole = call(self._op, sample, params)
            except Exception:  # noqa: BLE001 - a data type that the function refuses, as measured
                continue
            tiled = self._tiled(
                variant, sample, params, (length // 3 + 1, length // 2 - 1)[number % 2]
            )
            if differing(tiled, whole, exact=exact).any():
                return None
            worst = max(worst, difference(tiled, whole))
        return worst

    def _tiled(self, variant: UserFunction, sample: Sample, params: Parameters, tile: int) -> Array:
        params = {**params, **sample.images}
        return compute(build(variant, sample.image, params, Session(1), StackLayout(tiles=tile)))


def _longer(halo: Halo, extra: int, limit: Halo | None) -> Halo:
    """Return a halo with extra pixels on every side, up to one that is known to be enough."""
    if limit is None:
        return tuple((lower + extra, upper + extra) for lower, upper in halo)
    return tuple(
        (max(lower, min(lower + extra, lower_limit)), max(upper, min(upper + extra, upper_limit)))
        for (lower, upper), (lower_limit, upper_limit) in zip(halo, limit, strict=True)
    )
