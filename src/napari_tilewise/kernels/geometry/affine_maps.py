"""Images through an affine map with a full matrix: the nearest pixels, or linear between pixels.

A coordinate is the sum that SciPy computes for each pixel, in its order: the offset, then the
products with the matrix from the first axis to the last. A tile has the bits of the whole image,
since its pixels' coordinates are those in the whole image, and folded by the whole image's lengths.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_tilewise.kernels.arrays import GREY, contiguous, integers, type_code
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import available, call, rounds_alike
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODES = {"nearest": 0, "reflect": 2, "grid-mirror": 2, "mirror": 3, "constant": 4}
_FARTHEST = 2**30
"""Coordinates are below it: the library rounds them to integers of 32 bits."""
_MOST_PIXELS = 2**31 - 1


class AffineMap(NamedTuple):
    """Where each pixel of a result lies in an image: ``matrix @ index + offset``."""

    matrix: np.ndarray
    """float64, shape (axes, axes)."""
    offset: np.ndarray
    """float64, shape (axes,)."""

    @classmethod
    def of(cls, matrix: Any, offset: Any, ndim: int) -> AffineMap | None:
        """Return the map of SciPy's arguments; None where the matrix is a diagonal, or wrong.

        Parameters
        ----------
        matrix, offset
            As `scipy.ndimage.affine_transform` takes them.
        ndim
            The image's number of axes.
        """
        matrix = np.asarray(matrix)
        if matrix.dtype.kind not in "biuf" or matrix.ndim != 2:
            return None
        matrix = matrix.astype(np.float64)
        if matrix.shape == (ndim + 1, ndim + 1) and list(matrix[-1]) != [0] * ndim + [1]:
            return None
        if matrix.shape in ((ndim, ndim + 1), (ndim + 1, ndim + 1)):
            return cls(matrix[:ndim, :ndim], matrix[:ndim, ndim])
        offset = np.asarray(offset)
        if matrix.shape != (ndim, ndim) or offset.dtype.kind not in "biuf":
            return None
        if offset.shape not in ((), (ndim,)):
            return None
        return cls(matrix, np.broadcast_to(offset.astype(np.float64), (ndim,)))

    def is_near(self, first: Sequence[int], shape: Sequence[int]) -> bool:
        """Return whether no pixel lies too far away: the farthest are corners of the result.

        Parameters
        ----------
        first, shape
            Of the part of the result.
        """
        spans = ((begin, begin + n - 1) for begin, n in zip(first, shape, strict=True))
        corners = np.array(list(product(*spans)), np.float64).T
        with np.errstate(all="ignore"):
            farthest = np.abs(self.matrix) @ np.abs(corners) + np.abs(self.offset)[:, None]
            return bool((farthest < _FARTHEST).all())


class MappedTile(NamedTuple):
    """A part of the result of a map, and the part of the image that it is made of."""

    image_shape: tuple[int, ...]
    """Of the whole image."""
    start: tuple[int, ...]
    """First pixel of the image's part."""
    first: tuple[int, ...]
    """First pixel of the result's part."""
    shape: tuple[int, ...]
    """Of the result's part."""


class Interpolation(NamedTuple):
    """How pixels are sampled."""

    order: int
    mode: str
    cval: float


def maps_affinely(
    pixels: np.ndarray, affine: AffineMap, part: MappedTile, sampling: Interpolation
) -> bool:
    """Return whether `affine_samples` has SciPy's bits.

    Parameters
    ----------
    pixels, affine, part, sampling
        As there.
    """
    return (
        available()
        and pixels.ndim in (2, 3)
        and pixels.dtype in GREY
        and 0 < pixels.size <= _MOST_PIXELS
        and prod(part.shape) > 0
        and len(part.shape) == pixels.ndim
        and sampling.order in (0, 1)
        and sampling.mode in _MODES
        and bool(np.isrealobj(sampling.cval))
        and max(part.image_shape) < _FARTHEST
        and affine.is_near(part.first, part.shape)
        and rounds_alike()
    )


def affine_samples(
    pixels: np.ndarray, affine: AffineMap, part: MappedTile, sampling: Interpolation
) -> np.ndarray:
    """Return a part of the result of an affine map, of the image's data type.

    Parameters
    ----------
    pixels
        The image, or the part of it that has every pixel that the result is made of.
    affine
        The map.
    part
        Where the pixels and the result lie.
    sampling
        Of order 0 or 1.
    """
    pixels = contiguous(pixels)
    target = np.empty(part.shape, pixels.dtype)
    sizes = integers([*part.image_shape, *part.start, *pixels.shape, *part.first, *part.shape])
    factors = np.ascontiguousarray(np.column_stack([affine.matrix, affine.offset]))
    numbers = (sizes, factors, int(sampling.order), _MODES[sampling.mode], float(sampling.cval))

    def sample(begin: int, end: int) -> None:
        call("affine", pixels, type_code(pixels.dtype), pixels.ndim, *numbers, target, begin, end)

    in_bands(sample, prod(part.shape[:-1]), target.size)
    return target


# -- SciPy's ---------------------------------------------------------------------------------------


def is_own_type(output: Any, dtype: np.dtype) -> bool:
    """Return whether a result's data type is left to SciPy, or the image's by any of its names.

    Parameters
    ----------
    output
        SciPy's argument.
    dtype
        The image's data type.
    """
    if isinstance(output, np.dtype):
        return output == dtype
    return (
        output is None or output is dtype.type or (isinstance(output, str) and output == dtype.name)
    )


def _whole(image: np.ndarray, output_shape: Any) -> MappedTile | None:
    """Return the whole result as a part of it; None where its shape is not one of the image's."""
    shape = np.asarray(image.shape if output_shape is None else output_shape)
    if shape.shape != (image.ndim,) or shape.dtype.kind not in "iu":
        return None
    origin = (0,) * image.ndim
    return MappedTile(image.shape, origin, origin, tuple(shape.tolist()))


def _exact(
    input: np.ndarray,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> bool:
    affine, part = AffineMap.of(matrix, offset, input.ndim), _whole(input, output_shape)
    return (
        affine is not None
        and part is not None
        and is_own_type(output, input.dtype)
        and maps_affinely(input, affine, part, Interpolation(order, mode, cval))
    )


def affine_transform(
    input: np.ndarray,
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> np.ndarray:
    """Map affinely, as `scipy.ndimage.affine_transform` does.

    Parameters
    ----------
    input, matrix, offset, output_shape, output, order, mode, cval, prefilter
        As there.
    """
    affine, part = AffineMap.of(matrix, offset, input.ndim), _whole(input, output_shape)
    if affine is None or part is None:
        raise ValueError("affine_transform: ask Kernel.accepts before calling its kernel.")
    return affine_samples(input, affine, part, Interpolation(order, mode, cval))


AFFINE_TRANSFORM = Kernel("scipy.ndimage.affine_transform", _exact, affine_transform)
