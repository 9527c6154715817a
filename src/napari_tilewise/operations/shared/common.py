"""What many declarations share: border modes, halos of Gaussians, dtype rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.parameters import ChannelAxis, ChoiceSpec, Number
from napari_tilewise.operations.spec.passes import Tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

    from napari_tilewise.operations.spec.operation import Block, Call
    from napari_tilewise.types import Value

BORDER = ChoiceSpec(choices=("reflect", "constant", "nearest", "mirror", "wrap"), advanced=True)
"""Border modes in ndimage's spelling (filters, morphology, feature)."""

CVAL = Number(usual=(-1, 1), advanced=True)
CHANNEL = ChannelAxis(advanced=True)


@dataclass(frozen=True, kw_only=True)
class AnyCase(ChoiceSpec):
    """One of a few words, in capitals or not."""

    def _check(self, name: str, value: Value, ndim: int | None) -> Value:
        if isinstance(value, str):
            for choice in self.choices:
                if choice.lower() == value.lower():
                    return choice
        return super()._check(name, value, ndim)


_FARTHEST = 2.0**53
"""Pixels beyond every image."""


def gaussian_radius(sigma: float, truncate: float = 4.0) -> int:
    """Return the reach of `scipy.ndimage.gaussian_filter`'s kernel in pixels."""
    return int(min(float(truncate) * float(sigma) + 0.5, _FARTHEST))


def kernel_length(call: Call) -> int:
    """Return what the longest kernel of weights takes that a call needs, in pixels of its image.

    SciPy makes it through two or three arrays, however small the image is.
    """
    return 2 * (1 + max(before + after for before, after in call.halo))


def gaussian_length(sigmas: Any) -> int:
    """Return what Gaussian kernels take of functions that have no halo, see `kernel_length`."""
    return 4 * gaussian_radius(float(np.max(sigmas)))


def as_float(call: Call) -> DTypeLike:
    """Return the dtype of scikit-image's float images: float32 stays, all others are float64."""
    return as_float_type(call.dtype)


def as_float_type(dtype: Any) -> DTypeLike:
    """Return the dtype of scikit-image's float images for images of this data type."""
    return np.float32 if np.dtype(dtype) in (np.float32, np.float16) else np.float64


def require_finite(call: Call, data: np.ndarray, consequence: str) -> None:
    """Refuse pixels that are NaN or infinite where they would reach further than a tile's halo.

    Parameters
    ----------
    call
        The operation on the image.
    data
        The pixels.
    consequence
        What happens to them, in words that follow "which".

    Raises
    ------
    InvalidImage
        When there are any.
    """
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise InvalidImage(
            f"{call.operation.name}: the image holds NaN or infinite values, which {consequence}: "
            "expected finite ones. Replace them first, for example with numpy.nan_to_num."
        )


def check_differences(call: Call) -> None:
    """Raise `InvalidImage` for images that are too small for `numpy.gradient`."""
    if call.ndim < 2 or min(call.spatial_shape) < 2:
        raise InvalidImage(
            f"{call.operation.name}: an image of shape {call.shape} is too small for differences: "
            "expected at least two axes of at least 2 pixels each."
        )


def running_median(call: Call) -> Tiles:
    """Plan SciPy's median of an image with one axis, whose window stays sorted as it moves on.

    Parameters
    ----------
    call
        The operation on the image; NaN, which has no place in the window's order, is refused.
    """

    def compute(block: Block) -> np.ndarray:
        if block.data.dtype.kind == "f" and np.isnan(block.data).any():
            raise InvalidImage(
                f"{call.operation.name}: the image holds NaN, which SciPy's running median of a "
                "line carries on: expected an image without. Replace NaN first, for example with "
                "numpy.nan_to_num."
            )
        return np.asarray(call.function(block.data))

    return Tiles(compute, halo=call.operation.neighbourhood.halo(call))


def check_mirroring(call: Call, before: Sequence[int]) -> None:
    """Refuse windows that reach so far before the image that SciPy loses its place.

    With ``mode="reflect"`` its filters by windows of several axes mirror the pixel 4 n before an
    image of n pixels to the one at -1: they read what lies in memory there, and their answer
    differs from call to call. (Filters along one axis at a time, and axes of one pixel, are right.)
    """
    pairs = zip(before, call.spatial_shape, strict=True)
    if call["mode"] == "reflect" and any(reach >= 4 * n > 4 for reach, n in pairs):
        raise InvalidImage(
            f"{call.operation.name}: the window reaches {tuple(before)} pixels, over four times "
            f"the image of shape {call.shape}, where SciPy's mode='reflect' fails: expected a "
            "larger image, a smaller window or another mode."
        )
