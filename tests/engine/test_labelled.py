"""xarray in, xarray out: dims, coordinates, attributes and the name stay with the pixels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import napari_tilewise as tw
import napari_tilewise.skimage as ski
from napari_tilewise.engine.images.labelled import is_in_memory
from napari_tilewise.operations.spec.kinds import Kind
from tests.strategies import Case, cases

if TYPE_CHECKING:
    from pathlib import Path

xarray = pytest.importorskip("xarray")
NOISE = np.random.default_rng(0).random((3, 40, 50))
DIMS = ("time", "row", "column", "sample")


def labelled(image: np.ndarray) -> Any:
    """Return an image with names, with coordinates along all axes but the last."""
    dims = DIMS[: image.ndim]
    coords = {
        dim: (dim, 10 - 0.25 * np.arange(n), {"units": "um"})
        for dim, n in zip(dims[:-1], image.shape, strict=False)
    }
    coords["run"] = 7
    return xarray.DataArray(image, coords, dims, name="cells", attrs={"microscope": "A"})


def stack() -> Any:
    """Return a stack with coordinates along all of its axes."""
    coords = {
        "time": np.array(["2024-01-01", "2024-01-02", "2024-01-05"], "M8[ns]"),
        "y": ("y", 5 + 2e-9 * np.arange(40), {"units": "m"}),
        "x": 0.5 * np.arange(50),
        "stage": ("time", [3, 1, 2]),
        "distance": (("y", "x"), np.hypot(*np.ogrid[:40, :50])),
    }
    return xarray.DataArray(NOISE, coords, ("time", "y", "x"), name="cells", attrs={"a": 1})


def results(value: Any) -> list[Any]:
    """Return the arrays of a result of one or several."""
    return list(value) if isinstance(value, list | tuple) else [value]


def applied(case: Case, image: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tw.apply(case.operation.name, image, tiles=case.tiles, **case.params)


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=2, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_names_stay_with_every_operation(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(tw.OPERATIONS[name]))
    image = labelled(case.image)
    try:
        expected = applied(case, case.image)
    except Exception as error:  # noqa: BLE001 - what scikit-image raises itself included
        with pytest.raises(type(error)):
            applied(case, image)
        return
    call = case.operation.call(case.image.shape, case.image.dtype, case.params)
    parts = case.operation.parts(call) or (case.operation.whole_part(call),)
    if not parts[0].output.is_image:
        return
    befores, afters = results(expected), results(applied(case, image))
    pictures = [part.output.is_image for part in parts] * (len(afters) // len(parts))
    for before, after, is_picture in zip(befores, afters, pictures, strict=True):
        if not is_picture:
            continue
        assert isinstance(after, xarray.DataArray)
        np.testing.assert_array_equal(after.values, before)
        assert after.dtype == before.dtype
        assert (after.name, after.attrs) == ("cells", image.attrs)
        assert int(after.coords["run"]) == 7
        kept = [dim for dim in image.dims if after.sizes.get(dim) == image.sizes[dim]]
        if before.shape == case.image.shape and case.operation.kind is not Kind.GEOMETRY:
            assert after.dims == image.dims
        for dim in set(kept) & set(after.coords):
            assert after.coords[dim].attrs == {"units": "um"}


RAMPS = [
    ("transform.resize", {"output_shape": (20, 75), "order": 1, "anti_aliasing": False}),
    ("transform.rescale", {"scale": (0.5, 2), "order": 1, "anti_aliasing": False}),
    ("transform.resize_local_mean", {"output_shape": (20, 25)}),
    ("transform.resize_local_mean", {"output_shape": (20, 26), "grid_mode": False}),
    ("transform.downscale_local_mean", {"factors": (4, 5)}),
    ("transform.pyramid_reduce", {"downscale": 2}),
    ("transform.pyramid_expand", {"upscale": 2}),
    ("transform.pyramid_gaussian", {"max_layer": 2}),
    ("measure.block_reduce", {"block_size": (4, 5), "func": np.mean}),
    ("util.crop", {"crop_width": ((3, 1), (0, 7))}),
    ("filters.gaussian", {"sigma": 1}),
]


@pytest.mark.parametrize(("name", "params"), RAMPS)
@pytest.mark.parametrize("axis", ["y", "x"])
def test_coordinates_lie_where_the_pixels_do(name: str, params: dict[str, Any], axis: str) -> None:
    """In an image of coordinates, every pixel (away from the border) holds its own."""
    image = stack().isel(time=0)
    image = image.assign_coords(y=100 - 0.5 * np.arange(40))
    ramp = image.coords[axis].broadcast_like(image).transpose(*image.dims)
    for result in results(tw.apply(name, ramp, tiles=16, **params)):
        length = result.sizes[axis]
        inner = result.isel({axis: slice(length // 4, -(length // 4))}).mean(
            [dim for dim in result.dims if dim != axis]
        )
        np.testing.assert_allclose(inner, inner.coords[axis], atol=0.02)


def test_what_is_known_of_axes_that_stay() -> None:
    image = stack()
    smooth = tw.apply("filters.gaussian", image, spatial="yx")
    assert type(smooth.data) is np.ndarray
    xarray.testing.assert_identical(smooth, image.copy(data=smooth.data))
    np.testing.assert_array_equal(smooth, tw.apply("filters.gaussian", NOISE, spatial=(1, 2)))
    small = tw.apply("transform.rescale", image, scale=0.5, spatial=("y", "x"))
    assert small.dims == image.dims
    assert list(small.coords) == ["time", "stage", "y", "x"]  # the distance is of every pixel
    np.testing.assert_allclose(small.y[:2], [5 + 1e-9, 5 + 5e-9], rtol=1e-12)
    assert small.y.attrs == {"units": "m"}


def test_chunks_make_lazy_results() -> None:
    image = stack().chunk(y=16)
    smooth = tw.apply("filters.gaussian", image, spatial=["y", "x"])
    assert isinstance(smooth.data, da.Array)
    threshold = tw.apply("filters.threshold_otsu", image, spatial="yx")
    assert isinstance(threshold.data, da.Array)
    assert threshold.dims == ("time",)
    assert list(threshold.coords) == ["time", "stage"]
    expected = tw.apply("filters.threshold_otsu", NOISE, spatial=(1, 2))
    np.testing.assert_array_equal(threshold, expected)


def test_scalars_keep_the_name() -> None:
    threshold = tw.apply("filters.threshold_otsu", stack())
    assert (threshold.shape, threshold.name, threshold.attrs) == ((), "cells", {"a": 1})
    assert float(threshold) == tw.apply("filters.threshold_otsu", NOISE)


def test_tables_are_plain_and_name_the_axis() -> None:
    labels = (stack() > 0.8).astype(np.uint8)
    table = tw.apply("measure.regionprops_table", labels, spatial="yx", properties=("label",))
    assert list(table) == ["time", "label"]
    assert isinstance(table["label"], np.ndarray)


@pytest.mark.parametrize(("dim", "column"), [("c", "channel"), ("channel", "channel_name")])
def test_tables_have_the_names_of_channels(tmp_path: Path, dim: str, column: str) -> None:
    labels = (np.random.default_rng(0).random((3, 20, 20)) > 0.7).astype(int)
    array = xarray.DataArray(labels, {dim: ["DAPI", "GFP", "far red"]}, (dim, "y", "x"))
    for image in (array, array.chunk()):
        table = tw.apply("measure.regionprops_table", image, spatial="yx", properties=("area",))
        assert list(table) == [dim, column, "area"]
        assert table[column].tolist() == ["DAPI", "GFP", "far red"]
    recipe = [("measure.regionprops_table", {"properties": ("area",)})]
    value = tw.run(recipe, array, tmp_path / "table.csv").value
    assert value["channel"].tolist() == ["DAPI", "GFP", "far red"]


def test_channels_by_name_and_new_ones() -> None:
    picture = xarray.DataArray(
        NOISE, {"band": ["r", "g", "b"]}, dims=("band", "y", "x"), name="leaf"
    )
    grey = tw.apply("color.rgb2gray", picture, channel_axis="band")
    assert grey.dims == ("y", "x")
    hsv = tw.apply("color.rgb2hsv", picture, channel_axis="band")
    assert hsv.dims == picture.dims
    assert tw.apply("color.gray2rgb", grey).dims == ("y", "x", "c")


def test_further_images_are_matched_by_their_names() -> None:
    image = stack().isel(time=0)
    mask = (image > 0.3).transpose("x", "y")
    expected = tw.apply("feature.canny", image.values, mask=(image > 0.3).values)
    np.testing.assert_array_equal(tw.apply("feature.canny", image, mask=mask), expected)


def test_a_file_behind_the_array_is_read_in_boxes(tmp_path: Path) -> None:
    stack().drop_vars("distance").to_netcdf(tmp_path / "cells.nc", engine="scipy")
    with xarray.open_dataset(tmp_path / "cells.nc", engine="scipy") as dataset:
        image = dataset["cells"]
        smooth = tw.apply("filters.gaussian", image, spatial="yx")
        assert not is_in_memory(image)  # as it would be had it been read whole
        assert smooth.dims == image.dims
    expected = tw.apply("filters.gaussian", NOISE, spatial=(1, 2))
    np.testing.assert_array_equal(smooth, expected)


def test_unknown_names_are_refused_with_the_names() -> None:
    with pytest.raises(tw.TilewiseError, match=r"'z'.*\('time', 'y', 'x'\)"):
        tw.apply("filters.gaussian", stack(), spatial="zyx")


def test_the_drop_in_takes_and_returns_them() -> None:
    image = stack().isel(time=0)
    smooth = ski.filters.gaussian(image, sigma=2)
    assert smooth.dims == ("y", "x")
    mask = smooth > ski.filters.threshold_otsu(smooth)
    labels = ski.measure.label(mask)
    assert labels.dims == ("y", "x")
    assert labels.coords.keys() == image.coords.keys()
    from skimage import filters, measure

    expected = filters.gaussian(image.values, sigma=2)
    expected = measure.label(expected > filters.threshold_otsu(expected))
    np.testing.assert_array_equal(labels, expected)
    plain = ski.feature.canny(image.values, mask=mask)  # a NumPy image: a NumPy result
    assert type(plain) is np.ndarray
    assert ski.draw.polygon2mask((4, 4), image[:3, :2]).shape == (4, 4)  # none of the operations
