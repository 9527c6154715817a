"""What goes through a function in one call: small images, and larger ones where a kernel pays."""

from __future__ import annotations

import re
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import (
    color,
    data,
    exposure,
    feature,
    filters,
    measure,
    restoration,
    segmentation,
    transform,
    util,
)

import napari_tilewise as tw
from napari_tilewise.engine.at_once import bound_call, pixel_checks, prepared_calls, whole_image
from napari_tilewise.errors import Cancelled, InvalidImage
from napari_tilewise.kernels import available
from napari_tilewise.operations.shared.whole import whole
from napari_tilewise.operations.spec.operation import tiled
from napari_tilewise.operations.spec.substitution import finite_check, is_finite, kernel_for

if TYPE_CHECKING:
    from napari_tilewise.engine.events import Event

LARGE = np.random.default_rng(0).random((600, 700)) < 0.4


@pytest.fixture(autouse=True)
def nothing_is_prepared() -> None:
    """Forget the calls of other tests."""
    prepared_calls._prepared.clear()
    prepared_calls._latest.clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call of `apply` so far was computed at once."""
    results: list[bool] = []
    computed = whole_image.computed_at_once

    def noted(*args: Any) -> Any:
        result = computed(*args)
        results.append(result is not None)
        return result

    monkeypatch.setattr("napari_tilewise.engine.apply.computed_at_once", noted)
    return results


@pytest.fixture
def by_function(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the operations whose functions got an image whole so far."""
    names: list[str] = []
    computation = whole_image.computation

    def noted(bound: Any, *args: Any) -> Any:
        compute = computation(bound, *args)
        if compute is not None:
            names.append(bound.call.operation.name)
        return compute

    monkeypatch.setattr(whole_image, "computation", noted)
    return names


def test_a_large_image_goes_whole_where_a_kernel_stands_for_the_function(calls: list[bool]) -> None:
    result = tw.apply("measure.label", LARGE, connectivity=1)
    np.testing.assert_array_equal(result, measure.label(LARGE, connectivity=1))
    assert calls == [available()]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tiles": 300},
        {"cancel": None, "progress": lambda event: None},
        {"spatial": "x", "axes": "yx"},
    ],
)
def test_tiles_compute_what_asks_for_them(calls: list[bool], arguments: dict[str, Any]) -> None:
    tw.apply("measure.label", LARGE, **arguments)
    assert calls == []


def test_progress_is_told_of_small_images_too() -> None:
    events: list[Event] = []
    tw.apply("filters.gaussian", LARGE[:50, :50], progress=events.append)
    assert events


def test_the_result_is_never_the_input(calls: list[bool]) -> None:
    image = np.random.default_rng(1).random((20, 30))
    result = tw.apply("util.img_as_float", image)
    assert calls == [True]
    assert not np.shares_memory(result, image)


def test_memory_is_looked_up_for_much_only(
    calls: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_checks, "lately_available_memory", lambda: 2**20)
    tw.apply("measure.label", LARGE)
    monkeypatch.setattr(pixel_checks, "LITTLE", 2**20)
    tw.apply("measure.label", LARGE)
    assert calls == [available(), False]


def test_one_tile_needs_no_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a sweep over one tile")

    coins = data.coins()
    monkeypatch.setattr("napari_tilewise.engine.session.sweep", refused)
    assert tw.apply("filters.threshold_mean", coins) == filters.threshold_mean(coins)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        tw.apply("filters.threshold_mean", coins, cancel=cancel)


NEEDED: dict[str, Any] = {
    "footprint": np.ones((3, 3), np.uint8), "size": 3, "h": 0.1, "seed_point": (3, 3), "q": 0.5,
    "reference": np.linspace(0, 1, 100).reshape(10, 10), "radius": 2, "percentile": 30, "rank": 1,
    "function": np.max, "min": 0, "max": 1, "bins": 4, "new_value": 2,
    "image1": np.linspace(0, 1, 600).reshape(20, 30), "num_iter": 2,
    "corners": np.array([[3, 4], [11, 12]]), "template": np.linspace(0, 1, 12).reshape(3, 4),
    "output_shape": (7, 8), "angle": 10, "inverse_map": np.eye(3), "start": [(0, 0)],
    "end": [(9, 9)], "mask": np.ones((3, 3), np.uint8), "kernel": np.ones((3, 3)) / 9,
    "scale": 0.5, "shift": 1.5, "zoom": 0.5, "matrix": np.eye(2), "crop_width": 2, "src": (0, 0),
    "dst": (9, 12), "low": 0.4, "high": 0.7, "factors": 2, "min_distance": 2,
    "image1_mask": np.ones((20, 30), bool),
}  # fmt: skip
FINITE = [
    op.name
    for op in tw.OPERATIONS.values()
    if op.cost.at_once.finite and op.limits.ndim[0] <= 2 and op.name != "morphology.reconstruction"
]


