"""Labels, areas, first pixels, small objects and holes against scikit-image and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import filters, measure, morphology

from napari_tilewise.kernels import KERNELS, run_lists, threads
from napari_tilewise.kernels.run_lists import RunLists
from tests.kernels.comparing import compare, image_of, shape_of, strided

INTEGERS = ("uint8", "uint16", "int8", "int16", "int32", "int64", "uint32")


def mask_of(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if rng.random() < 0.5:
        return strided(rng, rng.random(shape) < rng.choice([0.05, 0.4, 0.6, 0.95]))
    smooth = ndi.gaussian_filter(rng.random(shape), 2)
    return strided(rng, smooth > np.median(smooth))


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_masks(ndim: int, instruction_set: str) -> None:
    rng = np.random.default_rng(ndim)
    for trial in range(60):
        mask = mask_of(rng, shape_of(rng, ndim, {1: 150, 2: 150, 3: 33, 4: 9}[ndim]))
        connectivity = int(rng.integers(1, ndim + 1))
        structure = ndi.generate_binary_structure(ndim, connectivity)
        for path, function in (
            ("skimage.measure.label", measure.label),
            ("skimage.morphology.remove_small_objects", morphology.remove_small_objects),
            ("skimage.morphology.remove_small_holes", morphology.remove_small_holes),
        ):
            params = {"connectivity": connectivity}
            if path.endswith("label"):
                params["background"] = (None, 0, 1, -1, 7)[trial % 5]
                params["return_num"] = bool(trial % 2)
            else:
                params["max_size"] = int(rng.choice([0, 1, 5, 64]))
            compare(path, function, mask, **params)
        compare("skimage.morphology.label", measure.label, mask, connectivity=connectivity)
        compare("scipy.ndimage.label", ndi.label, mask, structure=structure)
        compare("scipy.ndimage.binary_fill_holes", ndi.binary_fill_holes, mask, structure)


@pytest.mark.parametrize("dtype", [*INTEGERS, "uint64", "float32", "float64"])
def test_what_is_not_zero_has_labels_and_holes(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([13, len(dtype)])
    for trial in range(12):
        image = image_of(rng, shape_of(rng, 1 + trial % 3, 33), dtype, trial % 2 == 0)
        image[rng.random(image.shape) < 0.4] = 0
        compare("scipy.ndimage.label", ndi.label, image)
        compare("scipy.ndimage.binary_fill_holes", ndi.binary_fill_holes, image)


@pytest.mark.parametrize("most_changes", [-1.0, 0.25, 1.0])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(
    dtype: str, most_changes: float, instruction_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixel by pixel, as it is chosen, and by runs."""
    monkeypatch.setattr(run_lists, "_MOST_CHANGES", most_changes)
    rng = np.random.default_rng(len(dtype))
    for trial in range(40):
        ndim = 2 + trial % 2
        shape = shape_of(rng, ndim, 150 if ndim == 2 else 33)
        if ndim == 3 and shape[-1] == 1:
            shape = (*shape[:-1], 2)
        image = image_of(rng, shape, dtype)
        if trial % 3:
            image = strided(rng, rng.integers(0, 1 + trial % 5, shape).astype(dtype))
        compare(
            "skimage.measure.label",
            measure.label,
            image,
            background=(None, 0, 1, 3, -1)[trial % 5] if np.dtype(dtype).kind == "i" else None,
            return_num=bool(trial % 2),
            connectivity=int(rng.integers(1, ndim + 1)),
        )


