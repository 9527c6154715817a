"""Memory grows with lengths among the parameters: what is not small is stated, and refused."""

from __future__ import annotations

import tracemalloc
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.feature import local_binary_pattern

import napari_tilewise as tw
from napari_tilewise.errors import InvalidParameter, MemoryBudgetExceeded
from napari_tilewise.operations.feature import patterns
from napari_tilewise.operations.spec.parameters import Number
from tests.operations.test_declarations import parameters_for, sample
from tests.strategies import cropped

if TYPE_CHECKING:
    from pathlib import Path

LENGTH = 250
"""Of an axis: its square is what a padded plane of a few pixels takes."""
SMALL = 2**22
"""Bytes that any call on a small image may take."""
SHORTER = {("restoration.denoise_nl_means", "patch_distance"): 60}
"""Where scikit-image goes through the whole window for each pixel, however small the image."""
LENGTHS = [
    (name, parameter)
    for name, operation in tw.OPERATIONS.items()
    for parameter, spec in operation.specs.items()
    if isinstance(spec, Number) and spec.length
]
COUNTS = {"measure.moments": ("order", {}), "feature.local_binary_pattern": ("P", {"R": 2})}
"""Numbers that are no lengths, and decide about memory like these."""
SIZED = [
    name for name, op in tw.OPERATIONS.items() if name[:8] == "ndimage." and "size" in op.specs
]
SIGMAS = [
    (name, parameter)
    for name, operation in tw.OPERATIONS.items()
    for parameter in operation.parameters
    if parameter in ("sigma", "max_sigma", "sigma_max", "low_sigma", "radius")
    and name != "transform.warp_polar"  # whose result is as long
]
"""Of kernels of weights, mostly, which are eight times as long."""
BINS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"filters.threshold_{name}": ("float64", {"nbins": 200_000})
        for name in ("otsu", "yen", "isodata", "triangle")
    },
    "filters.threshold_multiotsu": ("float64", {"nbins": 2500, "classes": 2}),
    "exposure.histogram": ("bool", {"nbins": 300_000}),
    "exposure.cumulative_distribution": ("float32", {"nbins": 300_000}),
    "exposure.equalize_hist": ("float64", {"nbins": 200_000}),
    "exposure.equalize_adapthist": ("float64", {"nbins": 10_000}),
    "restoration.denoise_bilateral": ("float64", {"bins": 300_000}),
    "feature.graycomatrix": (
        "uint8",
        {"distances": [1], "angles": [0.0, 1], "levels": 600, "symmetric": True, "normed": True},
    ),
    "feature.hog": ("float64", {"orientations": 2000}),
    "transform.hough_line": ("bool", {"theta": np.linspace(-1.5, 1.5, 5000)}),
    "measure.profile_line": ("float64", {"src": (0, 0), "dst": (60, 60), "linewidth": 5000}),
    "ndimage.histogram": ("uint8", {"min": 0, "max": 255, "bins": 300_000}),
}
"""Bins, levels, angles and points along a line: what they take does not tell from the image."""
BESIDE_A_SIZE: dict[str, Any] = {"rank": 0, "percentile": 50, "function": np.max}
"""What some of these need beside."""
ABSURD = {
    "measure.moments": {"order": 10**6},
    "measure.moments_central": {"order": 10**6, "center": (3, 4)},
    "feature.local_binary_pattern": {"P": 10**12, "R": 2},
    "feature.graycomatrix": {"distances": [1], "angles": [0.0], "levels": 2**20},
    "filters.butterworth": {"npad": 10**6},
    "filters.gaussian": {"sigma": 2 * 10**9, "truncate": 100},
    "filters.threshold_local": {"block_size": 2**31 - 1, "method": "median", "mode": "nearest"},
    "measure.block_reduce": {"block_size": 2**22},
    "restoration.denoise_nl_means": {"patch_size": 10**6},
    "restoration.rolling_ball": {"radius": 10**6},
    "restoration.denoise_bilateral": {"bins": 2**36},
    "ndimage.histogram": {"min": 0, "max": 9, "bins": 2**36},
}
"""What no machine has the memory for."""