def _params(name: str) -> dict[str, Any]:
    """Return what has no default, and a window."""
    parameters = tw.OPERATIONS[name].parameters
    names = [key for key, item in parameters.items() if item.required]
    if name.startswith("ndimage.") and "size" in parameters and "size" not in names:
        names.append("size")
    if name == "transform.swirl":  # its default is longer than the image
        names.append("radius")
    return {key: NEEDED[key] for key in names}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FINITE)
def test_plans_answer_to_nan(calls: list[bool], by_function: list[str], name: str) -> None:
    image, params = np.random.default_rng(2).random((20, 30)), _params(name)
    expected = tw.OPERATIONS[name].function(image, **params)
    assert repr(tw.apply(name, image, **params)) == repr(expected)
    assert calls == [True]
    image[3, 4] = np.nan
    by_function.clear()
    answers = []
    for tiles in ("auto", 32):
        try:
            answers.append(repr(tw.apply(name, image, tiles=tiles, **params)))
        except tw.TilewiseError as error:
            answers.append(str(error))
    assert not by_function
    assert answers[0] == answers[1]


SAME_OF_NAN = [
    op.name
    for op in tw.OPERATIONS.values()
    if op.cost.at_once.function
    and not (op.cost.at_once.finite or op.limits.finite)
    and op.plan_of not in (tiled, whole)
    and op.limits.ndim[0] <= 2
    and all(key in NEEDED for key, item in op.parameters.items() if item.required)
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SAME_OF_NAN)
def test_functions_and_plans_answer_alike_to_nan(name: str) -> None:
    params = _params(name)
    for value in (np.nan, np.inf, -np.inf):
        image = np.random.default_rng(2).random((20, 30), np.float32)
        image[3, 4] = image[17, 29] = value
        answers = []
        for tiles in ("auto", 8):
            try:
                answers.append(repr(tw.apply(name, image, tiles=tiles, **params)))
            except tw.TilewiseError as error:
                answers.append(re.sub(r"the tile \[.*?\]", "the tile", str(error)))
        assert answers[0] == answers[1]


def test_parameters_that_are_equal_and_not_the_same_are_told_apart() -> None:
    image = np.array([[0.0, -1.0], [2.0, 3.0]])
    for value in (0.0, -0.0, 0):
        result = tw.apply("numpy.multiply", image, x2=value)
        expected = np.multiply(image, value)
        assert result.dtype == expected.dtype
        assert result.tobytes() == expected.tobytes()


def test_what_is_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(tw.TilewiseError, match="gamma"):
            tw.apply("exposure.adjust_gamma", np.ones((4, 5)), gamma=-1)
        with pytest.raises(tw.TilewiseError, match="axes"):
            tw.apply("feature.canny", np.ones((4, 5, 6, 2)))


