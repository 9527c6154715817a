"""Rolling balls, bilateral weights, exact sums and floods against the functions they stand for."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import exposure, filters, measure, morphology, restoration, segmentation

from napari_tilewise.kernels import (
    KERNELS,
    blended_maps,
    block_counts,
    region_columns,
    sums_regions,
)
from napari_tilewise.kernels.threads import several_threads
from tests.kernels.comparing import compare, equal, image_of, shape_of, strided

GREY = ("uint8", "uint16", "float32", "float64")


@pytest.mark.parametrize("dtype", [*GREY, "bool", "int16", "int32"])
def test_rolling_ball(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([1, len(dtype)])
    for trial in range(20):
        ndim = (2, 1, 3)[trial % 3]
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim < 3 else 9), dtype)
        radius = (
            float(rng.choice([0.5, 1, 3.3, 7])) if ndim == 3 else float(rng.choice([1, 5, 12.7]))
        )
        params = {"radius": radius, "nansafe": trial % 4 == 0}
        compare("skimage.restoration.rolling_ball", restoration.rolling_ball, image, **params)
    kernel = KERNELS["skimage.restoration.rolling_ball"]
    assert not kernel.accepts(image, kernel=np.ones((3, 3)))
    assert not kernel.accepts(np.full((3, 3), np.nan))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bilateral(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([2, len(dtype)])
    for trial in range(24):
        image = image_of(rng, (int(rng.integers(9, 40)), int(rng.integers(9, 70))), dtype)
        largest = (1, 1e5, 2**31)[trial % 3]
        compare(
            "skimage.restoration.denoise_bilateral",
            restoration.denoise_bilateral,
            np.clip(image, -1, 1) * np.array(largest if dtype == "float64" else 1, dtype),
            sigma_color=None if trial % 3 == 0 else float(rng.choice([0.05, 0.3])),
            sigma_spatial=float(rng.choice([1, 2, 1.4])),
            bins=int(rng.choice([100, 10000])),
            mode=("constant", "symmetric", "edge", "wrap", "reflect")[trial % 5],
            cval=float(rng.choice([0, 0.5])),
        )


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32"])
def test_bilateral_of_integers(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([3, len(dtype)])
    kernel, limits = KERNELS["skimage.restoration.denoise_bilateral"], np.iinfo(dtype)
    for trial in range(24):
        lowest = int(rng.integers(limits.min, 1)) if trial % 2 else 0
        highest = min(limits.max, lowest + int(rng.integers(2, limits.max)))
        shape = int(rng.integers(9, 40)), int(rng.integers(9, 70))
        compare(
            "skimage.restoration.denoise_bilateral",
            restoration.denoise_bilateral,
            strided(rng, rng.integers(lowest, highest, shape).astype(dtype)),
            win_size=None if trial % 3 else 3,
            sigma_color=None if trial % 3 == 0 else float(rng.choice([0.05, 0.3])),
            sigma_spatial=float(rng.choice([1, 1.4])),
            bins=int(rng.choice([100, 10000])),
            mode=("constant", "symmetric", "edge", "wrap", "reflect")[trial % 5],
            cval=float(rng.choice([0, 0.5])),
        )
    if limits.min < 0:
        image = np.array([[limits.min, 0, 0], [0, 0, limits.max], [0, 0, 0]], dtype)
        assert not kernel.accepts(image, win_size=3)


CONSTANT = (*GREY, "bool", "int8", "int16", "int32", "int64", "uint32", "uint64")
"""Data types of constant images, and of those that are almost constant."""


@pytest.mark.filterwarnings("ignore:Converting input from bool")
@pytest.mark.parametrize("dtype", CONSTANT)
def test_constant_images(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, len(dtype)])
    bilateral = KERNELS["skimage.restoration.denoise_bilateral"]
    for trial in range(40):
        shape = tuple(int(n) for n in rng.integers(5, 40, 2))
        image = np.full(shape, int(rng.integers(0, 2 if dtype == "bool" else 100)), dtype)
        if image.dtype.kind == "f" and trial % 3 == 0:
            image[...] = rng.choice([0.0, -0.0], shape)
        compare("skimage.filters.threshold_otsu", filters.threshold_otsu, strided(rng, image))
        compare(
            "skimage.restoration.denoise_bilateral",
            restoration.denoise_bilateral,
            strided(rng, image),
            win_size=3,
        )
        odd = image.copy()
        place = tuple(int(rng.integers(n)) for n in shape)
        odd[place] = not odd[place] if dtype == "bool" else odd[place] + 1
        compare("skimage.filters.threshold_otsu", filters.threshold_otsu, odd)
        if bilateral.accepts(odd, win_size=3):
            compare(
                "skimage.restoration.denoise_bilateral",
                restoration.denoise_bilateral,
                odd,
                win_size=3,
            )
        if image.dtype.kind == "f":
            odd[place] = rng.choice([np.nan, np.inf, -np.inf])
            for image in (odd, np.full(shape, odd[place])):
                assert not bilateral.accepts(image, win_size=3)
                assert not KERNELS["skimage.filters.threshold_otsu"].accepts(image)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bilateral_bins_are_those_of_the_function(dtype: str, instruction_set: str) -> None:
    # Many pixels, for a bin is seldom off by one.
    image = np.random.default_rng(1).random((200, 300)).astype(dtype)
    path = "skimage.restoration.denoise_bilateral"
    compare(path, restoration.denoise_bilateral, image, sigma_color=0.05)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bins_of_equal_width(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([14, len(dtype)])
    kernel = KERNELS["numpy.histogram"]
    for trial in range(40):
        bins = int(rng.choice([1, 2, 10, 255, 256, 1000]))
        scale = 10.0 ** int(rng.integers(-30, 30))
        image = (rng.normal(size=shape_of(rng, 2, 300)) * scale).astype(dtype)
        low, high = image.min() - image.dtype.type(scale), image.max()
        if trial % 2:  # many values upon the edges of bins, and beside them
            edges = np.histogram_bin_edges(image, bins, (low, high))
            ends = np.array([-np.inf, np.inf], dtype)
            image = np.nextafter(rng.choice(edges, image.shape), rng.choice(ends, image.shape))
        if trial % 3 == 0:
            image.flat[:: int(rng.integers(2, 50))] = rng.choice([-0.0, np.nan, np.inf, -np.inf])
            low, high = low + (high - low) / 4, high - (high - low) / 5
        image = strided(rng, image)
        assert kernel.accepts(image, bins=bins, range=(low, high))
        expected = np.histogram(image, bins=bins, range=(low, high))
        for actual, other in zip(kernel.run(image, bins, (low, high)), expected, strict=True):
            equal(actual, other)
    for ends in (
        (0.0, np.nan),
        (1.0, 1.0),
        (-np.inf, 1.0),
        (np.finfo(dtype).min, np.finfo(dtype).max),
    ):
        assert not kernel.accepts(image, bins=10, range=tuple(map(image.dtype.type, ends)))
    assert not kernel.accepts(image, bins=10, range=(0, 1))
    assert not kernel.accepts(np.zeros((3, 4), int), bins=10, range=(0, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lines_between_points(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([15, len(dtype)])
    for trial in range(60):
        count = int(rng.choice([2, 3, 17, 256, 1000]))
        scale = 10.0 ** int(rng.integers(-30, 30))
        if trial % 3:
            places = np.linspace(-scale, 2 * scale, count).astype(dtype if trial % 2 else "f8")
        else:  # unequally far apart
            places = np.cumsum(rng.random(count) ** 9 + 1e-9) * scale
        if (np.diff(places) <= 0).any():
            continue
        values = np.cumsum(rng.random(count)) if trial % 4 else rng.normal(size=count)
        image = (rng.normal(size=shape_of(rng, 2, 300)) * scale).astype(dtype)
        if trial % 2:  # upon the places, and beside them
            ends = np.array([-np.inf, np.inf], dtype)
            image = np.nextafter(
                rng.choice(places, image.shape).astype(dtype), rng.choice(ends, image.shape)
            )
        image.flat[:: int(rng.integers(2, 50))] = rng.choice([-0.0, np.nan, np.inf, -np.inf])
        compare("numpy.interp", np.interp, strided(rng, image), places, values)
    kernel, line = KERNELS["numpy.interp"], np.arange(3.0)
    image = np.zeros((3, 4), dtype)
    assert not kernel.accepts(image, line[:1], line[:1])
    assert not kernel.accepts(image, line[::-1], line)
    assert not kernel.accepts(image, line, np.array([0, np.nan, 1]))
    assert not kernel.accepts(image, np.array([-1e308, 0, 1e308]), line)
    assert not kernel.accepts(image.astype(int), line, line)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_counts_and_tables(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([4, len(dtype)])
    levels = 2 ** (8 * np.dtype(dtype).itemsize)
    for trial in range(12):
        image = (
            image_of(rng, (int(rng.integers(0, 500)),) if trial else (0,), dtype)
            if trial
            else (np.zeros(0, dtype))
        )
        compare("numpy.bincount", np.bincount, image, minlength=int(rng.choice([0, 5, levels + 3])))
        for table_type in ("bool", "u1", "i2", "f4", "f8"):
            table = (rng.random(levels) * 200).astype(table_type)
            kernel = KERNELS["numpy.take"]
            assert kernel.accepts(table, image)
            equal(kernel.run(table, image), table[image])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_regions(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([5, len(dtype)])
    for trial in range(12):
        shape = shape_of(rng, (2, 3)[trial % 2], 33)
        labels = strided(rng, rng.integers(0, 5, shape).astype(dtype))
        intensity = image_of(rng, shape, ("uint8", "uint16", "int32")[trial % 3])
        assert sums_regions(labels, intensity)
        columns = region_columns(labels, 6, intensity)
        above = region_columns(labels, 6, intensity, least=3)
        np.testing.assert_array_equal(above.areas[1:], columns.areas[3:])
        np.testing.assert_array_equal(above.boxes[1:], columns.boxes[3:])
        table = measure.regionprops(np.asarray(labels).astype(int), np.asarray(intensity, float))
        assert set(np.flatnonzero(columns.areas)) == {region.label for region in table}
        for region in table:
            n = region.label
            assert columns.areas[n] == region.area
            np.testing.assert_array_equal(columns.coordinate_sums[n], region.coords.sum(axis=0))
            assert tuple(columns.boxes[n].T.ravel()) == region.bbox
            assert columns.intensity_sums is not None
            assert columns.intensity_min is not None
            assert columns.intensity_max is not None
            assert columns.intensity_sums[n] == np.asarray(intensity)[labels == n].sum(dtype=int)
            assert columns.intensity_min[n] == region.intensity_min
            assert columns.intensity_max[n] == region.intensity_max


WATERSHED = "skimage.segmentation.watershed"


@pytest.mark.parametrize("dtype", [*GREY, "int8", "int16", "int32", "uint32", "int64", "bool"])
def test_watershed(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([6, len(dtype)])
    for trial in range(24):
        ndim = (2, 2, 3, 1)[trial % 4]
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 12)
        image = image_of(rng, shape, dtype)
        if trial % 3 == 0:
            image = rng.integers(0, 4, shape).astype(dtype)
        markers = (rng.random(shape) < (0.05, 0.7)[trial % 5 == 0]) * rng.integers(1, 9, shape)
        seeds = [markers.astype(d) for d in ("i4", "i8", "u1", "u2")]
        if dtype not in ("int64", "bool"):
            seeds.append(None)
        if min(shape) > 3:
            seeds.append(3)
        compare(
            WATERSHED,
            segmentation.watershed,
            image,
            seeds[trial % len(seeds)],
            connectivity=int(rng.integers(1, ndim + 1)),
            mask=None if trial % 2 else strided(rng, rng.random(shape) < 0.8),
        )
    kernel = KERNELS[WATERSHED]
    assert not kernel.accepts(image, markers, watershed_line=True)
    assert not kernel.accepts(image, markers, compactness=-1)
    assert not kernel.accepts(image, markers.astype(float))
    assert not kernel.accepts(image, 0)


@pytest.mark.parametrize("steps", [1, 2, 40, 10**7])
def test_watershed_of_ties(steps: int, instruction_set: str) -> None:
    """Where markers at one level meet, their order in the function's heap decides."""
    rng = np.random.default_rng([7, steps])
    for trial in range(60):
        shape = ((40, 37), (150,), (9, 8, 11))[trial % 3]
        image = ndi.gaussian_filter(rng.random(shape), (trial % 4) / 2)
        image = (image * steps).round().astype(("f4", "f8", "u2", "i4")[trial // 4 % 4])
        markers = (rng.random(shape) < 0.1) * rng.integers(1, (3, 200)[trial % 2], shape)
        if trial % 5 == 0:  # few levels that are far apart
            image = image.astype("f8") * 1e300 + rng.integers(0, 2, shape)
        compare(
            WATERSHED,
            segmentation.watershed,
            image,
            markers,
            connectivity=1 + trial % len(shape),
            mask=None if trial % 2 else rng.random(shape) < 0.9,
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_watershed_of_numbers_without_an_order(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([8, len(dtype)])
    for trial in range(40):
        ndim = 1 + trial % 3
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 12)
        image = image_of(rng, shape, dtype, special=True)
        markers = (rng.random(shape) < 0.1) * rng.integers(1, 9, shape)
        params = {"markers": markers, "connectivity": 1 + trial % ndim}
        compare(WATERSHED, segmentation.watershed, image, **params)


@pytest.mark.parametrize("dtype", [*GREY, "int16", "int64"])
def test_watershed_with_distances(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([9, len(dtype)])
    kernel = KERNELS[WATERSHED]
    for trial in range(40):
        ndim = 1 + trial % 3
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 12)
        image = image_of(rng, shape, dtype, special=True)
        params = {
            "markers": (rng.random(shape) < (0.05, 0.5)[trial % 2]) * rng.integers(1, 9, shape),
            "connectivity": int(rng.integers(1, ndim + 1)),
            "mask": None if trial % 2 else rng.random(shape) < 0.8,
            "compactness": float(rng.choice([1e-3, 0.1, 1.0, 100.0])),
        }
        if ndim > 1 and not image.flags.c_contiguous:
            assert not kernel.accepts(image, **params)
            image = np.ascontiguousarray(image)
        compare(WATERSHED, segmentation.watershed, image, **params)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int8", "int16", "int32", "bool", "float32", "float64"]
)
@pytest.mark.filterwarnings("ignore:Converting input from bool")
def test_levels_that_are_counted(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([9, len(dtype)])
    otsu, equal_levels = "skimage.filters.threshold_otsu", "skimage.exposure.equalize_hist"
    for trial in range(40):
        ndim = 1 + trial % 3
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 9)
        if trial % 5 == 0:  # large enough for several threads
            shape = (1500, 1500) if trial == 0 else shape
        image = image_of(rng, shape, dtype)
        if dtype == "int32":
            image = image % 5000 - 2500
        if trial % 7 == 3:
            image = np.full_like(image, image.flat[0])
        if ndim == 3 and shape[-1] <= 4:
            assert not KERNELS[otsu].accepts(image)
            continue
        nbins = int(rng.integers(2, 300))
        mask = rng.random(shape) < 0.7
        mask.flat[0] = True
        with several_threads(2):
            compare(otsu, filters.threshold_otsu, image, nbins=nbins)
            compare(equal_levels, exposure.equalize_hist, image, nbins=nbins)
            compare(equal_levels, exposure.equalize_hist, image, nbins=nbins, mask=mask)
    assert not KERNELS[otsu].accepts(image.astype("f2"))
    assert not KERNELS[otsu].accepts(np.array([0, 5, 2**40]))
    assert not KERNELS[otsu].accepts(image, nbins=1)
    assert not KERNELS[otsu].accepts(image, hist=np.ones(3))
    assert not KERNELS[equal_levels].accepts(image, mask=np.zeros(image.shape, bool))
    if image.dtype.kind == "f":
        image[...] = np.nan
        assert not KERNELS[otsu].accepts(image)
        assert not KERNELS[equal_levels].accepts(image)


def test_small_labels_of_few(instruction_set: str) -> None:
    path, function = "skimage.morphology.remove_small_objects", morphology.remove_small_objects
    for dtype in ("bool", "uint8", "int32", "int64"):
        for shape in ((7, 9), (3, 4, 5)):
            image = np.zeros(shape, dtype)
            for level in (0, 1):
                image[1, 2:4] = level
                for max_size in (0, 1, 2, 64):
                    with warnings.catch_warnings(record=True) as given:
                        warnings.simplefilter("always")
                        compare(path, function, image, max_size=max_size)
                    assert len(given) in (0, 2)  # the function's, and the kernel's
                    assert len({str(item.message) for item in given}) <= 1


def test_threshold_of_a_flat_maximum(instruction_set: str) -> None:
    # Of noise over many levels neighbouring thresholds part the classes almost equally well: the
    # last bits of single precision, in which the function multiplies numbers of pixels, decide.
    otsu = "skimage.filters.threshold_otsu"
    for trial in range(12):
        rng = np.random.default_rng([12, trial])
        size = (200 + 40 * trial, 300)
        noise = rng.normal(30000, 5000, size) if trial % 2 else rng.integers(0, 65536, size)
        compare(otsu, filters.threshold_otsu, np.clip(noise, 0, 65535).astype(np.uint16))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64"])
def test_grown_labels(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([7, len(dtype)])
    for trial in range(60):
        shape = shape_of(rng, 2, 70) if trial % 2 else shape_of(rng, 3, 17)
        labels = (rng.random(shape) < rng.choice([0.003, 0.05, 0.3])) * rng.integers(1, 99, shape)
        labels[tuple(int(rng.integers(n)) for n in shape)] = 7
        distance = (1, 2, 3.7, 10, 25, 300)[int(rng.integers(6))]
        path = "skimage.segmentation.expand_labels"
        compare(path, segmentation.expand_labels, strided(rng, labels.astype(dtype)), distance)
    kernel = KERNELS["skimage.segmentation.expand_labels"]
    assert not kernel.accepts(np.zeros((3, 3), int))
    assert not kernel.accepts(labels[None, None])
    assert not kernel.accepts(labels, spacing=2)


@pytest.mark.parametrize("name", ["erosion", "dilation", "opening", "closing"])
def test_isotropic_morphology(name: str, instruction_set: str) -> None:
    rng = np.random.default_rng([17, len(name)])
    path = f"skimage.morphology.isotropic_{name}"
    function = getattr(morphology, f"isotropic_{name}")
    for trial in range(60):
        shape = shape_of(rng, 2, 70) if trial % 2 else shape_of(rng, 3, 17)
        mask = rng.random(shape) < rng.choice([0, 0.003, 0.3, 0.9, 0.997, 1])
        image = mask.astype(("bool", "uint8", "int64", "float32")[trial % 4])
        radius = (0, 1, 2.5, np.sqrt(2), np.sqrt(5), 9, 300)[int(rng.integers(7))]
        spacing = (None, 1, (1.0,) * len(shape))[trial % 3]
        compare(path, function, strided(rng, image), radius, spacing=spacing)
    kernel = KERNELS[path]
    assert not kernel.accepts(mask, 2, spacing=2)
    assert not kernel.accepts(mask[0, 0], 2)
    assert not kernel.accepts(mask, 2, out=np.empty_like(mask))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int32", "int64", "uint64"])
def test_boundaries_between_labels(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([22, len(dtype)])
    path = "skimage.segmentation.find_boundaries"
    is_long = np.dtype(dtype).itemsize > 4
    for trial in range(60):
        ndim = 1 + trial % 3
        labels = rng.integers(0, (2, 4, 100)[trial % 3], shape_of(rng, ndim, 70 if ndim < 3 else 9))
        if np.dtype(dtype).itemsize > 2:
            labels = labels * int(rng.choice([1, 700, 300_000])) - (trial % 5 == 0)
        compare(
            path,
            segmentation.find_boundaries,
            strided(rng, labels.astype(dtype)),
            connectivity=int(rng.integers(1, ndim + 1)),
            mode=("thick", "inner", "thick" if is_long else "outer")[trial % 7 % 3],
            background=(0, 1, -1, 300)[trial % 4],
        )
    kernel = KERNELS[path]
    long = np.array([[0, 2**62, 2**62 + 1], [0, 0, 1]])
    compare(path, segmentation.find_boundaries, long)
    assert not kernel.accepts(long, mode="outer")
    assert not kernel.accepts(long, mode="subpixel")
    assert not kernel.accepts(np.ones((3, 3)))


def test_distances_to_background(instruction_set: str) -> None:
    rng = np.random.default_rng(18)
    path = "scipy.ndimage.distance_transform_edt"
    with several_threads(2):
        for trial in range(90):
            shape = shape_of(rng, 2, 150) if trial % 2 else shape_of(rng, 3, 17)
            mask = rng.random(shape) < rng.choice([0, 0.3, 0.9, 0.99, 0.999])
            mask[tuple(int(rng.integers(n)) for n in shape)] = False
            image = mask.astype(("bool", "uint8", "int64", "float32")[trial % 4])
            has_indices = bool(trial % 3)
            compare(
                path,
                ndi.distance_transform_edt,
                strided(rng, image),
                sampling=(None, 1, (1.0,) * len(shape))[trial % 5 % 3],
                return_indices=has_indices,
                return_distances=bool(trial % 5) or not has_indices,
            )
    kernel = KERNELS[path]
    assert not kernel.accepts(np.ones((3, 3)))
    assert not kernel.accepts(mask, sampling=2)
    assert not kernel.accepts(mask[0, 0])


@pytest.mark.parametrize("dtype", [*GREY, "int8", "int16", "int32", "uint32", "int64"])
def test_reconstruction(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([19, len(dtype)])
    path = "skimage.morphology.reconstruction"
    for trial in range(40):
        ndim = 1 + trial % 3
        shape = shape_of(rng, ndim, 70 if ndim < 3 else 9)
        other = image_of(rng, shape, dtype)
        mask = image_of(rng, shape, dtype) if trial % 4 else other.max() - other
        footprint = (
            None,
            ndi.generate_binary_structure(ndim, ndim),
            np.ones((5, *(3,) * (ndim - 1)), bool),
            ndi.generate_binary_structure(ndim, 1),
        )[int(rng.integers(4))]
        for method, ufunc in (("dilation", np.minimum), ("erosion", np.maximum)):
            seed = ufunc(mask, other)
            compare(path, morphology.reconstruction, seed, mask, method, footprint)
    kernel = KERNELS[path]
    with pytest.raises(ValueError, match="seed"):
        kernel.run(np.ones((3, 3)), np.zeros((3, 3)))
    corner = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
    plane = np.ones((3, 3))
    assert not kernel.accepts(plane, plane, footprint=corner)
    assert not kernel.accepts(plane, plane, footprint=np.ones((2, 3)))
    assert not kernel.accepts(plane, plane, offset=[1, 1])
    assert not kernel.accepts(plane * np.nan, plane)
    assert not kernel.accepts(plane, plane.astype(np.float16))


def test_values_that_take_a_long_way_are_reconstructed(instruction_set: str) -> None:
    # So many pixels are raised again and again that the highest are then taken first.
    rng = np.random.default_rng(20)
    path = "skimage.morphology.reconstruction"
    for shape in ((90, 110), (16, 17, 18)):
        mask = rng.random(shape)
        seed = np.full(shape, mask.max())
        seed[(0,) * len(shape)] = mask[(0,) * len(shape)]
        compare(path, morphology.reconstruction, seed, mask, "erosion")
        compare(path, morphology.reconstruction, -seed, -mask)


@pytest.mark.parametrize("dtype", [*GREY, "int8", "int16", "int32", "uint32"])
@pytest.mark.parametrize("name", ["h_maxima", "h_minima"])
def test_heights(name: str, dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([21, len(dtype)])
    path, function = f"skimage.morphology.{name}", getattr(morphology, name)
    for trial in range(40):
        ndim = 1 + trial % 3
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim < 3 else 9), dtype)
        share = float(rng.choice([0.01, 0.2, 0.6]))
        h = share if image.dtype.kind == "f" else max(1, int(share * np.iinfo(dtype).max))
        h = (h, float(h), image.dtype.type(h))[trial % 3]
        footprint = ndi.generate_binary_structure(ndim, ndim) if trial % 2 else None
        compare(path, function, image, h, footprint)
    kernel = KERNELS[path]
    assert not kernel.accepts(image, 0)
    assert not kernel.accepts(np.arange(9).reshape(3, 3), 1.5)
    assert not kernel.accepts(np.array([[np.inf, 1.0]]), 1)


def test_blended_maps(instruction_set: str) -> None:
    # What `skimage.exposure._adapthist._clahe` does to inner pixels, written out.
    rng = np.random.default_rng(8)
    for trial in range(24):
        ndim, most = ((2, 70), (3, 20))[trial % 2]
        shape, k, bins = rng.integers(1, most, ndim), int(rng.integers(1, 20)), 256
        counts = [n // k + 2 for n in shape]
        maps = rng.integers(0, 2**14, (*counts, bins))
        image = rng.integers(0, bins, shape).astype("u2")
        blocks, weights = [], []
        for n, count in zip(shape, counts, strict=True):
            shifted = np.arange(n) + k // 2
            far = (shifted % k) / k
            first = shifted // k - 1
            blocks.append(np.clip(np.stack([first, first + 1], axis=1), 0, count - 1))
            weights.append(np.stack([1 - far, far], axis=1))
        expected = np.zeros(shape, np.float32)
        for corner in product((0, 1), repeat=ndim):
            weight = 1.0
            for axis in reversed(range(ndim)):
                along = [-1 if other == axis else 1 for other in range(ndim)]
                weight = weight * weights[axis][:, corner[axis]].reshape(along)
            chosen = np.ix_(*(part[:, side] for part, side in zip(blocks, corner, strict=True)))
            expected += (maps[(*chosen, image)] * weight).astype(np.float32)
        equal(blended_maps(image, blocks, weights, maps), expected.astype(np.uint16))


def test_block_counts(instruction_set: str) -> None:
    rng = np.random.default_rng(9)
    for trial in range(12):
        ndim, most = ((2, 70), (3, 20))[trial % 2]
        image = rng.integers(0, 30, rng.integers(1, most, ndim)).astype("u2")
        positions = [rng.integers(0, n, rng.integers(1, most)) for n in image.shape]
        blocks = [np.sort(rng.integers(0, 4, len(part))) for part in positions]
        expected = np.zeros([part.max() + 1 for part in blocks] + [30], np.int64)
        np.add.at(expected, (*np.ix_(*blocks), image[np.ix_(*positions)]), 1)
        equal(block_counts(image, positions, blocks, 30), expected)
