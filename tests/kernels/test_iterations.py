"""Total variation and thinning against scikit-image, iteration by iteration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import morphology, restoration
from skimage.morphology import _skeletonize

from napari_tilewise.kernels import KERNELS, VariationIteration, thinned
from tests.kernels.comparing import compare, image_of, shape_of, strided

COUNTERCLOCKWISE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
PATH = "skimage.restoration.denoise_tv_chambolle"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_total_variation(dtype: str, ndim: int, instruction_set: str) -> None:
    rng = np.random.default_rng([ndim, len(dtype)])
    for trial in range(24):
        image = image_of(rng, shape_of(rng, ndim, 70 if ndim == 2 else 17), dtype, trial % 6 == 0)
        params = {
            "weight": float(rng.choice([0.05, 0.1, 1, 7])),
            "eps": float(rng.choice([2e-4, 1e-3, 0])),
            "max_num_iter": int(rng.choice([1, 2, 5, 30])),
        }
        compare(PATH, restoration.denoise_tv_chambolle, image, **params)
    image = image_of(rng, (20, 3, 33), dtype)
    compare(PATH, restoration.denoise_tv_chambolle, image, channel_axis=1)
    for integers in ("uint8", "uint16", "bool", "int16", "int32"):
        image = image_of(rng, shape_of(rng, ndim, 17), integers)
        compare(PATH, restoration.denoise_tv_chambolle, image)


@pytest.mark.parametrize("ndim", [2, 3])
def test_energies(ndim: int, instruction_set: str) -> None:
    rng = np.random.default_rng(ndim)
    shape = (20, 30) if ndim == 2 else (9, 12, 20)
    image = image_of(rng, shape, "float64")
    core = tuple(slice(2, n - 1) for n in shape)
    iteration = VariationIteration(image, 0.1)
    sums, flat = iteration.energies(6, core)
    assert flat == (not any(np.diff(image, axis=axis).any() for axis in range(ndim)))
    stepwise = VariationIteration(image, 0.1)
    for squared, norm in sums:
        squares, norms = np.empty(shape), np.empty(shape)
        stepwise.step(squares=squares, norms=norms)
        np.testing.assert_allclose(squared, squares[core].sum(), rtol=1e-12)
        np.testing.assert_allclose(norm, norms[core].sum(), rtol=1e-12)
    assert VariationIteration(np.ones(shape), 0.1).energies(1, core)[1]


def mask_of(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if rng.random() < 0.5:
        return strided(rng, rng.random(shape) < rng.choice([0.2, 0.6, 0.95]))
    smooth = ndi.gaussian_filter(rng.random(shape), 3)
    return strided(rng, smooth > np.quantile(smooth, rng.random()))


def test_skeletons(instruction_set: str) -> None:
    rng = np.random.default_rng(0)
    for trial in range(60):
        mask = mask_of(rng, shape_of(rng, 2))
        compare(
            "skimage.morphology.skeletonize",
            morphology.skeletonize,
            mask,
            method=(None, "zhang")[trial % 2],
        )
    wide = mask_of(rng, (40, 1200))
    compare("skimage.morphology.skeletonize", morphology.skeletonize, wide)
    kernel = KERNELS["skimage.morphology.skeletonize"]
    assert kernel.accepts(wide, method="lee")
    assert kernel.accepts(np.zeros((3, 3, 3), bool))
    assert not kernel.accepts(np.zeros((3, 3, 3), bool), method="zhang")
    for dtype in ("uint8", "int32", "float64"):
        for method in ("zhang", "lee"):
            grey = wide * np.array(3, dtype)
            compare("skimage.morphology.skeletonize", morphology.skeletonize, grey, method=method)


def test_skeletons_by_simple_points(instruction_set: str) -> None:
    rng = np.random.default_rng(2)
    for trial in range(60):
        ndim = 2 + trial % 2
        mask = mask_of(rng, shape_of(rng, ndim, 100 if ndim == 2 else 17))
        method = "lee" if trial % 4 < 3 or ndim == 2 else None
        compare("skimage.morphology.skeletonize", morphology.skeletonize, mask, method=method)
    mask = mask_of(rng, (5, 7, 200))
    compare("skimage.morphology.skeletonize", morphology.skeletonize, mask)


def test_many_small_neighbourhoods(instruction_set: str) -> None:
    # Many small neighbourhoods beside each other, each of its own 27 pixels.
    rng = np.random.default_rng(3)
    cubes = rng.random((3, 30 * 5, 40 * 5)) < rng.random(200)
    cubes[:, ::5] = cubes[:, :, ::5] = False
    compare("skimage.morphology.skeletonize", morphology.skeletonize, np.pad(cubes, 1))


def test_every_neighbourhood_is_thinned_alike(instruction_set: str) -> None:
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for number in range(256):
        mask = np.ones((7, 7), bool)
        mask[3, 3] = True
        for (y, x), bit in zip(ring, bits[number], strict=True):
            mask[2 + y, 2 + x] = bit
        compare("skimage.morphology.skeletonize", morphology.skeletonize, mask)


def test_thinning_by_other_tables(instruction_set: str) -> None:
    tables = _skeletonize.G123_LUT, _skeletonize.G123P_LUT
    rng = np.random.default_rng(1)
    for trial in range(40):
        mask = mask_of(rng, shape_of(rng, 2))
        most = (None, 1, 3)[trial % 3]
        np.testing.assert_array_equal(
            thinned(mask, tables, COUNTERCLOCKWISE, most), morphology.thin(mask, most)
        )
