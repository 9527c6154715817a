"""Cases that few random draws meet: each was found by the thorough profile, and mended."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import (
    feature,
    filters,
    measure,
    morphology,
    restoration,
    segmentation,
    transform,
)
from skimage.filters import correlate_sparse

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.operations.restoration import denoising
from napari_tilewise.operations.spec.operation import Kind
from napari_tilewise.operations.spec.value_specs import Number

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
NOISE = RNG.random((13, 30))


def assert_equal(name: str, image: np.ndarray, tiles: Any, **params: Any) -> None:
    """Assert that the tiled result is scikit-image's, or that both refuse."""
    function = tw.OPERATIONS[name].raw_function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = function(image.copy(), **params)
        except Exception:  # noqa: BLE001 - whatever it is, ours must refuse, too
            with pytest.raises(tw.TilewiseError):
                tw.apply(name, image, tiles=tiles, **params)
            return
        found = tw.apply(name, image, tiles=tiles, **params)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# -- filters in a row, mirrored at the image's end -------------------------------------------------

LOPSIDED = (
    np.ones((2, 1), np.uint8),
    np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0]], np.uint8),
    ((np.array([[1, 1, 0]], np.uint8), 1), (np.array([[0, 1, 1]], np.uint8), 2)),
)


@pytest.mark.parametrize(
    "name", ["erosion", "dilation", "opening", "closing", "white_tophat", "black_tophat"]
)
@pytest.mark.parametrize("footprint", LOPSIDED)
@pytest.mark.parametrize("mode", ["reflect", "mirror", "wrap", "nearest", "ignore"])
@pytest.mark.parametrize("dtype", ["bool", "uint8"])
def test_lopsided_footprints_at_mirrored_ends(
    name: str, footprint: Any, mode: str, dtype: str
) -> None:
    image = (NOISE > 0.5) if dtype == "bool" else (NOISE * 255).astype(dtype)
    assert_equal(f"morphology.{name}", image, (1, 1), footprint=footprint, mode=mode)


# -- periodic blocks that hold a whole axis --------------------------------------------------------


@pytest.mark.parametrize("name", ["sato", "frangi", "meijering", "hessian"])
@pytest.mark.parametrize("shape", [(1, 30), (13, 30)])
def test_ridges_of_an_image_shorter_than_the_periodic_halo(
    name: str, shape: tuple[int, int]
) -> None:
    image = NOISE[: shape[0]] > 0.5
    assert_equal(
        f"filters.{name}", image, (shape[0], 29), sigmas=[0.5], mode="wrap", black_ridges=False
    )


