"""What the property test of `measure` cannot draw: small pieces, NaN, meshes, objects' windows."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import measure

import napari_tilewise as tw
from napari_tilewise.errors import InvalidImage, OperationFailed
from napari_tilewise.operations.measure import marching, profile
from napari_tilewise.operations.shared import global_numbers, selected_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

RNG = np.random.default_rng(7)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut sums where a huge image would be cut."""
    cuts_of = global_numbers.cuts_of

    def cuts(count: int, piece: int = 0) -> Sequence[tuple[int, int]]:
        return cuts_of(count, 200)

    monkeypatch.setattr(global_numbers, "cuts_of", cuts)
    monkeypatch.setattr(selected_sums, "cuts_of", cuts)


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16"])
@pytest.mark.usefixtures("small_pieces")
def test_sums_over_a_mask_have_numpys_bits(dtype: str, share: float) -> None:
    image = (RNG.random((70, 83)) * 300).astype(dtype)
    other = (RNG.random(image.shape) * 300).astype(dtype)
    mask = RNG.random(image.shape) <= share
    cases: tuple[tuple[str, dict[str, Any]], ...] = (
        ("manders_coloc_coeff", {"image1_mask": other > 100}),
        ("manders_overlap_coeff", {"image1": other}),
    )
    for name, params in cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-image's products of integers overflow
            expected = getattr(measure, name)(image, **params, mask=mask)
            found = tw.apply(f"measure.{name}", image, tiles=17, **params, mask=mask)
        assert type(found) is type(expected)
        assert found == expected


def test_masks_that_are_none_are_refused() -> None:
    image = RNG.random((20, 20))
    with pytest.raises(tw.TilewiseError, match="0 and 1"):
        tw.apply("measure.manders_coloc_coeff", image, image1_mask=image)
    with pytest.raises(tw.TilewiseError, match="mask is empty"):
        tw.apply("measure.manders_overlap_coeff", image, image1=image, mask=image > 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_contours_around_nan_and_infinity(dtype: str) -> None:
    image = RNG.normal(size=(40, 31)).astype(dtype)
    image[RNG.random(image.shape) < 0.05] = np.nan
    image[RNG.random(image.shape) < 0.02] = np.inf
    params: dict[str, Any]
    for params in ({"level": 0.25}, {"level": 0.25, "fully_connected": "high"}):
        expected = measure.find_contours(image, **params)
        found = tw.apply("measure.find_contours", image, tiles=9, **params)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["lewiner", "lorensen"])
@pytest.mark.parametrize("content", ["noise", "smooth", "integers", "nan"])
def test_meshes_are_numbered_as_the_whole_volumes(
    content: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marching, "BOX", 7)
    noise = RNG.random((23, 18, 27))
    volume: np.ndarray = {
        "noise": noise,
        "smooth": ndi.gaussian_filter(noise, 2).astype(np.float32),
        "integers": (noise * 4).astype(np.uint8),  # vertices on voxels: edges that look alike
        "nan": np.where(noise > 0.95, np.nan, noise),
    }[content]
    steps: dict[str, Any]
    for step, degenerate in itertools.product((1, 3), (True, False)):
        steps = {"step_size": step, "allow_degenerate": degenerate, "method": method}
        level = 0.5 if content == "nan" else None
        expected = measure.marching_cubes(volume, level, **steps)
        found = tw.apply("measure.marching_cubes", volume, tiles=11, level=level, **steps)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "constant", "wrap"])
@pytest.mark.parametrize("order", [0, 1, 3, 5])
def test_profiles_are_cut_without_a_trace(
    order: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "SEGMENT", 23)
    image = RNG.random((410, 330))
    for low, high in (((3.3, 2.1), (400.7, 320.2)), ((-60.4, 500.9), (450.1, -80.6))):
        params: dict[str, Any] = {
            "src": low,
            "dst": high,
            "order": order,
            "mode": mode,
            "linewidth": 9,
        }
        expected = measure.profile_line(image, **params)
        found = tw.apply("measure.profile_line", image, tiles=64, **params)
        np.testing.assert_array_equal(found, expected)


def test_profiles_read_only_what_lies_on_the_line() -> None:
    class Source:
        shape, dtype, chunks = (10**6, 10**6), np.dtype("uint8"), (512, 512)

        def __init__(self) -> None:
            self.pixels = 0

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            made = np.ones([s.stop - s.start for s in box], np.uint8)
            self.pixels += made.size
            return made

    source = Source()
    found = tw.apply("measure.profile_line", source, src=(5e5, 10), dst=(5e5, 2000))
    assert (found == 1).all()
    assert source.pixels < 10 * 512**2


def test_regions_keep_their_own_pixels() -> None:
    labels = measure.label(ndi.gaussian_filter(RNG.random((90, 80)), 2) > 0.5)
    intensity = RNG.random((*labels.shape, 2))

    def widest(image: np.ndarray) -> int:
        return int(image.sum(axis=1).max())

    params: dict[str, Any] = {
        "intensity_image": intensity,
        "extra_properties": (widest,),
        "offset": (5, -3),
    }
    expected = measure.regionprops(labels, **params)
    found = tw.apply("measure.regionprops", labels, tiles=13, **params)
    assert [type(region) for region in found] == [type(region) for region in expected]
    for one, other in zip(found, expected, strict=True):
        for name in ("label", "slice", "bbox", "coords", "widest", "moments_weighted_central"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.image_intensity, other.image_intensity)


