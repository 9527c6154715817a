"""What was begun and is not complete is known to every process; any of them can go on with it."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from skimage import data

import napari_tilewise as tw
from napari_tilewise.batches import unfinished
from napari_tilewise.batches.unfinished import NotResumable, RunState
from napari_tilewise.cli import main
from napari_tilewise.engine.events import RunResumed
from napari_tilewise.errors import Cancelled, DestinationBusy, InvalidParameter
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.recipe import Recipe, Step
from napari_tilewise.runs import registry
from napari_tilewise.runs.convert import convert
from napari_tilewise.runs.resume import checkpoint_folder
from tests.runs import begun as children_of
from tests.runs.test_resume import content

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = [
    ("filters.gaussian", {"sigma": 1}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
]
IMAGE = data.coins()[:150, :200]
TILES = 35


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the register of each test apart."""
    folder = tmp_path / "state"
    monkeypatch.setenv(registry.STATE, str(folder))
    return folder


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunks(shape: tuple[int, ...], axes: Any, looped: Any) -> tuple[int, ...]:
        return (*[1] * (len(shape) - 2), 32, 32)

    monkeypatch.setattr("napari_tilewise.runs.planner.default_chunks", chunks)
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "coins.npy"
    path.parent.mkdir()
    np.save(path, IMAGE)
    return path


def in_child(children: Any, state: Path, work: Any, *args: Any, **options: Any) -> Any:
    """Start work in another process, which keeps the same register."""
    process = children.Process(
        target=_with_state, args=(str(state), work, *args), kwargs=options, daemon=True
    )
    process.start()
    return process


def _with_state(state: str, work: Any, *args: Any, **options: Any) -> None:
    os.environ[registry.STATE] = state
    work(*args, **options)


def killed(children: Any, state: Path, work: Any, *args: Any, **options: Any) -> None:
    process = in_child(children, state, work, *args, **options)
    process.join()
    assert process.exitcode == -9


def cancelled_run(
    source: Any, path: Path, *, recipe: Any = "filters.gaussian", what: str = "", **options: Any
) -> None:
    """Run until five tiles are written, and cancel."""
    cancel = threading.Event()

    def listen(event: Any) -> None:
        if getattr(event, "done", 0) == 5 and event.title == (what or recipe):
            cancel.set()

    with pytest.raises(Cancelled):
        tw.run(recipe, source, path, progress=listen, cancel=cancel, **options)


