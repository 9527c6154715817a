"""`tw.apply` on layers: the array's own answer, in the layer that the panel would add."""

from __future__ import annotations

import re
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from skimage import color, data, feature, filters, measure, morphology
from tests.strategies import cases

import napari_tilewise as tw
from napari_tilewise._napari.layers import layer_record, object_table
from napari_tilewise.errors import (
    Cancelled,
    InvalidImage,
    InvalidParameter,
    SourceWarning,
    UnknownParameter,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
COINS = data.coins()[:90, :110]
PLACE = {"scale": (0.5, 0.25), "translate": (3, -4), "units": ("um", "um")}


@pytest.fixture
def coins() -> Image:
    return Image(COINS, name="coins", axis_labels=("y", "x"), **PLACE)


def items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def check_agrees(result: Any, expected: Any) -> None:
    """Check that a layer shows what the array gives."""
    if isinstance(result, Points):
        columns = result.ndim
        np.testing.assert_array_equal(result.data, np.asarray(expected)[:, :columns])
    elif isinstance(result, Shapes):
        assert len(result.data) == len(expected)
    elif isinstance(result, Labels) and isinstance(expected, dict):
        table = object_table.of(result)
        assert list(table.columns) == list(expected)
        for name, column in expected.items():
            np.testing.assert_array_equal(table.columns[name], column)
        if len(table.frames) == 0 and len(result.features) > 0:
            for name, column in expected.items():
                np.testing.assert_array_equal(result.features[name][table.labels], column)
    elif isinstance(result, Image | Labels):
        pixels, expected = np.asarray(result.data), np.asarray(expected)
        record = layer_record.of(result)  # None if the call passed a function
        if record is not None and record.channels_first:
            pixels = np.moveaxis(pixels, 0, -1)
        np.testing.assert_array_equal(pixels, expected)
    elif callable(expected) or not hasattr(expected, "__array__"):
        assert type(result) is type(expected)
    elif not isinstance(result, Layer):
        np.testing.assert_equal(result, expected)


@pytest.mark.parametrize("name", list(tw.OPERATIONS))
@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(draws=st.data())
def test_a_layer_gives_what_its_array_gives(name: str, draws: st.DataObject) -> None:
    case = draws.draw(cases(tw.OPERATIONS[name]))
    # Points that no one found are not among a recipe's plain values.
    assume(all(np.size(value) > 0 or value is None for value in case.params.values()))
    layer = Image(case.image, rgb=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = tw.apply(name, case.image, tiles=case.tiles, **case.params)
        except Exception as error:  # noqa: BLE001 - what scikit-image raises itself included
            with pytest.raises(type(error)):
                tw.apply(name, layer, tiles=case.tiles, **case.params)
            return
        if tw.OPERATIONS[name].output.is_image and np.size(items(expected)[0]) == 0:
            with pytest.raises(InvalidImage, match="leaves no pixels"):
                tw.apply(name, layer, tiles=case.tiles, **case.params)
            return
        result = tw.apply(name, layer, tiles=case.tiles, **case.params)
    if isinstance(result, list | tuple):
        assert type(result) is type(expected)
        assert len(result) == len(expected)
        for part, expected_part in zip(result, expected, strict=True):
            check_agrees(part, expected_part)
    else:
        check_agrees(result, expected)


def test_an_image_lies_where_it_lay(coins: Image) -> None:
    smooth = tw.apply("filters.gaussian", coins, sigma=2)
    np.testing.assert_array_equal(smooth.data, filters.gaussian(COINS, 2))
    np.testing.assert_array_equal(smooth.scale, coins.scale)
    np.testing.assert_array_equal(smooth.translate, coins.translate)
    assert (smooth.units, smooth.axis_labels) == (coins.units, coins.axis_labels)
    assert smooth.name == "coins - Gaussian"
    assert layer_record.of(smooth).recipe.steps[0].operation == "filters.gaussian"


def test_each_kind_of_result(coins: Image) -> None:
    assert tw.apply("filters.threshold_otsu", coins) == filters.threshold_otsu(COINS)
    edges = tw.apply("feature.canny", coins, sigma=2)
    assert type(edges) is Labels
    np.testing.assert_array_equal(edges.data.astype(bool), feature.canny(COINS, 2))
    assert type(tw.apply("measure.label", edges)) is Labels
    peaks = tw.apply("feature.peak_local_max", coins, min_distance=9)
    assert type(peaks) is Points
    np.testing.assert_array_equal(peaks.data, feature.peak_local_max(COINS, 9))
    np.testing.assert_array_equal(peaks.scale, coins.scale)
    lines = tw.apply("measure.find_contours", coins, level=120.5)
    assert type(lines) is Shapes
    assert len(lines.data) == len(measure.find_contours(COINS, 120.5))
    several = tw.apply("feature.structure_tensor", coins)
    assert type(several) is list
    assert [type(layer) for layer in several] == [Image] * 3


def test_a_table_is_in_the_units_of_the_layer(coins: Image) -> None:
    labels = measure.label(COINS > 120)
    layer = Labels(labels, **PLACE)
    columns = ("label", "area", "num_pixels", "centroid", "intensity_mean")
    table = tw.apply("measure.regionprops_table", layer, intensity_image=coins, properties=columns)
    expected = measure.regionprops_table(labels, COINS, columns, spacing=(0.5, 0.25))
    assert type(table) is Labels
    np.testing.assert_array_equal(table.data, labels)
    for name, column in expected.items():
        np.testing.assert_array_equal(table.features[name][1:], column)
    np.testing.assert_array_equal(table.scale, (0.5, 0.25))
    in_pixels = tw.apply("measure.regionprops_table", layer, properties=("area",), spacing=1)
    np.testing.assert_array_equal(in_pixels.features["area"][1:], np.bincount(labels.flat)[1:])


def test_properties_that_cannot_be_calibrated_are_refused_with_the_remedy() -> None:
    layer = Labels(measure.label(COINS > 120), **PLACE)
    with pytest.raises(InvalidParameter, match=r"perimeter with pixels of 0.5 x 0.25: set spacing"):
        tw.apply("measure.regionprops_table", layer, properties=("perimeter",))
    tw.apply("measure.regionprops_table", layer, properties=("perimeter",), spacing=1)


def test_lengths_of_several_units_become_one() -> None:
    labels = Labels(np.pad(np.ones((4, 5), int), 2), scale=(1, 500), units=("um", "nm"))
    table = tw.apply("measure.regionprops_table", labels, properties=("area",))
    assert list(table.features["area"][1:]) == [10.0]


def test_names_of_axes_decide_what_is_looped_over() -> None:
    noise = np.random.default_rng(0).random((2, 5, 20, 30))
    stack = Image(noise, axis_labels=("t", "z", "y", "x"), scale=(9, 2, 1, 1))
    smooth = tw.apply("filters.gaussian", stack)
    np.testing.assert_array_equal(smooth.data[1], filters.gaussian(noise[1]))
    np.testing.assert_array_equal(smooth.scale, stack.scale)
    planes = tw.apply("filters.gaussian", stack, spatial="yx")
    np.testing.assert_array_equal(planes.data[1, 3], filters.gaussian(noise[1, 3]))
    bare = Image(noise[0])
    np.testing.assert_array_equal(
        tw.apply("filters.gaussian", bare).data, filters.gaussian(noise[0])
    )
    named = tw.apply("filters.gaussian", bare, axes="tyx", spatial="yx")
    np.testing.assert_array_equal(named.data[2], filters.gaussian(noise[0, 2]))
    numbers = tw.apply("filters.threshold_otsu", stack)
    np.testing.assert_array_equal(numbers, [filters.threshold_otsu(volume) for volume in noise])


def test_samples_of_colours_are_channels() -> None:
    photo = data.astronaut()[:40, :50]
    layer = Image(photo, scale=(2, 2))
    smooth = tw.apply("filters.gaussian", layer)
    assert smooth.rgb
    np.testing.assert_array_equal(smooth.data, filters.gaussian(photo, channel_axis=-1))
    grey = tw.apply("color.rgb2gray", layer)
    assert not grey.rgb
    np.testing.assert_array_equal(grey.data, color.rgb2gray(photo))
    with pytest.raises(InvalidImage, match="needs colours"):
        tw.apply("color.rgb2gray", grey)


def test_an_alpha_is_no_channel_of_data() -> None:
    photo = data.astronaut()[:40, :50]
    layer = Image(np.dstack([photo, photo[..., 0]]))
    assert layer.rgb
    wider = tw.apply("morphology.dilation", layer)
    np.testing.assert_array_equal(wider.data[..., 3], layer.data[..., 3])
    np.testing.assert_array_equal(wider.data[..., 1], morphology.dilation(photo[..., 1]))
    with pytest.warns(SourceWarning, match="leaves the image's alpha out"):
        smooth = tw.apply("filters.gaussian", layer)
    assert smooth.rgb
    np.testing.assert_array_equal(smooth.data, filters.gaussian(photo, channel_axis=-1))
    assert tw.apply("filters.threshold_otsu", layer).shape == (3,)
    mixed = tw.apply("color.rgba2rgb", layer)
    np.testing.assert_array_equal(mixed.data, color.rgba2rgb(layer.data))


def test_an_alpha_is_no_channel_of_a_streamed_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tilewise._napari.jobs.job_run.LARGE", 1)
    photo = data.astronaut()[:40, :50]
    pixels = np.dstack([photo, photo[..., 0]])
    levels = [da.from_array(pixels), da.from_array(pixels[::2, ::2])]
    wider = tw.apply("morphology.dilation", Image(levels, multiscale=True))
    np.testing.assert_array_equal(wider.data[0][..., 3], pixels[..., 3])
    np.testing.assert_array_equal(wider.data[0][..., 1], morphology.dilation(photo[..., 1]))


def test_lazy_layers_stay_lazy_and_pyramids_stay_pyramids(coins: Image) -> None:
    lazy = Image(da.from_array(np.tile(COINS, (3, 1, 1)), chunks=(1, 50, 50)))
    smooth = tw.apply("filters.gaussian", lazy, spatial="yx")
    assert isinstance(smooth.data, da.Array)
    np.testing.assert_array_equal(smooth.data[2], filters.gaussian(COINS))
    for finest in (COINS, da.from_array(COINS, chunks=50)):
        pyramid = Image([finest, finest[::2, ::2]], multiscale=True, **PLACE)
        result = tw.apply("filters.gaussian", pyramid)
        assert result.multiscale
        np.testing.assert_array_equal(np.asarray(result.data[0]), filters.gaussian(COINS))
        np.testing.assert_array_equal(result.scale, pyramid.scale)
        assert tw.apply("filters.threshold_otsu", pyramid) == filters.threshold_otsu(COINS)


def test_further_images_are_layers_or_arrays(coins: Image) -> None:
    mask = COINS > 60
    expected = feature.canny(COINS, mask=mask)
    for value in (mask, Labels(mask.astype(np.uint8)), Image(mask)):
        edges = tw.apply("feature.canny", coins, mask=value)
        np.testing.assert_array_equal(edges.data.astype(bool), expected)
    np.testing.assert_array_equal(tw.apply("feature.canny", COINS, mask=Image(mask)), expected)
    template = Image(COINS[20:30, 40:52])
    np.testing.assert_allclose(  # a layer's in tiles, whose sums are taken in another order
        tw.apply("feature.match_template", coins, template=template).data,
        tw.apply("feature.match_template", COINS, template=template.data),
        rtol=0,
        atol=tw.OPERATIONS["feature.match_template"].tolerance,
    )


def test_grey_images_need_no_channels() -> None:
    for name in ("segmentation.slic", "segmentation.felzenszwalb"):
        segments = tw.apply(name, Image(COINS))
        expected = tw.apply(name, COINS, channel_axis=None)
        np.testing.assert_array_equal(segments.data, expected)


def test_signed_results_have_limits_that_show_them(coins: Image) -> None:
    coins.contrast_limits = (0, 255)
    edges = tw.apply("filters.laplace", coins)
    assert edges.contrast_limits[0] == edges.data.min() < 0
    assert tw.apply("filters.gaussian", coins).contrast_limits[0] == 0


def test_blobs_have_their_size() -> None:
    columns = np.arange(80)
    spot = np.exp(-((columns[:, None] - 30) ** 2 + (columns - 50) ** 2) / (2 * 6**2))
    for name, factor in (("feature.blob_log", np.sqrt(2)), ("feature.blob_doh", 1)):
        blobs = tw.apply(name, Image(spot), min_sigma=2, max_sigma=12, threshold=0.01)
        np.testing.assert_allclose(blobs.size, 2 * factor * blobs.features["sigma (px)"])


def test_each_position_has_its_surface() -> None:
    balls = np.zeros((2, 12, 12, 12))
    balls[0, 3:8, 3:8, 3:8] = balls[1, 2:10, 4:7, 4:7] = 1
    layer = Image(balls, axis_labels=("t", "z", "y", "x"), scale=(1, 2, 3, 4))
    surface = tw.apply("measure.marching_cubes", layer, level=0.5)
    assert surface.ndim == 4
    np.testing.assert_array_equal(surface.scale, layer.scale)
    for time in (0, 1):
        vertices = surface.data[0][surface.data[0][:, 0] == time, 1:]
        np.testing.assert_array_equal(vertices, measure.marching_cubes(balls[time], 0.5)[0])
    assert surface.data[1].max() == len(surface.data[0]) - 1


def test_a_viewer_gets_the_layers(coins: Image) -> None:
    viewer = ViewerModel()
    viewer.add_layer(coins)
    smooth = tw.apply("filters.gaussian", coins, sigma=2, viewer=viewer)
    assert list(viewer.layers) == [coins, smooth]
    mask = tw.apply("feature.canny", smooth, viewer=viewer)
    assert [step.operation for step in layer_record.of(mask).recipe.steps] == [
        "filters.gaussian", "feature.canny",
    ]  # fmt: skip
    assert tw.apply("filters.threshold_otsu", smooth, viewer=viewer) > 0
    pair = tw.apply("feature.corner_foerstner", coins, viewer=viewer)
    assert viewer.layers[-2:] == list(pair)


@pytest.mark.gui
def test_a_window_shows_lazy_results(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=False)
    lazy = da.from_array(np.tile(COINS, (3, 1, 1)), chunks=(1, 50, 50))
    layer = viewer.add_image(lazy, contrast_limits=(0, 255))
    viewer.dims.set_point(0, 2)
    smooth = tw.apply("filters.gaussian", layer, spatial="yx", viewer=viewer)
    assert viewer.layers[-1] is smooth
    np.testing.assert_array_equal(smooth._data_view, filters.gaussian(COINS))


def test_what_does_not_fit_is_refused(coins: Image) -> None:
    with pytest.raises(InvalidImage, match="is a Points layer"):
        tw.apply("filters.gaussian", Points([[1, 2]]))
    with pytest.raises(UnknownParameter, match="sigm"):
        tw.apply("filters.gaussian", coins, sigm=2)
    with pytest.raises(InvalidParameter, match="viewer= is for napari layers"):
        tw.apply("filters.gaussian", COINS, viewer=ViewerModel())
    with pytest.raises(InvalidParameter, match="out= is for arrays"):
        tw.apply("filters.gaussian", coins, out=np.zeros(COINS.shape))
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        tw.apply("filters.gaussian", coins, cancel=cancel)


@pytest.mark.gui
def test_the_examples_of_the_page_run(make_napari_viewer: Any) -> None:
    page = (ROOT / "docs/scripting.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    namespace: dict[str, Any] = {"viewer": make_napari_viewer(show=False)}
    for block in blocks:
        exec(compile(block, "docs/scripting.md", "exec"), namespace)
