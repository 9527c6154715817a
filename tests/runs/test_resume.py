"""A run that was killed goes on where it was: no finished tile again, the same bytes at the end."""

from __future__ import annotations

import json
import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import zarr
from skimage import data, exposure

import napari_tilewise as tw
from napari_tilewise.engine.checkpoints.checkpoint import Checkpoint
from napari_tilewise.engine.events import RunAfresh, RunLeft, RunResumed, TileDone
from napari_tilewise.engine.stack import Stack
from napari_tilewise.errors import Cancelled, DestinationBusy, TilewiseError
from napari_tilewise.io.writers.staging_zarr import StagingZarr
from napari_tilewise.runs.resume import checkpoint_folder
from tests.executors.pickled_pool import Pickled
from tests.runs import killed

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = [
    ("filters.gaussian", {"sigma": 1}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
]
OPTIONS: dict[str, Any] = {"workers": 2, "memory": "2 GiB", "axes": "yx"}
IMAGE = data.coins()[:150, :200]
TILES = 35
"""Of 32 x 32 pixels, in the image."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return an image on disk."""
    path = tmp_path / "source.npy"
    np.save(path, IMAGE)
    return path


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make runs use many small tiles, in this process."""
    monkeypatch.setattr(
        "napari_tilewise.runs.planner.default_chunks", lambda shape, axes, looped: (32, 32)
    )
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32})


def content(path: Path) -> dict[str, bytes]:
    """Return the bytes of an output, but for the time of its making."""
    result = {}
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        text = file.read_bytes()
        if file == path / "zarr.json":
            tree = json.loads(text)
            tree["attributes"]["napari-tilewise"]["time"] = ""
            text = json.dumps(tree).encode()
        result[str(file.relative_to(path))] = text
    return result


def fatal_moments(rng: random.Random) -> dict[str, int]:
    """Return when a child dies."""
    what = rng.choice(["read", "event", "note", "torn"])
    return {what: rng.randrange(30 if what in ("event", "read") else 6)}


def child(children: Any, *args: Any, **options: Any) -> int:
    """Run a child to its end and return its exit code."""
    process = children.Process(target=killed.run_small, args=args, kwargs=options)
    process.start()
    process.join()
    return int(process.exitcode)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again(
    children: Any, source: Path, tmp_path: Path, record_property: Any
) -> None:
    whole = tmp_path / "whole" / "a.ome.zarr"
    assert child(children, CHAIN, source, whole, tmp_path / "log", {}, **OPTIONS) == 0
    rng = random.Random(7)
    kills = number = 0
    while kills < 18:
        number += 1
        path, log = tmp_path / str(number) / "a.ome.zarr", tmp_path / f"log-{number}"
        while True:
            assert not path.exists()
            died = child(children, CHAIN, source, path, log, fatal_moments(rng), **OPTIONS)
            if died == 0:
                break
            assert died == -9
            kills += 1
        assert content(path) == content(whole)
        assert list(path.parent.iterdir()) == [path]
        lines = log.read_text().splitlines()
        assert len(lines) == len(set(lines))  # no finished tile was computed again
        assert lines[-1] == "complete"
    record_property("kills", kills)
    record_property("runs", number)


@pytest.mark.slow
def test_a_run_by_processes_that_is_killed(children: Any, source: Path, tmp_path: Path) -> None:
    """Whoever works for a run ends with it, and what they had done counts."""
    whole, path = tmp_path / "whole" / "a.ome.zarr", tmp_path / "a" / "a.ome.zarr"
    assert child(children, CHAIN, source, whole, tmp_path / "log", {}, **OPTIONS) == 0
    log, options = tmp_path / "log-1", {**OPTIONS, "executor": "processes"}
    for fatal in ({"event": 6},):
        assert child(children, CHAIN, source, path, log, fatal, **options) == -9
        assert not path.exists()
    workers = [int(number) for number in log.with_suffix(".pids").read_text().split()]
    assert len(workers) >= 2
    left = [psutil.Process(number) for number in workers if psutil.pid_exists(number)]
    assert psutil.wait_procs(left, timeout=60)[1] == []
    assert child(children, CHAIN, source, path, log, {}, **options) == 0
    assert content(path) == content(whole)
    lines = log.read_text().splitlines()
    assert len(lines) == len(set(lines))


@pytest.mark.usefixtures("small_tiles")
def test_a_slow_disk_slows_the_run_and_fills_no_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what was computed and what is written stands at most a tile per worker."""
    state = threading.Condition()
    computed, written, waiting = 0, 0, []
    compute, write = Stack.read, StagingZarr.write

    def read(self: Any, region: Any) -> Any:
        nonlocal computed
        result = compute(self, region)
        with state:
            computed += 1
            waiting.append(computed - written)
            state.notify_all()
        return result

    def slow(self: Any, region: Any, block: Any) -> None:
        nonlocal written
        with state:  # a disk that takes one block at a time, and each only when others wait
            busy = state.wait_for(
                lambda: computed - written >= OPTIONS["workers"] or computed == TILES, 60
            )
            assert busy
            write(self, region, block)
            written += 1
            state.notify_all()

    monkeypatch.setattr(Stack, "read", read)
    monkeypatch.setattr(StagingZarr, "write", slow)
    tw.run(("filters.gaussian", {"sigma": 1}), IMAGE, tmp_path / "a.ome.zarr", **OPTIONS)
    assert written == computed == TILES
    assert max(waiting) == OPTIONS["workers"]


def stopped(path: Path, at: int, recipe: Any = CHAIN, **more: Any) -> list[Any]:
    """Run until `at` tiles are written, cancel, and return the events."""
    cancel = threading.Event()
    told: list[Any] = []

    def listen(event: Any) -> None:
        told.append(event)
        if type(event).__name__ == "TileDone" and event.title == recipe[-1][0] and event.done >= at:
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run(recipe, IMAGE, path, progress=listen, cancel=cancel, **{**OPTIONS, **more})
    return told


@pytest.mark.usefixtures("small_tiles")
class TestGoingOn:
    def test_a_cancelled_run(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        told = stopped(path, 5)
        assert any(isinstance(event, RunLeft) for event in told)
        assert not path.exists()
        again: list[Any] = []
        tw.run(CHAIN, IMAGE, path, progress=again.append, **OPTIONS)
        (resumed,) = [event for event in again if isinstance(event, RunResumed)]
        assert 5 <= resumed.done < resumed.tiles == 35
        gathered = [event for event in again if type(event).__name__ == "PassStarted"]
        assert [event.title for event in gathered][:1] == ["measure.label"]  # no gathering again
        tw.run(CHAIN, IMAGE, tmp_path / "b" / "a.ome.zarr", **OPTIONS)
        assert content(path) == content(tmp_path / "b" / "a.ome.zarr")
        assert not checkpoint_folder(path).exists()

    def test_in_the_middle_of_sweeps(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("napari_tilewise.engine.passes.stored_pass.IN_MEMORY", 0)
        monkeypatch.setattr("napari_tilewise.engine.passes.sweeps.INTERVAL", 0)
        recipe = [("filters.threshold_otsu", {}), ("morphology.skeletonize", {})]

        def sweeps(path: Path, most: int | None) -> list[str]:
            cancel = threading.Event()
            told: list[str] = []

            def listen(event: Any) -> None:
                if type(event).__name__ == "PassDone" and "skeletonize: " in event.title:
                    told.append(event.title)
                    if len(told) == most:
                        cancel.set()

            tw.run(recipe, IMAGE, path, progress=listen, cancel=cancel, **OPTIONS)
            return told

        whole = sweeps(tmp_path / "b" / "a.ome.zarr", None)
        assert len(whole) > 3
        path = tmp_path / "a.ome.zarr"
        for _ in range(2):
            with pytest.raises(Cancelled):
                sweeps(path, 1)
        rest = sweeps(path, None)
        assert len(rest) == len(whole) - 2
        assert content(path) == content(tmp_path / "b" / "a.ome.zarr")

    def test_by_another_executor(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        stopped(path, 5, executor=Pickled())
        again: list[Any] = []
        tw.run(CHAIN, IMAGE, path, progress=again.append, **OPTIONS)
        (resumed,) = [event for event in again if isinstance(event, RunResumed)]
        assert resumed.done >= 5
        tw.run(CHAIN, IMAGE, tmp_path / "b" / "a.ome.zarr", **OPTIONS)
        assert content(path) == content(tmp_path / "b" / "a.ome.zarr")

    @pytest.mark.parametrize(
        "change",
        [
            {"recipe": [("filters.gaussian", {"sigma": 3}), *CHAIN[1:]]},
            {"source": IMAGE[::-1]},
            {"pyramid": False},
        ],
    )
    def test_another_run_starts_afresh_and_says_so(
        self, change: dict[str, Any], tmp_path: Path
    ) -> None:
        path = tmp_path / "a.ome.zarr"
        stopped(path, 5)
        told: list[Any] = []
        recipe, image = change.pop("recipe", CHAIN), change.pop("source", IMAGE)
        tw.run(recipe, image, path, progress=told.append, **OPTIONS, **change)
        assert any(isinstance(event, RunAfresh) for event in told)
        tw.run(recipe, image, tmp_path / "b" / "a.ome.zarr", **OPTIONS, **change)
        assert content(path) == content(tmp_path / "b" / "a.ome.zarr")

    def test_without_resume_nothing_is_left(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        stopped(path, 5, resume=False)
        assert list(tmp_path.iterdir()) == []
        stopped(path, 5)
        tw.run(CHAIN, IMAGE, path, resume=False, **OPTIONS)
        assert [p.name for p in tmp_path.iterdir()] == ["a.ome.zarr"]

    def test_a_table_goes_on_with_what_was_gathered(self, tmp_path: Path) -> None:
        recipe = [*CHAIN, ("measure.regionprops_table", {"properties": ("label", "area")})]
        path = tmp_path / "a.csv"
        told = stopped_in(path, "measure.regionprops_table: sums", at=2, recipe=recipe)
        assert any(isinstance(event, RunLeft) for event in told)
        again: list[Any] = []
        done = tw.run(recipe, IMAGE, path, progress=again.append, **OPTIONS)
        started = [event.title for event in again if type(event).__name__ == "PassStarted"]
        assert all(what.startswith("measure.regionprops_table") for what in started)
        expected = tw.run(recipe, IMAGE, tmp_path / "b.csv", **OPTIONS)
        np.testing.assert_array_equal(done.value["area"], expected.value["area"])

    def test_an_output_that_is_gone_is_made_again(self, tmp_path: Path) -> None:
        import shutil

        path = tmp_path / "a.ome.zarr"
        stopped(path, 5)
        (left,) = tmp_path.glob(".*.partial-*")
        shutil.rmtree(left)
        tw.run(CHAIN, IMAGE, path, **OPTIONS)
        tw.run(CHAIN, IMAGE, tmp_path / "b" / "a.ome.zarr", **OPTIONS)
        assert content(path) == content(tmp_path / "b" / "a.ome.zarr")

    def test_a_tile_that_raises_leaves_a_run_to_go_on_with(self, tmp_path: Path) -> None:
        class Failing:
            shape, dtype, chunks = IMAGE.shape, IMAGE.dtype, (32, 32)
            left = 30

            def __getitem__(self, region: Any) -> np.ndarray:
                self.left -= 1
                if self.left < 0:
                    raise OSError("the disk made a noise")
                return np.asarray(IMAGE[region])

        path = tmp_path / "a.ome.zarr"
        source, options = Failing(), {**OPTIONS, "workers": 1}
        with pytest.raises(TilewiseError, match="the disk made a noise"):
            tw.run("filters.gaussian", source, path, **options)
        assert not path.exists()
        assert checkpoint_folder(path).exists()
        source.left = 1000
        tw.run("filters.gaussian", source, path, **options)
        tw.run("filters.gaussian", IMAGE, tmp_path / "b" / "a.ome.zarr", **options)
        np.testing.assert_array_equal(
            zarr.open(path)["0"][:], zarr.open(tmp_path / "b" / "a.ome.zarr")["0"][:]
        )


def stopped_in(path: Path, what: str, at: int, recipe: Any) -> list[Any]:
    """Run until a pass did so many tiles, cancel, and return the events."""
    cancel = threading.Event()
    told: list[Any] = []

    def listen(event: Any) -> None:
        told.append(event)
        if type(event).__name__ == "TileDone" and event.title == what and event.done == at:
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run(recipe, IMAGE, path, progress=listen, cancel=cancel, **OPTIONS)
    return told


def test_two_runs_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    checkpoint = Checkpoint(checkpoint_folder(path), "key", {})
    try:
        with pytest.raises(DestinationBusy, match="Another run is writing"):
            tw.run(CHAIN, IMAGE, path, **OPTIONS)
    finally:
        checkpoint.remove()
    tw.run(CHAIN, IMAGE, path, **OPTIONS)
    assert zarr.open(path)["0"].shape == IMAGE.shape


def test_a_pass_is_resumed_in_the_order_that_it_began_in(
    small_tiles: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another memory budget visits the tiles in other bands; merged tiles stay merged."""
    monkeypatch.setattr("napari_tilewise.engine.checkpoints.pass_results.INTERVAL", 0)
    image = (np.arange(128)[:, np.newaxis] * np.arange(160) % 251).astype("u1")
    zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(32, 32))
    source, out, cancel = tmp_path / "a.zarr", tmp_path / "b.ome.zarr", threading.Event()

    def cancel_soon(event: object) -> None:
        if isinstance(event, TileDone) and event.done == 6:
            cancel.set()

    options: dict[str, Any] = {"workers": 1, "executor": "threads"}
    monkeypatch.setattr("napari_tilewise.engine.plane.band_width", lambda *_: 1)
    with pytest.raises(Cancelled):
        tw.run(
            "exposure.equalize_hist", source, out, cancel=cancel, progress=cancel_soon, **options
        )
    monkeypatch.setattr("napari_tilewise.engine.plane.band_width", lambda *_: 5)
    tw.run("exposure.equalize_hist", source, out, **options)
    result = zarr.open_group(out, mode="r")["0"][:]
    np.testing.assert_array_equal(result, exposure.equalize_hist(image))
