"""What many declarations share: border modes, halos of Gaussians, dtype rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.operations.parameters import ChannelAxis, Choice, Number

if TYPE_CHECKING:
    from napari_tilewise.operations.model import Call

BORDER = Choice(choices=("reflect", "constant", "nearest", "mirror", "wrap"), advanced=True)
"""Border modes in ndimage's spelling (filters, morphology, feature)."""

CVAL = Number(usual=(-1, 1), advanced=True)
CHANNEL = ChannelAxis(advanced=True)


def gaussian_radius(sigma: float, truncate: float = 4.0) -> int:
    """Return the reach of `scipy.ndimage.gaussian_filter`'s kernel in pixels."""
    return int(float(truncate) * float(sigma) + 0.5)


def as_float(call: Call) -> Any:
    """Return the dtype of scikit-image's float images: float32 stays, all others are float64."""
    if call.dtype in (np.float32, np.float16):
        return np.float32
    return np.float64
