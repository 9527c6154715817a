"""What goes to stderr and into a log: as much as was asked for, each thing once."""

import logging
import re
import threading
from importlib import import_module
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.batches.batch_events import BatchStarted, ItemDone
from napari_tilewise.batches.item_progress import ItemLines
from napari_tilewise.cli import app
from napari_tilewise.cli.option_names import shell_option
from napari_tilewise.engine.events import PassStarted, TileDone
from napari_tilewise.errors import (
    BatchFailed,
    ClusterLost,
    InvalidFunction,
    InvalidParameter,
    option,
    wording,
)
from napari_tilewise.progress import displays, speed
from napari_tilewise.progress.run_progress import RunLines


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "stack.npy"
    np.save(path, np.random.default_rng(0).integers(0, 200, (6, 40, 50), np.uint8))
    return path


def test_a_run_of_six_planes_says_little(shell, stack, tmp_path):
    args = ("run", "filters.threshold_otsu", stack, tmp_path / "a.ome.zarr", "--spatial", "yx")
    axes = ("--axes", "tyx")
    code, _, err = shell(*args, *axes)
    assert code == 0, err
    assert len(err.splitlines()) == 2, err
    verbose = shell(*args, *axes, "--overwrite", "--verbose")[2]
    assert len(verbose.splitlines()) > 6


@pytest.mark.parametrize("is_first", [True, False])
def test_quiet_shows_errors_only(shell, stack, tmp_path, is_first):
    command = ["run", "filters.sobel", stack, tmp_path / "a.ome.zarr"]
    quiet = ["--quiet", *command] if is_first else [*command, "-q"]
    assert shell(*quiet)[::2] == (0, "")
    code, _, err = shell(*quiet)
    assert code == 1
    assert err.startswith("napari-tilewise: ")
    assert err.count("\n") == 1


def test_a_log_has_everything_with_its_time(shell, stack, tmp_path):
    log = tmp_path / "log.txt"
    command = ["run", "filters.sobel", stack, tmp_path / "a.ome.zarr", "--quiet", "--log", log]
    assert shell(*command)[::2] == (0, "")
    shell(*command)
    text = log.read_text("utf-8")
    assert "filters.sobel: done in" in text
    assert "exists; give another destination, or --overwrite" in text
    assert "exit code 1" in text
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} DEBUG ", text)
    assert not [handler for handler in logging.getLogger().handlers if "log.txt" in str(handler)]
    code, _, err = shell("list", "--log", tmp_path / "no" / "folder.txt")
    assert code == 1
    assert "--log" in err


def test_what_a_format_library_says_is_shown_once(shell, tmp_path):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, np.zeros((20, 30), np.uint8), description="x", software="y")
    data = bytearray(path.read_bytes())
    position = data.index(b"\x31\x01\x02\x00")  # the tag Software, of a type that does not exist
    data[position + 2] = 99
    path.write_bytes(data)
    code, out, err = shell("info", path)
    assert code == 0
    assert "20" in out
    assert err.startswith(f"warning: {str(path)!r}: tifffile: ")
    assert err.count("\n") == 1
    assert shell("info", path, "--quiet")[2] == ""


def test_a_cluster_that_is_lost_is_one_sentence(shell, stack, tmp_path, monkeypatch):
    logger = logging.getLogger("distributed.client")

    def lost(*args, **options):
        logger.error("Failed to reconnect to scheduler")
        logger.error("")
        raise ClusterLost("The dask scheduler was lost.")

    monkeypatch.setattr(import_module("napari_tilewise.runs.run"), "run", lost)
    code, _, err = shell("run", "filters.sobel", stack, tmp_path / "a.ome.zarr")
    assert code == 1
    assert err == "napari-tilewise: The dask scheduler was lost.\n"


class Lines:
    """Messages, and whether one of them says how far the work is."""

    def __init__(self):
        self.lines, self.has_speed = [], threading.Event()

    def info(self, template, *values):
        self.lines.append(template % values)
        if "/" in self.lines[-1]:
            self.has_speed.set()

    def debug(self, template, *values):
        pass

    error = info


def first_speed(display, monkeypatch, *events):
    """Return the first line that a display shows by itself after some events."""
    monkeypatch.setattr(displays, "LINE_SECONDS", 0.01)
    monkeypatch.setattr(speed, "time", SimpleNamespace(monotonic=count().__next__))
    messages = Lines()
    listener = display(messages)
    for event in events:  # before its thread begins to show lines
        listener(event)
    with listener:
        assert messages.has_speed.wait(60)
    return next(text for text in messages.lines if "/" in text)


def test_off_a_terminal_lines_have_rate_and_time_left(monkeypatch):
    tiles = [PassStarted("filters.sobel", 10), TileDone("filters.sobel", 4, 10)]
    line = first_speed(RunLines, monkeypatch, *tiles)
    assert re.fullmatch(r"filters.sobel: 4/10 tiles, [\d.]+ per second, [\d.]+ s left", line)
    row = {"error": None, "input": "a", "item": "a", "status": "done", "seconds": 1.0}
    batch = [BatchStarted(8), ItemDone(row, 2, 8, 1)]
    line = first_speed(ItemLines, monkeypatch, *batch)
    assert re.fullmatch(r"2/8 items, [\d.]+ per second, [\d.]+ s left", line)