def test_tables_split_columns_by_the_first_region() -> None:
    labels = np.zeros((30, 40), int)
    labels[2:5, 3:9], labels[20:28, 30:34] = 4, 9

    def rows(image: np.ndarray) -> np.ndarray:
        return np.asarray(image.sum(axis=1))

    params: dict[str, Any] = {"properties": ("label", "bbox"), "extra_properties": (rows,)}
    expected = measure.regionprops_table(labels, **params)
    found = tw.apply("measure.regionprops_table", labels, tiles=10, **params)
    assert list(found) == list(expected)
    for name in ("label", "bbox-0", "bbox-3"):
        np.testing.assert_array_equal(found[name], expected[name])
    for one, other in zip(found["rows"], expected["rows"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_table_of_no_objects(dtype: str, channels: tuple[int, ...]) -> None:
    labels = np.zeros((40, 50), dtype)
    params: dict[str, Any] = {
        "intensity_image": np.zeros((*labels.shape, *channels), np.uint16),
        "properties": ("label", "bbox", "area", "centroid", "intensity_mean", "moments_hu"),
    }
    expected = measure.regionprops_table(labels, **params)
    for tiles in ("auto", 13):
        found = tw.apply("measure.regionprops_table", labels, tiles=tiles, **params)
        assert list(found) == list(expected)
        for name, column in expected.items():
            np.testing.assert_array_equal(found[name], column, strict=True)


def test_what_a_property_of_no_objects_raises_is_an_error_of_the_operation() -> None:
    def fails(image: np.ndarray) -> float:
        raise ZeroDivisionError("no pixels")

    with pytest.raises(OperationFailed, match="no pixels"):
        tw.apply(
            "measure.regionprops_table",
            np.zeros((20, 30), int),
            extra_properties=(fails,),
            tiles=13,
        )


def test_the_planes_of_a_stack_each_have_their_own_number_of_labels() -> None:
    stack = RNG.random((3, 40, 50)) > 0.7
    labels, counts = tw.apply("measure.label", stack, return_num=True, spatial=(1, 2), tiles=11)
    for plane, found, count in zip(stack, labels, counts, strict=True):
        expected, number = measure.label(plane, return_num=True)
        np.testing.assert_array_equal(found, expected)
        assert count == number


def test_functions_of_blocks_go_by_name_too() -> None:
    image = RNG.random((20, 31))
    found = tw.apply("measure.block_reduce", image, block_size=(3, 4), func="median", tiles=3)
    expected = measure.block_reduce(image, (3, 4), np.median)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(tw.TilewiseError, match="median"):
        tw.apply("measure.block_reduce", image, func="medain")
    with pytest.raises(tw.TilewiseError, match="one pixel"):
        tw.apply("measure.block_reduce", image, func=lambda blocks, axis: blocks)


def test_entropy_counts_nan_once() -> None:
    image = np.where(RNG.random((50, 40)) < 0.1, np.nan, RNG.integers(0, 5, (50, 40)) / 4)
    assert tw.apply("measure.shannon_entropy", image, tiles=7) == measure.shannon_entropy(image)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint64"])
@pytest.mark.parametrize("shape", [(130, 150), (30, 33, 35)])
@pytest.mark.parametrize(
    "names",
    [("label", "area"), ("centroid", "extent", "bbox", "num_pixels"), ("bbox",), ("area",)],
)
def test_what_counting_tells(names: tuple[str, ...], shape: tuple[int, ...], dtype: str) -> None:
    """Objects are counted together, in windows where parts of others lie between."""
    rng = np.random.default_rng(5)
    labels = measure.label(rng.random(shape) > 0.8) * (1 if dtype == "uint8" else 7)
    labels = labels.astype(dtype)  # in 8 bits, names come again far away
    expected = measure.regionprops_table(labels, properties=names, separator="/")
    found = tw.apply("measure.regionprops_table", labels, properties=names, separator="/", tiles=20)
    assert list(found) == list(expected)
    for name, column in expected.items():
        assert found[name].dtype == column.dtype
        np.testing.assert_array_equal(found[name], column)


@pytest.mark.parametrize("name", ["regionprops", "regionprops_table"])
def test_ids_that_scikit_image_cannot_index_with_are_refused(name: str) -> None:
    labels = np.zeros((20, 30), np.uint64)
    labels[2:5, 2:9], labels[10:14, 3:6] = 7, 2**63
    with pytest.raises(OverflowError):
        measure.regionprops_table(labels)
    with pytest.raises(InvalidImage, match=r"9223372036854775808 is larger .*relabel_sequential"):
        tw.apply(f"measure.{name}", labels, tiles=6)
    labels[labels == 2**63] = 2**63 - 1
    table = tw.apply("measure.regionprops_table", labels, properties=("label",), tiles=6)
    assert table["label"].tolist() == [7, 2**63 - 1]


@pytest.mark.parametrize("spacing", [None, (2.0, 2.0), (0.3, 1.7)])
@pytest.mark.parametrize("tiles", ["auto", 7])
def test_sizes_of_objects_follow_from_sums(spacing: Any, tiles: Any) -> None:
    rng = np.random.default_rng(4)
    properties = ("label", "extent", "equivalent_diameter_area", "area_bbox", "area", "num_pixels")
    for most in (2, 9, 60):
        labels = rng.integers(0, most, (30, 41))
        params = {"properties": properties, "spacing": spacing}
        expected = measure.regionprops_table(labels, **params)
        table = tw.apply("measure.regionprops_table", labels, tiles=tiles, **params)
        assert list(table) == list(expected)
        for name, column in expected.items():
            np.testing.assert_array_equal(table[name], column, strict=True)