# -- windows so wide that SciPy reads beyond the image ---------------------------------------------


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("filters.threshold_local", {"block_size": 25, "method": "median"}),
        ("filters.threshold_local", {"block_size": 25, "method": "generic", "param": np.max}),
        ("filters.median", {"footprint": np.ones((1, 25))}),
        ("morphology.opening", {"footprint": np.ones((1, 26))}),
    ],
)
def test_mirroring_that_scipy_cannot_do_is_refused(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(tw.TilewiseError, match="mode='reflect' fails"):
        tw.apply(name, NOISE[:, :3], tiles=2, mode="reflect", **params)
    assert_equal(name, NOISE[:, :3], 2, mode="mirror", **params)
    assert_equal(name, NOISE[:, :1], 2, mode="reflect", **params)


def test_a_box_is_eroded_however_small_the_image_is() -> None:
    assert_equal("morphology.erosion", NOISE[:, :3], 2, footprint=np.ones((1, 25)))


# -- kernels longer than the image -----------------------------------------------------------------


@pytest.mark.parametrize("used", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [4, 5, 6, 7, 8, 9])
def test_valid_correlation_with_a_kernel_longer_than_the_image(length: int, used: int) -> None:
    kernel = np.where(np.arange(length) < used, 0.5, 0.0)[None]
    assert_equal("filters.correlate_sparse", NOISE[:5, :4], 2, kernel=kernel, mode="valid")


def test_valid_correlation_may_be_empty() -> None:
    kernel = np.ones((1, 5))
    assert correlate_sparse(NOISE[:, :4], kernel, "valid").shape == (13, 0)
    found = tw.apply("filters.correlate_sparse", NOISE[:, :4], kernel=kernel, mode="valid")
    assert found.shape == (13, 0)


# -- data types that parameters decide -------------------------------------------------------------


def spread(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return an impulse response in double precision, whatever the coordinates."""
    return np.where((rows == 0) & (columns == 0), 1.0, 0.1)


@pytest.mark.parametrize("noise", [0.25, np.full((11, 13), 0.3), np.full((11, 13), 2, np.uint8)])
@pytest.mark.parametrize("response", [spread, lambda r, c: np.exp(-(r**2) - c**2)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_wiener_is_as_precise_as_its_parameters(dtype: str, response: Any, noise: Any) -> None:
    image = (NOISE[:6, :7] * 255).astype(dtype)
    assert_equal("filters.wiener", image, 3, impulse_response=response, K=noise)
    for name in ("filter_forward", "filter_inverse"):
        assert_equal(f"filters.{name}", image, 3, impulse_response=response)


# -- parameters that no pixel meets ----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["edge", "symmetric"])
def test_a_pyramid_of_the_image_alone_smooths_nothing(mode: str) -> None:
    (found,) = tw.apply("transform.pyramid_gaussian", NOISE, tiles=9, max_layer=0, mode=mode)
    np.testing.assert_array_equal(found, NOISE)


# -- masks that leave nothing ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "float64"])
def test_equalize_hist_by_no_pixel(dtype: str) -> None:
    image = (NOISE * 2).astype(dtype)
    assert_equal("exposure.equalize_hist", image, 5, mask=np.zeros(image.shape, bool))


# -- rounding errors divided by rounding errors ----------------------------------------------------


@pytest.mark.parametrize("pad_input", [False, True])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_templates_on_flat_places(dtype: str, mode: str, *, pad_input: bool) -> None:
    smooth = filters.gaussian(RNG.random((40, 60)), 3)
    image = smooth if dtype != "uint8" else smooth * 255
    image = image.astype(dtype)
    image[5:20, 10:40] = image[7, 12]
    for template in (np.array([[0.26, 0.3]]), np.linspace(0, 1, 12).reshape(3, 4)):
        params = {"template": template, "pad_input": pad_input, "mode": mode}
        expected = feature.match_template(image, **params)
        found = tw.apply("feature.match_template", image, tiles=(7, 11), **params)
        assert found.dtype == expected.dtype
        limit = tw.OPERATIONS["feature.match_template"].accuracy.limit(image.dtype, None, params)
        assert limit < (0.5 if dtype == "float32" else 1e-4)
        np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


def test_templates_in_a_volume() -> None:
    volume = filters.gaussian(RNG.random((9, 20, 17)), 2)
    template = RNG.random((2, 3, 4))
    expected = feature.match_template(volume, template, pad_input=True, mode="reflect")
    found = tw.apply(
        "feature.match_template",
        volume,
        tiles=(4, 7, 5),
        template=template,
        pad_input=True,
        mode="reflect",
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


# -- thresholds per pixel --------------------------------------------------------------------------


@pytest.mark.parametrize("low", [0.4, NOISE[::-1], np.where(NOISE > 0.9, np.nan, 0.3)])
@pytest.mark.parametrize("high", [0.8, NOISE[:, ::-1]])
def test_hysteresis_thresholds_may_be_images(low: Any, high: Any) -> None:
    assert_equal("filters.apply_hysteresis_threshold", NOISE, (5, 7), low=low, high=high)


def test_an_array_in_place_of_a_number_is_told_by_its_shape() -> None:
    with pytest.raises(
        tw.TilewiseError, match=r"h has shape \(13, 30\): expected a number"
    ) as told:
        tw.apply("morphology.h_maxima", NOISE, h=NOISE)
    assert len(str(told.value)) < 200
    with pytest.raises(tw.TilewiseError, match="low has shape"):
        tw.apply("filters.apply_hysteresis_threshold", NOISE, low=NOISE[:5], high=1)


# -- no descriptor fits ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(39, 8), (8, 39), (8, 8)])
@pytest.mark.parametrize("visualize", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_descriptors_of_an_image_of_twice_their_radius(
    shape: tuple[int, int], visualize: bool, dtype: str
) -> None:
    image = (np.resize(NOISE, shape) * 100 % 1 * (1 if dtype == "float32" else 100)).astype(dtype)
    params: dict[str, Any] = {"step": 2, "radius": 4, "visualize": visualize}
    expected, found = (
        made if visualize else (made,)
        for made in (
            feature.daisy(image, **params),
            tw.apply("feature.daisy", image, tiles=7, **params),
        )
    )
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


# -- data types that scikit-image takes by the way -------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0, 3.0])
def test_edges_of_an_image_that_is_not_smoothed(dtype: str, alpha: float) -> None:
    params = {"alpha": alpha, "sigma": 0}
    assert_equal("segmentation.inverse_gaussian_gradient", NOISE.astype(dtype), 7, **params)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_border_is_cleared_of_fractional_labels(dtype: str) -> None:
    image = (np.kron(NOISE[:, :9], np.ones((2, 3))) * 3 - 0.7 + NOISE[0, 1]).astype(dtype)
    assert_equal("segmentation.clear_border", image, 5, bgval=7)


COUNTED = ["otsu", "yen", "triangle", "isodata", "minimum", "multiotsu"]


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("offset", [0, 2**62])
def test_the_widest_integers_are_counted(name: str, offset: int) -> None:
    image = (np.concatenate([NOISE**3, 3 - NOISE]) * 60).astype(np.uint64) + np.uint64(offset)
    if offset:
        with pytest.raises(tw.TilewiseError, match=r"2\*\*63"):
            tw.apply(f"filters.threshold_{name}", image + np.uint64(2**62), tiles=7)
    else:
        assert_equal(f"filters.threshold_{name}", image, 7)


# -- pixels that are no numbers --------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("threshold_local", {"block_size": 3, "method": "mean"}),
        ("threshold_niblack", {"window_size": 5}),
        ("threshold_sauvola", {"window_size": 5}),
    ],
)
def test_what_sums_along_lines_would_spread_is_refused(
    name: str, params: dict[str, Any], bad: float
) -> None:
    image = NOISE.copy()
    image[2, 3] = bad
    with pytest.raises(tw.TilewiseError, match=f"{name}: the image holds NaN or infinite"):
        tw.apply(f"filters.{name}", image, tiles=7, **params)


def test_windows_that_are_looked_at_one_by_one_may_hold_nan() -> None:
    image = NOISE.copy()
    image[2, 3] = np.nan
    assert_equal("filters.threshold_local", image, 7, block_size=3)


# -- what grows without bound ----------------------------------------------------------------------


def test_a_deconvolution_that_overflows_does_so_in_the_same_pixels() -> None:
    psf = np.array([[0.87, 0.29]])  # its sum is not 1: every iteration grows
    image = RNG.random((1, 11)).astype(np.float32)
    expected = tw.OPERATIONS["restoration.richardson_lucy"].raw_function(image, psf, clip=False)
    assert expected.max() > 1e20
    for length in (4, 10):
        assert_equal("restoration.richardson_lucy", image, (1, length), psf=psf, clip=False)


@pytest.mark.parametrize("shape", [(7, 9, 1), (1, 9, 1), (7, 1, 9), (1, 7, 9)])
def test_integers_in_volumes_with_an_axis_of_one_pixel(shape: tuple[int, ...]) -> None:
    """scikit-image numbers their components along another axis where it is the last one."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        image = rng.integers(0, 3, shape)
        expected, count = measure.label(image, return_num=True)
        found = tw.apply("measure.label", image, tiles=(3, 4, 3), return_num=True)
        np.testing.assert_array_equal(found[0], expected)
        assert found[1] == count


@pytest.mark.parametrize("name", ["erosion", "dilation", "opening", "white_tophat"])
def test_nan_in_flat_morphology_is_refused_or_the_whole_images(name: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((40, 50))
    image[rng.random(image.shape) < 0.01] = np.nan
    with pytest.raises(tw.TilewiseError, match="holds NaN, which boxes of the footprint carry"):
        tw.apply(f"morphology.{name}", image, footprint=np.ones((9, 9)), tiles=(11, 13))
    disk = morphology.disk(3)
    found = tw.apply(f"morphology.{name}", image, footprint=disk, tiles=(11, 13))
    np.testing.assert_array_equal(found, getattr(morphology, name)(image, disk))


def numbers_alone() -> list[tuple[str, str]]:
    """Return each operation with each of its numbers that can be given alone."""
    cases = []
    for op in tw.OPERATIONS.values():
        required = {name for name, parameter in op.parameters.items() if parameter.required}
        numbers = [name for name, spec in op.specs.items() if isinstance(spec, Number)]
        alone = [name for name in numbers if not (required & op.specs.keys()) - {name}]
        cases += [(op.name, name) for name in alone]
    return cases


@pytest.mark.parametrize(("name", "parameter"), numbers_alone())
def test_infinity_is_computed_or_refused_in_a_sentence(name: str, parameter: str) -> None:
    image = np.arange(24 * 25, dtype=float).reshape(24, 25)
    with warnings.catch_warnings(), suppress(tw.TilewiseError):
        warnings.simplefilter("ignore")  # scikit-image's own on infinite numbers
        tw.apply(name, image, **{parameter: np.inf})


# -- phases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_function_of_finite_numbers_does_not_get_others(bad: float) -> None:
    """The whole image is looked at before the function is called; here one that would take it."""
    assert tw.OPERATIONS["restoration.unwrap_phase"].limits.finite
    takes_all = tw.OPERATIONS["filters.butterworth"]
    assert takes_all.kind is Kind.WHOLE
    finite = replace(takes_all, limits=replace(takes_all.limits, finite=True))
    image = NOISE.copy()
    image[2, 3] = bad
    stack = build(finite.as_step(), image, {}, Session(1), StackLayout(tiles=7))
    with pytest.raises(tw.TilewiseError, match=r"butterworth: the image holds NaN or infinite"):
        stack.read((slice(0, 13), slice(0, 30)))


@pytest.mark.parametrize(
    ("shape", "wrap_around", "refused"),
    [
        ((1, 21), True, True),
        ((1, 21), (False, True), False),
        ((21, 1), (False, True), True),
        ((4, 5, 1), (True, False, True), True),
        ((2, 5), True, False),
    ],
)
def test_no_phase_is_wrapped_around_one_pixel(
    shape: tuple[int, ...], wrap_around: Any, refused: bool
) -> None:
    """Its answers there differ from call to call."""
    image = RNG.random(shape)
    if refused:
        with pytest.raises(tw.TilewiseError, match="False along an axis of one pixel"):
            tw.apply("restoration.unwrap_phase", image, wrap_around=wrap_around)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-image's own on axes of one pixel
        expected = restoration.unwrap_phase(image, wrap_around)
        found = tw.apply("restoration.unwrap_phase", image, wrap_around=wrap_around)
    np.testing.assert_array_equal(found, expected)


# -- images of two axes for functions that expect three --------------------------------------------


@pytest.mark.parametrize("return_tree", [False, True])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("axis", range(-3, 3))
@pytest.mark.parametrize("shape", [(13, 21), (3, 21), (5, 4)])
def test_quickshift_of_two_axes(
    shape: tuple[int, int], axis: int, *, lazy: bool, return_tree: bool
) -> None:
    """scikit-image appends an axis for the channels, and counts three: the last is that one."""
    image = RNG.random(shape)
    params = {"channel_axis": axis, "convert2lab": False, "return_tree": return_tree}
    expected = segmentation.quickshift(image, **params)
    found = tw.apply("segmentation.quickshift", da.from_array(image) if lazy else image, **params)
    for one, other in zip(found, expected, strict=True) if return_tree else [(found, expected)]:
        assert one.dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)


# -- functions as parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("inverse_map", [np.eye(3), transform.AffineTransform(scale=2)])
def test_a_matrix_takes_no_arguments(inverse_map: Any) -> None:
    with pytest.raises(TypeError):
        transform.warp(NOISE, inverse_map, map_args={"shift": 2.5})
    with pytest.raises(TypeError, match="beside a matrix, which takes no arguments"):
        tw.apply("transform.warp", NOISE, inverse_map=inverse_map, map_args={"shift": 2.5})


@pytest.mark.parametrize("shape", [(1, 1), (13, 30)])
def test_an_inverse_map_that_fails_is_named(shape: tuple[int, int]) -> None:
    def broken(points: np.ndarray) -> np.ndarray:
        raise KeyError("nothing there")

    with pytest.raises(tw.TilewiseError, match=r"transform\.warp .*nothing there"):
        tw.apply("transform.warp", np.ones(shape), inverse_map=broken, tiles=9)


@pytest.mark.parametrize("name", ["feature.corner_subpix", "feature.corner_orientations"])
def test_no_points_are_a_recipes_empty_list(name: str, tmp_path: Path) -> None:
    params: dict[str, Any] = {"corners": np.zeros((0, 2), int)}
    if "mask" in tw.OPERATIONS[name].specs:
        params["mask"] = np.ones((3, 3))
    expected = tw.OPERATIONS[name].raw_function(NOISE, **params)
    tw.Recipe([(name, params)]).save(tmp_path / "points.yaml")
    step = tw.Recipe.load(tmp_path / "points.yaml").steps[0]
    found = tw.apply(name, NOISE, **step.parameters)
    assert found.shape == expected.shape


def test_a_range_that_its_integers_do_not_hold_has_no_bilateral_weights() -> None:
    call = tw.OPERATIONS["restoration.denoise_bilateral"].call((4, 4), np.dtype("int8"), {})
    denoising.check_range(call, np.int8(-20), np.int8(107))
    with pytest.raises(tw.TilewiseError, match="farther apart than int8 holds"):
        denoising.check_range(call, np.int8(-20), np.int8(108))


@pytest.mark.parametrize("tiles", ["auto", 16])
def test_bilateral_weights_of_signed_integers(tiles: Any) -> None:
    image = np.random.default_rng(0).integers(-20, 30, (40, 40)).astype("int8")
    expected = restoration.denoise_bilateral(image)
    found = tw.apply("restoration.denoise_bilateral", image, tiles=tiles)
    np.testing.assert_array_equal(found, expected)


# -- masks without a threshold ---------------------------------------------------------------------


@pytest.mark.parametrize("image", [np.zeros((5, 6), bool), np.ones((5, 6), bool), NOISE > 0.5])
@pytest.mark.parametrize("guess", [None, 0.5, np.mean])
def test_lis_threshold_of_a_constant_mask(image: np.ndarray, guess: Any) -> None:
    assert_equal("filters.threshold_li", image, 3, initial_guess=guess)


# -- one failure, one sentence ---------------------------------------------------------------------


def nothing(*arguments: Any, **keywords: Any) -> Any:
    """Fail, and count how often."""
    CALLS.append(1)
    raise KeyError("nothing there")


CALLS: list[int] = []


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("transform.warp", {"inverse_map": nothing}),
        ("filters.threshold_li", {"initial_guess": nothing}),
        ("measure.profile_line", {"src": (0, 0), "dst": (5, 5), "reduce_func": nothing}),
        ("restoration.denoise_invariant", {"denoise_function": nothing}),
        (
            "segmentation.morphological_chan_vese",
            {"num_iter": 3, "iter_callback": nothing},
        ),
    ],
)
def test_a_function_that_fails_is_called_once(name: str, params: dict[str, Any]) -> None:
    for _ in range(2):  # the second call may be prepared
        CALLS.clear()
        with pytest.raises(tw.TilewiseError, match=f"{name} .*nothing there"):
            tw.apply(name, NOISE, **params)
        assert len(CALLS) == 1


