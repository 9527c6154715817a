"""One function tried: with each set of parameters a halo is measured, then used by the engine.

What cuts of single axes show must hold for tiles of an image too; where it does not, a longer halo
is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.apply import build, compute
from napari_tilewise.engine.session import Session
from napari_tilewise.functions.user_function import by_tiles
from napari_tilewise.halo_check.measure_halo import (
    MeasuredHalo,
    Refused,
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
    from collections.abc import Iterator, Mapping

    from napari_tilewise.functions import UserFunction
    from napari_tilewise.grid import Halo
    from napari_tilewise.halo_check.sample_images import Sample

MOST = 300
"""The longest declared halo around which images are made to try it on."""


@dataclass(frozen=True)
class Case:
    """One set of parameters, and what was measured with it."""

    params: Mapping[str, Any]
    measured: MeasuredHalo
    needed: Halo
    declared: Halo | None
    """None: the whole image."""
    difference: float = 0.0

    @property
    def lacking(self) -> int:
        """Pixels by which the declared halo is too small, where that is most."""
        return 0 if self.declared is None else max(n - d for n, d in self._sides())

    @property
    def is_larger(self) -> bool:
        """Whether less would do."""
        return self.declared is None or any(d > n for n, d in self._sides())

    def _sides(self) -> Iterator[tuple[int, int]]:
        for needed, declared in zip(self.needed, self.declared or (), strict=True):
            yield from zip(needed, declared, strict=True)


class Global(Exception):
    """No halo makes tiles equal."""

    def __init__(self, params: Mapping[str, Any], tried: int) -> None:
        super().__init__(tried)
        self.params, self.tried = params, tried


class Trial:
    """The cases of one operation.

    Parameters
    ----------
    operation
        The operation.
    held
        Parameters that keep their values.
    seed
        Decides the images and the other parameters.

    Raises
    ------
    UnknownParameter, InvalidParameter
        When the held ones do not fit, or another one cannot be drawn.
    """

    def __init__(self, operation: UserFunction, held: Mapping[str, Any], seed: int) -> None:
        self._op = operation
        self._seed = seed
        low, high = operation.limits.ndim
        self._ndim = min(max(2, low), high)
        rng = np.random.default_rng(seed)
        self._sets = parameter_sets(operation, self._ndim, held, rng)
        operation.bind({**self._required(), **self._sets[0]}, self._ndim)
        self.images = 0

    def cases(self) -> Iterator[Case]:
        """Yield a case for each set of parameters that the function takes."""
        for number, params in enumerate(self._sets):
            declared = self.declared(params)
            expected = min(MOST, max((max(pair) for pair in declared or ()), default=0))
            try:
                measured = measure(self._op, params, self._ndim, expected, self._seed + number)
            except Refused:
                if number == 0:
                    raise
                continue  # a drawn value that it does not take
            self.images += measured.images
            if measured.halo is None:
                if declared is None:
                    self._difference(self._op, params, 0, exact=True)  # what it returns must fit
                raise Global(params, measured.tried)
            yield self._tried(params, measured, measured.halo, declared)

    def declared(self, params: Mapping[str, Any]) -> Halo | None:
        """Return the declared halo; None for the whole image.

        Parameters
        ----------
        params
            The parameters, without images.
        """
        if self._op.kind is Kind.WHOLE:
            return None
        return self._op.halo(self._ndim, **{**self._required(), **params})

    def _required(self) -> dict[str, Any]:
        """Return images for those without which parameters do not bind."""
        parameters = self._op.parameters
        one = np.zeros((1,) * self._ndim)
        return {name: one for name in self._op.images if parameters[name].required}

    # -- with the engine -------------------------------------------------------------------------

    def _tried(
        self, params: Mapping[str, Any], measured: MeasuredHalo, halo: Halo, declared: Halo | None
    ) -> Case:
        """Return the case, with a longer halo where tiles that are made with this one differ."""
        own = None if declared is None else self._apart(params, declared, measured)
        most = declared if own is not None else None
        extra, apart = 0, self._apart(params, halo, measured)
        low = 0
        while apart is None:
            low, extra = extra, max(1, 2 * extra)
            if max(max(pair) for pair in halo) + extra > measured.tried:
                raise Global(params, measured.tried)
            apart = self._apart(params, _longer(halo, extra, most), measured)
        while extra - low > 1:  # tiles differ with `low`, not with `extra`
            middle = (low + extra) // 2
            there = self._apart(params, _longer(halo, middle, most), measured)
            low, extra, apart = (middle, extra, apart) if there is None else (low, middle, there)
        case = Case(params, measured, _longer(halo, extra, most), declared, apart)
        if declared is not None and own is None and case.lacking <= 0:
            raise Global(params, measured.tried)  # a longer halo than one that seemed to do
        return case

    def _apart(self, params: Mapping[str, Any], halo: Halo, measured: MeasuredHalo) -> float | None:
        """Return the largest difference of tiled results; None where it is more than measured."""
        tried = replace(
            self._op,
            kind=Kind.NEIGHBOURHOOD,
            neighbourhood=Neighbourhood(halo=lambda call: halo),
            plan_of=by_tiles,
        )
        longest = max(max(pair) for pair in halo)
        return self._difference(tried, params, longest, exact=measured.exact)

    def _difference(
        self, tried: UserFunction, params: Mapping[str, Any], longest: int, *, exact: bool
    ) -> float | None:
        """Return the largest difference between tiles and whole; None where it is too large."""
        length = {1: 128, 2: 48, 3: 20}.get(self._ndim, 10) + 2 * longest
        worst = 0.0
        rng = np.random.default_rng([self._seed, longest])
        for number, sample in enumerate(samples(tried, (length,) * self._ndim, rng)):
            if number % 3:
                continue
            try:
                whole = call(self._op, sample, params)
            except Exception:  # noqa: BLE001 - a type that it does not take, as measured before
                continue
            tiled = self._tiled(
                tried, sample, params, (length // 3 + 1, length // 2 - 1)[number % 2]
            )
            if differing(tiled, whole, exact=exact).any():
                return None
            worst = max(worst, difference(tiled, whole))
        return worst

    def _tiled(
        self, tried: UserFunction, sample: Sample, params: Mapping[str, Any], tile: int
    ) -> np.ndarray:
        given = {**params, **sample.images}
        return compute(build(tried, sample.image, given, Session(1), tiles=tile))


def _longer(halo: Halo, extra: int, most: Halo | None) -> Halo:
    """Return a halo with pixels more on every side, up to one that is known to do."""
    if most is None:
        return tuple((before + extra, after + extra) for before, after in halo)
    return tuple(
        (max(before, min(before + extra, b)), max(after, min(after + extra, a)))
        for (before, after), (b, a) in zip(halo, most, strict=True)
    )
