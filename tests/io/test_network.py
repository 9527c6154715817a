"""Sources behind a network: requests that fail for a moment are made again, wherever they are."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
import zarr
from skimage import filters

import napari_tilewise as tw
from napari_tilewise.engine.events import PassDone, PassStarted
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.errors import SourceUnreachable
from napari_tilewise.io import network
from napari_tilewise.provenance import fingerprint_samples
from napari_tilewise.provenance.fingerprint import fingerprint
from tests.io.servers import SILENT, Objects, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("aiohttp")
# fsspec leaves the sessions that Zarr uses to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
NOISE = np.random.default_rng(0).integers(0, 60000, (128, 128)).astype(np.uint16)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(network, "PAUSES", [0.0] * 5)
    yield
    fsspec.get_filesystem_class("http").clear_instance_cache()
    shared_cache().clear()
    gc.collect()  # here, where the warnings of unclosed sessions are ignored


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Return an OME-Zarr of 16 chunks, as a server holds it."""
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    level = group.create_array("0", shape=NOISE.shape, chunks=(32, 32), dtype=NOISE.dtype)
    level[:] = NOISE
    axes = [{"name": name, "type": "space"} for name in "yx"]
    scale = {"type": "scale", "scale": [1.0, 1.0]}
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    multiscale = {"axes": axes, "datasets": datasets}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [multiscale]}})
    files = (path for path in tmp_path.rglob("*") if path.is_file())
    return Objects({path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in files})


@pytest.fixture
def url(objects: Objects) -> Iterator[str]:
    for address in serve(objects):
        yield f"{address}/a.zarr"


def often(method: str, path: str, number: int) -> int | None:
    """Fail every request twice: with a status, then by cutting the connection."""
    return {1: 503, 2: 0}.get(number)


def test_every_door_tries_again(objects: Objects, url: str, tmp_path: Path) -> None:
    objects.fails = often
    assert fingerprint(url) == fingerprint(url)
    objects.requests.clear()
    assert tw.info(url)["shape"] == NOISE.shape
    objects.requests.clear()
    result = tw.apply("filters.gaussian", tw.open(url).data, sigma=1)
    expected = tw.apply("filters.gaussian", NOISE, sigma=1)
    np.testing.assert_array_equal(result.compute(), expected)
    objects.requests.clear()
    out = tmp_path / "out.ome.zarr"
    tw.run(("filters.gaussian", {"sigma": 1}), url, out, executor="serial", memory="4 GiB")
    np.testing.assert_array_equal(tw.open(out).data[:], expected)
    objects.requests.clear()
    report = tw.batch(("filters.gaussian", {"sigma": 1}), [url], tmp_path / "many", n_jobs=1)
    assert [row["status"] for row in report.rows] == ["done"]


@pytest.mark.parametrize("status", [503, 0])
def test_what_remains_is_a_network_error_and_resumable(
    objects: Objects, url: str, status: int, tmp_path: Path
) -> None:
    down = False
    objects.fails = lambda method, path, number: status if down and "/c/3/3" in path else None
    out = tmp_path / "out.ome.zarr"
    request = (("filters.gaussian", {"sigma": 1}), url, out)
    fingerprint(url)

    def stop(event: object) -> None:
        nonlocal down
        down = True  # once the run has begun

    with pytest.raises(SourceUnreachable, match="start again when it does"):
        tw.run(*request, executor="serial", memory="4 GiB", progress=stop)
    assert not out.exists()
    objects.fails = lambda method, path, number: None
    tw.run(*request, executor="serial", memory="4 GiB")
    np.testing.assert_array_equal(
        tw.open(out).data[:], tw.apply("filters.gaussian", NOISE, sigma=1)
    )


def silent_once(method: str, path: str, number: int) -> int | None:
    """Leave the first request of some paths without an answer: metadata and a chunk."""
    return SILENT if number == 1 and path.endswith(("/0/zarr.json", "/c/0/0")) else None


@pytest.mark.parametrize("protocol", ["http", "s3"])
def test_a_request_that_is_not_answered_is_made_again(
    objects: Objects, url: str, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = url
    if protocol == "http":
        import aiohttp

        options: dict[str, Any] = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=0.3)}}
    else:
        s3fs = pytest.importorskip("s3fs")
        server, _, location = url.rpartition("/")
        location = f"s3://{location}"
        monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
        once = {"read_timeout": 0.3, "retries": {"max_attempts": 0}}
        options = {"anon": True, "endpoint_url": server, "config_kwargs": once}
    monkeypatch.setitem(fsspec.config.conf, protocol, options)
    fsspec.get_filesystem_class(protocol).clear_instance_cache()
    objects.fails = silent_once
    out = tmp_path / "out.ome.zarr"
    tw.run("util.invert", location, out, executor="serial", memory="4 GiB", pyramid=False)
    np.testing.assert_array_equal(tw.open(out).data[:], ~NOISE)
    objects.fails = lambda method, path, number: SILENT if "/c/3/3" in path else None
    monkeypatch.setattr(network, "PAUSES", [0.0])
    with pytest.raises(SourceUnreachable, match="start again when it does"):
        tw.open(location).data[:]
    fsspec.get_filesystem_class(protocol).clear_instance_cache()


