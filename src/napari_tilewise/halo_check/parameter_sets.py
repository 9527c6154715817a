"""Sets of parameters for a function: the defaults, both ends of the usual ranges, random ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameter
from napari_tilewise.functions.annotations import FixedNumbers
from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChannelAxis,
    ChoiceSpec,
    Either,
    Flag,
    Footprint,
    Number,
    Numbers,
    Range,
    Seed,
    Spec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.types import Parameters, Value

FEWEST, MOST = 6, 12
"""Minimum and maximum number of sets in addition to the defaults, if there are parameters."""


def parameter_sets(
    operation: Operation, ndim: int, fixed: Parameters, rng: np.random.Generator
) -> list[dict[str, Value]]:
    """Return sets of parameters: the defaults, both ends of the usual ranges, random ones.

    Parameters
    ----------
    operation
        The operation, whose specs declare the ranges.
    ndim
        The number of spatial axes, for parameters with a value per axis.
    fixed
        Values that are the same in every set, by parameter.
    rng
        Generator of the random values.

    Raises
    ------
    InvalidParameter
        If a parameter has no default and its values cannot be drawn.
    """
    free = {
        name: parameter
        for name, parameter in operation.parameters.items()
        if name not in fixed and not isinstance(parameter.spec, AlignedImage | ChannelAxis)
    }
    first = dict(fixed)
    for name, parameter in free.items():
        if parameter.required:
            first[name] = _draw(f"{operation.name}: {name}", parameter.spec, 0.5, 0, ndim, rng)
    sets = [first]
    choices = max((len(getattr(p.spec, "choices", ())) for p in free.values()), default=0)
    for number in range(min(MOST, max(FEWEST, choices)) if free else 0):
        fraction = (0.0, 1.0)[number] if number < 2 else None
        drawn = dict(fixed)
        for name, parameter in free.items():
            if parameter.required or _is_drawn(parameter.spec):
                drawn[name] = _draw(name, parameter.spec, fraction, number, ndim, rng)
        sets.append(drawn)
    return sets


def _is_drawn(spec: Spec) -> bool:
    return not isinstance(spec, Seed) and type(spec) is not Either


def _draw(
    name: str, spec: Spec, fraction: float | None, number: int, ndim: int, rng: np.random.Generator
) -> Value:
    """Return a value of a spec: at a fraction of its range, or a random one."""
    if isinstance(spec, Number):
        several = spec.per_axis and number % 3 == 2
        values = tuple(_number(spec, fraction, rng) for _ in range(ndim if several else 1))
        return values if several else values[0]
    if isinstance(spec, Numbers):
        count = spec.least + (0 if isinstance(spec, FixedNumbers) else number % 2)
        return tuple(_number(spec.item, fraction, rng) for _ in range(count))
    if isinstance(spec, Flag):
        return bool(number % 2)
    if isinstance(spec, ChoiceSpec):
        return spec.choices[number % len(spec.choices)]
    if isinstance(spec, Range):
        return spec.names[number % len(spec.names)] if spec.names else (0.2, 0.8)
    if isinstance(spec, Footprint):
        return np.ones((3,) * ndim, np.uint8)
    if isinstance(spec, Array):
        return _array(spec, ndim, rng)
    if isinstance(spec, Seed):
        return 0
    if isinstance(spec, Either):
        return _draw(name, spec.options[number % len(spec.options)], fraction, number, ndim, rng)
    if spec.optional:
        return None
    raise InvalidParameter(
        f"{name} has no default and cannot be drawn at random: expected {spec.describe()}. "
        f"Give it a value: -p {name.rpartition(' ')[2]}=VALUE."
    )


def _number(spec: Number, fraction: float | None, rng: np.random.Generator) -> Value:
    low, high = max(spec.minimum, spec.usual[0]), min(spec.maximum, spec.usual[1])
    if low > high:  # the usual range is outside the limits
        low, high = _limits(spec)
    if spec.exclusive and low == spec.minimum:
        low = low + 1 if spec.integer else low + (high - low) / 40
    value = low + (high - low) * (rng.random() if fraction is None else fraction)
    if not spec.integer:
        return float(value)
    whole = min(math.ceil(value), math.floor(high)) if fraction is not None else math.ceil(value)
    return whole + (spec.odd and whole % 2 == 0)


def _limits(spec: Number) -> tuple[float, float]:
    if math.isinf(spec.minimum):
        return spec.maximum - 1, spec.maximum
    return spec.minimum, min(spec.maximum, spec.minimum + 1)


def _array(spec: Array, ndim: int, rng: np.random.Generator) -> np.ndarray:
    axes: Sequence[int] = spec.shape or (3,) * (ndim if spec.ndim is None else spec.ndim)
    if spec.integer:
        return rng.integers(int(spec.usual[0]), int(spec.usual[1]) + 1, size=tuple(axes))
    return rng.uniform(*spec.usual, size=tuple(axes))
