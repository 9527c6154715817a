"""The check itself: measure, compare with what is declared, and try both with the real engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidFunction, TilewiseError, UnknownOperation, did_you_mean
from napari_tilewise.functions import UserFunction, load_file
from napari_tilewise.halo_check.measure_halo import Random, Refused
from napari_tilewise.halo_check.trial import Case, Global, Trial
from napari_tilewise.halo_check.verdict import HaloFinding, Verdict, given, pixels
from napari_tilewise.operations import OPERATIONS, get_operation
from napari_tilewise.operations.spec.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


def check(
    target: str | os.PathLike[str] | Callable[..., Any] | UserFunction,
    *,
    operation: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> tuple[HaloFinding, ...]:
    """Measure the halos that users' functions need, and compare them with those declared.

    Parameters
    ----------
    target
        A Python file, whose operations are all checked; an operation, its key or its function.
    operation
        Only the one of this name in the file.
    parameters
        Parameters that keep these values; the others take their defaults, both ends of their usual
        ranges, and values between.
    seed
        Decides the images and parameters; the same every time unless changed.

    Raises
    ------
    SourceNotFound, InvalidFunction, UnknownOperation
        When there is nothing to check.
    UnknownParameter, InvalidParameter
        When `parameters` do not fit.
    """
    return tuple(findings(target, operation=operation, parameters=parameters, seed=seed))


def findings(
    target: str | os.PathLike[str] | Callable[..., Any] | UserFunction,
    *,
    operation: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Iterator[HaloFinding]:
    """Yield what `check` returns, one by one as they come.

    Parameters
    ----------
    target, operation, parameters, seed
        As for `check`.
    """
    for op in _named(_operations(target), operation):
        yield _Judge(op, Trial(op, dict(parameters or {}), seed)).finding()


def _operations(target: Any) -> Sequence[UserFunction]:
    if isinstance(target, os.PathLike) or (isinstance(target, str) and target.endswith(".py")):
        return [op for op in load_file(target) if isinstance(op, UserFunction)]
    if isinstance(target, str):
        target = get_operation(target)
    for op in OPERATIONS.users():
        if isinstance(op, UserFunction) and target in (op, op.raw_function):
            return [op]
    raise InvalidFunction(
        f"{target!r} is no user's function: expected a Python file, or a function below "
        "@napari_tilewise.operation(...). scikit-image's are checked by this package's own tests."
    )


def _named(found: Sequence[UserFunction], name: str | None) -> Sequence[UserFunction]:
    chosen = [op for op in found if name in (None, op.name, op.name.rpartition(".")[2])]
    if not chosen:
        hint = did_you_mean(str(name), [op.name for op in found])
        raise UnknownOperation(
            f"The file declares no operation {name!r}: it has {', '.join(op.name for op in found)}."
            f"{hint}"
        )
    return chosen


class _Judge:
    """What is said of one operation."""

    def __init__(self, operation: UserFunction, trial: Trial) -> None:
        self._op = operation
        self._trial = trial

    def finding(self) -> HaloFinding:
        """Return what is found."""
        try:
            return self._verdict(list(self._trial.cases()))
        except Global as found:
            return self._global(found)
        except Random:
            text = "not deterministic: two calls with the same image give two results"
            return HaloFinding(self._op.name, Verdict.RANDOM, text)
        except (Refused, TilewiseError, TypeError, RuntimeError, ValueError) as error:
            return HaloFinding(self._op.name, Verdict.FAILS, f"fails: {error}")

    def _verdict(self, cases: list[Case]) -> HaloFinding:
        worst = max(cases, key=lambda case: case.lacking)
        apart = max(case.difference for case in cases)
        if worst.lacking > 0:
            assert worst.declared is not None
            text = (
                f"too small: needs {pixels(worst.needed)}, declares {pixels(worst.declared)}"
                f"{given(worst.params)}"
            )
            return self._finding(Verdict.TOO_SMALL, text, worst, apart)
        if apart > self._op.tolerance:
            text = (
                f"close: needs {pixels(cases[0].needed)}; rounding differs by up to {apart:.1g} of "
                f"the largest magnitude, and {self._op.tolerance or 'none'} is declared; say "
                f"tolerance={_above(apart):g}"
            )
            return self._finding(Verdict.CLOSE, text, cases[0], apart)
        first = cases[0]
        if all(case.is_larger for case in cases):
            whole = "the whole image" if first.declared is None else pixels(first.declared)
            text = (
                f"larger than needed: {whole}, {pixels(first.needed)} would do{given(first.params)}"
            )
            return self._finding(Verdict.LARGER, text, first, apart)
        text = f"right: {pixels(first.needed)}{given(first.params) or self._with_defaults()}"
        return self._finding(Verdict.RIGHT, text, first, apart)

    def _with_defaults(self) -> str:
        return " with the defaults" if self._op.parameters else ""

    def _finding(self, verdict: Verdict, text: str, case: Case, apart: float) -> HaloFinding:
        text = f"{text} ({self._trial.images} images)"
        return HaloFinding(
            self._op.name, verdict, text, case.needed, case.declared, case.params, apart
        )

    def _global(self, found: Global) -> HaloFinding:
        if self._op.kind is Kind.WHOLE:
            text = "right: it depends on the whole image, and says so"
            return HaloFinding(self._op.name, Verdict.RIGHT, text, params=found.params)
        text = (
            f"depends on the whole image, or on where a pixel lies in it{given(found.params)}: no "
            f"halo up to {found.tried} makes tiles equal; declare halo=None"
        )
        declared = self._trial.declared(found.params)
        return HaloFinding(
            self._op.name, Verdict.GLOBAL, text, declared=declared, params=found.params
        )


def _above(number: float) -> float:
    """Return the next power of ten above four times a number."""
    return float(10.0 ** np.ceil(np.log10(4 * number)))
