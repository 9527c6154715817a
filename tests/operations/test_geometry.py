"""`skimage.transform` where drawn cases do not reach: passes of large images, special shapes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from skimage import draw, transform

import napari_tilewise as tw
from napari_tilewise.operations.transform import integral, pyramids
from tests.strategies import cases
from tests.test_exact import assert_same, tiled, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

BITS = ("resize", "rescale", "pyramid_reduce", "pyramid_expand", "swirl", "warp_polar", "rotate")


@pytest.fixture
def small_passes() -> Iterator[None]:
    """Let small images take the passes of large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramids, "SMALL", 60)
        patch.setattr(integral, "CELL", {1: 7, 2: 5, 3: 3})
        yield


@pytest.mark.usefixtures("small_passes")
@pytest.mark.parametrize("name", ["pyramid_gaussian", "pyramid_laplacian", "integral_image"])
@given(data=st.data())
def test_passes_of_large_images(name: str, data: st.DataObject) -> None:
    case = data.draw(cases(tw.OPERATIONS[f"transform.{name}"]))
    try:
        expected = whole(case)
    except Exception:  # noqa: BLE001 - what scikit-image refuses is another test's subject
        reject()
    assert_same(case.operation, tiled(case), expected, case.image)


@pytest.mark.parametrize("name", BITS)
@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
def test_orders_0_and_1_are_identical(name: str, data: st.DataObject) -> None:
    """Only splines are recursive filters: all else has the whole image's bits."""
    case = data.draw(cases(tw.OPERATIONS[f"transform.{name}"]))
    if case.image.dtype != bool:
        case.params["order"] = data.draw(st.sampled_from((0, 1, 3) if name == "rotate" else (0, 1)))
    try:
        expected = whole(case)
    except Exception:  # noqa: BLE001 - what scikit-image refuses is another test's subject
        reject()
    np.testing.assert_array_equal(tiled(case), expected)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_nearest_pixels_of_any_value(dtype: str, mode: str) -> None:
    """-0.0 becomes 0, integers of 64 bits are rounded, and NaN is a pixel like others."""
    rng = np.random.default_rng(0)
    image = rng.integers(-100 if dtype[0] in "if" else 0, 100, size=(23, 19)).astype(dtype)
    image[::3, ::2] = {"int64": 2**63 - 1, "float32": -0.0}.get(dtype, 1)
    if dtype == "float32":
        image[::5, ::7] = np.nan
    params = {"order": 0, "mode": mode, "cval": 1.0, "anti_aliasing": False}
    for shape in ((9, 40), (46, 7), (1, 19)):
        expected = transform.resize(image, shape, **params)
        for tiles in ("auto", (5, 8)):
            found = tw.apply("transform.resize", image, tiles=tiles, output_shape=shape, **params)
            np.testing.assert_array_equal(found, expected, strict=True)
            assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["rotate", "swirl", "warp_polar"])
def test_integers_that_float64_rounds_are_clipped(name: str) -> None:
    """The nearest pixel, rounded to 2**63, exceeds the image's range: scikit-image clips it."""
    image = np.random.default_rng(0).integers(2**60, 2**60 + 1000, size=(30, 31))
    image[::3] = 2**63 - 1
    params = {"order": 0, "mode": "edge", **({"angle": 20.0} if name == "rotate" else {})}
    expected = getattr(transform, name)(image, **params)
    found = tw.apply(f"transform.{name}", image, tiles=(9, 10), **params)
    np.testing.assert_array_equal(found, expected, strict=True)


def test_choices_may_be_numpy_scalars() -> None:
    """As they come out of arrays and tables: scikit-image takes them."""
    image = np.random.default_rng(0).random((12, 13))
    scalars = {"mode": np.str_("edge"), "order": np.int64(0), "anti_aliasing": np.bool_(False)}
    expected = transform.resize(image, (7, 30), **scalars)
    found = tw.apply("transform.resize", image, output_shape=(7, 30), **scalars)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(tw.TilewiseError, match="expected one of 0, 1, 2, 3, 4, 5"):
        tw.apply("transform.pyramid_reduce", image, order=np.bool_(True))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float64"])
def test_finite_radon_transforms(dtype: str) -> None:
    rng = np.random.default_rng(0)
    square = (rng.random((13, 13)) * 100).astype(dtype)
    found = tw.apply("transform.frt2", square, tiles=5)
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, transform.frt2(square))
    if dtype != "float64":
        more = (rng.random((14, 13)) * 100).astype(dtype)
        found = tw.apply("transform.ifrt2", more, tiles=5)
        np.testing.assert_array_equal(found, transform.ifrt2(more))
    with pytest.raises(tw.TilewiseError, match="as many rows as columns"):
        tw.apply("transform.frt2", square[1:])


def test_sart_leaves_the_start_alone() -> None:
    rng = np.random.default_rng(0)
    sinogram, start = rng.random((20, 30)), rng.random((20, 20))
    kept = start.copy()
    params = {"clip": (0, 1), "projection_shifts": rng.random(30)}
    found = tw.apply("transform.iradon_sart", sinogram, image=start, tiles=7, **params)
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_array_equal(
        found, transform.iradon_sart(sinogram, image=start.copy(), **params)
    )


def test_hough_ellipse() -> None:
    image = np.zeros((30, 26), bool)
    image[draw.ellipse_perimeter(14, 12, 7, 9)] = True
    params = {"threshold": 8, "accuracy": 2, "min_size": 6}
    found = tw.apply("transform.hough_ellipse", image, tiles=9, **params)
    expected = transform.hough_ellipse(image, **params)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_peaks_of_real_votes() -> None:
    image = np.zeros((60, 50), bool)
    image[draw.line(3, 5, 50, 40)] = True
    image[draw.circle_perimeter(30, 25, 12)] = True
    lines = tw.apply("transform.hough_line", image, tiles=16)
    found = tw.apply("transform.hough_line_peaks", lines[0], angles=lines[1], dists=lines[2])
    for one, other in zip(found, transform.hough_line_peaks(*lines), strict=True):
        np.testing.assert_array_equal(one, other)
    radii = np.arange(8, 16)
    votes = tw.apply("transform.hough_circle", image, radius=radii, tiles=16)
    found = tw.apply("transform.hough_circle_peaks", votes, radii=radii, min_xdistance=4)
    expected = transform.hough_circle_peaks(votes, radii, min_xdistance=4)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_integrate_in_a_volume() -> None:
    sums = transform.integral_image(np.random.default_rng(0).random((9, 8, 7)))
    start, end = [(0, 1, 2), (3, 3, 3)], [(5, 5, 5), (-1, -1, -1)]
    found = tw.apply("transform.integrate", sums, start=start, end=end, tiles=3)
    np.testing.assert_array_equal(found, transform.integrate(sums, start, end))
    with pytest.raises(tw.TilewiseError, match="greater or equal"):
        tw.apply("transform.integrate", sums, start=(3, 3, 3), end=(1, 1, 1))
    with pytest.raises(tw.TilewiseError, match="reaches the pixel"):
        tw.apply("transform.integrate", sums, start=(0, 0, 0), end=(50, 1, 1))


def test_warp_by_coordinates_of_a_volume() -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((9, 8, 7))
    coordinates = rng.uniform(-3, 11, size=(3, 12, 5, 9))
    for mode in ("constant", "edge", "symmetric", "reflect", "wrap"):
        for order in (0, 1):
            params = {"order": order, "mode": mode, "cval": -0.5}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = tw.apply(
                    "transform.warp", volume, inverse_map=coordinates, tiles=4, **params
                )
            np.testing.assert_array_equal(found, transform.warp(volume, coordinates, **params))