def taken(name: str, image: np.ndarray, params: dict[str, Any]) -> int:
    """Return the most bytes that a call has at a time; none where it is refused."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tw.apply(name, image, **params)
    except tw.TilewiseError:
        return 0
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def stated(name: str, image: np.ndarray, params: dict[str, Any]) -> int:
    """Return what a run of it states beside the process."""
    budget = tw.plan((name, params), image, memory=2**45, workers=1).budget
    return max(budget.per_worker, budget.fallback)


@pytest.mark.parametrize(("name", "parameter"), LENGTHS, ids=str)
def test_a_length_beyond_the_image_takes_little_or_is_stated(name: str, parameter: str) -> None:
    operation = tw.OPERATIONS[name]
    image = cropped(operation, sample(name, "uint8"), 12)
    length = SHORTER.get((name, parameter), LENGTH)
    params = {**parameters_for(operation, image), parameter: length}
    peak = taken(name, image, params)
    assert peak <= SMALL * (length / LENGTH) ** 2 or peak <= stated(name, image, params)


@pytest.mark.parametrize(("name", "parameter"), SIGMAS, ids=str)
def test_a_kernel_beyond_the_image_takes_little_or_is_stated(name: str, parameter: str) -> None:
    operation = tw.OPERATIONS[name]
    image = cropped(operation, sample(name, "uint8"), 8)
    value = [40_000] if name == "transform.hough_circle" else 40_000
    params = {**parameters_for(operation, image), parameter: value}
    peak = taken(name, image, params)
    assert peak <= SMALL or peak <= stated(name, image, params)


@pytest.mark.parametrize("name", BINS)
def test_bins_and_levels_take_what_is_stated(name: str) -> None:
    dtype, params = BINS[name]
    pixels = np.random.default_rng(0).random((64, 64))
    image = (pixels * 255).astype(dtype) if dtype == "uint8" else (pixels.round(2)).astype(dtype)
    assert SMALL < taken(name, image, params) <= stated(name, image, params)


def test_bins_of_floats_beyond_the_memory_are_refused() -> None:
    image = np.random.default_rng(0).random((8, 8))
    for name in ("filters.threshold_otsu", "exposure.histogram", "exposure.equalize_adapthist"):
        with pytest.raises(MemoryBudgetExceeded, match=name.replace(".", r"\.")):
            tw.apply(name, image, nbins=2**40)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [300, 2000])
def test_a_large_count_takes_what_is_stated(name: str, count: int) -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 12), np.uint8)
    parameter, others = COUNTS[name]
    params = {parameter: count, **others}
    assert 0 < taken(name, image, params) <= max(SMALL, stated(name, image, params))


def test_central_moments_that_would_take_hours_are_refused() -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 12), np.uint8)
    with pytest.raises(InvalidParameter, match=r"order=70 .* Give the center"):
        tw.apply("measure.moments_central", image, order=70)
    assert tw.apply("measure.moments_central", image, order=70, center=(5, 6)).shape == (71, 71)


@pytest.mark.parametrize("name", SIZED)
def test_a_size_is_bound_without_an_array_of_it(name: str) -> None:
    """Its window would take 4 GiB; many are refused, which takes no more."""
    operation = tw.OPERATIONS[name]
    beside = {key: value for key, value in BESIDE_A_SIZE.items() if key in operation.specs}
    tracemalloc.start()
    try:
        with suppress(tw.TilewiseError):
            call = operation.call((40, 52), np.dtype(np.uint8), {"size": 2**16 - 1, **beside})
            operation.neighbourhood.halo(call)
        assert tracemalloc.get_traced_memory()[1] <= SMALL
    finally:
        tracemalloc.stop()


def test_a_kernel_of_any_length_takes_what_three_pixels_take() -> None:
    image = np.zeros((24, 24), np.uint8)
    assert taken("filters.laplace", image, {"ksize": 1000}) <= SMALL


@pytest.mark.parametrize("name", ABSURD)
def test_what_parameters_take_beyond_the_memory_is_refused(name: str, tmp_path: Path) -> None:
    """Before anything is computed, with the number, by a run and by a call."""
    image, params = np.zeros((64, 64), np.uint8), ABSURD[name]
    suffix = "npy" if tw.OPERATIONS[name].output.is_image else "json"
    with pytest.raises(MemoryBudgetExceeded, match=r"[TPE]iB"):
        tw.run((name, params), image, tmp_path / f"a.{suffix}", memory="2 GiB", axes="yx")
    with pytest.raises(MemoryBudgetExceeded, match=name.replace(".", r"\.")):
        tw.apply(name, image, **params)


def test_parts_of_a_tile_change_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 9, (40, 52), np.uint8)
    for method in ("default", "uniform", "var"):
        expected = local_binary_pattern(image, 8, 2.5, method)
        for samples in (8, 300, 4000):
            monkeypatch.setattr(patterns, "SAMPLES", samples)
            params = {"P": 8, "R": 2.5, "method": method}
            result = tw.apply("feature.local_binary_pattern", image, tiles=17, **params)
            np.testing.assert_array_equal(result, expected)


def test_labels_that_no_integer_holds_are_refused() -> None:
    labels = np.array([[0, 5], [7, 9]], np.uint8)
    with pytest.raises(InvalidParameter, match=r"offset=1180591620717411303424: .* at most 4\.6"):
        tw.apply("segmentation.relabel_sequential", labels, offset=2**70)
    largest = tw.apply("segmentation.relabel_sequential", labels, offset=2**62)[0].max()
    assert largest == 2**62 + 2
