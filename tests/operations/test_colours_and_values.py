"""What the declarations of `color`, `exposure` and `util` cannot draw: kinds of further images."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage import color, exposure, util

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.operations.color import region_means
from tests.sources import ArrayLike

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore:Converting input from bool")

PRODUCTS = ("rgb2xyz", "rgb2lab", "lab2rgb", "rgb2hed", "rgb2yuv", "ycbcr2rgb", "luv2rgb")


def assert_tiled(
    function: Callable[..., Any], image: np.ndarray, tiles: Any, /, **params: Any
) -> Any:
    """Assert that the tiled call gives scikit-image's answer, in its type."""
    name = f"{function.__module__.split('.')[1]}.{function.__name__}"
    expected = function(image.copy(), **params)
    found = tw.apply(name, image, tiles=tiles, **params)
    assert type(found) is type(expected)
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found, expected)
    return found


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- color -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("axis", [0, -1])
def test_long_rows_cut_anywhere_give_the_same_bits(rng, name, dtype, axis):
    image = np.moveaxis(rng.random((2, 20011, 3)).astype(dtype), -1, axis)
    assert_tiled(getattr(color, name), image, (1, 6007), channel_axis=axis)


def test_a_tile_of_one_pixel_is_no_row_of_one_pixel(rng):
    image = rng.random((3, 9, 3)).astype("float32")
    for name in PRODUCTS:
        assert_tiled(getattr(color, name), image, 1)


def test_colour_spaces_are_named_in_any_case(rng):
    assert_tiled(
        color.convert_colorspace, rng.random((8, 9, 3)), 4, fromspace="RGB", tospace="YCbCr"
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("name", ["gray2rgb", "gray2rgba"])
def test_new_channels_go_where_they_are_wanted(rng, name, axis):
    assert_tiled(getattr(color, name), rng.random((8, 9)), 4, channel_axis=axis)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_alpha_is_a_number_or_an_image(rng, dtype):
    image = of_type(rng, (8, 9), dtype)
    for alpha in (None, 1, 0.5, of_type(rng, (8, 9), dtype)):
        assert_tiled(color.gray2rgba, image, 4, alpha=alpha)


def test_an_image_is_compared_with_one_colour(rng):
    image = rng.random((8, 9, 3)) * 100
    one = np.array([50.0, 20, -30])
    expected = color.deltaE_ciede2000(image, one[np.newaxis, np.newaxis])
    found = tw.apply(
        "color.deltaE_ciede2000", image, lab2=np.broadcast_to(one, image.shape), tiles=4
    )
    np.testing.assert_array_equal(found, expected)


UNDERS = ("none", "gray", "rgb")


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "float16"])
@pytest.mark.parametrize(("under", "kind"), [*itertools.product(UNDERS[1:], ["overlay", "avg"])])
def test_labels_coloured_over_an_image(rng, under, kind, dtype):
    labels = rng.integers(0, 6, (31, 34)) * 7
    image = rng.random((31, 34, 3) if under == "rgb" else (31, 34))
    image = (image * (200 if dtype == "uint8" else 1)).astype(dtype)
    for background in (0, 7, 5, -1):
        assert_tiled(color.label2rgb, labels, 10, image=image, kind=kind, bg_label=background)


def test_labels_coloured_as_wished(rng):
    labels = rng.integers(-2, 6, (31, 34))
    for colors, background in itertools.product(
        (None, ["red", (0, 1, 0)], [(1, 0, 0)]), (None, "blue", (0.1, 0.2, 0.3))
    ):
        assert_tiled(color.label2rgb, labels, (9, 40), colors=colors, bg_color=background)


def test_more_labels_than_their_type_holds_wrap_as_in_scikit_image():
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert_tiled(color.label2rgb, labels, 5, bg_label=300)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_means_of_large_regions_are_summed_in_numpys_order(rng, monkeypatch, channels):
    cuts_of = region_means.cuts_of
    monkeypatch.setattr(region_means, "BAND", 3000)
    monkeypatch.setattr(region_means, "cuts_of", lambda count: cuts_of(count, 256))
    labels = np.kron(rng.integers(0, 4, (5, 5)), np.ones((40, 50), int))
    image = rng.random((*labels.shape, *channels)).astype(np.float32)
    assert_tiled(color.label2rgb, labels, (64, 100), image=image, kind="avg")


def test_labels_without_an_image_have_no_mean_colour():
    with pytest.raises(InvalidParameter, match="image="):
        tw.apply("color.label2rgb", np.eye(4, dtype=int), kind="avg")


# -- exposure --------------------------------------------------------------------------------------

TYPES = ("uint8", "int8", "uint16", "int16", "int32", "bool", "float16", "float32", "float64")


