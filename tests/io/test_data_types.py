"""Every source's data type is one of NumPy's in this machine's order, whatever it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage
from napari_tilewise.types import native_dtype

if TYPE_CHECKING:
    from pathlib import Path

NOISE = np.random.default_rng(0).integers(0, 250, (40, 50))
ODD = ["longlong", "ulonglong", ">i2", ">u2", ">i4", ">f4", ">f8", ">u8"]
MEMORY = "4 GiB"


@dataclass(frozen=True)
class TensorType:
    """A data type as TensorStore's: not one of NumPy, which it names."""

    numpy_dtype: np.dtype[Any]


class Tensors:
    """An array as TensorStore's: slicing is lazy, and conversion reads."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = TensorType(array.dtype)

    def __getitem__(self, key: Any) -> Tensors:
        return Tensors(self._array[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._array, dtype)


@pytest.mark.parametrize("name", ODD)
def test_a_native_data_type_holds_the_same_numbers(name: str) -> None:
    dtype = native_dtype(np.dtype(name))
    assert dtype.char not in "qQ"
    assert dtype.isnative
    assert (dtype.kind, dtype.itemsize) == (np.dtype(name).kind, np.dtype(name).itemsize)


@pytest.mark.parametrize("wrap", [np.asarray, Tensors, da.from_array])
@pytest.mark.parametrize("name", ODD)
def test_images_of_any_data_type(wrap: Any, name: str) -> None:
    native = NOISE.astype(native_dtype(np.dtype(name)))
    for operation in ("filters.median", "util.invert", "measure.label"):
        result = np.asarray(tw.apply(operation, wrap(NOISE.astype(name))))
        expected = tw.apply(operation, native)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("wrap", [np.asarray, Tensors])
@pytest.mark.parametrize("name", ["longlong", ">u2", ">f4"])
def test_runs_on_any_data_type(wrap: Any, name: str, tmp_path: Path) -> None:
    out, source = tmp_path / "a.ome.zarr", wrap(NOISE.astype(name))
    tw.run("filters.median", source, out, executor="serial", memory=MEMORY)
    expected = tw.apply("filters.median", NOISE.astype(native_dtype(np.dtype(name))))
    assert tw.open(out).data.dtype == expected.dtype
    np.testing.assert_array_equal(tw.open(out).data[:], expected)


def test_a_tiff_of_long_long_is_converted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NOISE.astype("longlong"), tile=(16, 16))
    tw.convert(tmp_path / "a.tif", tmp_path / "a.ome.zarr", memory=MEMORY)
    np.testing.assert_array_equal(tw.open(tmp_path / "a.ome.zarr").data[:], NOISE)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long doubles are float64 here")
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.npy", "a.ome.tif"])
@pytest.mark.parametrize("dtype", [np.longdouble, np.clongdouble])
def test_numbers_wider_than_any_format_are_refused(tmp_path, name, dtype):
    with pytest.raises(InvalidImage, match=r"cannot hold \w+, .* to (float64|complex128) first"):
        tw.convert(np.ones((4, 5), dtype), tmp_path / name, axes="yx")