def test_rows_are_painted_in_bands(instruction_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_BAND", 50)
    monkeypatch.setattr(threads, "_FURTHER_BAND", 50)
    rng = np.random.default_rng(3)
    with threads.several_threads(2):
        for _ in range(40):
            mask = mask_of(rng, shape_of(rng, 2, 150))
            compare("skimage.measure.label", measure.label, mask)
            compare("skimage.measure.label", measure.label, mask.view(np.uint8))
            compare(
                "skimage.morphology.remove_small_objects",
                morphology.remove_small_objects,
                mask,
                max_size=5,
            )


def test_areas_and_first_pixels(instruction_set: str) -> None:
    rng = np.random.default_rng(0)
    for trial in range(40):
        mask = mask_of(rng, shape_of(rng, 2 + trial % 2, 33))
        runs = RunLists(mask, 1)
        labels = measure.label(mask, connectivity=1)
        assert runs.count == labels.max()
        np.testing.assert_array_equal(
            runs.areas, np.bincount(labels.ravel(), minlength=runs.count + 1)
        )
        ids, firsts = np.unique(labels, return_index=True)
        np.testing.assert_array_equal(runs.first_pixels[ids[ids > 0]], firsts[ids > 0])
        table = rng.integers(0, 100, runs.count + 1).astype("u2")
        np.testing.assert_array_equal(runs.look_up(table), table[labels])


def test_out_may_be_the_mask_itself(instruction_set: str) -> None:
    mask = np.random.default_rng(1).random((50, 70)) > 0.5
    for name in ("remove_small_objects", "remove_small_holes"):
        expected = getattr(morphology, name)(mask, max_size=5)
        same = mask.copy()
        assert KERNELS[f"skimage.morphology.{name}"].run(same, max_size=5, out=same) is same
        np.testing.assert_array_equal(same, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_hysteresis(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([6, len(dtype)])
    path = "skimage.filters.apply_hysteresis_threshold"
    for trial in range(30):
        ndim = 1 + trial % 3
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim < 3 else 9), dtype, trial % 5 == 0)
        least, most = np.nanquantile(image[np.isfinite(image)], [0.3, 0.8])
        low, high = (float(least), float(most)) if trial % 4 else (int(most), int(least))
        compare(path, filters.apply_hysteresis_threshold, image, low, high)
    kernel = KERNELS[path]
    assert not kernel.accepts(image, image, 2)
    assert not kernel.accepts(image, np.nan, 2)


def test_what_is_left_to_the_function(instruction_set: str) -> None:
    label = KERNELS["skimage.measure.label"]
    assert not label.accepts(np.zeros((3, 3), "f4"))
    assert not label.accepts(np.zeros((3, 3), "u8"))
    assert not label.accepts(np.zeros((3, 3), bool), connectivity=3)
    assert not label.accepts(np.zeros((0, 3), bool))
    small = KERNELS["skimage.morphology.remove_small_objects"]
    assert not small.accepts(np.zeros((3, 3), "u8"))
    structure = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]])
    assert not KERNELS["scipy.ndimage.label"].accepts(np.zeros((3, 3), bool), structure)
    filled = KERNELS["scipy.ndimage.binary_fill_holes"]
    assert not filled.accepts(np.zeros((3, 3), bool), structure)
    assert not filled.accepts(np.zeros((3, 3), bool), origin=1)
    assert not filled.accepts(np.zeros((3, 3), complex))


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_faces_and_touched_components(ndim: int, instruction_set: str) -> None:
    rng = np.random.default_rng([9, ndim])
    for _ in range(20):
        mask = mask_of(rng, shape_of(rng, ndim, 33))
        labels, runs = measure.label(mask), RunLists(mask)
        faces = runs.faces()
        assert set(faces) == {(axis, side) for axis in range(ndim) for side in (0, -1)}
        for (axis, side), face in faces.items():
            np.testing.assert_array_equal(face, np.take(labels, [side], axis=axis))
        pixels = rng.random(mask.shape) < rng.choice([0.01, 0.3])
        expected = np.isin(np.arange(runs.count + 1), labels[pixels])
        np.testing.assert_array_equal(runs.touched(pixels), expected)


@pytest.mark.filterwarnings("ignore:Only one label")
@pytest.mark.parametrize("dtype", INTEGERS)
def test_small_labels(dtype: str, instruction_set: str) -> None:
    rng = np.random.default_rng([12, len(dtype)])
    path = "skimage.morphology.remove_small_objects"
    for trial in range(40):
        ndim = 1 + trial % 4
        shape = shape_of(rng, ndim, {1: 150, 2: 150, 3: 33, 4: 9}[ndim])
        labels = rng.integers(0, (1, 2, 3, 9, 99)[trial % 5], shape).astype(dtype)
        max_size = float(rng.choice([0, 0.5, 1, 5, 64, np.inf]))
        compare(path, morphology.remove_small_objects, strided(rng, labels), max_size=max_size)
    long_range = np.array([[0, 1, 1], [np.iinfo(dtype).max % 2**22, 0, 0]]).astype(dtype)
    compare(path, morphology.remove_small_objects, long_range, max_size=1)
    with pytest.warns(UserWarning, match="Only one label"):
        KERNELS[path].run(np.ones((3, 4), dtype), max_size=5)
    if np.dtype(dtype).kind == "i":
        with pytest.raises(ValueError, match="Negative"):
            KERNELS[path].run(np.full((3, 4), -1, dtype), max_size=5)


def test_noise_is_not_made_into_runs(monkeypatch: pytest.MonkeyPatch, instruction_set: str) -> None:
    made: list[tuple[int, ...]] = []

    def noted(image: np.ndarray, *args: int) -> RunLists:
        made.append(image.shape)
        return RunLists(image, *args)

    monkeypatch.setattr(run_lists, "RunLists", noted)
    rng = np.random.default_rng(7)
    noise, levels = rng.integers(0, 99, (64, 70)), rng.integers(0, 2, (64, 70))
    large, few = rng.integers(0, 99, (260, 260)), rng.integers(0, 4, (260, 260))
    for image in (noise, levels, noise[:9], noise.T, noise[..., np.newaxis] > 50, large, few):
        labels = KERNELS["skimage.measure.label"].run(image, return_num=True)
        expected = measure.label(image, return_num=True)
        np.testing.assert_array_equal(labels[0], expected[0])
        assert labels[1] == expected[1]
    assert made == [(64, 70, 1)]  # a mask