@pytest.mark.parametrize("tiles", ["auto", 5])
def test_nan_among_the_pixels_to_flood_is_refused_in_the_watersheds_name(
    tiles: Any, tmp_path: Path
) -> None:
    image = NOISE.copy()
    image[3, 4] = np.nan
    refusal = r"^segmentation\.watershed: the image contains NaN"
    with pytest.raises(tw.TilewiseError, match=refusal):
        tw.apply("segmentation.watershed", image, tiles=tiles)
    with pytest.raises(tw.TilewiseError, match=refusal):  # a run has room for the whole image
        tw.run("segmentation.watershed", image, tmp_path / "out.npy", axes="yx")


@pytest.mark.parametrize("tiles", ["auto", 1])
def test_a_mask_of_texts_is_refused(tiles: Any) -> None:
    texts = np.array([["a", "b"], ["c", "d"]])
    with pytest.raises(tw.TilewiseError, match="mask has dtype <U1: expected numbers"):
        tw.apply("morphology.reconstruction", np.zeros((2, 2)), mask=texts, tiles=tiles)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("name", ["uniform_filter", "uniform_filter1d"])
def test_means_of_long_integers_are_the_whole_images_or_refused(name: str, dtype: str) -> None:
    function = getattr(ndi, name)
    image = RNG.integers(2**48, 2**50, (40, 50)).astype(dtype)
    expected = function(image, size=5)
    np.testing.assert_array_equal(tw.apply(f"ndimage.{name}", image, size=5, tiles=7), expected)
    with pytest.raises(tw.TilewiseError, match=r"beyond 2\*\*53"):
        tw.apply(f"ndimage.{name}", image * np.array(16, dtype), size=5, tiles=7)