RGB = np.random.default_rng(3).integers(0, 255, (40, 50, 3), np.uint8)
GRAY = RGB[..., 0].copy()
WITH_NAN = np.where(RGB == RGB.max(), np.nan, RGB / 255)
BY_PASSES: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "feature.structure_tensor": (WITH_NAN[..., 0].copy(), {}),
    "feature.blob_dog": (GRAY, {}),
    "measure.pearson_corr_coeff": (
        GRAY,
        {"image1": GRAY.T.copy().reshape(40, 50), "mask": GRAY > 50},
    ),
    "measure.manders_coloc_coeff": (GRAY, {"image1_mask": GRAY < 99, "mask": GRAY > 50}),
    "ndimage.maximum_position": (GRAY, {"labels": GRAY // 50, "index": [1, 3, 2]}),
    "transform.pyramid_reduce": (WITH_NAN, {"channel_axis": -1}),
    "transform.pyramid_gaussian": (WITH_NAN[..., 0].copy(), {"max_layer": 2}),
    "ndimage.find_objects": (GRAY.astype(np.int64) << 40, {"max_label": 3}),
    "morphology.remove_small_objects": (GRAY.astype(np.int64) << 40, {}),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BY_PASSES)
def test_passes_over_one_tile_need_no_session(
    monkeypatch: pytest.MonkeyPatch, calls: list[bool], by_function: list[str], name: str
) -> None:
    image, params = BY_PASSES[name]
    expected = tw.apply(name, image, tiles=64, **params)
    monkeypatch.delattr("napari_tilewise.engine.apply.build")
    before = image.copy()
    result = tw.apply(name, image, **params)
    assert calls == [True]
    assert not by_function
    assert type(result) is type(expected)
    pairs = zip(result, expected, strict=True) if np.iterable(result) else [(result, expected)]
    for array, other in pairs:
        np.testing.assert_array_equal(array, other)
        assert np.asarray(array).dtype == np.asarray(other).dtype
    np.testing.assert_array_equal(image, before)


def test_what_is_swept_needs_the_engine(calls: list[bool]) -> None:
    tw.apply("morphology.thin", GRAY > 100)
    assert calls == [False]


def test_further_images_and_footprints_are_bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[str] = []
    bind = bound_call._bind

    def noted(operation: Any, *args: Any) -> Any:
        bound.append(operation.name)
        return bind(operation, *args)

    monkeypatch.setattr(bound_call, "_bind", noted)
    bound_call._bound_before.cache_clear()
    footprint = np.ones((3, 3), np.uint8)
    for shift in range(3):
        other = np.roll(GRAY, shift)
        result = tw.apply("util.compare_images", GRAY, image1=other)
        np.testing.assert_array_equal(result, util.compare_images(GRAY, other))
        eroded = tw.apply("filters.rank.minimum", GRAY, footprint=footprint)
        np.testing.assert_array_equal(eroded, filters.rank.minimum(GRAY, footprint))
    assert bound == ["util.compare_images", "filters.rank.minimum"]
    footprint[0] = 0
    eroded = tw.apply("filters.rank.minimum", GRAY, footprint=footprint)
    np.testing.assert_array_equal(eroded, filters.rank.minimum(GRAY, footprint))
    with pytest.raises(tw.TilewiseError, match="image1"):
        tw.apply("util.compare_images", GRAY, image1=GRAY[:5])


def test_a_large_result_is_not_made_at_once() -> None:
    zoom = tw.OPERATIONS["ndimage.zoom"]
    assert whole_image.computed_at_once(zoom, GRAY, {"zoom": 2}) is not None
    assert whole_image.computed_at_once(zoom, GRAY, {"zoom": 2000}) is None


def test_what_is_written_into_a_result_is_not_found_again(calls: list[bool]) -> None:
    theta = np.linspace(-1, 1, 23)
    angles = tw.apply("transform.hough_line", GRAY > 200, theta=theta)[1]
    angles[:] = 7
    again = tw.apply("transform.hough_line", GRAY > 200, theta=np.linspace(-1, 1, 23))[1]
    assert calls == [True]  # the second is prepared
    np.testing.assert_array_equal(again, np.linspace(-1, 1, 23))


COUNTED = [op.name for op in tw.OPERATIONS.values() if op.cost.at_once.counted]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COUNTED)
def test_plans_answer_to_long_ranges(by_function: list[str], name: str) -> None:
    image = GRAY.astype(np.uint64) + np.uint64(2**64 - 300)
    further = dict.fromkeys(tw.OPERATIONS[name].images, image)
    answers = []
    for tiles in ("auto", 64):
        try:
            answers.append(repr(tw.apply(name, image, tiles=tiles, **further)))
        except tw.TilewiseError as error:
            answers.append(str(error))
    assert not by_function
    assert answers[0] == answers[1]


@pytest.mark.parametrize("value", [-(2**62), 2**62])
def test_a_centre_of_long_integers_does_not_depend_on_tiles(value: int) -> None:
    image = GRAY.astype(np.int64) + value
    centre = tw.apply("ndimage.center_of_mass", image)
    np.testing.assert_allclose(centre, tw.apply("ndimage.center_of_mass", image, tiles=16))


