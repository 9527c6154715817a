"""What a form starts with: a parameter's default, or a usual value if it has none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.operations.spec.parameters import (
    AlignedImage,
    Array,
    ChoiceSpec,
    Either,
    Flag,
    FunctionSpec,
    Names,
    Number,
    Numbers,
    Range,
    Seed,
    Spec,
    Text,
)
from napari_tilewise.operations.transform.inverse_map import InverseMap
from napari_tilewise.operations.transform.resize import Lengths

if TYPE_CHECKING:
    from napari_tilewise._napari.layers.intensities import IntensityRange
    from napari_tilewise.operations.spec.parameters import Parameter
    from napari_tilewise.types import Value


def takes_layer(spec: Spec) -> bool:
    """Return whether a form takes the parameter's value from a layer."""
    return isinstance(spec, AlignedImage) or (
        isinstance(spec, Array) and spec.shape is None and spec.ndim != 1 and not spec.matrix
    )


def initial_value(
    parameter: Parameter, ndim: int = 2, intensities: IntensityRange | None = None
) -> Value:
    """Return the value that a form starts with.

    Parameters
    ----------
    parameter
        A parameter of an operation.
    ndim
        Number of spatial axes, for values with one number per axis.
    intensities
        Those of the image to process, if they are known.
    """
    names = usual_names(parameter)
    if names:
        return names
    if not parameter.required:
        return parameter.default
    start = start_value(parameter.spec, intensities)
    return usual_value(parameter.spec, ndim) if start is None else start


def start_value(spec: Spec, intensities: IntensityRange | None) -> float | None:
    """Return the number that an intensity, or a difference of them, starts with for an image.

    It is None for other values, and where the image's intensities are not known.

    Parameters
    ----------
    spec
        What the parameter takes.
    intensities
        Those of the image.
    """
    if intensities is None or not isinstance(spec, Number):
        return None
    if not (spec.intensity or spec.difference):
        return None
    low = 0.0 if spec.difference else intensities.low
    return intensities.rounded(low + spec.start * (intensities.high - intensities.low))


def usual_names(parameter: Parameter) -> tuple[str, ...]:
    """Return the names that a form starts with in the place of a default; none for most.

    Parameters
    ----------
    parameter
        A parameter of an operation.
    """
    return parameter.spec.usual if isinstance(parameter.spec, Names) else ()


def usual_value(spec: Spec, ndim: int = 2) -> Value:
    """Return a valid value to start from, for a parameter without a default.

    Parameters
    ----------
    spec
        What the parameter takes.
    ndim
        Number of spatial axes, for values with one number per axis.
    """
    if isinstance(spec, Number):
        return _usual_number(spec)
    if isinstance(spec, Lengths):
        return (_usual_number(spec.item),) * ndim
    if isinstance(spec, Numbers):
        return (_usual_number(spec.item),) * spec.least
    if isinstance(spec, ChoiceSpec):
        return spec.choices[0]
    if isinstance(spec, Names):
        return spec.names[:1]
    if isinstance(spec, Range):
        return spec.names[0] if spec.names else (0, 1)
    if isinstance(spec, Text):
        return ""
    if isinstance(spec, InverseMap):
        return np.eye(3, dtype=int)
    if isinstance(spec, FunctionSpec):
        return next(iter(spec.choices), None)
    if isinstance(spec, Seed):
        return 0
    if isinstance(spec, Array) and not takes_layer(spec):
        return np.eye(ndim, dtype=int) if spec.matrix else _usual_array(spec)
    if isinstance(spec, Either):
        return usual_value(spec.options[0])
    return False if isinstance(spec, Flag) else None


def _usual_number(spec: Number) -> float:
    low, high = spec.usual
    middle = min(max((low + high) / 2, spec.minimum), spec.maximum)
    if not spec.integer:
        return middle
    whole = math.ceil(middle)
    return whole + 1 if spec.odd and whole % 2 == 0 else whole


def _usual_array(spec: Array) -> np.ndarray:
    shape = spec.shape or (2,)
    if spec.integer:
        return np.zeros(shape, int)
    return np.eye(*shape) if len(shape) == 2 else np.zeros(shape)
