"""Pointwise functions on larger images in memory: by bands of rows, the whole image's bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage import color, exposure, util

import napari_tilewise as tw
from napari_tilewise.engine.at_once import row_bands, whole_image
from napari_tilewise.errors import OperationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

RNG = np.random.default_rng(0)
RGB = RNG.random((1203, 500, 3))
GREY = RNG.random((1203, 1100)).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["one thread", "several threads"])
def by_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the operations that went by rows so far; with threads, however small the image."""
    names: list[str] = []
    computed = whole_image._by_rows

    def noted(bound: Any, *args: Any) -> Any:
        names.append(bound.call.operation.name)
        return computed(bound, *args)

    monkeypatch.setattr(whole_image, "_by_rows", noted)
    monkeypatch.setattr(row_bands, "SHARED", 0 if request.param else 2**62)
    monkeypatch.setattr(row_bands, "processors", lambda: 3)
    monkeypatch.setattr(row_bands, "LEAST", 2**12)
    monkeypatch.setattr(row_bands, "CACHED", 2**12)
    return names


@pytest.mark.parametrize(
    ("function", "image", "params"),
    [
        (color.rgb2hsv, RGB, {}),
        (color.rgb2lab, RGB.astype(np.float32), {"illuminant": "D50"}),
        (color.lab2rgb, (RGB * 9 + 50).astype(np.float32), {}),
        (color.rgb2hed, (RGB * 255).astype(np.uint8), {}),
        (color.rgb2hed, RGB[::2, ::-1], {}),
        (color.rgb2hed, np.asfortranarray(RGB), {}),
        (color.rgba2rgb, np.concatenate([RGB, RGB[..., :1]], -1), {"background": (0, 0.5, 1)}),
        (color.xyz2lab, RGB.transpose(0, 2, 1), {"channel_axis": 1}),
        (color.deltaE_ciede2000, RGB * 100, {"lab2": RGB[::-1] * 99}),
        (exposure.adjust_gamma, GREY, {"gamma": 2}),
        (exposure.adjust_sigmoid, np.where(GREY < 0.01, np.nan, GREY), {}),
        (exposure.adjust_log, (GREY * 255).astype(np.uint8), {"inv": True}),
    ],
)
def test_the_result_is_the_functions(
    by_rows: list[str], function: Callable[..., Any], image: np.ndarray, params: dict[str, Any]
) -> None:
    name = f"{function.__module__.split('.')[1].strip('_')}.{function.__name__}"
    result = tw.apply(name, image, **params)
    expected = function(np.ascontiguousarray(image), **params)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, expected)
    assert by_rows == [name]


def test_a_band_is_no_larger_than_the_cache(by_rows: list[str]) -> None:
    heights: list[int] = []

    def noted(image: np.ndarray, **_: Any) -> np.ndarray:
        heights.append(len(image))
        return image + 1

    call = tw.OPERATIONS["util.invert"].call(GREY.shape, GREY.dtype, {})
    part = tw.OPERATIONS["util.invert"].whole_part(call)
    rows = row_bands.rows_of_band(call, (part,))
    assert 1 <= rows * GREY.shape[1] <= 2**12
    result = row_bands.by_rows(noted, call, part, rows)(GREY, {}, {})
    np.testing.assert_array_equal(result, GREY + 1)
    assert max(heights) == rows
    assert sum(heights) == len(GREY)


@pytest.mark.parametrize("of", [lambda a: a.astype(float), lambda a: a[:, :3]])
def test_what_is_not_declared_is_left_to_tiles(
    by_rows: list[str], of: Callable[[np.ndarray], np.ndarray]
) -> None:
    call = tw.OPERATIONS["util.invert"].call(GREY.shape, GREY.dtype, {})
    part = tw.OPERATIONS["util.invert"].whole_part(call)
    assert row_bands.by_rows(lambda image: of(image), call, part, 7)(GREY, {}, {}) is None


def test_channels_before_the_rows_are_for_tiles(by_rows: list[str]) -> None:
    image = np.ascontiguousarray(np.moveaxis(RGB, -1, 0))
    result = tw.apply("color.rgb2hsv", image, channel_axis=0)
    np.testing.assert_array_equal(result, color.rgb2hsv(image, channel_axis=0))
    assert by_rows == []


def test_a_refusal_names_the_operation(by_rows: list[str]) -> None:
    image = GREY - 1  # of which the logarithm's function takes no negative values
    with pytest.raises(ValueError, match="negative"):
        exposure.adjust_log(image)
    with pytest.raises(OperationFailed, match=r"exposure\.adjust_log"):
        tw.apply("exposure.adjust_log", image)
    assert by_rows == ["exposure.adjust_log"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, bool])
def test_light_functions_get_planes_whole(by_rows: list[str], dtype: Any) -> None:
    image = (GREY * 200 > 100) if dtype is bool else (GREY * 200).astype(dtype)
    np.testing.assert_array_equal(tw.apply("util.invert", image), util.invert(image))
    assert by_rows == []
