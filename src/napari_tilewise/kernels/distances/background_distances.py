"""Euclidean distances to the background, and where it is nearest: SciPy's choice among ties."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tilewise.kernels.arrays import contiguous, integers
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call
from napari_tilewise.kernels.threads import in_bands

_LONGEST = 20000
"""Pixels along an axis: the library holds squares of distances as whole numbers."""


def _exact(
    input: np.ndarray,
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> bool:
    return (
        input.dtype.kind in "buif"
        and input.ndim in (2, 3)
        and input.size > 0
        and max(input.shape) < _LONGEST
        and (sampling is None or bool(np.all(np.equal(sampling, 1))))
        and (return_distances or return_indices)
        and distances is None
        and indices is None
        and not np.all(input)
    )


def distance_transform_edt(
    input: np.ndarray,
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> Any:
    """Measure the distances of an image's pixels to the nearest zero, as `scipy.ndimage` does.

    Parameters
    ----------
    input, sampling, return_distances, return_indices, distances, indices
        As in `scipy.ndimage.distance_transform_edt`.
    """
    is_site = contiguous(input == 0)
    shape = is_site.shape if is_site.ndim == 3 else (is_site.shape[0], 1, is_site.shape[1])
    sizes, planes = integers(shape), np.empty(shape, np.int32)
    call("nearest_planes", is_site, sizes, planes)
    to = np.empty(shape) if return_distances else None
    places = np.empty((3, *shape), np.int32) if return_indices else None

    def measure(begin: int, end: int) -> None:
        call("distances", planes, sizes, begin, end, to, places)

    in_bands(measure, shape[0], is_site.size)
    results: list[np.ndarray] = []
    if to is not None:
        results.append(to.reshape(input.shape))
    if places is not None:
        axes = places if input.ndim == 3 else places[::2]
        results.append(np.ascontiguousarray(axes).reshape(input.ndim, *input.shape))
    return tuple(results) if len(results) == 2 else results[0]


DISTANCE_TRANSFORM_EDT = Kernel(
    "scipy.ndimage.distance_transform_edt", _exact, distance_transform_edt
)
