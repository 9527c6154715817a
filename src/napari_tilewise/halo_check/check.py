"""The check itself: measure a halo, compare it with the declared one, try both with the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidFunction, TilewiseError, UnknownOperation, did_you_mean
from napari_tilewise.functions import UserFunction, load_file
from napari_tilewise.halo_check.instance_trial import instance_finding
from napari_tilewise.halo_check.measure_halo import ImagesRefused, NotDeterministic
from napari_tilewise.halo_check.trial import DependsOnWholeImage, FunctionTrial, HaloCase
from napari_tilewise.halo_check.verdict import (
    HaloFinding,
    Verdict,
    format_halo,
    format_parameters,
)
from napari_tilewise.operations import OPERATIONS, get_operation
from napari_tilewise.operations.spec.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from napari_tilewise.types import AnyFunction, Parameters, PathLike

    CheckTarget: TypeAlias = PathLike | AnyFunction | UserFunction


def check(
    target: CheckTarget,
    *,
    operation: str | None = None,
    parameters: Parameters | None = None,
    seed: int = 0,
) -> tuple[HaloFinding, ...]:
    """Measure the halos that users' functions need, and compare them with those declared.

    Parameters
    ----------
    target
        A Python file, whose operations are all checked; an operation, its key or its function.
    operation
        Name of the only operation of the file to check.
    parameters
        Fixed values of parameters; the others take their defaults, both ends of their usual ranges,
        and values in between.
    seed
        Seed of the random images and parameters.

    Raises
    ------
    SourceNotFound, InvalidFunction, UnknownOperation
        If there is nothing to check.
    UnknownParameter, InvalidParameter
        If `parameters` do not match the function's.
    """
    return tuple(findings(target, operation=operation, parameters=parameters, seed=seed))


def findings(
    target: CheckTarget,
    *,
    operation: str | None = None,
    parameters: Parameters | None = None,
    seed: int = 0,
) -> Iterator[HaloFinding]:
    """Yield the findings of `check` one by one, as soon as each is known.

    Parameters
    ----------
    target, operation, parameters, seed
        As for `check`.
    """
    for op in _named(_operations(target), operation):
        if op.finds_instances:
            yield instance_finding(op, dict(parameters or {}), seed)
        else:
            yield _Assessment(op, FunctionTrial(op, dict(parameters or {}), seed)).finding()


def _operations(target: CheckTarget) -> Sequence[UserFunction]:
    if isinstance(target, os.PathLike) or (isinstance(target, str) and target.endswith(".py")):
        return [op for op in load_file(target) if isinstance(op, UserFunction)]
    key = get_operation(target).name if isinstance(target, str) else None
    for op in OPERATIONS.users():
        if isinstance(op, UserFunction) and (op.name == key or target in (op, op.raw_function)):
            return [op]
    raise InvalidFunction(
        f"{target!r} is not a user's function: expected a Python file, or a function below "
        "@napari_tilewise.operation(...). scikit-image's are checked by this package's own tests."
    )


def _named(operations: Sequence[UserFunction], name: str | None) -> Sequence[UserFunction]:
    chosen = [op for op in operations if name in (None, op.name, op.name.rpartition(".")[2])]
    if not chosen:
        keys = [op.name for op in operations]
        raise UnknownOperation(
            f"The file declares no operation {name!r}: it has {', '.join(keys)}."
            f"{did_you_mean(str(name), keys)}"
        )
    return chosen


class _Assessment:
    """The cases of one operation, summed up as a verdict."""

    def __init__(self, operation: UserFunction, trial: FunctionTrial) -> None:
        self._op = operation
        self._trial = trial

    def finding(self) -> HaloFinding:
        """Return the finding for the operation."""
        try:
            return self._verdict(list(self._trial.cases()))
        except DependsOnWholeImage as evidence:
            return self._global(evidence)
        except NotDeterministic:
            text = "not deterministic: two calls with the same image give different results"
            return HaloFinding(self._op.name, Verdict.RANDOM, text)
        except (ImagesRefused, TilewiseError, TypeError, RuntimeError, ValueError) as error:
            return HaloFinding(self._op.name, Verdict.FAILS, f"fails: {error}")

    def _verdict(self, cases: list[HaloCase]) -> HaloFinding:
        first, worst = cases[0], max(cases, key=lambda case: case.lacking)
        difference = max(case.difference for case in cases)
        needed, params = format_halo(first.needed), format_parameters(first.params)
        if worst.lacking > 0:
            text = (
                f"too small: needs {format_halo(worst.needed)}, declares "
                f"{format_halo(worst.declared)}{format_parameters(worst.params)}"
            )
            return self._finding(Verdict.TOO_SMALL, text, worst, difference)
        if difference > self._op.accuracy.tolerance:
            text = (
                f"close: needs {needed}; rounding differs by up to {difference:.1g} of the largest "
                f"magnitude, and the declared tolerance is {self._op.accuracy.tolerance:g}; "
                f"declare tolerance={_round_up(difference):g}"
            )
            return self._finding(Verdict.CLOSE, text, first, difference)
        if all(case.is_larger for case in cases):
            declared = format_halo(first.declared)
            text = f"larger than needed: {declared}, {needed} is enough{params}"
            return self._finding(Verdict.LARGER, text, first, difference)
        defaults = " with the defaults" if self._op.parameters else ""
        text = f"right: {needed}{params or defaults}"
        return self._finding(Verdict.RIGHT, text, first, difference)

    def _finding(
        self, verdict: Verdict, text: str, case: HaloCase, difference: float
    ) -> HaloFinding:
        text = f"{text} ({self._trial.images} images)"
        return HaloFinding(
            self._op.name, verdict, text, case.needed, case.declared, case.params, difference
        )

    def _global(self, evidence: DependsOnWholeImage) -> HaloFinding:
        if self._op.kind is Kind.WHOLE:
            text = "right: it depends on the whole image, as declared"
            return HaloFinding(self._op.name, Verdict.RIGHT, text, params=evidence.params)
        text = (
            "depends on the whole image, or on the position of a pixel in it"
            f"{format_parameters(evidence.params)}: no halo up to {evidence.longest} makes tiles "
            "equal; declare halo=None"
        )
        declared = self._trial.declared(evidence.params)
        return HaloFinding(
            self._op.name, Verdict.GLOBAL, text, declared=declared, params=evidence.params
        )


def _round_up(number: float) -> float:
    """Return the next power of ten above four times a number."""
    return float(10.0 ** np.ceil(np.log10(4 * number)))