@pytest.mark.parametrize("tiles", ["auto", 5])
def test_half_precision_has_no_labels_in_scipy(tiles: Any) -> None:
    mask = (NOISE > 0.5).astype(np.float16)
    with pytest.raises(TypeError):
        ndi.label(mask)
    with pytest.raises(tw.TilewiseError, match="does not take an image of type float16"):
        tw.apply("ndimage.label", mask, tiles=tiles)


@pytest.mark.parametrize("tiles", ["auto", 5])
def test_a_line_in_half_precision_has_a_median(tiles: Any) -> None:
    assert_equal("filters.median", NOISE[0].astype(np.float16), tiles, footprint=np.ones(5))


@pytest.mark.parametrize("shape", [(1, 3), (3, 9), (130, 210)])
def test_a_coefficient_in_half_precision_is_scikit_images(shape: tuple[int, int]) -> None:
    image, other = RNG.random((2, *shape)).astype(np.float16)
    expected = measure.pearson_corr_coeff(image, other)
    for tiles in ("auto", 5):
        found = tw.apply("measure.pearson_corr_coeff", image, image1=other, tiles=tiles)
        assert tuple(found) == tuple(expected)


@pytest.mark.filterwarnings("ignore:When min_distance < 1")
@pytest.mark.parametrize("name", ["peak_local_max", "corner_peaks"])
@pytest.mark.parametrize("shape", [(1, 1), (7,), (1, 9), (11, 12), (3, 5500), (7, 9, 8)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_peaks_of_constant_images(name: str, shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng([len(name), *shape])
    function = getattr(feature, name)
    for trial in range(24):
        image = np.full(shape, rng.choice([0, 3, 100]), dtype)
        if dtype.startswith("f") and trial % 4 == 0:
            image[...] = np.array([0.0, -0.0])[rng.integers(0, 2, shape)]
        distance = int(rng.integers(0, 4))
        sizes = [(1,) * len(shape), (3,) * len(shape), (2,) * len(shape)]
        params: dict[str, Any] = {
            "min_distance": distance,
            "threshold_abs": [None, -1, 3, 200][int(rng.integers(4))],
            "threshold_rel": [None, 0.5, -1.0][int(rng.integers(3))],
            "exclude_border": [True, False, 2, (1,) * len(shape)][int(rng.integers(4))],
            "footprint": None if trial % 3 else np.ones(sizes[trial // 3 % 3], bool),
        }
        if trial % 5 == 0:
            params["labels"] = rng.integers(0, 3, shape)
        if trial % 2:
            params["num_peaks"] = int(rng.integers(1, 4))
        expected = function(image, **params)
        for tiles in ("auto", max(shape) // 2 + 1):
            result = tw.apply(f"feature.{name}", image, tiles=tiles, **params)
            if "labels" not in params or expected.size:  # of no peaks, scikit-image has two axes
                np.testing.assert_array_equal(result, expected, strict=True)
            assert (result.size, result.dtype) == (expected.size, expected.dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(300, 301), (44, 46, 47)])
def test_peaks_of_more_than_a_small_image(shape: tuple[int, ...], dtype: str) -> None:
    image = (np.random.default_rng(5).random(shape) * 200).astype(dtype)
    for params in ({"min_distance": 3}, {"num_peaks": 9, "threshold_rel": 0.9}):
        expected = feature.peak_local_max(image, **params)
        for tiles in ("auto", 40):
            result = tw.apply("feature.peak_local_max", image, tiles=tiles, **params)
            np.testing.assert_array_equal(result, expected, strict=True)
