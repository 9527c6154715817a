"""Points that keep a distance, and samples between the pixels of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, delivered, result_array, type_code
from napari_tilewise.kernels.library import available, call, rounds_alike
from napari_tilewise.kernels.threads import in_bands

if TYPE_CHECKING:
    from collections.abc import Sequence

_NORMS = {np.inf: 0, 1: 1, 2: 2}
_FLOATS = (np.dtype("f4"), np.dtype("f8"))
_FARTHEST = 2**19
"""Coordinates below this many spacings are told apart."""


def keeps_distance(coordinates: np.ndarray, spacing: float, p_norm: float) -> bool:
    """Return whether `spaced` chooses the points that scikit-image chooses.

    Parameters
    ----------
    coordinates, spacing, p_norm
        As there.
    """
    return (
        available()
        and coordinates.dtype == np.int64
        and coordinates.ndim == 2
        and 1 <= coordinates.shape[1] <= 3
        and p_norm in _NORMS
        and spacing == int(spacing)
        and 1 <= spacing < 2**20
        and bool(coordinates.size)
        and int(coordinates.min()) >= 0
        and int(coordinates.max()) < _FARTHEST * spacing
    )


def spaced(
    coordinates: np.ndarray, spacing: float, p_norm: float, most: int | None = None
) -> np.ndarray:
    """Return the first points, each at least `spacing` away from those before.

    Parameters
    ----------
    coordinates
        Whole numbers, shape (points, axes), the preferred ones first.
    spacing
        The smallest distance, a whole number.
    p_norm
        Order of the distance: 1, 2 or infinity.
    most
        How many points to return at most.
    """
    points = contiguous(coordinates)
    chosen, used = np.empty(len(points), np.int64), np.zeros(1, np.int64)
    limit = len(points) if most is None else most
    norm = _NORMS[p_norm]
    call("spaced", points, *points.shape, int(spacing), norm, limit, chosen, used)
    return points[chosen[: int(used[0])]]


def samples_between(image: np.ndarray, positions: Sequence[np.ndarray]) -> bool:
    """Return whether `linear_samples` has the bits of `scipy.ndimage.map_coordinates`.

    Parameters
    ----------
    image, positions
        As there.
    """
    return (
        available()
        and rounds_alike()
        and image.ndim in (2, 3)
        and image.dtype in _FLOATS
        and all(
            bool((axis >= 0).all() and (np.floor(axis) < n - 1).all())
            for axis, n in zip(positions, image.shape, strict=True)
        )
    )


def linear_samples(image: np.ndarray, positions: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write linear samples at the crossings of lines.

    Parameters
    ----------
    image
        float32 or float64, of two or three axes.
    positions
        Along each axis, in pixels; all between the first pixel and the last.
    out
        Where to write, of the image's data type.
    """
    image = contiguous(image)
    lines = [contiguous(np.asarray(part, np.float64)) for part in positions]
    shape = [len(line) for line in lines]
    target = result_array(shape, image.dtype, out)
    code = type_code(image.dtype)

    def sample(begin: int, end: int) -> None:
        axes: list[np.ndarray | int | None] = [None, 0] if image.ndim == 2 else []
        for line in (lines[0][begin:end], *lines[1:]):
            axes += [line, len(line)]
        call("sample", image, code, *image.shape[-2:], *axes, target[begin:end])

    in_bands(sample, len(target), target.size)
    delivered(target, out)
