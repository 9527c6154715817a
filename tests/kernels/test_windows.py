"""Medians, means and morphology over any window against scikit-image."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters, morphology

from napari_tilewise.kernels import KERNELS, threads
from tests.kernels.comparing import compare, image_of, shape_of, strided

if TYPE_CHECKING:
    from collections.abc import Callable

GREY = ("uint8", "uint16", "float32", "float64")
OTHER = ("bool", "int8", "int16", "int32", "uint32")
"""Types whose order the kernels' types hold."""
MODES = ("nearest", "reflect", "mirror", "wrap", "constant")
GREY_MORPHOLOGY = ("erosion", "dilation", "opening", "closing", "white_tophat", "black_tophat")


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without scikit-image's warnings about deep images."""

    def call(*args: Any, **params: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **params)

    return call


def footprint_of(rng: np.random.Generator, ndim: int) -> np.ndarray:
    """A disk, a box, a line, or any pixels: with holes, asymmetric, of even sizes."""
    kind = rng.integers(4)
    if kind == 0 and ndim > 1:
        return (morphology.disk if ndim == 2 else morphology.ball)(int(rng.integers(1, 4)))
    if kind == 1:
        return np.ones(rng.choice([1, 2, 3, 5], ndim), np.uint8)
    footprint = rng.random(rng.integers(1, 7 if ndim < 3 else 4, ndim)) < 0.5
    footprint[tuple(int(rng.integers(n)) for n in footprint.shape)] = True
    return footprint


def scene(rng: np.random.Generator, dtype: str, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    footprint = footprint_of(rng, ndim)
    while True:
        shape = shape_of(rng, ndim, 100 if ndim < 3 else 17)
        if all(4 * n > size // 2 or n == 1 for n, size in zip(shape, footprint.shape, strict=True)):
            return image_of(rng, shape, dtype), footprint


@pytest.mark.parametrize("dtype", [*GREY, *OTHER])
def test_median(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype)])
    for trial in range(40):
        ndim = (2, 2, 3)[trial % 3]
        image, footprint = scene(rng, dtype, ndim)
        compare(
            "skimage.filters.median",
            filters.median,
            image,
            footprint if trial % 5 else None,
            mode=MODES[trial % 5],
            cval=float(rng.choice([0, 1] if dtype == "bool" else [0, 1, 100])),
        )


@pytest.mark.parametrize("dtype", GREY)
def test_small_boxes(dtype: str, instruction_set: str) -> None:
    """Vectors end before, at and after the image's columns, and the strips that rows fall into."""
    rng = np.random.default_rng([10, len(dtype)])
    strip = 4096 // np.dtype(dtype).itemsize
    widths = (1, 2, 3, 4, 7, 15, 16, 17, 63, 64, 65, 66, strip - 1, strip, strip + 1, strip + 65)
    for trial, width in enumerate(widths):
        shape = (int(rng.integers(1, 9)), width)
        for mode in MODES:
            image = image_of(rng, shape, dtype)
            for length in (3, 5):
                box = np.ones((length, length))
                params = {"mode": mode, "cval": 3.0}
                compare("skimage.filters.median", filters.median, image, box, **params)
            box = np.ones(rng.integers(1, 8, 2))
            compare("skimage.morphology.erosion", morphology.erosion, image, box, mode=mode)
            if trial % 4 == 0:
                volume = image_of(rng, (2, *shape), dtype)
                compare("skimage.filters.median", filters.median, volume, np.ones((1, 3, 3)))