def test_passes_over_one_tile_answer_to_nan(calls: list[bool]) -> None:
    image = np.random.default_rng(2).random((20, 30))
    tw.apply("segmentation.watershed", image)
    image[3, 4] = np.nan
    for tiles in ("auto", 16):
        if available():
            with pytest.raises(tw.TilewiseError, match="NaN"):
                tw.apply("segmentation.watershed", image, tiles=tiles)
        else:  # the function, of the whole image
            result = tw.apply("segmentation.watershed", image, tiles=tiles)
            np.testing.assert_array_equal(result, segmentation.watershed(image))
    assert calls == [True, not available()]
    result = tw.apply("segmentation.watershed", image, markers=5)
    np.testing.assert_array_equal(result, segmentation.watershed(image, markers=5))


def test_a_call_like_an_earlier_one_binds_and_looks_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, params in (("filters.sobel", {}), ("exposure.adjust_gamma", {"gamma": 2})):
        tw.apply(name, GRAY, **params)
    monkeypatch.delattr("napari_tilewise.engine.apply.get_operation")
    other = np.ascontiguousarray(GRAY[::-1])
    np.testing.assert_array_equal(tw.apply("filters.sobel", other), filters.sobel(other))
    gamma = tw.apply("exposure.adjust_gamma", other, gamma=2)
    np.testing.assert_array_equal(gamma, exposure.adjust_gamma(other, 2))
    for changed in ({"gamma": 2.0}, {"gamma": np.float64(2)}, {"gain": 2}, {"tiles": 16}):
        with pytest.raises(NameError):
            tw.apply("exposure.adjust_gamma", other, **changed)
    for image in (other[:, ::2], other.astype(np.uint16), other.astype(">u2"), other.tolist()):
        with pytest.raises(NameError):
            tw.apply("filters.sobel", image)


def test_only_calls_like_the_latest_are_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Any] = []
    key_of = prepared_calls._key

    def noted(params: Any, *args: Any) -> Any:
        searched.append(params)
        return key_of(params, *args)

    def repeated(name: str, **params: Any) -> bool:
        searched.clear()
        found, expected = (
            tw.apply(name, GRAY, **params),
            tw.OPERATIONS[name].function(GRAY, **params),
        )
        np.testing.assert_array_equal(found, expected)
        return not searched

    monkeypatch.setattr(prepared_calls, "_key", noted)
    gamma = "exposure.adjust_gamma"
    answers = [repeated(gamma, gamma=value) for value in (2.5, 2.5, float("2.5"), 2, 2, 2.0, 0.0)]
    assert answers == [False, True, True, False, True, False, False]
    # Zeros have a sign, NumPy's numbers a type of their own, which the result may take over.
    again = [repeated(gamma, gamma=value) for value in (float("0"), float("-0"), np.int8(2))]
    assert again == [False] * 3
    assert not repeated(gamma, gamma=2, gain=1)
    assert repeated(gamma, gamma=2, gain=1)
    assert repeated(gamma, gain=1, gamma=2)
    footprint = np.ones((3, 3), np.uint8)
    shrunk = [repeated("filters.rank.minimum", footprint=footprint) for _ in range(2)]
    footprint[0] = 0
    shrunk.append(repeated("filters.rank.minimum", footprint=footprint))
    assert shrunk == [False, True, False]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, -1.0, -0.0, 1e-7])
def test_a_finite_image_is_told_from_others(dtype: str, value: float) -> None:
    image = np.linspace(-9, 9, 35, dtype=dtype).reshape(5, 7)
    check = finite_check(image)
    for number in (0, 17, 34):
        other = image.copy()
        other.flat[number] = value
        assert check(other) == is_finite(other) == bool(np.isfinite(value))


SHOWN: dict[str, dict[str, Any]] = {
    "exposure.cumulative_distribution": {},
    "exposure.histogram": {"nbins": 20},
    "feature.corner_subpix": {"corners": np.array([[9, 9], [20, 31]]), "window_size": 9},
    "ndimage.center_of_mass": {},
    "ndimage.histogram": {"min": 0, "max": 1, "bins": 9},
    "ndimage.mean": {},
    "ndimage.standard_deviation": {},
    "ndimage.sum": {},
    "ndimage.sum_labels": {},
    "ndimage.uniform_filter1d": {"size": 4, "axis": 0, "origin": 1},
    "transform.integral_image": {},
    "ndimage.variance": {},
    "transform.resize_local_mean": {"output_shape": (13, 60)},
}


