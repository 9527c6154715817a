"""Where the library's answer is not a function of its input, ours is, through every door.

Each sample shows that the library still differs: when a release mends it, the test says so.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
import napari_tilewise.skimage as ski
from napari_tilewise.errors import InvalidImage
from napari_tilewise.operations.spec.docstrings import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

DEVIATING, UNANSWERED = (
    [
        key
        for key, operation in tw.OPERATIONS.items()
        if any(item.answered is answered for item in operation.accuracy.deviations)
    ]
    for answered in (True, False)
)
CALLED = [
    key
    for key in DEVIATING
    if not all(item.beyond for item in tw.OPERATIONS[key].accuracy.deviations)
]
"""Those of which the library can be called without harm."""


def levels(high: int, shape: tuple[int, ...] = (20, 20)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape)


def colours_with_nan() -> np.ndarray:
    image = np.random.default_rng(0).random((20, 20, 3))
    image[::3, ::3, 1] = np.nan
    return image


def fractions_in_columns(*shape: int) -> np.ndarray:
    """Return an image in Fortran's order, whose sums depend on it."""
    return np.asfortranarray(np.random.default_rng(0).random(shape))


def heavy_corner() -> np.ndarray:
    """Return an image in Fortran's order, whose sums along rows and columns round differently.

    Its first pixel is so large that adding 3 changes it, as down the column, and adding 1 does not.
    """
    image = np.ones((256, 240), order="F")
    image[1:, 0] = 3
    image[0, 0] = 2.0**53
    return image


@cache
def seeds() -> np.ndarray:
    markers = np.zeros((20, 20), int)
    markers.flat[np.random.default_rng(1).integers(0, 400, 12)] = np.arange(1, 13)
    return markers


def sample(key: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Return an image and parameters of a call that deviates."""
    if key == "filters.rank.windowed_histogram":
        return levels(60).astype(np.uint8), {"footprint": np.ones((3, 3), np.uint8), "n_bins": 4096}
    if key.startswith("filters.rank."):
        swapped = levels(60).astype(np.dtype("u2").newbyteorder())
        return swapped, {"footprint": np.ones((3, 3), np.uint8)}
    if key in ("restoration.denoise_wavelet", "restoration.estimate_sigma"):
        single = np.random.default_rng(0).random((40, 40), np.float32)
        return single.astype(single.dtype.newbyteorder()), {}
    corner, mean = heavy_corner(), {"block_size": 8, "func": np.mean}
    return {
        "color.rgb2gray": (fractions_in_columns(64, 80, 3), {}),
        "filters.threshold_mean": (corner, {}),
        "measure.block_reduce": (fractions_in_columns(64, 80), mean),
        "measure.manders_coloc_coeff": (corner, {"image1_mask": corner < 9}),
        "measure.manders_overlap_coeff": (corner, {"image1": np.ones_like(corner)}),
        "transform.downscale_local_mean": (fractions_in_columns(64, 80), {"factors": 8}),
        "filters.unsharp_mask": (levels(9, (20, 20, 3)) / 9, {"channel_axis": -1}),
        "color.rgb2hsv": (colours_with_nan(), {}),
        "segmentation.morphological_chan_vese": (levels(9) / 9, {"num_iter": 1}),
        "segmentation.morphological_geodesic_active_contour": (levels(9) / 9, {"num_iter": 1}),
        "segmentation.watershed": (
            np.asfortranarray(levels(4)),
            {"markers": seeds(), "compactness": 1.0},
        ),
    }[key]


def with_used_memory(function: Callable[[], Any], like: np.ndarray) -> Any:
    """Call a function when the memory that it is about to get holds other numbers."""
    used = [np.full(like.shape, 0.3, float) for _ in range(8)]
    del used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(function())


@pytest.mark.parametrize("key", CALLED)
def test_the_library_still_differs(key: str) -> None:
    image, params = sample(key)
    operation = tw.OPERATIONS[key]
    defaults = {name: item.default for name, item in operation.parameters.items()}
    assert any(item.applies(image, defaults | params) for item in operation.accuracy.deviations)
    library = resolve(key)
    ours = np.asarray(tw.apply(key, image, **params))
    answers = [with_used_memory(lambda: library(image, **params), image) for _ in range(2)]
    mended = all(
        answer.dtype == ours.dtype and answer.tobytes() == ours.tobytes() for answer in answers
    )
    assert not mended, f"{key} is repeatable in this release: remove its deviation."


@pytest.mark.parametrize("key", DEVIATING)
def test_ours_is_one_answer_through_every_door(key: str) -> None:
    image, params = sample(key)
    dropin: Any = ski
    for name in key.split("."):
        dropin = getattr(dropin, name)
    plain = np.ascontiguousarray(image).astype(image.dtype.newbyteorder("="))
    expected = np.asarray(tw.apply(key, plain, **params))
    for answer in (
        dropin(image, **params),
        dropin(image, **params),
        tw.apply(key, image, tiles=7, **params),
    ):
        assert np.asarray(answer).dtype == expected.dtype
        np.testing.assert_array_equal(answer, expected)


def unanswered(key: str) -> tuple[np.ndarray, dict[str, Any], str]:
    """Return an image and parameters of a call without an answer, and why it has none."""
    image = levels(9) / 9
    if key == "restoration.denoise_tv_bregman":
        return image[:1], {}, "reads memory beside the image"
    image[3, 4] = np.nan
    params = {"mask": image} if "mask" in tw.OPERATIONS[key].specs else {"h": 0.1}
    return image, params, r"the image contains NaN: .* numpy\.nan_to_num"


@pytest.mark.parametrize("key", UNANSWERED)
@pytest.mark.parametrize("tiling", [False, True])
def test_what_has_no_answer_is_refused_through_every_door(key: str, tiling: bool) -> None:
    """The library is not called: it does not check what it cannot work on."""
    image, params, reason = unanswered(key)
    dropin: Any = ski
    for name in key.split("."):
        dropin = getattr(dropin, name)
    with pytest.raises(InvalidImage, match=reason):
        tw.apply(key, image, **params)
    with ski.tiling(tiles=7) if tiling else nullcontext(), pytest.raises(InvalidImage):
        dropin(image, **params)


def test_infinity_is_named_where_a_height_is_taken_of_it() -> None:
    image = levels(9) / 9
    image[3, 4] = np.inf
    with pytest.raises(InvalidImage, match="the image contains infinity"):
        ski.morphology.h_maxima(image, 0.1)


def test_axes_counted_from_either_end_are_one() -> None:
    image = levels(9, (6, 7, 3)) / 9
    np.testing.assert_array_equal(
        ski.filters.unsharp_mask(image, channel_axis=-1),
        ski.filters.unsharp_mask(image, channel_axis=2),
    )


def test_pixels_without_a_number_have_no_hue() -> None:
    image = colours_with_nan()
    hsv = ski.color.rgb2hsv(image)
    missing = np.isnan(image).any(axis=-1)
    assert (hsv[missing] == 0).all()
    whole = resolve("color.rgb2hsv")(np.nan_to_num(image))
    np.testing.assert_array_equal(hsv[~missing], whole[~missing])
