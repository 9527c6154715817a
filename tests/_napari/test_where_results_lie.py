"""A result lies where its pixels are: what is bright in the image is bright at the same place."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels, Layer
from tests.io.test_formats import write
from tests.strategies import cases

import napari_tilewise as tw
from napari_tilewise.operations.spec.pixel_positions import unplaced

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (60, 84)
BLOB = (26.0, 50.0)
CENTRE = tuple((n - 1) / 2 for n in SHAPE)
PLACE = {"scale": (0.5, 0.25), "translate": (3, -4), "units": ("um", "um")}


def blob(shape: tuple[int, int], centre: tuple[float, ...], width: float = 3) -> np.ndarray:
    squares = (((i - c) / width) ** 2 for i, c in zip(np.indices(shape), centre, strict=True))
    return np.exp(-sum(squares) / 2)


def mean(block: np.ndarray, axis: Any) -> Any:
    return np.mean(block, axis=axis)


WINDOW = (slice(22, 31), slice(45, 57))
NOISY = blob(SHAPE, BLOB) + 0.1 * np.random.default_rng(0).random(SHAPE)
TEMPLATE = NOISY[WINDOW]
ROUGH = ("feature.daisy", "transform.pyramid_laplacian")
"""Operations whose response to a blob is not quite symmetrical."""
MOVING: list[tuple[str, dict[str, Any], tuple[float, ...]]] = [
    ("filters.gaussian", {"sigma": 1}, BLOB),
    ("filters.correlate_sparse", {"kernel": np.ones((5, 4)), "mode": "valid"}, BLOB),
    ("util.crop", {"crop_width": ((10, 3), (0, 7))}, BLOB),
    ("measure.block_reduce", {"block_size": (4, 5), "func": mean}, BLOB),
    ("segmentation.find_boundaries", {"mode": "subpixel"}, BLOB),
    (
        "segmentation.mark_boundaries",
        {"label_img": blob(SHAPE, BLOB) > 0.5, "mode": "subpixel"},
        BLOB,
    ),
    ("feature.match_template", {"template": TEMPLATE}, (26, 50.5)),
    ("feature.match_template", {"template": TEMPLATE[:, :-1], "pad_input": True}, BLOB),
    ("feature.daisy", {"step": 3, "radius": 9, "normalization": "off"}, BLOB),
    ("transform.resize", {"output_shape": (31, 140)}, BLOB),
    ("transform.rescale", {"scale": (0.5, 1.5)}, BLOB),
    ("transform.resize_local_mean", {"output_shape": (30, 21)}, BLOB),
    ("transform.resize_local_mean", {"output_shape": (30, 42), "grid_mode": False}, BLOB),
    ("transform.downscale_local_mean", {"factors": (4, 5)}, BLOB),
    ("transform.pyramid_reduce", {}, BLOB),
    ("transform.pyramid_expand", {}, BLOB),
    ("transform.pyramid_gaussian", {"max_layer": 2}, BLOB),
    ("transform.pyramid_laplacian", {"max_layer": 2}, BLOB),
    ("transform.rotate", {"angle": 30, "resize": True}, CENTRE),
    ("transform.rotate", {"angle": 90, "resize": True, "center": BLOB[::-1]}, BLOB),
    ("transform.swirl", {"strength": 0, "output_shape": (80, 90)}, BLOB),
    ("transform.warp", {"inverse_map": np.eye(3), "output_shape": (50, 99)}, BLOB),
    ("transform.hough_circle", {"radius": 7, "full_output": True}, BLOB),
    ("ndimage.zoom", {"zoom": (0.5, 1.5), "order": 1}, BLOB),
    ("ndimage.zoom", {"zoom": (0.5, 1.5), "grid_mode": True, "mode": "nearest"}, BLOB),
    ("ndimage.rotate", {"angle": 30, "order": 1}, CENTRE),
    ("ndimage.affine_transform", {"matrix": np.eye(2), "output_shape": (50, 99)}, BLOB),
]


def bright_position(layer: Layer) -> np.ndarray:
    """Return the world position of what differs from the background, along y and x."""
    pixels = np.asarray(layer.data, dtype=float)
    if layer.name.endswith("Match template"):  # the best match, not what is alike
        pixels = (pixels == pixels.max()).astype(float)
    pixels = np.abs(pixels - np.median(pixels))
    if getattr(layer, "rgb", False):
        pixels = pixels.sum(axis=-1)
    while pixels.ndim > 2:
        pixels = pixels.sum(axis=0)
    position = [(i * pixels).sum() / pixels.sum() for i in np.indices(pixels.shape)]
    return layer.data_to_world([0] * (layer.ndim - 2) + position)[-2:]


@pytest.mark.parametrize(("name", "params", "centre"), MOVING)
def test_a_blob_stays_where_it_is(
    name: str, params: dict[str, Any], centre: tuple[float, ...]
) -> None:
    pixels = NOISY if name == "feature.match_template" else blob(SHAPE, centre)
    if "boundaries" in name or "hough" in name:
        pixels = pixels > 0.5
    layer = Image(pixels, **PLACE) if pixels.dtype != bool else Labels(pixels.view("u1"), **PLACE)
    expected = layer.data_to_world(centre)
    results = tw.apply(name, layer, **params)
    for result in results if isinstance(results, list | tuple) else [results]:
        tolerance = 0.13 if name in ROUGH else 0.02
        distance = np.abs(np.subtract(bright_position(result), expected))
        assert np.all(distance <= tolerance), distance
        assert result.units[-2:] == layer.units


FILES = ("a.ome.zarr", "a.ome.tif", "a.tif")


@pytest.mark.parametrize(("name", "params", "centre"), MOVING)
def test_results_lie_in_files_where_they_lie_in_layers(
    name: str, params: dict[str, Any], centre: tuple[float, ...], tmp_path: Path
) -> None:
    pixels = NOISY if name == "feature.match_template" else blob(SHAPE, centre)
    pixels = pixels > 0.5 if "boundaries" in name or "hough" in name else pixels.astype(np.float32)
    place = PLACE | {"units": ("micrometer", "micrometer")}
    source = write(tmp_path / "source.ome.zarr", pixels, "yx", **place)
    layer = Image(pixels, **PLACE) if pixels.dtype != bool else Labels(pixels.view("u1"), **PLACE)
    results = tw.apply(name, layer, **params)
    result = results[0] if isinstance(results, list | tuple) else results
    for number, file in enumerate(FILES):
        if number == 2 and result.data.dtype not in (np.uint8, np.uint16, np.float32):
            continue  # ImageJ has no others
        path = tw.run((name, params), source, tmp_path / file, executor="serial").path
        report = tw.batch(
            (name, params), source, tmp_path / f"out{number}", name=f"b{file[1:]}", n_jobs=1,
            backend="serial",
        )  # fmt: skip
        for output in (path, tmp_path / f"out{number}" / str(report.rows[0]["output"])):
            image = tw.open(output)
            axes = [image.axes.index(axis) for axis in "yx"]
            scale, translate = (
                [values[i] for i in axes] for values in (image.scale, image.translate)
            )
            np.testing.assert_allclose(scale, result.scale[-2:], rtol=1e-5)
            np.testing.assert_allclose(translate, result.translate[-2:], rtol=1e-5, atol=1e-5)
            shape = result.data.shape[: result.ndim][-2:]  # without the samples of colours
            assert tuple(image.data.shape[i] for i in axes) == shape


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(
    max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck), deadline=None
)
@given(draws=st.data())
def test_results_of_another_size_declare_where_they_lie(name: str, draws: st.DataObject) -> None:
    operation = tw.OPERATIONS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = draws.draw(cases(operation))
    try:
        call = operation.call(case.image.shape, case.image.dtype, case.params)
    except tw.TilewiseError:
        return
    sampling = operation.neighbourhood.sampling
    for part in operation.parts(call) or (operation.whole_part(call),):
        if not part.output.is_image or sampling is unplaced or "eig" in name:
            continue  # eigenvalues take the list of a tensor's elements
        shape = tuple(n for axis, n in enumerate(part.shape) if axis != part.channel)
        assert None not in sampling(call, shape)
        assert name in {item[0] for item in MOVING} or shape == call.spatial_shape


def test_a_crop_keeps_the_size_of_its_pixels() -> None:
    layer = Image(np.zeros((100, 100)), scale=(0.5, 0.5), units=("um", "um"))
    crop = tw.apply("util.crop", layer, crop_width=10)
    np.testing.assert_array_equal(crop.scale, (0.5, 0.5))
    np.testing.assert_array_equal(crop.translate, (5, 5))


def test_angles_and_radii_are_axes_of_their_own() -> None:
    stack = Image(
        np.random.default_rng(0).random((3, 20, 30)), axis_labels=("t", "y", "x"),
        scale=(7, 0.5, 0.5), translate=(1, 2, 3), units=("s", "um", "um"),
    )  # fmt: skip
    polar = tw.apply("transform.warp_polar", stack)
    np.testing.assert_array_equal(polar.scale, (7, 1, 1))
    np.testing.assert_array_equal(polar.translate, (1, 0, 0))
    assert [str(unit) for unit in polar.units] == ["second", "pixel", "pixel"]


def test_steps_of_a_recipe_add_up(tmp_path: Any) -> None:
    recipe = tw.Recipe(
        [
            ("util.crop", {"crop_width": ((8, 0), (4, 0))}),
            ("transform.downscale_local_mean", {"factors": (2, 4)}),
        ]
    )
    layer = Image(blob(SHAPE, BLOB), **PLACE)
    tw.run(
        recipe,
        tw.apply("filters.gaussian", layer).data,
        tmp_path / "small.ome.zarr",
    )
    small = tw.open(tmp_path / "small.ome.zarr")
    assert small.scale == (2, 4)
    assert small.translate == (8.5, 5.5)


@pytest.mark.parametrize("is_lazy", [False, True])
def test_a_consumed_channel_leaves_time_where_it_is(is_lazy: bool) -> None:
    pixels = np.random.default_rng(0).random((4, 3, 20, 30))
    layer = Image(
        da.from_array(pixels, chunks=(1, 3, 20, 30)) if is_lazy else pixels,
        axis_labels=("t", "c", "y", "x"), scale=(7, 1, 0.5, 0.5), units=("s", "", "um", "um"),
    )  # fmt: skip
    grey = tw.apply("color.rgb2gray", layer)
    assert grey.data.shape == (4, 1, 20, 30)
    np.testing.assert_array_equal(grey.scale, layer.scale)
    assert grey.axis_labels == layer.axis_labels
    expected = tw.apply("color.rgb2gray", pixels, channel_axis=1, spatial=(2, 3))
    np.testing.assert_array_equal(np.asarray(grey.data)[:, 0], expected)
    smooth = tw.apply("filters.gaussian", grey)  # the recipe's image has no such axis
    assert smooth.data.shape == (4, 1, 20, 30)
    np.testing.assert_array_equal(
        np.asarray(smooth.data)[:, 0], tw.apply("filters.gaussian", expected, spatial=(1, 2))
    )
    numbers = tw.apply("filters.threshold_otsu", smooth)
    assert numbers.shape == (4,)