def of_type(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return noise of a data type."""
    return (rng.random(shape) * (1 if dtype[0] in "bf" else 120)).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_histograms_are_matched_with_images_of_other_sizes(rng, dtype):
    image, reference = (of_type(rng, shape, dtype) for shape in ((30, 31), (50, 7)))
    assert_tiled(exposure.match_histograms, image, 9, reference=reference)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_histograms_are_matched_channel_by_channel(rng, dtype, axis):
    image, reference = (
        np.moveaxis(of_type(rng, shape, dtype), -1, axis) for shape in ((20, 21, 3), (9, 33, 3))
    )
    expected = exposure.match_histograms(image, reference, channel_axis=axis)
    found = tw.apply(
        "exposure.match_histograms", image, reference=reference, channel_axis=axis, tiles=7
    )
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_values_that_numpy_does_not_count_are_refused(rng):
    image = of_type(rng, (9, 9), "uint8")
    with pytest.raises(InvalidImage, match="float64"):
        tw.apply("exposure.match_histograms", image, reference=rng.random((9, 9)))
    with pytest.raises(InvalidImage, match="below 0"):
        tw.apply("exposure.match_histograms", image, reference=image.astype(int) - 99)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_contrast_is_judged_by_exact_percentiles(rng, dtype, share):
    for shape in ((17, 19), (17, 19, 3), (17, 19, 4), (9, 8, 7)):
        image = of_type(rng, shape, dtype)
        assert_tiled(exposure.is_low_contrast, image, 5, fraction_threshold=share)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_histograms_count_every_type(rng, dtype, axis):
    image = of_type(rng, (3, 20, 3), dtype)
    if dtype == "bool" and axis is not None:
        pytest.skip("NumPy subtracts no bool edges")
    for source, normalize in itertools.product(("image", "dtype"), (False, True)):
        if (dtype, source) in (("int32", "dtype"), ("bool", "dtype")):
            continue  # too many bins; edges that NumPy does not subtract
        params = {"source_range": source, "normalize": normalize, "channel_axis": axis}
        expected = exposure.histogram(image, 40, **params)
        found = tw.apply("exposure.histogram", image, nbins=40, tiles=3, **params)
        assert isinstance(found, tuple)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


# -- util ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "int16", "int32", "int64"])
@pytest.mark.parametrize("largest", [100, 200, 30000, 40000, 2**30])
def test_the_images_maximum_decides_whether_integers_are_scaled(rng, dtype, largest):
    largest = min(largest, np.iinfo(dtype).max)
    image = (rng.random((20, 21)) * 90).astype(dtype)
    image[13, 17] = largest
    for name in ("img_as_ubyte", "img_as_uint", "img_as_int"):
        assert_tiled(getattr(util, name), image, 6)


def test_values_are_mapped(rng):
    labels = rng.integers(0, 40, (30, 31)).astype(np.uint16)
    keys = rng.permutation(40)[:25]
    params = {"input_vals": keys, "output_vals": rng.random(25).astype(np.float32)}
    assert_tiled(util.map_array, labels, 7, **params)
    with pytest.raises(InvalidParameter, match="same number"):
        tw.apply("util.map_array", labels, input_vals=[1, 2], output_vals=[3])


@pytest.mark.parametrize("width", [2, (3,), (1, 2), ((1, 2),), ((0, 3), (4, 0)), [[30, 0], [0, 0]]])
def test_margins_are_cropped(rng, width):
    assert_tiled(util.crop, rng.random((30, 31)), 8, crop_width=width)


@pytest.mark.parametrize(
    ("mode", "params"),
    [
        ("gaussian", {"mean": 0.1, "var": 0.2}),
        ("S&P", {"amount": 0.3, "salt_vs_pepper": 0.2}),
        ("salt", {"amount": 0.5}),
        ("poisson", {}),
        ("localvar", {"local_vars": np.full((30, 31), 0.2)}),
        ("speckle", {"var": 0.3}),
    ],
)
def test_noise_of_a_seed_is_scikit_images(rng, mode, params):
    assert_tiled(util.random_noise, rng.random((30, 31)), 7, mode=mode, rng=3, **params)


def test_noise_refuses_what_its_mode_does_not_take(rng):
    with pytest.raises(InvalidParameter, match="amount"):
        tw.apply("util.random_noise", rng.random((9, 9)), mode="gaussian", amount=0.2)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_images_of_two_types_are_compared(rng, dtype):
    first, second = rng.random((30, 31)), of_type(rng, (30, 31), dtype)
    for method, fields in itertools.product(("diff", "blend", "checkerboard"), ((8, 8), (3, 40))):
        assert_tiled(util.compare_images, first, 7, image1=second, method=method, n_tiles=fields)


# -- numpy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("position", [1, -3])
def test_one_position_is_taken_without_reading_the_others(rng, axis, position):
    image = rng.integers(0, 99, (30, 40, 50))
    chunks = [10, 10, 10]
    chunks[axis] = 1
    source = ArrayLike(image, tuple(chunks))
    taken = tw.apply("numpy.take", source, indices=position, axis=axis, tiles=10)
    np.testing.assert_array_equal(taken.compute(), np.take(image, position, axis=axis))
    positions = {(box[axis].start, box[axis].stop) for box in source.reads}
    assert positions == {(position % image.shape[axis], position % image.shape[axis] + 1)}
