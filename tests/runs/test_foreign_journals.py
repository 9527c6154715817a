"""Journals, checkpoints and entries of the registry that others wrote, checksums and all."""

import json
import threading
from contextlib import suppress

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.batches import unfinished
from napari_tilewise.batches.batch_journal import NAME
from napari_tilewise.batches.unfinished import NotResumable, RunState
from napari_tilewise.engine.checkpoints.checkpoint_contents import JOURNAL, CheckpointContents
from napari_tilewise.engine.checkpoints.journal import read_entries, rewrite
from napari_tilewise.errors import Cancelled
from napari_tilewise.runs import registry
from napari_tilewise.runs.resume import checkpoint_folder

IMAGE = np.random.default_rng(0).integers(0, 255, (6, 40, 50), np.uint8)


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.STATE, str(tmp_path / "state"))


@pytest.fixture
def checkpoint(tmp_path):
    """The journal of an interrupted run into ``out.ome.zarr``."""
    np.save(tmp_path / "a.npy", IMAGE)
    with pytest.raises(Cancelled):
        run(tmp_path, cancel=cancelled_after(3))
    return checkpoint_folder(tmp_path / "out.ome.zarr") / JOURNAL


def run(folder, **options):
    out = folder / "out.ome.zarr"
    tw.run(
        "filters.gaussian", folder / "a.npy", out, axes="zyx", spatial="yx", workers=1, **options
    )
    return tw.open(out).data[:]


def cancelled_after(tiles):
    """Return an event that is set after so many tiles."""
    cancel = Counted()
    cancel.pending = tiles
    return cancel


class Counted(threading.Event):
    pending = 0

    def is_set(self):
        self.pending -= 1
        return self.pending < 0


ODD_ENTRIES = [
    {"pass": "tiles", "tile": [0], "time": 1},
    {"pass": "tiles", "tile": [-1, 0, 0], "time": 1},
    {"pass": "tiles", "tile": [2**40, 2**40, 2**40], "time": 1},
    {"pass": "tiles", "tile": ["a", 0, 0], "time": 1},
    {"pass": "tiles", "tile": [True, 0, 0], "time": 1},
    {"pass": ["tiles"], "tile": [0, 0, 0], "time": 1},
    {"pass": "tiles", "tile": 7, "time": 1},
    {"tile": [0, 0, 0]},
    {"result": ["x"], "packed": "x"},
    {"result": "x"},
    {"facts": 7},
    {"settled": None},
    {"forget": {}},
    {"key": 5},
]


@pytest.mark.parametrize("odd", ODD_ENTRIES)
def test_what_no_run_notes_ends_a_checkpoint(checkpoint, tmp_path, odd):
    entries = list(read_entries(checkpoint))
    rewrite(checkpoint, [*entries, odd])
    (left,) = unfinished.unfinished_runs()
    assert left.state is RunState.INTERRUPTED
    expected = tw.apply("filters.gaussian", IMAGE, spatial=(1, 2))
    np.testing.assert_array_equal(run(tmp_path), expected)


@pytest.mark.parametrize(
    "facts",
    [
        {"history": 7}, {"history": {}}, {"asked": []}, {"tiles": "many"}, {"layout": {"tile": 3}},
        {"image": None}, {"layout": {"tile": [-5, "x"], "kept": [2.5]}}, {"levels": "x"},
        {"tiles": float("inf")},
    ],
)  # fmt: skip
def test_odd_facts_of_a_run_are_listed_and_cost_nothing(checkpoint, tmp_path, facts):
    entries = list(read_entries(checkpoint))
    rewrite(checkpoint, [*entries, {"facts": facts}])
    (left,) = unfinished.unfinished_runs()
    assert "\n" not in str(left)
    with suppress(NotResumable):
        left.resume()
    expected = tw.apply("filters.gaussian", IMAGE, spatial=(1, 2))
    np.testing.assert_array_equal(run(tmp_path, overwrite=True), expected)