def test_a_batch_without_any_finished_item_is_not_silent(monkeypatch):
    line = first_speed(ItemLines, monkeypatch, BatchStarted(3))
    assert re.fullmatch(r"0/3 items after [\d.]+ s", line)


def test_a_batch_in_which_everything_fails_says_why_once(shell, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.npy").write_bytes(b"nothing")
    source = str(tmp_path / "*.npy")
    code, out, err = shell("batch", "filters.sobel", source, tmp_path / "out", "--quiet")
    assert code == 1
    assert out == "0 done, 3 failed, 0 skipped\n"
    reason, others = err.splitlines()
    first, _, error = reason.partition(": ")
    assert "cannot be read as an image" in error
    assert others == f"2 more items failed like {first}"
    with pytest.warns(BatchFailed, match=r"All items failed \(3 items\); the first, '.*a.npy': "):
        report = tw.batch("filters.sobel", source, tmp_path / "again", backend="serial")
    assert report.failed == 3


def test_a_function_that_wants_a_path_is_told_so(tmp_path, stack):
    def by_annotation(path: str) -> float:
        return 0.0

    with pytest.raises(InvalidFunction, match="passes the pixels of each image"):
        tw.batch(by_annotation, stack)
    for function in (tifffile.imread, lambda path: np.load(path).mean()):
        with pytest.warns(BatchFailed, match="passes the pixels of each image"):
            tw.batch(function, stack, backend="serial")


def flags():
    """Return all options of all commands."""
    import typer

    commands = typer.main.get_command(app).commands.values()
    return {
        name
        for command in commands
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def test_each_door_names_its_own_options(shell, stack, tmp_path):
    with pytest.raises(InvalidParameter, match=r"^workers=4097: expected at most 4096"):
        tw.plan("filters.sobel", stack, workers=4097)
    with pytest.raises(InvalidFunction, match="The module '' cannot be imported"):
        tw.batch(":", stack, tmp_path / "out")
    with pytest.raises(InvalidParameter, match=r"^workers=0: expected at least 1"):
        tw.run("filters.sobel", stack, tmp_path / "a.ome.zarr", workers=0)
    args = ("run", "measure.label", stack, tmp_path / "a.ome.zarr", "--memory", "1MiB")
    assert "Raise --memory" in shell(*args)[2]
    assert "Raise memory=" not in shell(*args)[2]
    out = tmp_path / "out"
    err = shell("batch", "measure.label", stack, out, "--memory", "1MiB", "--backend", "serial")[2]
    assert "--memory" in err
    assert "memory=" not in err
    token = wording.set(shell_option)
    try:
        texts = {
            "--overwrite": ("overwrite", True), "--no-resume": ("resume", False),
            "--window 64,:": ("window", (64, None)),
            "--input mask=PATH": ("inputs", {"mask": "PATH"}), "--jobs 0": ("n_jobs", 0),
        }  # fmt: skip
        for text, (name, value) in texts.items():
            assert str(InvalidParameter(f"Give {option(name, value)}.")) == f"Give {text}."
    finally:
        wording.reset(token)
    assert (
        str(InvalidParameter(f"Give {option('window', (64, None))}.")) == "Give window=(64, None)."
    )


def test_every_marked_option_is_one_of_the_shell(request):
    source = request.config.rootpath / "src" / "napari_tilewise"
    texts = [
        path.read_text("utf-8") for path in source.rglob("*.py") if "_napari" not in path.parts
    ]
    names = {name for text in texts for name in re.findall(r"\boption\('(\w+)'", text)}
    assert {"memory", "axes", "spatial", "overwrite"} <= names
    missing = {name for name in names if shell_option(name, None) not in flags()}
    assert missing == {"only"}, "an option that a message marks, and the shell does not have"


# What other processes warn of -------------------------------------------------------------------


def turned_pictures(folder):
    """Write two files that warn of something."""
    folder.mkdir()
    for number in range(2):
        pixels = np.full((40, 50), number, np.uint8)
        tifffile.imwrite(folder / f"{number}.tif", pixels, extratags=[(274, "H", 1, 6, True)])
    return folder


@pytest.mark.parametrize("backend", ["serial", "loky"])
def test_a_batch_in_processes_warns_once_of_each_file(shell, tmp_path, backend):
    folder = turned_pictures(tmp_path / "in")
    pattern, out = folder / "*.tif", tmp_path / "out"
    _, _, err = shell("batch", "filters.gaussian", pattern, out, "--backend", backend, "--jobs", 2)
    assert sorted(re.findall(r"^warning: '.*(\d\.tif)' is to be shown turned", err, re.M)) == [
        "0.tif",
        "1.tif",
    ]
    assert err.count("Orientation") == 2


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_run_in_processes_warns_once(shell, tmp_path, executor):
    source, out = turned_pictures(tmp_path / "in") / "0.tif", tmp_path / "out.ome.zarr"
    options = ("--executor", executor, "--workers", 2)
    _, _, err = shell("run", "filters.gaussian", source, out, *options)
    assert err.count("Orientation") == 1