def test_operations_on_an_object_store_share_what_they_need_until_an_object_changes(
    objects: Objects, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3fs = pytest.importorskip("s3fs")
    server, _, bucket = url.rpartition("/")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True, "endpoint_url": server})
    s3fs.S3FileSystem.clear_instance_cache()

    def threshold(name: str) -> tuple[float, int]:
        """Return a threshold, and the number of chunks that were asked for."""
        shared_cache().clear()
        objects.requests.clear()
        value = tw.apply(f"filters.{name}", tw.open(f"s3://{bucket}").data, tiles=64).compute()
        return float(value), len({path for _, path in objects.asked if "/c/" in path})

    pixels = NOISE.copy()
    assert threshold("threshold_otsu") == (filters.threshold_otsu(pixels), 16)
    assert threshold("threshold_yen") == (filters.threshold_yen(pixels), 0)
    kept = dict(objects.contents)
    (moved,) = [path for path in kept if path.endswith("0/c/3/3")]
    objects.contents[moved] = kept[moved.replace("3/3", "0/0")]
    pixels[96:, 96:] = pixels[:32, :32]
    assert threshold("threshold_otsu") == (filters.threshold_otsu(pixels), 16)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("starts", ["run", "convert", "batch"])
def test_the_fingerprint_of_a_url_is_taken_once_before_and_once_after(
    starts: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    of_url = fingerprint_samples.of_url

    def counted(location: str) -> Iterator[object]:
        taken.append(location)
        return of_url(location)

    monkeypatch.setattr(fingerprint_samples, "of_url", counted)
    if starts == "run":
        tw.run("util.invert", url, tmp_path / "a.ome.zarr", executor="serial", memory="4 GiB")
    elif starts == "convert":
        tw.convert(url, tmp_path / "a.ome.zarr", memory="4 GiB")
    else:
        tw.batch("util.invert", [url], tmp_path / "many", n_jobs=1)
    assert taken == [url] * 2


def test_a_server_that_does_not_answer_at_all() -> None:
    with pytest.raises(SourceUnreachable, match="over the network"):
        tw.open("http://127.0.0.1:9/a.zarr")


@pytest.mark.parametrize("status", [403, 404])
def test_an_answer_that_lasts_is_asked_for_once(objects: Objects, url: str, status: int) -> None:
    objects.fails = lambda method, path, number: status if "/c/" in path else None
    image = tw.open(url)
    objects.requests.clear()
    if status == 404:  # a chunk that was never written
        assert not image.data[:].any()
    else:
        with pytest.raises(tw.TilewiseError, match="check the address and the login") as caught:
            image.data[:]
        assert not isinstance(caught.value, SourceUnreachable)
    assert set(objects.requests.values()) == {1}


def test_the_chunks_of_a_tile_are_fetched_together(objects: Objects, url: str) -> None:
    image = tw.open(url).data
    objects.together = 12
    result = tw.apply("util.invert", image, tiles=128)
    assert result.numblocks == (1, 1)
    np.testing.assert_array_equal(result.compute(scheduler="synchronous"), ~NOISE)
    assert objects.most >= 12


def test_the_chunks_of_the_next_tiles_of_a_sweep_are_fetched_ahead(
    objects: Objects, url: str
) -> None:
    image = tw.open(url).data

    def hold_others(method: str, path: str, number: int) -> None:
        if "/c/" in path and not path.endswith("/c/0/0"):  # the seed's, which is read alone
            objects.together = 12

    objects.fails = hold_others
    params = {"seed_point": (0, 0), "tolerance": 9}
    flooded = tw.apply("segmentation.flood", image, tiles=32, **params)
    expected = tw.apply("segmentation.flood", NOISE, **params)
    np.testing.assert_array_equal(flooded.compute(scheduler="synchronous"), expected)
    assert objects.most >= 12


def test_the_chunks_of_the_next_tiles_are_fetched_ahead(
    objects: Objects, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tilewise.engine.system.pool.processors", lambda: 1)
    image = tw.open(url).data
    objects.together = 12
    threshold = tw.apply("filters.threshold_mean", image, tiles=32)  # one chunk a tile
    objects.requests.clear()
    assert float(threshold.compute(scheduler="synchronous")) == NOISE.mean()
    assert objects.most >= 12
    assert set(objects.requests.values()) == {1}


def test_a_run_fetches_the_chunks_of_many_tiles_ahead(
    objects: Objects, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32})
    monkeypatch.setattr("napari_tilewise.runs.planner.default_chunks", lambda *_: (32, 32))
    out = tmp_path / "out.ome.zarr"

    most: list[int] = []

    def hold_chunks(event: object) -> None:  # those of the pass: samples are fetched together, too
        if isinstance(event, PassStarted):
            objects.most, objects.together = 0, 16
        elif isinstance(event, PassDone):
            most.append(objects.most)
            objects.together = 0

    tw.run(
        "util.invert", url, out, executor="serial", memory="4 GiB", pyramid=False,
        progress=hold_chunks,
    )  # fmt: skip
    np.testing.assert_array_equal(tw.open(out).data[:], ~NOISE)
    assert most == [16]
