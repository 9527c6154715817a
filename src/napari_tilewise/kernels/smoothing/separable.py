"""Correlations along one axis after the other: Gaussians and what is made of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from skimage.util import img_as_float

from napari_tilewise.kernels.arrays import (
    GREY,
    MODES,
    contiguous,
    delivered,
    integers,
    result_array,
    type_code,
)
from napari_tilewise.kernels.kernel import Kernel
from napari_tilewise.kernels.library import call, rounds_alike
from napari_tilewise.kernels.threads import in_bands, several

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPSILON = np.finfo(np.float64).eps
_LONGEST = 4096
"""Largest radius; beyond it a ring of rows leaves every cache."""
_SEVERAL = 2**17
"""Pixels that are worth more than one thread."""
_WIDE = 4096
"""Longest rows that wrap around and are correlated with the columns in one sweep."""
_PIECE = 2**15
"""Pixels that stay in the cache."""


def symmetry(weights: np.ndarray) -> int:
    """Return how SciPy adds the taps: 1 in sums of pairs, -1 in differences, 0 one by one.

    Parameters
    ----------
    weights
        Shape (n,).
    """
    if len(weights) % 2 == 0:
        return 0
    low, high = weights[: len(weights) // 2][::-1], weights[len(weights) // 2 + 1 :]
    if np.all(np.abs(high - low) <= _EPSILON):
        return 1
    return -1 if np.all(np.abs(high + low) <= _EPSILON) else 0


@lru_cache(maxsize=64)
def gaussian_weights(sigma: float, order: int, truncate: float) -> np.ndarray:
    """Return the weights of `scipy.ndimage.gaussian_filter1d`, in the order of correlation.

    They are read off the function's answer to a single bright pixel: each is a product with 1
    added to zeros, so it is the weight itself.

    Parameters
    ----------
    sigma
        Standard deviation in pixels, above 0.
    order
        Of the derivative.
    truncate
        Radius in standard deviations.

    Returns
    -------
    numpy.ndarray
        The same at every call, read-only.
    """
    radius = int(float(truncate) * float(sigma) + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1.0
    answer: np.ndarray = gaussian_filter1d(
        impulse, sigma, order=order, truncate=truncate, mode="constant"
    )
    weights = answer[::-1].copy()
    weights.flags.writeable = False
    return weights


class BorderMode(NamedTuple):
    """What lies beyond an image."""

    mode: str
    """The mode in ndimage's spelling."""
    cval: float = 0.0
    """The value, for ``mode="constant"``."""


