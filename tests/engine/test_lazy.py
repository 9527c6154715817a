"""Lazy results: what is read, how often, and that it does not grow with the image."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import pytest
import zarr
from skimage import data, filters, measure

import napari_tilewise as tw
from napari_tilewise.engine.lazy import dask_blocks
from napari_tilewise.pipeline.apply_recipe import apply_recipe
from napari_tilewise.recipe import Recipe
from tests.sources import ArrayLike

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def coins() -> np.ndarray:
    return np.pad(data.coins(), ((0, 700), (0, 900)), mode="symmetric")


def counted(array: np.ndarray, chunk: int) -> ArrayLike:
    return ArrayLike(array, (chunk,) * array.ndim)


def decoded(source: ArrayLike) -> float:
    """Return pixels read per pixel of the image."""
    pixels = sum(int(np.prod([s.stop - s.start for s in region])) for region in source.reads)
    return pixels / int(np.prod(source.shape))


@pytest.mark.parametrize("chunk", [97, 256, 512])
def test_a_chain_decodes_each_chunk_about_once(coins: np.ndarray, chunk: int) -> None:
    source = counted(coins, chunk)
    smooth = tw.apply("filters.gaussian", source, sigma=3)
    result = tw.apply("morphology.white_tophat", tw.apply("filters.sobel", smooth))
    assert source.reads == []
    result.compute()
    assert decoded(source) <= 1.3


def test_each_further_pass_decodes_at_most_once_more(coins: np.ndarray) -> None:
    source = counted(coins, 256)
    mask = tw.apply("filters.gaussian", source, sigma=3) > 0.5
    labels = tw.apply("measure.label", mask)
    found = labels.compute()
    assert decoded(source) <= 2 * 1.3
    np.testing.assert_array_equal(found, measure.label(filters.gaussian(coins, sigma=3) > 0.5))


@pytest.mark.parametrize("length", [8192, 131072])
def test_a_view_reads_what_it_shows(length: int) -> None:
    image = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=(length, length),
        chunks=(1024, 1024),
        dtype="uint16",
        fill_value=9,
    )

    class Watched:
        shape, dtype, chunks = image.shape, image.dtype, image.chunks
        reads = 0

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            Watched.reads += 1
            return image[region]

    result = tw.apply("filters.gaussian", Watched(), sigma=2)
    view = result[length - 2500 : length - 1476, 3000:4024]
    with dask.config.set(scheduler="sync"):
        (optimised,) = dask.optimize(view)
        assert len(dict(optimised.__dask_graph__())) <= 12
        pixels = view.compute()
    np.testing.assert_array_equal(pixels, filters.gaussian(np.full((64, 64), 9, "u2"), 2)[0, 0])
    assert Watched.reads <= 16


def test_statistics_are_gathered_once_and_only_when_computed(coins: np.ndarray) -> None:
    source = counted(coins, 256)
    threshold = tw.apply("filters.threshold_otsu", source)
    assert isinstance(threshold, da.Array)
    assert threshold.shape == ()
    assert source.reads == []
    assert threshold.compute() == filters.threshold_otsu(coins)
    reads = len(source.reads)
    assert threshold.compute() == filters.threshold_otsu(coins)
    assert len(source.reads) == reads


def test_dask_input_is_pulled_block_by_block(coins: np.ndarray) -> None:
    computed = []

    def block(pixels: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        computed.append(block_info[None]["chunk-location"])
        return pixels

    source = da.from_array(coins, chunks=(200, 300)).map_blocks(block, dtype=coins.dtype)
    found = tw.apply("filters.median", source).compute()
    np.testing.assert_array_equal(found, filters.median(coins))
    assert len(computed) == len(set(computed)) == source.npartitions


@pytest.mark.parametrize(
    "expression",
    [
        lambda x: da.tile(x, (3, 2)),  # layers whose values are the keys of others
        lambda x: da.concatenate([x, x[::-1]]).rechunk(70),
        lambda x: da.roll(x, 9, axis=0),
        lambda x: da.pad(x, 5, mode="reflect"),
    ],
)
def test_any_dask_expression_is_a_source(coins: np.ndarray, expression: Any) -> None:
    array = expression(da.from_array(coins[:150, :200], chunks=64))
    lazy = tw.apply("measure.label", array > 120, tiles=50)
    np.testing.assert_array_equal(lazy.compute(), measure.label(array.compute() > 120))


def test_table_and_points_come_at_once(coins: np.ndarray) -> None:
    labels = measure.label(filters.gaussian(coins, sigma=3) > 0.5)
    lazy = da.from_array(labels, chunks=(300, 211))
    table = tw.apply("measure.regionprops_table", lazy, properties=("label", "area", "centroid"))
    expected = measure.regionprops_table(labels, properties=("label", "area", "centroid"))
    for name, column in expected.items():
        np.testing.assert_array_equal(table[name], column)


def test_a_lazy_result_goes_to_another_process(coins: np.ndarray, tmp_path: Path) -> None:
    image = zarr.create_array(tmp_path / "c.zarr", data=coins, chunks=(256, 256))
    smooth = tw.apply("filters.gaussian", image, sigma=2)
    (mask,) = (result.value for result in apply_recipe(Recipe(["filters.threshold_otsu"]), smooth))
    there = pickle.loads(pickle.dumps(mask))
    smooth = filters.gaussian(coins, sigma=2)
    np.testing.assert_array_equal(there.compute(), smooth > filters.threshold_otsu(smooth))


def test_a_chain_of_tasks_needs_no_scheduler(
    coins: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[object] = []
    real = dask_blocks.get_sync

    def counted(tasks: Any, key: Any, **options: Any) -> Any:
        computed.append(key)
        return real(tasks, key, **options)

    monkeypatch.setattr(dask_blocks, "get_sync", counted)
    image = da.from_array(coins, chunks=100)
    for chain in (image, image + 1, da.from_delayed(dask.delayed(coins), coins.shape, coins.dtype)):
        source = dask_blocks.DaskBlocks(chain)
        box = slice(20, 130), slice(90, 210)
        np.testing.assert_array_equal(source[box], np.asarray(chain)[box])
    assert not computed
    several = dask_blocks.DaskBlocks(da.concatenate([image, image]).rechunk(150))
    box = slice(0, 150), slice(0, 150)
    np.testing.assert_array_equal(several[box], coins[box])
    assert computed
