"""Thresholds from windows, and means over boxes, against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import filters

from napari_tilewise.kernels import KERNELS, threads
from tests.kernels.comparing import compare, image_of, shape_of

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64")
FLOATS = ("float32", "float64")
WINDOWS = (3, 15, 25, 1, (5, 9), (1, 7), (31, 1))
VOLUME_WINDOWS = (1, 3, 7, (3, 5, 1), (1, 5, 9), (9, 1, 1))
MODES = ("reflect", "constant", "nearest", "mirror", "wrap")


@pytest.mark.parametrize("dtype", [*DTYPES, *FLOATS])
def test_deviations_of_windows(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, *dtype.encode()])
    for trial in range(24):
        ndim = 3 if trial % 3 == 0 else 2
        image = image_of(rng, shape_of(rng, ndim, 100 if ndim == 2 else 17), dtype, special=True)
        windows = WINDOWS if ndim == 2 else VOLUME_WINDOWS
        window = windows[int(rng.integers(len(windows)))]
        weights = {"k": float(rng.choice([0.2, 0.5])), "r": (None, 50.0, 2)[trial % 3]}
        path = "skimage.filters.threshold_sauvola"
        compare(path, filters.threshold_sauvola, image, window, **weights)
        compare(path, filters.threshold_sauvola, image, window_size=window)
        path = "skimage.filters.threshold_niblack"
        compare(path, filters.threshold_niblack, image, window_size=window)


@pytest.mark.parametrize("dtype", ["uint16", *FLOATS])
def test_deviations_in_bands(
    dtype: str, instruction_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_BAND", 200)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 200)
    rng = np.random.default_rng([4, *dtype.encode()])
    with threads.several_threads(2):
        for shape in ((150, 70), (64, 9), (13, 14, 15), (1, 40, 30)):
            image = rng.random(shape) * 60000
            window = 7 if len(shape) == 2 else (3, 5, 7)
            for name in ("sauvola", "niblack"):
                function = getattr(filters, f"threshold_{name}")
                compare(f"skimage.filters.threshold_{name}", function, image.astype(dtype), window)
            path = "skimage.filters.threshold_local"
            params = {"block_size": window, "method": "mean"}
            compare(path, filters.threshold_local, image.astype(dtype), **params)


def test_sums_beyond_whole_numbers_are_rounded_alike(instruction_set: str) -> None:
    # Squares of 65535 over so many pixels reach 2**53.
    image = np.random.default_rng(5).integers(65500, 65536, (1500, 1450)).astype(np.uint16)
    compare("skimage.filters.threshold_sauvola", filters.threshold_sauvola, image, window_size=5)


def test_calls_that_the_function_answers(instruction_set: str) -> None:
    kernel = KERNELS["skimage.filters.threshold_sauvola"]
    image = np.zeros((9, 9), "u1")
    assert kernel.accepts(image)
    for params in (
        {"window_size": 4},
        {"k": np.float64(0.2)},
        {"r": 0},
        {"window_size": (3, 3, 3)},
    ):
        assert not kernel.accepts(image, **params)
    assert not kernel.accepts(image.astype("f2"))
    assert not kernel.accepts(image[0], window_size=3)


@pytest.mark.parametrize("dtype", [*DTYPES, *FLOATS])
def test_means_of_boxes(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([6, *dtype.encode()])
    for trial in range(30):
        ndim = (1, 2, 2, 3)[trial % 4]
        image = image_of(rng, shape_of(rng, ndim, 100 if ndim < 3 else 20), dtype)
        sizes = tuple(int(n) for n in rng.choice([1, 3, 5, 9, 25], ndim))
        mode = MODES[trial % 5]
        offset = (0, 3, 0.25)[trial % 3]
        params = {"method": "mean", "mode": mode, "offset": offset, "cval": float(trial % 7) / 2}
        path = "skimage.filters.threshold_local"
        compare(path, filters.threshold_local, image, sizes, **params)
    image = rng.random((600, 1030)).astype(dtype)
    compare(path, filters.threshold_local, image, 11, method="mean")