def test_what_results_show_is_tested() -> None:
    shown = {name for name, item in tw.OPERATIONS.items() if item.cost.at_once.shown is not None}
    assert set(SHOWN) == shown


def answer_of(name: str, image: np.ndarray, params: dict[str, Any]) -> str:
    try:
        return repr(tw.apply(name, image, **params))
    except tw.TilewiseError as error:
        return str(error)


@pytest.mark.filterwarnings("ignore:.*(invalid value|divide by zero|overflow)")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_result_shows_that_the_image_was_finite(
    name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, looked = (GRAY / 2550).astype(dtype), []
    image[9:21, 9:32] += 0.8
    params = SHOWN[name]
    check_of = pixel_checks.finite_check

    def noted(pixels: np.ndarray) -> Any:
        check = check_of(pixels)
        return lambda pixels: looked.append(True) or check(pixels)

    monkeypatch.setattr(pixel_checks, "finite_check", noted)
    first = answer_of(name, image, params)
    assert answer_of(name, image.copy(), params) == first
    assert not looked
    with np.errstate(all="ignore"):
        for pixel in ((0, 0), (9, 10), (21, 30), (39, 0), (0, 49), (39, 49), (38, 48)):
            for value in (np.nan, np.inf, -np.inf, 1e300):
                other = image.copy()
                other[pixel] = value
                again = answer_of(name, other, params)
                prepared_calls._prepared.clear()
                prepared_calls._latest.clear()
                assert again == answer_of(name, other, params), (pixel, value)
                answer_of(name, image, params)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_components_of_any_numbers_are_those_of_tiles(dtype: str) -> None:
    image = np.where(GRAY > 99, GRAY, 0).astype(dtype)
    image.flat[::7], image.flat[3::31], image.flat[5::37] = np.nan, -np.inf, -0.0
    for result in (tw.apply("ndimage.label", image), ndi.label(image)):
        labels, count = tw.apply("ndimage.label", image, tiles=16)
        np.testing.assert_array_equal(result[0], labels)
        assert result[1] == count


def test_numbers_of_labels_show_nothing_of_other_pixels() -> None:
    image, labels = GRAY / 255, (GRAY > 99).astype(np.uint8)
    params = {"labels": labels}
    tw.apply("ndimage.center_of_mass", image, **params)
    image[np.unravel_index(np.argmin(labels), labels.shape)] = np.nan
    again = answer_of("ndimage.center_of_mass", image, params)
    prepared_calls._prepared.clear()
    prepared_calls._latest.clear()
    assert again == answer_of("ndimage.center_of_mass", image, params)


def test_integers_show_nothing_of_the_floats_that_they_came_from() -> None:
    image = GRAY / 255
    for _ in range(2):
        found = tw.apply("transform.integral_image", image, dtype="int64")
        np.testing.assert_array_equal(found, transform.integral_image(image, dtype="int64"))
    image[0, 0] = np.nan
    answer = answer_of("transform.integral_image", image, {"dtype": "int64"})
    prepared_calls._latest.clear()
    prepared_calls._prepared.clear()
    assert answer == answer_of("transform.integral_image", image, {"dtype": "int64"})


def test_results_never_share_memory_with_the_image() -> None:
    image = GRAY / 255
    for pixels in (image, image[2:], image.reshape(-1)[: 40 * 40].reshape(40, 40)):
        for name, params in (
            ("util.crop", {"crop_width": 3}),
            ("util.img_as_float", {}),
            ("transform.resize_local_mean", {"output_shape": pixels.shape}),
        ):
            for _ in range(2):
                result = tw.apply(name, pixels, **params)
                assert not np.shares_memory(result, pixels), name


def test_further_images_differ_from_those_of_an_earlier_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name, images = "measure.manders_overlap_coeff", [GRAY, GRAY[::-1].copy()]
    tw.apply(name, GRAY, image1=GRAY)
    monkeypatch.delattr("napari_tilewise.engine.apply.get_operation")
    for image in images:
        expected = measure.manders_overlap_coeff(GRAY, image)
        assert tw.apply(name, GRAY, image1=image) == expected
    for other in (GRAY[:, ::-1], GRAY.astype(np.int16), GRAY.T.copy(), GRAY.tolist()):
        with pytest.raises(NameError):
            tw.apply(name, GRAY, image1=other)


def test_arrays_that_decide_are_found_by_their_items(monkeypatch: pytest.MonkeyPatch) -> None:
    footprint = np.ones((3, 3), np.uint8)
    tw.apply("filters.rank.minimum", GRAY, footprint=footprint)
    tw.apply("segmentation.find_boundaries", GRAY[:, ::2])  # not contiguous
    assert [name for name, *_ in prepared_calls._prepared] == ["filters.rank.minimum"]
    monkeypatch.delattr("napari_tilewise.engine.apply.get_operation")
    found = tw.apply("filters.rank.minimum", GRAY, footprint=footprint.copy())
    np.testing.assert_array_equal(found, filters.rank.minimum(GRAY, footprint))
    footprint[0] = 0
    for other in (footprint, footprint[:, :2], np.ones((3, 3), bool), np.ones((3, 3)), [[1]]):
        with pytest.raises(NameError):
            tw.apply("filters.rank.minimum", GRAY, footprint=other)


def test_lists_are_found_by_their_items(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = GRAY // 8
    params: dict[str, Any] = {"distances": [1, 2], "angles": [0.0], "levels": 32}
    expected = feature.graycomatrix(levels, [1, 2], [0.0], 32)
    np.testing.assert_array_equal(tw.apply("feature.graycomatrix", levels, **params), expected)
    params["distances"].append(3)
    expected = feature.graycomatrix(levels, [1, 2, 3], [0.0], 32)
    np.testing.assert_array_equal(tw.apply("feature.graycomatrix", levels, **params), expected)
    monkeypatch.delattr("napari_tilewise.engine.apply.get_operation")
    again = {**params, "distances": [1, 2, 3]}
    np.testing.assert_array_equal(tw.apply("feature.graycomatrix", levels, **again), expected)
    for other in ([1, 2, 4], [1, 2, 3.0], (1, 2, 3), [np.int64(1), 2, 3]):
        with pytest.raises(NameError):
            tw.apply("feature.graycomatrix", levels, **{**params, "distances": other})


def test_channels_at_the_end_are_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[bool] = []
    move = np.moveaxis

    def noted(*args: Any) -> Any:
        moved.append(True)
        return move(*args)

    expected = color.rgb2yiq(RGB)
    monkeypatch.setattr(np, "moveaxis", noted)
    for _ in range(2):
        np.testing.assert_array_equal(tw.apply("color.rgb2yiq", RGB), expected)
    assert not moved


def test_what_is_an_image_at_times_is_not_found_by_its_form() -> None:
    tw.apply("filters.rank.minimum", GRAY, footprint=np.ones((3, 3), np.uint8), mask=GRAY)
    assert len(prepared_calls._prepared) == 1
    others = [np.full(GRAY.shape, value, np.uint8) for value in (0, 1)]
    for mask in others:
        params = {"footprint": np.ones((3, 3), np.uint8), "mask": mask}
        found = tw.apply("filters.rank.minimum", GRAY, **params)
        np.testing.assert_array_equal(found, filters.rank.minimum(GRAY, **params))


def test_images_that_are_listed_are_those_of_the_function(by_function: list[str]) -> None:
    for name, function in (
        ("feature.structure_tensor", feature.structure_tensor),
        ("feature.corner_foerstner", feature.corner_foerstner),
    ):
        for image in (GRAY, np.ascontiguousarray(GRAY[::-1])):
            found, expected = tw.apply(name, image), function(image)
            assert type(found) is type(expected)
            for part, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(part, other)
    assert by_function == ["feature.structure_tensor", "feature.corner_foerstner"]


def test_prepared_calls_look_at_the_pixels() -> None:
    tw.apply("morphology.local_maxima", GRAY / 255)
    tw.apply("filters.threshold_triangle", GRAY.astype(np.int64))
    assert len(prepared_calls._prepared) == 2
    image = GRAY / 255
    image[3, 4] = np.nan
    with pytest.raises(tw.TilewiseError, match="NaN"):
        tw.apply("morphology.local_maxima", image)
    wide = GRAY.astype(np.int64) << 40  # scikit-image counts every level of the range
    answers = []
    for tiles in ("auto", 16):
        try:
            answers.append(repr(tw.apply("filters.threshold_triangle", wide, tiles=tiles)))
        except tw.TilewiseError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


def test_a_prepared_call_that_fails_says_what_is_wrong() -> None:
    tw.apply("exposure.adjust_log", GRAY.astype(float))
    for _ in range(2):
        with pytest.raises(tw.TilewiseError, match="adjust_log"):
            tw.apply("exposure.adjust_log", GRAY.astype(float) - 99)


@pytest.mark.parametrize("name", ["measure.manders_overlap_coeff", "measure.intersection_coeff"])
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_small_pairs_have_the_bits_of_their_tiles(name: str, dtype: str) -> None:
    other = GRAY[::-1] // 3
    key = "image1" if name.endswith("overlap_coeff") else "image1_mask"
    pair = [np.asarray(item > 60 if key == "image1_mask" else item) for item in (GRAY, other)]
    image, second = (item.astype(item.dtype if item.dtype == bool else dtype) for item in pair)
    at_once_result = tw.apply(name, image, **{key: second})
    tiled = tw.apply(name, image, tiles=16, **{key: second})
    assert (type(at_once_result), at_once_result) == (type(tiled), tiled)


def test_small_regions_are_those_of_scikit_image(by_function: list[str]) -> None:
    labels = measure.label(GRAY > 150)
    regions = tw.apply("measure.regionprops", labels, intensity_image=GRAY)
    assert by_function == ["measure.regionprops"]
    expected = measure.regionprops(labels, GRAY)
    assert [r.label for r in regions] == [r.label for r in expected]
    assert [r.intensity_mean for r in regions] == [r.intensity_mean for r in expected]


@pytest.mark.parametrize(
    ("properties", "dtype", "whole"),
    [
        (("label", "mean_intensity"), "u2", 0),
        (("mean_intensity",), "f4", 1),
        (("eccentricity",), "u2", 1),
    ],
)
def test_small_tables_whose_objects_are_read_are_the_functions(
    by_function: list[str], properties: tuple[str, ...], dtype: str, whole: int
) -> None:
    labels, values = measure.label(GRAY > 150), GRAY.astype(dtype)
    params = {"intensity_image": values, "properties": properties}
    table = tw.apply("measure.regionprops_table", labels, **params)
    assert len(by_function) == whole
    for expected in (
        measure.regionprops_table(labels, **params),
        tw.apply("measure.regionprops_table", labels, tiles=16, **params),
    ):
        assert list(table) == list(expected)
        for name, column in expected.items():
            assert table[name].dtype == column.dtype
            np.testing.assert_array_equal(table[name], column)


@pytest.mark.parametrize("properties", [("label", "bbox"), ("label", "eccentricity")])
def test_medium_tables_need_no_tiles(
    calls: list[bool], by_function: list[str], properties: tuple[str, ...]
) -> None:
    labels = measure.label(np.tile(GRAY > 150, (8, 8)))
    assert labels.size > 2**16
    table = tw.apply("measure.regionprops_table", labels, properties=properties)
    assert calls == [True]
    assert len(by_function) == ("bbox" not in properties)
    for name, column in measure.regionprops_table(labels, properties=properties).items():
        np.testing.assert_array_equal(table[name], column)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("filters.gaussian", {"sigma": 2}),
        ("filters.sobel", {"mode": "wrap"}),
        ("filters.unsharp_mask", {}),
        ("filters.threshold_local", {"block_size": 25}),
    ],
)
def test_bands_have_the_bits_of_tiles(calls: list[bool], name: str, params: dict[str, Any]) -> None:
    image = np.tile(GRAY, (12, 12)).astype(np.int16)
    result = tw.apply(name, image, **params)
    assert calls == [available()]
    np.testing.assert_array_equal(result, tw.apply(name, image, tiles=100, **params))


