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

_UNSIGNED: dict[np.dtype, np.dtype] = {
    np.dtype("i1"): np.dtype("u1"),
    np.dtype("i2"): np.dtype("u2"),
}
_AS_FLOATS = (np.dtype("i4"), np.dtype("u4"))

ORDERED = (*GREY, np.dtype(bool), *_UNSIGNED, *_AS_FLOATS)
"""Data types whose values one of `GREY` holds in the same order; see `as_grey`."""

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


def as_grey(values: np.ndarray) -> np.ndarray:
    """Return values in the same order as grey levels; the values themselves where they are.

    Parameters
    ----------
    values
        Of one of the types of `ORDERED`.
    """
    if values.dtype in GREY:
        return values
    if values.dtype in _AS_FLOATS:
        return values.astype(np.float64)
    if values.dtype == np.bool_:
        return contiguous(values).view(np.uint8)
    return _with_other_sign(contiguous(values).view(_UNSIGNED[values.dtype]))


def from_grey(levels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the values of a data type that `as_grey` made grey levels of.

    Parameters
    ----------
    levels
        What `as_grey` returned, or some of these in another order.
    dtype
        The data type.
    """
    if dtype in GREY:
        return levels
    if dtype in _AS_FLOATS:
        return levels.astype(dtype)
    if dtype == np.bool_:
        return levels.view(dtype)
    return _with_other_sign(levels).view(dtype)


def _with_other_sign(unsigned: np.ndarray) -> np.ndarray:
    """Return integers with the bit changed that is the sign of the signed type of their size."""
    sign = unsigned.dtype.type(1 << (8 * unsigned.itemsize - 1))
    return np.asarray(unsigned ^ sign)


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
