"""The spec of a map from a result to its image: a matrix in a form, in Python also a function.

It stands alone so that forms know it without importing what warps images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import InvalidParameterType
from napari_tilewise.operations.spec.parameters import FunctionSpec

if TYPE_CHECKING:
    from napari_tilewise.operations.spec.value_specs import Factors
    from napari_tilewise.types import Value


@dataclass(frozen=True, kw_only=True)
class InverseMap(FunctionSpec):
    """A map from the result to the image: a transformation, matrix, function or coordinates."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, list | tuple):
            value = np.asarray(value)  # a recipe stores a matrix as lists
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "buif":
                raise InvalidParameterType(f"{name} has dtype {value.dtype}: expected numbers.")
            return value
        return super()._check(name, value, ndim)

    def scaled(self, value: Value, factors: Factors) -> Value:
        """Return a matrix between larger pixels; any other map as it is."""
        return matrix_between(value, factors) if np.shape(value) == (3, 3) else value

    def describe(self) -> str:
        """Return the expected values in words."""
        return (
            "a transformation of skimage.transform, a 3 x 3 matrix, a function of (column, row) "
            "coordinates, or an array of coordinates"
        )


def matrix_between(matrix: Value, factors: Factors) -> np.ndarray:
    """Return a homogeneous matrix as it maps larger pixels, all as long as they are wide.

    Parameters
    ----------
    matrix
        Maps coordinates of pixels.
    factors
        Lengths of the larger pixels, in pixels.
    """
    scaled = np.array(matrix, float)
    scaled[:-1, -1] /= factors[0]
    scaled[-1, :-1] *= factors[0]
    return scaled
