"""Distances where background lies far away, which tiles of the property tests never need."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage as ndi

import napari_tilewise as tw
import napari_tilewise.ndimage as tiled_ndi
from napari_tilewise.operations.ndimage import distance
from tests.sources import ArrayLike

EDT = "ndimage.distance_transform_edt"


@pytest.fixture(autouse=True)
def far_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every distance of more than two pixels be found from rows."""
    monkeypatch.setattr(distance, "NEAR", {2: 2, 3: 1, 4: 1})


def sparse(shape: tuple[int, ...], background: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.ones(shape, bool)
    mask.flat[rng.integers(0, mask.size, background)] = False
    return mask


@pytest.mark.parametrize("sampling", [None, 0.5, (2, 1.5, 0.25, 1)])
@pytest.mark.parametrize(("shape", "tiles"), [((61, 47), (19, 16)), ((17, 19, 13), (9, 10, 7))])
@pytest.mark.parametrize("background", [1, 5, 60])
def test_far_background_is_found_as_scipy_finds_it(
    background: int, shape: tuple[int, ...], tiles: tuple[int, ...], sampling: object
) -> None:
    lengths = sampling[: len(shape)] if isinstance(sampling, tuple) else sampling
    for seed in range(2):
        mask = sparse(shape, background, seed)
        params = {"sampling": lengths, "return_indices": True}
        expected = ndi.distance_transform_edt(mask, **params)
        result = tw.apply(EDT, mask, tiles=tiles, **params)
        for ours, theirs in zip(result, expected, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_a_tile_reads_its_own_rows_only() -> None:
    mask = np.ones((400, 300), bool)
    mask[0, 0] = False
    source = ArrayLike(mask, (50, 50))
    result = tw.apply(EDT, source, tiles=(50, 50))
    corner = result[380:390, 290:300].compute()
    np.testing.assert_array_equal(corner, ndi.distance_transform_edt(mask)[380:390, 290:300])
    view = [read for read in source.reads if read[0].start >= 350]
    assert max(read[0].stop - read[0].start for read in view) <= 50


def test_the_pattern_of_the_nuclei_tutorial() -> None:
    mask = ndi.gaussian_filter(np.random.default_rng(0).random((300, 260)), 9) > 0.5
    lazy = da.from_array(mask, chunks=70)
    distances = tiled_ndi.distance_transform_edt(lazy)
    assert isinstance(distances, da.Array)
    np.testing.assert_array_equal(distances.compute(), ndi.distance_transform_edt(mask))
    np.testing.assert_array_equal(
        tiled_ndi.binary_fill_holes(lazy).compute(), ndi.binary_fill_holes(mask)
    )
