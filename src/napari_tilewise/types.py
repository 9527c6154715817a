"""Types of the arguments of public functions: images, sources, recipes, axes, tiles, amounts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A NumPy array of any data type."""

DType: TypeAlias = "np.dtype[Any]"
"""A NumPy data type."""

Value: TypeAlias = Any
"""A parameter or a result of a scikit-image function, of whatever type that function declares."""

AnyFunction: TypeAlias = Callable[..., Any]
"""A function of any signature."""

Parameters: TypeAlias = Mapping[str, Value]
"""Parameters of an operation by scikit-image's names."""


@runtime_checkable
class ArrayLike(Protocol):
    """Anything with a shape, a data type and slicing: dask, Zarr, HDF5, xarray, TensorStore."""

    @property
    def shape(self) -> tuple[Any, ...]:
        """Length of each axis in pixels; dask's type admits NaN, for a length that is unknown."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the pixels."""

    def __getitem__(self, key: Any, /) -> Any:
        """Return the pixels of a region, given by a slice per axis."""


@runtime_checkable
class ChunkedArrayLike(ArrayLike, Protocol):
    """An array-like that says in which boxes it is stored; a NumPy array is none of these.

    The overloads of `apply` stand on it: a type checker that finds two of them for an array, whose
    shape and data type it does not know, takes neither.
    """

    @property
    def chunks(self) -> Any:
        """Lengths of the stored boxes; None where there are none."""


@runtime_checkable
class LabelledArray(ArrayLike, Protocol):
    """An array that names its axes: an xarray DataArray."""

    @property
    def dims(self) -> tuple[Any, ...]:
        """Names of the axes."""

    @property
    def coords(self) -> Any:
        """Coordinates of the pixels by name."""

    @property
    def attrs(self) -> dict[Any, Any]:
        """What else is known of the image, by name."""


PathLike: TypeAlias = str | os.PathLike[str]
"""A path or a URL."""

ImageSource: TypeAlias = PathLike | ArrayLike
"""Where an image comes from: a path, a URL, or an array-like."""

StepLike: TypeAlias = str | tuple[str, Parameters]
"""An operation's key, or a pair of key and parameters."""

AxisNames: TypeAlias = str | Sequence[str]
"""Names of axes in order, such as ``"tcyx"`` or ``["t", "c", "y", "x"]``."""

SpatialAxes: TypeAlias = str | Sequence[int]
"""The axes that an operation runs over: letters of the axis names, or axis numbers."""

TileLengths: TypeAlias = str | int | Sequence[int]
"""``"auto"``, one tile length in pixels, or one per spatial axis."""

MemorySize: TypeAlias = str | float
"""An amount of memory in bytes, or a text such as ``"2 GiB"``."""


def native_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the data type of this machine that holds the same numbers.

    Byte orders become the machine's, and C's ``long long`` becomes ``int64``, which NumPy takes for
    equal but formats do not know.

    Parameters
    ----------
    dtype
        A data type of NumPy, or one with a `numpy_dtype`, such as TensorStore's.
    """
    native: np.dtype[Any] = np.dtype(getattr(dtype, "numpy_dtype", dtype)).newbyteorder("=")
    return np.dtype(native.str) if native.kind in "biufc" else native


def with_dtype(block: Array, dtype: np.dtype[Any]) -> Array:
    """Return pixels with a data type, without a copy where the bytes are the same.

    Parameters
    ----------
    block
        The pixels.
    dtype
        The data type, as `native_dtype` returns it.
    """
    block = block.astype(dtype, copy=False)
    return block if block.dtype.char == dtype.char else block.view(dtype)
