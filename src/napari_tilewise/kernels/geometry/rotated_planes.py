"""Images turned in a plane of two axes: SciPy's rotation, by nearest pixels or linear between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from napari_tilewise.kernels.geometry.affine_maps import (
    AffineMap,
    Interpolation,
    MappedTile,
    affine_samples,
    is_own_type,
    maps_affinely,
)
from napari_tilewise.kernels.kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLANE = (-2, -1)


def _axes(axes: Any, ndim: int) -> tuple[int, ...] | None:
    """Return the two axes in order; None where they are not two of the image's."""
    numbers = np.asarray(axes)
    if numbers.shape != (2,) or numbers.dtype.kind not in "iu" or ndim < 2:
        return None
    inside = all(-ndim <= axis < ndim for axis in numbers.tolist())
    first, second = sorted(axis % ndim for axis in numbers.tolist())
    return (first, second) if inside and first != second else None


def _turned(shape: Sequence[int], angle: float, reshape: bool) -> tuple[AffineMap, MappedTile]:
    """Return the map of a plane and its result, as SciPy computes them."""
    cosine, sine = special.cosdg(angle), special.sindg(angle)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    before = np.array(shape)
    after = before
    if reshape:
        rows, columns = shape
        corners = matrix @ [[0, 0, rows, rows], [0, columns, 0, columns]]
        after = (np.ptp(corners, axis=1) + 0.5).astype(int)
    offset = (before - 1) / 2 - matrix @ ((after - 1) / 2)
    part = MappedTile(tuple(shape), (0, 0), (0, 0), tuple(after.tolist()))
    return AffineMap(matrix, offset), part


def _exact(
    input: np.ndarray,
    angle: float,
    axes: Any = (1, 0),
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> bool:
    plane = _axes(axes, input.ndim)
    is_angle = np.ndim(angle) == 0 and np.isrealobj(angle) and bool(np.isfinite(angle))
    if plane is None or not is_angle or not input.size or not is_own_type(output, input.dtype):
        return False
    pixels = np.moveaxis(input, plane, _PLANE)
    first = pixels[(0,) * (input.ndim - 2)]
    turned = _turned(first.shape, angle, reshape)
    return maps_affinely(first, *turned, Interpolation(order, mode, cval))


def rotate(
    input: np.ndarray,
    angle: float,
    axes: Any = (1, 0),
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> np.ndarray:
    """Rotate in a plane, as `scipy.ndimage.rotate` does.

    Parameters
    ----------
    input, angle, axes, reshape, output, order, mode, cval, prefilter
        As there.
    """
    plane = _axes(axes, input.ndim)
    if plane is None:
        raise ValueError("rotate: ask Kernel.accepts before calling its kernel.")
    pixels = np.moveaxis(input, plane, _PLANE)
    affine, part = _turned(pixels.shape[-2:], angle, reshape)
    sampling = Interpolation(order, mode, cval)
    if input.ndim == 2:
        return affine_samples(pixels, affine, part, sampling)
    shape = list(input.shape)
    for axis, length in zip(plane, part.shape, strict=True):
        shape[axis] = length
    result = np.empty(shape, input.dtype)
    planes = np.moveaxis(result, plane, _PLANE)
    for index in np.ndindex(pixels.shape[:-2]):
        planes[index] = affine_samples(pixels[index], affine, part, sampling)
    return result


ROTATE = Kernel("scipy.ndimage.rotate", _exact, rotate)
