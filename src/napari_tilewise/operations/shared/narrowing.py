"""Conversion of wide integers to 8 or 16 bits, which scikit-image scales by a look at the maximum.

`img_as_ubyte` and `img_as_uint` divide the values of a wider integer type, but leave them alone if
the array's largest one fits. On a tile that decision would be the tile's; here it is the image's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.util import img_as_ubyte, img_as_uint


def needs_maximum(dtype: Any, bits: int) -> bool:
    """Tell whether converting this type to `bits` unsigned bits looks at the image's maximum."""
    dtype = np.dtype(dtype)
    return dtype.kind in "ui" and 8 * dtype.itemsize - (dtype.kind == "i") > bits


def narrow(image: np.ndarray, bits: int, maximum: Any) -> np.ndarray:
    """Return `img_as_ubyte` or `img_as_uint` of a part of an image.

    Parameters
    ----------
    image
        The part.
    bits
        8 or 16.
    maximum
        The whole image's largest value, used where `needs_maximum` says so.
    """
    convert: Any = img_as_ubyte if bits == 8 else img_as_uint
    if not needs_maximum(image.dtype, bits):
        return np.asarray(convert(image))
    if maximum >= 2**bits:
        with_it = np.append(image.ravel(), image.dtype.type(maximum))
        narrowed: np.ndarray = convert(with_it)
        return narrowed[:-1].reshape(image.shape)
    if image.dtype.kind == "u":
        return image.astype(f"u{bits // 8}")
    # signed values are cast to twice the bits and clipped there, as scikit-image does
    clipped: np.ndarray = np.maximum(image.astype(f"i{bits // 4}"), 0)
    return clipped.astype(f"u{bits // 8}")