@pytest.mark.usefixtures("small_tiles")
class TestRuns:
    def test_one_that_was_killed_is_left_and_gone_on_with(
        self, children: Any, state: Path, source: Path, tmp_path: Path, monkeypatch: Any
    ) -> None:
        path = tmp_path / "out" / "a.ome.zarr"
        options = {"memory": "2 GiB", "workers": 1, "axes": "yx", "pyramid": False}
        dies = (children_of.run_and_die, "TileDone", 4 * TILES - 5)
        killed(children, state, *dies, CHAIN, source, path, **options)
        (left,) = unfinished.unfinished_runs()
        assert (left.state, left.destination, left.progress.source) == (
            RunState.INTERRUPTED,
            path,
            str(source),
        )
        assert left.progress.task == "3 steps to measure.label"
        assert 0 < left.progress.done < left.progress.total == TILES
        # Another machine, or another moment, would be planned otherwise: what is done decides.
        monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 96})
        told: list[Any] = []
        left.resume(progress=told.append, memory=None)
        (resumed,) = (event for event in told if isinstance(event, RunResumed))
        assert resumed.done == left.progress.done
        assert unfinished.unfinished_runs() == []
        monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 32})
        tw.run(CHAIN, source, tmp_path / "b" / "a.ome.zarr", **options)
        result, expected = content(path), content(tmp_path / "b" / "a.ome.zarr")
        assert result == expected

    def test_one_that_is_alive(
        self, children: Any, state: Path, source: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "a.ome.zarr"
        begun, continues = children.Event(), children.Event()
        waits = (children_of.run_and_wait, begun, continues)
        process = in_child(children, state, *waits, "filters.gaussian", source, path, workers=1)
        try:
            assert begun.wait(60)
            (alive,) = unfinished.unfinished_runs()
            assert (alive.state, alive.entry.process) == (RunState.RUNNING, process.pid)
            assert alive.progress.total == TILES
            with pytest.raises(NotResumable, match="it is running"):
                alive.resume()
            with pytest.raises(DestinationBusy):
                alive.forget()
        finally:
            continues.set()
        process.join()
        assert process.exitcode == 0
        assert unfinished.unfinished_runs() == []
        assert path.exists()

    def test_all_that_was_asked_for_is_asked_again(self, source: Path, tmp_path: Path) -> None:
        stack = tmp_path / "in" / "stack.npy"
        np.save(stack, np.stack([IMAGE[:100, :100]] * 3))
        path = tmp_path / "a.ome.zarr"
        options = {
            "axes": "zyx", "spatial": "yx", "ome_zarr": "0.4", "pyramid": False, "workers": 1,
            "inputs": {},
        }  # fmt: skip
        cancelled_run(stack, path, **options)
        told: list[Any] = []
        unfinished.unfinished_run(path).resume(progress=told.append)
        assert any(isinstance(event, RunResumed) for event in told)
        made = open_image(path)
        assert (made.format, made.axes, len(made.levels)) == ("ome-zarr 0.4", ("z", "y", "x"), 1)
        tw.run("filters.gaussian", stack, tmp_path / "b.ome.zarr", **options)
        np.testing.assert_array_equal(made.data[:], open_image(tmp_path / "b.ome.zarr").data[:])

    def test_inputs_are_found_again(self, source: Path, tmp_path: Path) -> None:
        masked = Recipe([Step("filters.sobel", inputs={"mask": "where"})], ["where"])
        mask = tmp_path / "in" / "mask.npy"
        np.save(mask, IMAGE > 100)
        paths = [tmp_path / name / "a.ome.zarr" for name in "ab"]
        cancelled_run(source, paths[0], recipe=masked, what="filters.sobel", inputs={"where": mask})
        unfinished.unfinished_run(paths[0]).resume()
        tw.run(masked, source, paths[1], inputs={"where": mask})
        np.testing.assert_array_equal(*(open_image(path).data[:] for path in paths))

    def test_a_conversion(self, source: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        cancel = threading.Event()

        def listen(event: Any) -> None:
            if getattr(event, "done", 0) == 4:
                cancel.set()

        options = {"axes": "yx", "labels": True}
        with pytest.raises(Cancelled):
            convert(source, path, progress=listen, cancel=cancel, workers=1, **options)
        left = unfinished.unfinished_run(path)
        assert (left.progress.task, left.state) == ("conversion", RunState.INTERRUPTED)
        told: list[Any] = []
        left.resume(progress=told.append)
        assert any(isinstance(event, RunResumed) for event in told)
        assert open_image(path).labels
        np.testing.assert_array_equal(zarr.open(path)["0"][:], IMAGE)

    def test_one_of_an_array_cannot_be_gone_on_with_from_here(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        cancelled_run(IMAGE, path)
        (left,) = unfinished.unfinished_runs()
        assert left.state is RunState.NOT_RESUMABLE
        assert "source was in memory" in str(left)
        with pytest.raises(NotResumable, match="in memory"):
            left.resume()
        left.forget()
        assert [p.name for p in tmp_path.iterdir() if p.name != "in"] == ["state"]
        assert unfinished.unfinished_runs() == []

    def test_a_source_that_is_gone_is_told(self, source: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        cancelled_run(source, path)
        source.unlink()
        assert "coins.npy' is gone" in unfinished.unfinished_run(path).reason

    def test_what_was_removed_beside_the_output_is_told(self, source: Path, tmp_path: Path) -> None:
        import shutil

        path = tmp_path / "a.ome.zarr"
        cancelled_run(source, path)
        shutil.rmtree(checkpoint_folder(path))
        (left,) = unfinished.unfinished_runs()
        assert (left.state, left.progress.task) == (RunState.NOT_RESUMABLE, "run")
        assert "is gone" in left.reason
        left.forget()
        assert unfinished.unfinished_runs() == []

    def test_one_killed_after_its_last_step_is_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "a.ome.zarr"
        tw.run("filters.gaussian", IMAGE, path)
        registry.enter(registry.RUN, path)
        registry.interrupt(registry.RUN, path)
        assert unfinished.unfinished_runs() == []
        assert registry.entries() == []

    def test_runs_of_other_machines(
        self, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.ome.zarr"
        cancelled_run(source, path)
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        registry.enter(registry.RUN, path)
        monkeypatch.undo()
        monkeypatch.setenv(registry.STATE, str(tmp_path / "state"))
        assert unfinished.unfinished_run(path).entry.is_alive is None
        assert unfinished.unfinished_run(path).state is RunState.INTERRUPTED  # its lock is free


def test_without_resume_nothing_is_entered(source: Path, tmp_path: Path) -> None:
    entered: list[Any] = []
    path = tmp_path / "a.ome.zarr"
    tw.run("filters.gaussian", source, path, resume=False, progress=lambda _: entered.extend(
        registry.entries()
    ))  # fmt: skip
    assert entered == []


def test_a_register_that_cannot_be_written_stops_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    (tmp_path / "no_folder").write_text("")
    monkeypatch.setenv(registry.STATE, str(tmp_path / "no_folder" / "state"))
    with caplog.at_level(logging.WARNING):
        tw.run("filters.gaussian", source, tmp_path / "a.ome.zarr")
    assert (tmp_path / "a.ome.zarr").exists()
    assert "cannot be written" in caplog.text
    assert unfinished.unfinished_runs() == []


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"kind": 1}', '{"version": 99, "kind": "run"}', "\x00\x01"]
)
def test_broken_entries_are_passed_over(
    state: Path, source: Path, tmp_path: Path, text: str
) -> None:
    registry.enter(registry.RUN, tmp_path / "a.ome.zarr")
    (state / "broken.json").write_text(text)
    (entry,) = registry.entries()
    assert entry.destination == str(tmp_path / "a.ome.zarr")
    assert unfinished.unfinished_runs()[0].state is RunState.RUNNING


def test_a_process_with_the_same_number_is_another_one(state: Path, tmp_path: Path) -> None:
    import json

    registry.enter(registry.RUN, tmp_path / "a.ome.zarr")
    (path,) = state.glob("*.json")
    told = json.loads(path.read_text())
    assert registry.entries()[0].is_alive
    path.write_text(json.dumps({**told, "started": told["started"] - 1000}))
    assert registry.entries()[0].is_alive is False


# -- batches ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir(exist_ok=True)
    for number in range(6):
        np.save(made / f"c{number}.npy", IMAGE[:40, number : 40 + number])
    return made


def test_a_batch_that_was_killed(children: Any, state: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipe = ("filters.gaussian", {"sigma": 2})
    options = {"backend": "serial", "name": "{stem}_{recipe}.npy"}
    dies = (children_of.batch_and_die, 3)
    killed(children, state, *dies, recipe, str(folder / "*.npy"), out, **options)
    (left,) = unfinished.unfinished_runs()
    assert (left.state, left.progress.done, left.progress.total, left.is_batch) == (
        RunState.INTERRUPTED,
        3,
        6,
        True,
    )
    assert left.progress.task == "filters.gaussian"
    report = left.resume()
    assert (report.done, report.skipped, report.failed) == (3, 3, 0)
    assert {path.name for path in out.glob("*.npy")} == {f"c{n}_gaussian.npy" for n in range(6)}
    assert unfinished.unfinished_runs() == []


def test_a_cancelled_batch_of_items(folder: Path, tmp_path: Path) -> None:
    from napari_tilewise.batches import items_of

    cancel = threading.Event()
    items = items_of(str(folder), window=20, step=20)
    out = tmp_path / "out"

    def listen(event: Any) -> None:
        if getattr(event, "done", 0) == 2:
            cancel.set()

    first = tw.batch("filters.sobel", items, out, backend="serial", progress=listen, cancel=cancel)
    assert first.cancelled
    (left,) = unfinished.unfinished_runs()
    assert left.progress.source == f"{len(items)} images"
    report = left.resume()
    assert report.done + report.skipped == len(items)
    assert unfinished.unfinished_runs() == []


def test_a_batch_of_arrays_or_of_a_local_function_cannot_be_told(
    folder: Path, tmp_path: Path
) -> None:
    cancel = threading.Event()
    cancel.set()
    tw.batch("filters.sobel", [IMAGE, IMAGE], tmp_path / "a", cancel=cancel)
    tw.batch(lambda image: image, str(folder), tmp_path / "b", cancel=cancel)
    arrays, function = sorted(unfinished.unfinished_runs(), key=lambda run: run.destination)
    assert arrays.state is function.state is RunState.NOT_RESUMABLE
    assert "its images are in memory" in arrays.reason
    assert "which exists only in its own process" in function.reason
    for one in (function, arrays):
        one.forget()
    assert unfinished.unfinished_runs() == []


def test_runs_of_items_are_the_batchs_own_matter(folder: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    tw.batch(
        "filters.gaussian", str(folder), tmp_path / "out", n_jobs=1, backend="serial",
        progress=lambda _: seen.extend(entry.kind for entry in registry.entries()),
    )  # fmt: skip
    assert set(seen) == {registry.BATCH}
    assert registry.entries() == []


# -- the shell -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_tiles")
class TestShell:
    def test_list_resume_forget(self, source: Path, tmp_path: Path, capfd: Any) -> None:
        path = tmp_path / "a.ome.zarr"
        cancelled_run(source, path)
        assert main(["runs"]) == 0
        line = capfd.readouterr().out
        assert line.startswith(f"interrupted  {path}  filters.gaussian of {source}, ")
        assert main(["runs", "--resume", str(path)]) == 0
        out, err = capfd.readouterr()
        assert out.strip() == str(path)
        assert "resuming" in err
        assert main(["runs"]) == 0
        assert capfd.readouterr().out == ""
        other = tmp_path / "b.ome.zarr"
        cancelled_run(source, other)
        assert main(["runs", "--forget", str(other)]) == 0
        assert not checkpoint_folder(other).exists()
        assert not list(tmp_path.glob(".b*"))

    def test_a_run_whose_checkpoint_is_gone_says_no_more(
        self, source: Path, tmp_path: Path, capfd: Any
    ) -> None:
        path = tmp_path / "a.ome.zarr"
        cancelled_run(source, path)
        shutil.rmtree(checkpoint_folder(path))
        assert main(["runs"]) == 0
        gone = "(its checkpoint next to 'a.ome.zarr' is gone)"
        assert capfd.readouterr().out == f"not resumable  {path}  run {gone}\n"

    def test_what_is_not_known_is_refused(self, tmp_path: Path, capfd: Any) -> None:
        assert main(["runs", "--forget", str(tmp_path / "x")]) == 2
        assert "no unfinished run" in capfd.readouterr().err
        assert main(["runs", "--forget", "a", "--resume", "b"]) == 2
        assert "give one" in capfd.readouterr().err
        with pytest.raises(InvalidParameter):
            unfinished.unfinished_run(tmp_path / "x")