@pytest.mark.parametrize("dtype", GREY)
def test_bands_in_threads(
    dtype: str, instruction_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands of any length give what the whole image does."""
    monkeypatch.setattr(threads, "_BAND", 200)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 200)
    rng = np.random.default_rng([11, len(dtype)])
    with threads.several_threads(2):
        for trial in range(8):
            image, footprint = scene(rng, dtype, 2 + trial % 2)
            mode = MODES[trial % 5]
            compare("skimage.filters.median", filters.median, image, footprint, mode=mode)
            compare("skimage.morphology.opening", morphology.opening, image, footprint, mode=mode)
            compare("skimage.morphology.local_maxima", morphology.local_maxima, image)
            if dtype == "uint8":
                for name in ("mean", "median"):
                    function = quiet(getattr(filters.rank, name))
                    compare(f"skimage.filters.rank.{name}", function, image, footprint)
        if np.dtype(dtype).kind == "f":
            image = np.zeros((40, 50), dtype)
            image[int(rng.integers(40)), 7] = np.nan
            assert not KERNELS["skimage.filters.median"].accepts(image)


def test_parts_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_BAND", 1)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 1)
    done = []

    def work(begin: int, end: int) -> int:
        if begin == 3:
            raise MemoryError("the fourth")
        done.append(begin)
        return begin

    with threads.several_threads(2):
        assert threads.in_bands(lambda begin, end: end - begin, 20, 20) == [2, 3, 2, 3] * 2
        with pytest.raises(MemoryError, match="fourth"):
            threads.in_bands(work, 8, 8)
    assert threads.in_bands(lambda *bounds: bounds, 8, 8) == [(0, 8)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_median_of_large_windows(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, len(dtype)])
    for trial, mode in enumerate((*MODES, "nearest")):
        footprint = (morphology.disk(5), np.ones((8, 7)), rng.random((12, 9)) < 0.7)[trial % 3]
        image = image_of(rng, (31, 70), dtype)
        compare("skimage.filters.median", filters.median, image, footprint, mode=mode)
    volume = image_of(rng, (9, 12, 15), dtype)
    compare("skimage.filters.median", filters.median, volume, morphology.ball(3))


@pytest.mark.parametrize("dtype", [*GREY, *OTHER])
@pytest.mark.parametrize(
    "name", ["erosion", "dilation", "opening", "closing", "white_tophat", "black_tophat"]
)
def test_morphology(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype), len(name)])
    for trial in range(32):
        image, footprint = scene(rng, dtype, (2, 2, 3, 1)[trial % 4])
        compare(
            f"skimage.morphology.{name}",
            getattr(morphology, name),
            image,
            footprint if trial % 5 else None,
            mode=(*MODES, "max", "min", "ignore")[trial % 8],
            cval=float(rng.choice([0, 1] if dtype == "bool" else [0, 1, 100])),
        )


def test_large_and_composed_footprints(instruction_set: str) -> None:
    rng = np.random.default_rng(4)
    for name in ("erosion", "dilation", "opening", "closing"):
        for footprint in (
            morphology.disk(7),
            morphology.disk(4, decomposition="sequence"),
            morphology.footprint_rectangle((9, 40), decomposition="separable"),
            morphology.footprint_rectangle((1, 67)),
        ):
            image = image_of(rng, (40, 130), GREY[int(rng.integers(4))])
            path = f"skimage.morphology.{name}"
            compare(path, getattr(morphology, name), image, footprint)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("name", ["mean", "median"])
def test_rank(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([5, len(dtype), len(name)])
    function = quiet(getattr(filters.rank, name))
    for trial in range(24):
        image, footprint = scene(rng, dtype, 3 if trial % 3 == 0 else 2)
        if trial % 2 and dtype == "uint16":
            image = image >> 6
        if trial % 7 == 0:
            footprint = footprint_of(rng, image.ndim)
        compare(f"skimage.filters.rank.{name}", function, image, footprint)
    compare(
        f"skimage.filters.rank.{name}", function, image_of(rng, (40, 50), dtype), np.ones((9, 8))
    )


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    "name", ["minimum", "maximum", "gradient", "enhance_contrast", "threshold", "pop"]
)
def test_ranks_around_a_pixel(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([6, len(dtype), len(name)])
    function = quiet(getattr(filters.rank, name))
    for trial in range(20):
        ndim = (2, 2, 3)[trial % 3]
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim == 2 else 9), dtype)
        image = image >> (6 if dtype == "uint16" else 0)  # few levels: the function counts them
        footprint = rng.random(tuple(rng.integers(1, 9 if ndim == 2 else 4, ndim))) < 0.7
        footprint[tuple(n // 2 for n in footprint.shape)] = True
        compare(f"skimage.filters.rank.{name}", function, image, footprint)
    large = np.ones((31, 31), np.uint8)  # more pixels than a byte counts
    compare(f"skimage.filters.rank.{name}", function, image_of(rng, (40, 50), dtype) % 200, large)
    kernel = KERNELS[f"skimage.filters.rank.{name}"]
    assert not kernel.accepts(image, footprint, mask=image > 0)
    assert not kernel.accepts(image, np.array([[1, 0, 1]]))  # without the pixel itself


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("name", ["mean", "median"])
def test_ranks_of_masked_pixels_and_moved_windows(
    name: str, dtype: str, instruction_set: str
) -> None:
    rng = np.random.default_rng([15, len(dtype), len(name)])
    function = quiet(getattr(filters.rank, name))
    for trial in range(30):
        image, footprint = scene(rng, dtype, 3 if trial % 3 == 0 else 2)
        if trial % 2 and dtype == "uint16":
            image = image >> 6
        params: dict[str, Any] = {}
        if trial % 4:
            mask = rng.random(image.shape) < rng.choice([0.02, 0.5, 0.98])
            params["mask"] = strided(rng, mask if trial % 2 else mask * np.uint8(3))
        if trial % 5:
            names = ("shift_y", "shift_x") if image.ndim == 2 else ("shift_x", "shift_y", "shift_z")
            for shift, n in zip(names, footprint.shape, strict=True):
                params[shift] = int(rng.integers(-(n // 2), n - n // 2))
        compare(f"skimage.filters.rank.{name}", function, image, footprint, **params)


def test_infinities_and_negative_zeros(instruction_set: str) -> None:
    rng = np.random.default_rng(6)
    image = rng.choice([-np.inf, -1, -0.0, 0.0, 5e-324, 1, np.inf], (20, 33))
    for name in ("erosion", "dilation", "opening", "closing"):
        path = f"skimage.morphology.{name}"
        compare(path, getattr(morphology, name), image, morphology.disk(2))
    compare("skimage.filters.median", filters.median, image, np.ones((5, 5)))


def test_out(instruction_set: str) -> None:
    image = np.random.default_rng(7).integers(0, 255, (40, 50)).astype("u1")
    for path, function in (
        ("skimage.morphology.erosion", morphology.erosion),
        ("skimage.morphology.opening", morphology.opening),
        ("skimage.filters.median", filters.median),
    ):
        for out in (np.empty_like(image), np.empty((50, 40), "u1").T):
            assert KERNELS[path].run(image, morphology.disk(2), out=out) is out
            np.testing.assert_array_equal(out, function(image, morphology.disk(2)))
        same = image.copy()
        KERNELS[path].run(same, morphology.disk(2), out=same)
        np.testing.assert_array_equal(same, function(image, morphology.disk(2)))


@pytest.mark.parametrize("name", GREY_MORPHOLOGY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_morphology_of_nan(name: str, dtype: str, instruction_set: str) -> None:
    """Windows that are no boxes begin with their first pixel, and skip any later NaN."""
    rng = np.random.default_rng([12, len(name), len(dtype)])
    modes = (*MODES, "max", "min", "ignore")
    for trial in range(48):
        ndim = (2, 1, 3)[trial % 3]
        shape = tuple(int(n) for n in rng.integers(6, 12 if ndim == 3 else 50, ndim))
        image = rng.choice([-1.0, -0.0, 0.0, 0.5, 2.0, np.inf, -np.inf], shape).astype(dtype)
        image[rng.random(shape) < rng.choice([0.02, 0.3, 0.95])] = np.nan
        footprint = rng.random(tuple(rng.integers(2, 6, ndim))) < 0.6
        footprint.flat[:2] = True, False
        parts = ((footprint, 2), (footprint, 1)) if trial % 4 == 0 else footprint
        params = {"mode": modes[trial % len(modes)], "cval": float(rng.choice([0, 0.5]))}
        function = getattr(morphology, name)
        compare(f"skimage.morphology.{name}", function, strided(rng, image), parts, **params)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    image = np.ones((9, 9), "f4")
    nan = image.copy()
    nan[3, 4] = np.nan
    for path in ("skimage.filters.median", "skimage.morphology.erosion"):
        kernel = KERNELS[path]
        assert kernel.accepts(image)
        assert not kernel.accepts(nan, np.ones((3, 3)))
        assert not kernel.accepts(image.astype("f2"))
        assert not kernel.accepts(image.astype("u1"), mode="constant", cval=-1)
        assert not kernel.accepts(image.astype("u1"), mode="constant", cval=0.5)
        assert not kernel.accepts(image.astype("?"), mode="constant", cval=2)
        assert not kernel.accepts(
            image, np.ones((41, 73)) if "median" in path else np.ones((73, 73))
        )
        assert not kernel.accepts(image, np.zeros((3, 3)))
    rank = KERNELS["skimage.filters.rank.median"]
    assert not rank.accepts(image, np.ones((3, 3)))
    assert rank.accepts(image.astype("u1"), np.ones((3, 3)), shift_x=1, mask=image > 0)
    assert not rank.accepts(image.astype("u1"), np.ones((3, 3)), shift_x=2)
    assert not rank.accepts(image.astype("u1"), np.ones((3, 3)), mask=image)
    assert not rank.accepts(image.astype("u1"), np.ones((3, 3)), mask=image[:-1] > 0)


@pytest.mark.parametrize("dtype", [*GREY, "i1", "i2", "i4", "u4", "?"])
def test_extreme_filters(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([8, len(dtype)])
    for trial in range(20):
        image, footprint = scene(rng, dtype, (2, 2, 3, 1)[trial % 4])
        params = {"footprint": footprint} if trial % 2 else {"size": int(rng.integers(1, 5))}
        for function in (ndi.maximum_filter, ndi.minimum_filter):
            if trial % 2 == 0 and min(image.shape) == 1:
                continue
            path = f"scipy.ndimage.{function.__name__}"
            compare(path, function, image, mode=MODES[trial % 5], cval=1, origin=0, **params)
            assert not KERNELS[path].accepts(image, origin=1, **params)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "f4", "f8", "?"])
def test_rank_filters(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([11, len(dtype)])
    for trial in range(24):
        image, footprint = scene(rng, dtype, (2, 3)[trial % 2])
        mode, count = MODES[trial % 5], int(np.count_nonzero(footprint))
        window: dict[str, Any] = {"footprint": footprint}
        if trial % 3 == 0:
            sizes = tuple(int(n) for n in rng.integers(1, 5, image.ndim))
            window, count = {"size": sizes}, int(np.prod(sizes))
        params = {**window, "mode": mode, "cval": 1.0}
        share = (0, 25.5, 50, 99.9, 100, -30)[trial % 6]
        calls = (
            (ndi.median_filter, {}),
            (ndi.rank_filter, {"rank": int(rng.integers(-count, count))}),
            (ndi.percentile_filter, {"percentile": share}),
        )
        for function, further in calls:
            compare(f"scipy.ndimage.{function.__name__}", function, image, **further, **params)


def test_rank_filters_leave_to_scipy_what_it_says_of_windows() -> None:
    image = np.arange(30.0).reshape(5, 6)
    rank, share = KERNELS["scipy.ndimage.rank_filter"], KERNELS["scipy.ndimage.percentile_filter"]
    assert rank.accepts(image, rank=8, size=3, origin=0)
    assert not rank.accepts(image, rank=9, size=3)
    assert not rank.accepts(image, rank=1.0, size=3)
    assert not rank.accepts(image, rank=1, size=3, footprint=np.ones((3, 3)))
    assert not rank.accepts(image, rank=1, size=3, origin=(0, 1))
    assert not rank.accepts(image, rank=1, size=3, output=np.float32)
    assert not rank.accepts(image, rank=1, size=3, mode=("wrap", "nearest"))
    assert not rank.accepts(np.where(image == 4, np.nan, image), rank=1, size=3)
    assert not rank.accepts(image[0], rank=1, size=3)
    assert not share.accepts(image, percentile=101, size=3)


def test_boxes_axis_by_axis(instruction_set: str) -> None:
    rng = np.random.default_rng(9)
    for trial, lengths in enumerate(((8, 5), (7, 1), (3, 4, 5), (9, 1, 1), (1, 8, 1), (2, 1, 7))):
        for dtype in GREY:
            image = image_of(rng, [int(rng.integers(n, 20)) for n in lengths], dtype)
            params = {"footprint": np.ones(lengths), "mode": MODES[trial % 5], "cval": 1.0}
            for function in (ndi.maximum_filter, ndi.minimum_filter):
                compare(f"scipy.ndimage.{function.__name__}", function, image, **params)