@pytest.mark.filterwarnings("ignore")
def test_images_that_a_function_is_wrong_of_go_through_the_passes(by_function: list[str]) -> None:
    footprint = np.ones((3, 3), np.uint8)
    few, many = (np.minimum(GRAY, 9).astype(np.int64), GRAY.astype(np.int64) + 300)
    for name, params, suitable, other in (
        ("segmentation.expand_labels", {"distance": 2}, GRAY * 1.0, np.zeros(GRAY.shape)),
        ("filters.rank.windowed_histogram", {"footprint": footprint}, few, many),
    ):
        by_function.clear()
        for image in (suitable, other, suitable):  # the last is prepared
            result = tw.apply(name, image, **params)
            np.testing.assert_array_equal(result, tw.apply(name, image, tiles=16, **params))
        assert by_function == [name]


@pytest.mark.parametrize("name", ["filters.threshold_otsu", "restoration.denoise_bilateral"])
@pytest.mark.parametrize("length", [40, 300])
@pytest.mark.parametrize("is_constant", [True, False])
def test_a_kernel_that_looks_at_the_pixels_is_asked_once(
    name: str, length: int, is_constant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not available():
        pytest.skip("kernels are off")
    kernel, looks = kernel_for(f"skimage.{name}"), 0
    assert kernel.look is not None
    look = kernel.look

    def counted(*args: Any, **params: Any) -> Any:
        nonlocal looks
        looks += 1
        return look(*args, **params)

    monkeypatch.setitem(kernel.__dict__, "look", counted)
    image = np.random.default_rng(2).random((length, length))
    image = np.full_like(image, 0.5) if is_constant else image
    for number in range(1, 4):
        result = tw.apply(name, image)
        assert looks == number
        np.testing.assert_array_equal(result, tw.OPERATIONS[name].reference(image), strict=True)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_small_image_with_channels_is_denoised_at_once(
    by_function: list[str], dtype: str, axis: int, channels: int
) -> None:
    rng = np.random.default_rng(channels)
    pixels = (rng.random((20, 30, channels)) * 100 - 20).astype(dtype)
    image = np.ascontiguousarray(np.moveaxis(pixels, -1, axis))
    keywords = {"channel_axis": axis, "win_size": 3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image doubts two channels
        expected = restoration.denoise_bilateral(image, **keywords)
    for _ in range(2):  # the second call is prepared
        result = tw.apply("restoration.denoise_bilateral", image, **keywords)
        np.testing.assert_array_equal(result, expected, strict=True)
    assert by_function == (["restoration.denoise_bilateral"] if channels > 2 else [])


@pytest.mark.parametrize("channels", [None, 3])
def test_a_later_image_of_an_undefined_range_is_refused(channels: int | None) -> None:
    shape, axis = ((20, 30), None) if channels is None else ((20, 30, channels), -1)
    image = np.random.default_rng(3).integers(0, 50, shape).astype("i1")
    tw.apply("restoration.denoise_bilateral", image, channel_axis=axis)
    image.flat[0], image.flat[1] = -100, 100
    with pytest.raises(InvalidImage, match="farther apart"):
        tw.apply("restoration.denoise_bilateral", image, channel_axis=axis)


@pytest.mark.parametrize("name", ["filters.threshold_otsu", "restoration.denoise_bilateral"])
def test_a_later_image_with_nan_is_refused(name: str) -> None:
    image = np.random.default_rng(4).random((20, 30))
    tw.apply(name, image)
    image[3, 4] = np.nan
    with pytest.raises(InvalidImage, match="NaN"):
        tw.apply(name, image)


@pytest.mark.parametrize("shape", [(30, 40), (9, 10, 11)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_medians_of_a_small_image_with_nan_are_computed_at_once(
    by_function: list[str], shape: tuple[int, ...], dtype: str
) -> None:
    image = np.random.default_rng(5).random(shape).astype(dtype)
    image[image < 0.05] = np.nan
    footprint = np.ones((3,) * len(shape))
    for mode in ("nearest", "reflect", "constant"):
        expected = filters.median(image, footprint, mode=mode)
        for tiles in ("auto", 7):
            result = tw.apply("filters.median", image, footprint=footprint, mode=mode, tiles=tiles)
            np.testing.assert_array_equal(result, expected, strict=True)
    assert by_function == ["filters.median"] * 3
