"""What several tasks need is computed once, by whatever scheduler: counted in reads of the source.

The source notes each chunk that any process reads.
"""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import dask
import dask.multiprocessing
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster
from skimage import data, exposure, filters, measure
from zarr.storage import LocalStore

import napari_tilewise as tw
from napari_tilewise.engine.system import source_files
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from tests.sources import LoggedArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

SIZE = 256
CHUNKS = (4, 16, 64)
FINAL = 1.3
"""Reads of each chunk in the last pass, at most, on top of one for each pass before."""


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.ascontiguousarray(data.coins()[:SIZE, :SIZE])


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, dask.multiprocessing.get_context()) as pool:
        yield pool


@pytest.fixture(params=["threads", "processes", "cluster"])
def scheduler(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have dask compute with threads, processes, or a cluster of two worker processes."""
    name = request.param
    with contextlib.ExitStack() as stack:
        if name == "cluster":
            stack.enter_context(request.getfixturevalue("client").as_current())
        else:
            stack.enter_context(dask.config.set(scheduler=name))
        if name == "processes":
            stack.enter_context(dask.config.set(pool=request.getfixturevalue("processes")))
        yield name


def logged(image: np.ndarray, count: int, folder: Path) -> LoggedArray:
    """Return an image in so many chunks."""
    length = round(SIZE / count**0.5)
    zarr.create_array(folder / f"{count}.zarr", data=image, chunks=(length,) * image.ndim)
    return LoggedArray(str(folder / f"{count}.zarr"), str(folder / "log"))


def _capacity(nbytes: int) -> int:
    """Set the bytes of the cache of decoded chunks; return what they were."""
    cache = shared_cache()
    before, cache.capacity = cache.capacity, nbytes
    cache.clear()
    return before


@contextlib.contextmanager
def without_cache(client: Client) -> Iterator[None]:
    """Have workers read each chunk again whenever it is needed."""
    before = client.run(_capacity, 0)
    try:
        yield
    finally:
        client.run(_capacity, next(iter(before.values())))


BINARY = {"morphology.skeletonize", "measure.label", "morphology.remove_small_objects"}
CASES: list[tuple[str, dict[str, Any], int]] = [
    # the operation, its parameters, its passes before the last
    ("exposure.adjust_gamma", {"gamma": 0.5}, 0),
    ("filters.gaussian", {"sigma": 2}, 0),
    ("exposure.equalize_hist", {}, 1),
    ("filters.threshold_otsu", {}, 1),
    ("filters.threshold_li", {}, 1),
    ("filters.apply_hysteresis_threshold", {"low": 80, "high": 150}, 1),
    ("transform.resize", {"output_shape": (100, 300)}, 1),
    ("morphology.local_maxima", {}, 1),
    ("morphology.skeletonize", {}, 1),
    ("measure.label", {}, 1),
    ("morphology.remove_small_objects", {"max_size": 64}, 1),
    ("feature.peak_local_max", {"min_distance": 5}, 2),
]


@pytest.mark.parametrize("by_chunk", [False, True], ids=["large tiles", "a tile per chunk"])
@pytest.mark.parametrize(("name", "params", "passes"), CASES)
def test_reads_do_not_grow_with_the_number_of_chunks(
    by_chunk: bool,
    name: str,
    params: dict[str, Any],
    passes: int,
    image: np.ndarray,
    scheduler: str,
    tmp_path: Path,
) -> None:
    pixels = image > 120 if name in BINARY else image
    expected = tw.apply(name, pixels, **params)
    for count in CHUNKS:
        source = logged(pixels, count, tmp_path)
        tiles = source.chunks[0] if by_chunk else SIZE // 2
        result = tw.apply(name, source, tiles=tiles, **params)
        np.testing.assert_array_equal(np.asarray(result), expected)
        assert source.reads() <= passes + FINAL


class WaitingArray(LoggedArray):
    """An array of which reading waits, so that the chunks of a tile are fetched together."""

    waits = True

    def __reduce__(self) -> tuple[Any, ...]:
        return WaitingArray, (self.path, self.log)


def test_chunks_that_are_fetched_together_are_shared_too(
    image: np.ndarray, scheduler: str, tmp_path: Path
) -> None:
    expected = tw.apply("filters.gaussian", image, sigma=2)
    for count in CHUNKS:
        source = logged(image, count, tmp_path)
        source = WaitingArray(source.path, source.log)
        result = tw.apply("filters.gaussian", source, tiles=source.chunks[0], sigma=2)
        np.testing.assert_array_equal(np.asarray(result), expected)
        assert source.reads() <= FINAL


@pytest.mark.parametrize("sigma", [16, 100])
def test_chunks_are_shared_where_neighbourhoods_end_where_chunks_do(
    sigma: int, image: np.ndarray, scheduler: str, tmp_path: Path
) -> None:
    source = logged(image, 16, tmp_path)
    assert 4 * sigma % source.chunks[0] == 0 or 4 * sigma > SIZE  # the reach
    result = tw.apply("filters.gaussian", source, tiles=source.chunks[0], sigma=sigma)
    expected = tw.apply("filters.gaussian", image, sigma=sigma)
    np.testing.assert_array_equal(np.asarray(result), expected)
    assert source.reads() <= FINAL


@pytest.mark.parametrize("count", CHUNKS)
def test_an_expression_of_a_lazy_result_is_prepared_once(
    count: int, image: np.ndarray, scheduler: str, tmp_path: Path
) -> None:
    source = logged(image, count, tmp_path)
    length = source.chunks[0]
    equal = tw.apply("exposure.equalize_hist", source, tiles=length)
    labels = tw.apply("measure.label", equal > 0.7, tiles=length)
    expected = measure.label(exposure.equalize_hist(image) > 0.7)
    np.testing.assert_array_equal(labels.compute(), expected)
    assert source.reads() <= 2 + FINAL


@pytest.mark.parametrize("count", CHUNKS)
def test_a_cluster_repeats_no_pass_for_a_chunk(
    count: int, image: np.ndarray, client: Client, tmp_path: Path
) -> None:
    source = logged(image, count, tmp_path)
    length = source.chunks[0]
    equal = tw.apply("exposure.equalize_hist", source, tiles=length)
    mask = tw.apply("filters.apply_hysteresis_threshold", equal, low=0.3, high=0.7, tiles=length)
    with client.as_current(), without_cache(client):
        np.testing.assert_array_equal(equal.compute(), exposure.equalize_hist(image))
        assert source.reads() == 2.0
        equal.max().compute()
        assert source.reads() == 1.0  # the pass is found again
        mask.compute()
        assert source.reads() <= 2.0 + 0.5  # its own pass and the last; a joint's pixels
        dask.compute(equal.max(), equal.min(), mask.sum())
        assert source.reads() <= 2.0


def test_what_persists_is_not_prepared_again(
    image: np.ndarray, client: Client, tmp_path: Path
) -> None:
    source = logged(image, 16, tmp_path)
    with client.as_current():
        equal = tw.apply("exposure.equalize_hist", source, tiles=64).persist()
        equal.sum().compute()
        source.reads()
        labels = tw.apply("measure.label", equal > 0.7, tiles=64)
        expected = measure.label(exposure.equalize_hist(image) > 0.7)
        np.testing.assert_array_equal(labels.compute(), expected)
        smooth = tw.apply("filters.gaussian", equal, sigma=1)
        expected = filters.gaussian(exposure.equalize_hist(image), sigma=1)
        np.testing.assert_array_equal(smooth.compute(), expected)
    assert source.reads() == 0.0


@pytest.mark.parametrize(
    "name", ["segmentation.relabel_sequential", "segmentation.join_segmentations"]
)
@pytest.mark.parametrize("is_chained", [False, True])
def test_what_is_computed_at_once_beside_a_lazy_result_is_not_computed_again(
    name: str, is_chained: bool, image: np.ndarray, tmp_path: Path
) -> None:
    parameters: dict[str, Any] = {}
    if name == "segmentation.join_segmentations":
        parameters = {"s2": image // 64, "return_mapping": True}
    source = logged(image // 32, 16, tmp_path)
    labels: Any = tw.apply("measure.label", source, tiles=64) if is_chained else source
    lazy, *_ = tw.apply(name, labels, tiles=64, **parameters)
    context = dask.multiprocessing.get_context()
    with ProcessPoolExecutor(2, context, _capacity, (0,)) as pool:
        result = lazy.compute(scheduler="processes", pool=pool)
    labels = measure.label(image // 32) if is_chained else image // 32
    np.testing.assert_array_equal(result, tw.apply(name, labels, **parameters)[0])
    assert source.reads() <= (2 if is_chained else 1) + FINAL


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_a_scheduler_finds_no_key_with_other_inputs(
    dtype: str, image: np.ndarray, client: Client, tmp_path: Path
) -> None:
    source = logged(image.astype(dtype), 16, tmp_path)
    names = ("filters.threshold_otsu", "filters.threshold_isodata", "filters.threshold_yen")
    warnings = _Records()
    logger = logging.getLogger("distributed.scheduler")
    logger.addHandler(warnings)
    try:
        with client.as_current():
            results = [tw.apply(name, source, tiles=64) for name in names]
            relabelled, *_ = tw.apply("filters.rank_order", source, tiles=64)
            for _ in range(3):
                dask.compute(*results, relabelled)
    finally:
        logger.removeHandler(warnings)
    assert not warnings.messages


class _Records(logging.Handler):
    """Holds the messages that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_tables_and_points_are_computed_by_the_cluster(
    image: np.ndarray, client: Client, tmp_path: Path
) -> None:
    source = logged(image, 16, tmp_path)
    with client.as_current():
        labels = tw.apply("measure.label", tw.apply("filters.gaussian", source, sigma=2) > 0.5)
        properties = ("label", "area", "centroid")
        table = tw.apply("measure.regionprops_table", labels, properties=properties)
    eager = measure.label(filters.gaussian(image, sigma=2) > 0.5)
    expected = measure.regionprops_table(eager, properties=properties)
    for column, values in expected.items():
        np.testing.assert_array_equal(table[column], values)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_operations_share_the_statistics_of_their_source(
    dtype: str, image: np.ndarray, scheduler: str, tmp_path: Path
) -> None:
    pixels = image.astype(dtype)
    source = logged(pixels, 16, tmp_path)
    with contextlib.ExitStack() as stack:
        if scheduler == "cluster":
            stack.enter_context(without_cache(Client.current()))
        names = ("filters.threshold_otsu", "filters.threshold_isodata")
        results = dask.compute(*(tw.apply(name, source, tiles=64) for name in names))
    assert results == tuple(tw.apply(name, pixels) for name in names)
    passes = 1 if dtype == "u1" else 2
    assert source.reads() <= passes


class _CountedStore(LocalStore):
    """A local store that counts the chunks that are read."""

    reads = 0

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        type(self).reads += "/c/" in f"/{key}"
        return await super().get(key, *args, **kwargs)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("is_looped", [False, True])
def test_later_calls_find_the_statistics_of_a_source_that_did_not_change(
    dtype: str,
    is_looped: bool,
    image: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    monkeypatch.setattr(_CountedStore, "reads", 0)
    pixels = image.astype(dtype)
    pixels = np.stack([pixels, pixels // 2]) if is_looped else pixels
    chunks = (1, 64, 64)[-pixels.ndim :]
    where: dict[str, Any] = {"spatial": "yx", "axes": "tyx"} if is_looped else {}
    folder = tmp_path / "image.zarr"
    zarr.create_array(folder, data=pixels, chunks=chunks)

    def threshold(name: str, *, lazy: bool) -> tuple[Any, int]:
        shared_cache().clear()
        _CountedStore.reads = 0
        array = zarr.open_array(_CountedStore(folder, read_only=True), mode="r")
        source = array if lazy else CheckedArray(array, "image")
        value = tw.apply(name, source, tiles=64, **where)
        return np.asarray(value), _CountedStore.reads

    names = ("filters.threshold_otsu", "filters.threshold_isodata")
    for number, name in enumerate((*names, *names)):
        value, reads = threshold(name, lazy=number % 2 == 0)
        np.testing.assert_array_equal(value, tw.apply(name, pixels, **where))
        assert (reads > 0) == (number == 0)
    changed = zarr.open_array(folder, mode="r+")
    changed[(0,) * (pixels.ndim - 1) + (slice(0, 32),)] = 255
    value, reads = threshold(names[0], lazy=True)
    np.testing.assert_array_equal(value, tw.apply(names[0], changed[...], **where))
    assert reads > 0


def test_the_same_call_on_the_same_source_has_the_same_keys(
    image: np.ndarray, tmp_path: Path
) -> None:
    def keys(source: Any, **params: Any) -> tuple[str, ...]:
        smooth = tw.apply("filters.gaussian", source, **params)
        mask = image > 100
        masked = tw.apply("filters.sobel", smooth, mask=mask)
        return smooth.name, masked.name, tw.apply("measure.label", smooth > 0.5).name

    path = tmp_path / "image.zarr"
    zarr.create_array(path, data=image, chunks=(64, 64))
    first, second = (zarr.open_array(path, mode="r") for _ in range(2))
    assert keys(first, sigma=2) == keys(second, sigma=2)
    assert keys(first, sigma=2) != keys(first, sigma=3)
    source = LoggedArray(str(path), str(tmp_path / "log"))
    assert keys(source) == keys(source)
    assert keys(source) != keys(first)


def test_planes_are_prepared_one_by_one(
    image: np.ndarray, scheduler: AbstractContextManager[None], tmp_path: Path
) -> None:
    planes = np.stack([image[:64, :64] // (i + 1) for i in range(6)])
    zarr.create_array(tmp_path / "planes.zarr", data=planes, chunks=(1, 64, 64))
    source = LoggedArray(str(tmp_path / "planes.zarr"), str(tmp_path / "log"))
    equal = tw.apply("exposure.equalize_hist", source, axes="tyx", spatial="yx", tiles=32)
    np.testing.assert_array_equal(equal[3].compute(), exposure.equalize_hist(planes[3]))
    assert source.reads() <= (1 + FINAL) / len(planes)
    labels = tw.apply("measure.label", equal > 0.7, spatial=(1, 2), tiles=32)
    expected = [measure.label(exposure.equalize_hist(plane) > 0.7) for plane in planes]
    np.testing.assert_array_equal(labels.compute(), expected)
