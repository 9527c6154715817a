"""An array that names its axes keeps them, with the calibration of its coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_tilewise as tw

if TYPE_CHECKING:
    from pathlib import Path

xarray = pytest.importorskip("xarray")
NOISE = np.random.default_rng(0).integers(1, 60000, (3, 40, 50)).astype(np.uint16)


@pytest.mark.parametrize("chunks", [None, {"y": 16}])
def test_dims_and_coordinates_are_written(chunks: dict[str, int] | None, tmp_path: Path) -> None:
    y = xarray.Variable("y", 10 + 0.5 * np.arange(40), {"units": "um"})
    x = xarray.Variable("x", 0.25 * np.arange(50), {"units": "um"})
    array = xarray.DataArray(NOISE, dims=("t", "y", "x"), coords={"y": y, "x": x})
    array = array if chunks is None else array.chunk(chunks)
    image = tw.open(array)
    assert image.axes == ("t", "y", "x")
    assert image.scale == (1.0, 0.5, 0.25)
    assert image.translate == (0.0, 10.0, 0.0)
    assert image.units == (None, "micrometer", "micrometer")
    out = tmp_path / "a.ome.zarr"
    tw.run("filters.gaussian", array, out, executor="serial", memory="4 GiB")
    written = tw.open(out)
    assert written.axes == ("t", "y", "x")
    assert written.scale == (1.0, 0.5, 0.25)
    expected = tw.apply("filters.gaussian", NOISE, axes="tyx", spatial="yx")
    np.testing.assert_array_equal(written.data[:], expected)


def test_uneven_coordinates_and_foreign_names() -> None:
    array = xarray.DataArray(NOISE[0], dims=("lat", "lon"), coords={"lat": np.arange(40) ** 2})
    image = tw.open(array)
    assert image.scale == (1.0, 1.0)
    np.testing.assert_array_equal(image.data[:], NOISE[0])


def test_time_and_channel_in_full() -> None:
    assert tw.open(xarray.DataArray(NOISE, dims=("time", "y", "x"))).axes == ("t", "y", "x")
    assert tw.open(xarray.DataArray(NOISE, dims=("channel", "y", "x"))).axes == ("c", "y", "x")