@pytest.mark.parametrize(
    "odd",
    [
        {"scale": [1.0, "..", 1.0]}, {"scale": [1.0]}, {"units": ["m"]}, {"units": [1, 2, 3]},
        {"axes": [1, 2, 3]}, {"axes": None},
    ],
)  # fmt: skip
def test_odd_axes_of_a_run_are_refused_in_a_sentence(checkpoint, odd):
    entries = list(read_entries(checkpoint))
    (image,) = (entry["facts"]["image"] for entry in entries if "image" in entry.get("facts", {}))
    changed = {"image": {**image, **odd}}
    rewrite(checkpoint, [*entries, {"facts": changed}])
    (left,) = unfinished.unfinished_runs()
    with pytest.raises(NotResumable, match="cannot be resumed"):
        left.resume()


def test_tiles_of_two_grids_are_none_of_a_pass():
    contents = CheckpointContents()
    contents.take({"key": "k", "pass": "tiles", "tile": [3, 4], "time": 1})
    assert contents.accepts({"pass": "tiles", "tile": [5, 6], "time": 1})
    assert not contents.accepts({"pass": "tiles", "tile": [5], "time": 1})
    assert not contents.accepts({"pass": "tiles", "tile": [2**29, 2], "time": 1})
    assert contents.accepts({"pass": "other", "tile": [5], "time": 1})
    assert not contents.accepts({"pass": "more", "tile": [0] * 303, "time": 1})


@pytest.mark.parametrize(
    "odd",
    [
        {"process": "x"}, {"process": -1}, {"process": 2**70}, {"started": None}, {"kind": "other"},
        {"destination": "a"}, {"destination": "/a\0b"}, {"process": []}, {"function": 7, "a": 1},
    ],
)  # fmt: skip
def test_odd_entries_of_the_registry_hide_no_other(checkpoint, tmp_path, odd):
    (path,) = registry.folder().glob("*.json")
    entry = json.loads(path.read_text())
    (registry.folder() / "odd.json").write_text(json.dumps({**entry, **odd}))
    (left,) = unfinished.unfinished_runs()
    assert left.destination == tmp_path / "out.ome.zarr"


def interrupted_batch(folder, what="filters.sobel"):
    """Interrupt a batch before its first item; return its journal."""
    source, out = folder / "in", folder / "out"
    source.mkdir()
    np.save(source / "a.npy", IMAGE[0])
    cancel = threading.Event()
    cancel.set()
    tw.batch(what, source, out, backend="serial", cancel=cancel)
    return out / NAME


def changed(journal, **asked):
    """Change the arguments in a batch's journal."""
    (entry, *others) = read_entries(journal)
    entry["batch"]["asked"] |= asked
    rewrite(journal, [entry, *others])


@pytest.mark.parametrize("odd", [{"other": 1}, {"source": None}, {"what": 5}, {"inputs": 7}])
def test_odd_arguments_of_a_batch_are_refused_in_a_sentence(tmp_path, odd):
    changed(interrupted_batch(tmp_path), **odd)
    (left,) = unfinished.unfinished_runs()
    assert "\n" not in str(left)
    with pytest.raises(tw.TilewiseError) as error:
        left.resume()
    assert "\n" not in str(error.value)


CODE = "def invert(image):\n    return 255 - image\n"


def test_a_batch_of_a_function_is_resumed(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    interrupted_batch(tmp_path, f"{tmp_path / 'mine.py'}:invert")
    (left,) = unfinished.unfinished_runs()
    assert left.resume().done == 1


def test_a_journal_cannot_name_the_code_that_is_run(tmp_path):
    journal = interrupted_batch(tmp_path)
    ran = tmp_path / "ran"
    (tmp_path / "theirs.py").write_text(f"open({str(ran)!r}, 'w')\n{CODE}")
    changed(journal, what=f"{tmp_path / 'theirs.py'}:invert")
    (left,) = unfinished.unfinished_runs()
    with pytest.raises(NotResumable, match=r"not known to be what you started"):
        left.resume()
    assert not ran.exists()
