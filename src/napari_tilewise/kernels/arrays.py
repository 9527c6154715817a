"""How arrays and parameters are handed to the library: numbers for data types and border modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

TYPES = {
    np.dtype(name): code
    for code, name in enumerate(
        ("u1", "u2", "f4", "f8", "i4", "i8", "i1", "i2", "u4", "u8"),
    )
}
"""The library's number of each data type."""

GREY = tuple(np.dtype(name) for name in ("u1", "u2", "f4", "f8"))
"""Data types that every kernel on grey levels knows."""

MODES = {
    "nearest": 0,
    "edge": 0,
    "wrap": 1,
    "grid-wrap": 1,
    "reflect": 2,
    "grid-mirror": 2,
    "mirror": 3,
    "constant": 4,
    "grid-constant": 4,
}
"""The library's number of each border mode of ndimage's filters."""


def contiguous(data: Any) -> np.ndarray:
    """Return the image in one C-contiguous piece, copied only where it is not.

    Parameters
    ----------
    data
        The image, of any strides and byte order.
    """
    return np.ascontiguousarray(data, dtype=np.asarray(data).dtype.newbyteorder("="))


def type_code(dtype: Any) -> int:
    """Return the library's number of a data type; booleans are bytes.

    Parameters
    ----------
    dtype
        Any data type that the library knows.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    return 0 if dtype == np.bool_ else TYPES[dtype]


def integers(values: Sequence[int]) -> np.ndarray:
    """Return numbers as the library's 64-bit integers.

    Parameters
    ----------
    values
        Sizes, radii, offsets.
    """
    return np.array(values, dtype=np.int64)


def result_array(shape: Sequence[int], dtype: Any, out: np.ndarray | None) -> np.ndarray:
    """Return an array that the library can write into: `out` itself where it can be.

    Parameters
    ----------
    shape
        Of the result.
    dtype
        Of the result.
    out
        Where the caller wants the result, or None.
    """
    shape = tuple(shape)
    if (
        out is not None
        and out.shape == shape
        and out.dtype == np.dtype(dtype)
        and out.flags.c_contiguous
        and out.flags.writeable
    ):
        return out
    return np.empty(shape, dtype)


def delivered(result: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Return the result, copied into `out` where the library could not write there.

    Parameters
    ----------
    result
        What the library wrote.
    out
        Where the caller wants it, or None.
    """
    if out is None or out is result:
        return result
    out[...] = result
    return out