def correlate_axes(
    image: np.ndarray,
    weights: Sequence[np.ndarray | None],
    dtype: Any,
    border: BorderMode,
    scale: float = 1.0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Correlate along each axis in turn, rounding to the result's data type in between.

    Parameters
    ----------
    image
        The image; integers only for a result in float64.
    weights
        Per axis an odd number of weights, or None for an axis that is left alone.
    dtype
        Of the result: float32 or float64.
    border
        What lies beyond the image.
    scale
        Each pixel of an integer image is multiplied by this first.
    out
        Where to write the result.
    """
    image = contiguous(image)
    target = result_array(image.shape, dtype, out)
    if np.may_share_memory(image, target):
        target = np.empty(image.shape, dtype)
    lines = _Lines(weights, border)
    axes = [axis for axis, present in enumerate(weights) if present is not None]
    if not axes or image.size < _SEVERAL or several() < 2 or image.ndim < 2:
        lines.run(image, target, scale)
    elif axes[0] > 0:
        _by_planes(lines, image, target, scale)
    elif axes == [0, 1] == list(range(image.ndim)) and not lines.is_wide(image):
        _by_parts(lines, image, target, scale, len(image))
    else:
        _by_parts(lines.along(axes[:1]), image, target, scale, image[0].size)
        if axes[1:]:
            _by_planes(lines.along(axes[1:]), target, target, 1.0)
    return delivered(target, out)


class _Lines(NamedTuple):
    """What is correlated along the axes."""

    weights: Sequence[np.ndarray | None]
    border: BorderMode

    def along(self, axes: Sequence[int]) -> _Lines:
        """Return the same along some of the axes only."""
        chosen = [w if axis in axes else None for axis, w in enumerate(self.weights)]
        return self._replace(weights=chosen)

    def is_wide(self, image: np.ndarray) -> bool:
        """Return whether rows wrap around that the library does not go through in one sweep."""
        return MODES[self.border.mode] == MODES["wrap"] and image.shape[-1] > _WIDE

    def run(
        self,
        image: np.ndarray,
        target: np.ndarray,
        scale: float,
        begin: int = 0,
        end: int = -1,
    ) -> None:
        """Correlate an image, or a part of what its only step goes through."""
        present = [w for w in self.weights if w is not None]
        call(
            "correlate",
            image,
            type_code(image.dtype),
            target,
            type_code(target.dtype),
            image.ndim,
            integers(image.shape),
            float(scale),
            integers([-1 if w is None else len(w) // 2 for w in self.weights]),
            integers([0 if w is None else symmetry(w) for w in self.weights]),
            np.concatenate([*present, np.zeros(1)]),
            MODES[self.border.mode],
            float(self.border.cval),
            begin,
            end,
        )


def _by_parts(
    lines: _Lines, image: np.ndarray, target: np.ndarray, scale: float, length: int
) -> None:
    """Let threads share the rows of an image, or what lies side by side along the first axis."""
    in_bands(lambda begin, end: lines.run(image, target, scale, begin, end), length, image.size)


def _by_planes(lines: _Lines, image: np.ndarray, target: np.ndarray, scale: float) -> None:
    """Let threads share the planes of an image, none of which another needs."""
    step = max(1, _PIECE // image[0].size)

    def run(begin: int, end: int) -> None:
        if image is not target:
            lines.run(image[begin:end], target[begin:end], scale)
            return
        for first in range(begin, end, step):  # a copy that stays in the cache
            part = target[first : min(first + step, end)]
            lines.run(part.copy(), part, scale)

    in_bands(run, len(image), image.size)


def float_dtype(dtype: np.dtype) -> np.dtype:
    """Return the data type that scikit-image computes an image of this data type in.

    Parameters
    ----------
    dtype
        Of the image.
    """
    return np.dtype(np.float32 if dtype == np.float32 else np.float64)


def float_scale(dtype: np.dtype) -> float:
    """Return the factor of `skimage.util.img_as_float` for unsigned integers, 1 for floats.

    Parameters
    ----------
    dtype
        Of the image.
    """
    if dtype.kind != "u":
        return 1.0
    return 1.0 / int(np.iinfo(dtype).max)


def as_floats(
    image: np.ndarray, preserve_range: bool = False, unchanged: Sequence[np.dtype] = GREY
) -> np.ndarray:
    """Return the image, in double precision unless its data type stays.

    Parameters
    ----------
    image
        Of one of the types of `GREY`, of booleans or other integers.
    preserve_range
        Whether numbers stay what they are; else as `skimage.util.img_as_float` scales them.
    unchanged
        The data types that stay: by default those that the library knows.
    """
    if image.dtype in unchanged:
        return image
    result = np.empty(image.shape)

    def convert(begin: int, end: int) -> None:
        part = image[begin:end]
        result[begin:end] = part if preserve_range else img_as_float(part)

    in_bands(convert, len(image), image.size)
    return result


def is_number(dtype: np.dtype) -> bool:
    """Return whether `as_floats` takes images of a data type.

    Parameters
    ----------
    dtype
        Of the image.
    """
    return dtype in GREY or dtype.kind in "bui"


def _per_axis(sigma: Any, ndim: int, channel_axis: int | None) -> list[float] | None:
    """Return sigma per axis, or None where the function itself has to judge it."""
    sigmas = np.atleast_1d(np.asarray(sigma, dtype=float)).tolist()
    if np.ndim(sigma) > 1 or not np.all(np.isfinite(sigmas)) or min(sigmas, default=-1) < 0:
        return None
    if channel_axis is not None:
        if np.ndim(sigma) == 0:
            sigmas = sigmas * (ndim - 1)
        if len(sigmas) == ndim - 1:
            sigmas.insert(channel_axis % ndim, 0.0)
    elif np.ndim(sigma) == 0:
        sigmas = sigmas * ndim
    return sigmas if len(sigmas) == ndim else None


def _exact_for_gaussian(
    image: np.ndarray,
    sigma: Any = 1.0,
    *,
    mode: str = "nearest",
    cval: float = 0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    channel_axis: int | None = None,
    out: np.ndarray | None = None,
) -> bool:
    if not is_number(image.dtype) or not image.size or not 1 <= image.ndim <= 5:
        return False
    if mode not in MODES or not np.isreal(cval) or not rounds_alike():
        return False
    if out is not None and (out.shape != image.shape or out.dtype != float_dtype(image.dtype)):
        return False
    sigmas = _per_axis(sigma, image.ndim, channel_axis)
    return sigmas is not None and 0 <= truncate * max(sigmas) < _LONGEST


def gaussian(
    image: np.ndarray,
    sigma: Any = 1.0,
    *,
    mode: str = "nearest",
    cval: float = 0,
    preserve_range: bool = False,
    truncate: float = 4.0,
    channel_axis: int | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Smooth with a Gaussian, as `skimage.filters.gaussian` does.

    Parameters
    ----------
    image, sigma, mode, cval, preserve_range, truncate, channel_axis, out
        As there.
    """
    sigmas = _per_axis(sigma, image.ndim, channel_axis)
    if sigmas is None:
        raise ValueError(f"sigma={sigma!r} does not suit an image of shape {image.shape}.")
    weights = [gaussian_weights(s, 0, truncate) if s > 1e-15 else None for s in sigmas]
    image = as_floats(image, preserve_range)
    return correlate_axes(
        image,
        weights,
        float_dtype(image.dtype),
        BorderMode(mode, cval),
        scale=1.0 if preserve_range else float_scale(image.dtype),
        out=out,
    )


GAUSSIAN = Kernel("skimage.filters.gaussian", _exact_for_gaussian, gaussian)
