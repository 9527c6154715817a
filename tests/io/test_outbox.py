"""An output at a URL: nothing under its name before it is complete, nothing that looks finished."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.engine.system.cache import shared_cache
from napari_tilewise.io import network
from napari_tilewise.io.writers.outbox import FOLDER
from tests.io.servers import Objects, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

s3fs = pytest.importorskip("s3fs")
# aiobotocore leaves its sessions to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)
NOISE = np.random.default_rng(0).integers(0, 60000, (200, 1200)).astype(np.uint16)
PART = NOISE[:40, :60]
GAUSSIAN = ("filters.gaussian", {"sigma": 1})
URL = "s3://bucket/out/smooth.ome.zarr"


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Objects]:
    """Return what a server that speaks S3 holds."""
    objects = Objects()
    monkeypatch.setattr(network, "PAUSES", [0.0] * 5)
    monkeypatch.setenv(FOLDER, str(tmp_path / "outbox"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for address in serve(objects):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
        s3fs.S3FileSystem.clear_instance_cache()
        yield objects
    s3fs.S3FileSystem.clear_instance_cache()
    shared_cache().clear()
    gc.collect()  # here, where the warnings of unclosed sessions are ignored


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", NOISE)
    return tmp_path / "a.npy"


def run(source: Any, **options: Any) -> Any:
    return tw.run(GAUSSIAN, source, URL, executor="serial", memory="4 GiB", **options)


def stored(objects: Objects) -> list[str]:
    return [path for path in list(objects.contents) if path.startswith("bucket/out/")]


def test_an_output_is_sent_whole_and_read_back(objects: Objects, source: Path) -> None:
    objects.fails = lambda method, path, number: 503 if number == 1 and "/c/" in path else None
    result = run(source)
    assert result.path == URL
    written = tw.open(URL)
    expected = tw.apply("filters.gaussian", NOISE, sigma=1)
    np.testing.assert_array_equal(written.data[:], expected)
    assert written.recipe is not None
    assert len(written.levels) > 1
    assert list(objects.contents)[-1].endswith("smooth.ome.zarr/zarr.json"), "the root comes last"
    with pytest.raises(errors.DestinationExists):
        run(source, overwrite=True)
    again = tw.apply("filters.gaussian", tw.open(URL).data, sigma=1)
    np.testing.assert_array_equal(again.compute(), tw.apply("filters.gaussian", expected, sigma=1))


def test_what_cannot_be_sent_leaves_nothing_and_is_sent_later(
    objects: Objects, source: Path
) -> None:
    objects.fails = lambda method, path, number: (
        503 if method == "PUT" and path.endswith("/0/c/0/1") else None
    )
    with pytest.raises(errors.DestinationUnreachable, match="start again"):
        run(source)
    assert not stored(objects)
    objects.fails = lambda method, path, number: None
    tiles: list[Any] = []
    run(source, progress=tiles.append)
    assert not any(type(event).__name__ == "TileDone" for event in tiles), "it was complete"
    np.testing.assert_array_equal(
        tw.open(URL).data[:], tw.apply("filters.gaussian", NOISE, sigma=1)
    )


def test_a_url_that_cannot_be_written_is_refused_first(objects: Objects, source: Path) -> None:
    objects.fails = lambda method, path, number: 403 if method == "PUT" else None
    events: list[Any] = []
    with pytest.raises(errors.DestinationUnwritable, match="may write to"):
        run(source, progress=events.append)
    assert not events
    for url in ("http://127.0.0.1:9/a.ome.zarr", "s3://bucket/a.ome.tif"):
        with pytest.raises(errors.DestinationUnwritable, match="expected an OME-Zarr"):
            tw.run(GAUSSIAN, source, url)


def test_a_server_that_refuses_says_nothing_of_the_image(objects: Objects) -> None:
    objects.fails = lambda method, path, number: 403
    with pytest.raises(
        errors.SourceUnreadable, match=r"status 403.*check the address and the login"
    ):
        tw.open(URL)


def is_chunk(method: str, path: str) -> bool:
    return method == "PUT" and "/c/" in path


class Gated:
    """An array-like whose last rows are read once a server was asked to take one of the first."""

    shape, dtype, chunks = PART.shape, PART.dtype, (10, 60)

    def __init__(self, objects: Objects) -> None:
        self.has_waited = False
        self.has_sent = threading.Event()
        objects.fails = self.look

    def look(self, method: str, path: str, number: int) -> None:
        """Look at a request, and let it succeed."""
        if is_chunk(method, path):
            self.has_sent.set()

    def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
        if region[0].start >= 30 and not self.has_waited:
            self.has_waited = self.has_sent.wait(60)
            assert self.has_waited
        return PART[region]


@pytest.fixture
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the image into tiles of a chunk each."""
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 20})
    monkeypatch.setattr("napari_tilewise.runs.planner.default_chunks", lambda *_: (10, 20))


@pytest.mark.usefixtures("_small_tiles")
def test_chunks_are_sent_while_others_are_read_and_computed(objects: Objects) -> None:
    source = Gated(objects)
    run(source, pyramid=False)
    assert source.has_waited
    np.testing.assert_array_equal(tw.open(URL).data[:], tw.apply("filters.gaussian", PART, sigma=1))
    sent = Counter({r[1]: n for r, n in objects.requests.items() if is_chunk(*r)})
    assert set(sent.values()) == {1}
    assert len(sent) == 4 * 3


def stop_after_chunks(objects: Objects) -> Any:
    """Return a listener that ends the run when a chunk is sent and tiles are left."""

    def stop(event: object) -> None:
        if type(event).__name__ == "TileDone" and any(is_chunk(*r) for r in objects.asked):
            raise KeyboardInterrupt

    return stop


@pytest.mark.usefixtures("_small_tiles")
def test_an_interrupted_run_leaves_nothing_at_the_url(objects: Objects) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Gated(objects), progress=stop_after_chunks(objects))
    assert not stored(objects)
    run(Gated(objects))
    np.testing.assert_array_equal(tw.open(URL).data[:], tw.apply("filters.gaussian", PART, sigma=1))


@pytest.mark.usefixtures("_small_tiles")
@pytest.mark.parametrize("sigma", [1, 3])
def test_what_a_killed_run_has_sent_is_not_sent_again_unless_it_is_another_output(
    sigma: int, objects: Objects, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("napari_tilewise.io.writers.outbox.Outbox._withdraw", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            run(Gated(objects), progress=stop_after_chunks(objects))
    sent = {request for request in objects.asked if is_chunk(*request)}
    assert sent
    objects.contents["bucket/out/smooth.ome.zarr/0/c/9/9"] = b"of that run"
    recipe = ("filters.gaussian", {"sigma": sigma})
    again = Gated(objects)
    again.has_sent.set()  # perhaps nothing is left to send before the last rows are read
    tw.run(recipe, again, URL, executor="serial", memory="4 GiB")
    np.testing.assert_array_equal(
        tw.open(URL).data[:], tw.apply("filters.gaussian", PART, sigma=sigma)
    )
    times = {objects.requests[request] for request in sent}
    is_same_output = sigma == 1
    assert times == {1 if is_same_output else 2}
    assert ("bucket/out/smooth.ome.zarr/0/c/9/9" in objects.contents) is is_same_output
