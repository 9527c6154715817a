"""What a killed batch left hidden beside its outputs is removed, and nothing else."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.batches import unfinished
from napari_tilewise.batches.batch_journal import BatchJournal
from napari_tilewise.io.writers import partial_output
from napari_tilewise.io.writers.staging import new_staging
from napari_tilewise.runs import registry

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a batch that was killed: one item is done, two were in work."""
    monkeypatch.setenv(registry.STATE, str(tmp_path / "state"))
    (tmp_path / "in").mkdir()
    for name in "abc":
        np.save(tmp_path / "in" / f"{name}.npy", IMAGE)
    out = tmp_path / "out"
    tw.batch("util.invert", tmp_path / "in" / "a.npy", out, backend="serial")
    journal = BatchJournal(str(out), {"items": 3, "function": "f"})
    journal.add({"begun": "b", "suffix": ".ome.zarr"})
    journal.add({"replaced": "c", "suffix": ".tif"})
    journal.close()
    for name in ("a.ome.zarr", "b.ome.zarr", "b.other.ome.zarr", "c.tif"):
        (new_staging(out / name) / "chunk").write_text("half of it")
    table = out / ".c.csv.partial-1234"
    table.write_text("a,b\n")
    an_hour_ago = time.time() - 3600
    os.utime(table, (an_hour_ago, an_hour_ago))
    return out


def hidden(folder: Path) -> set[str]:
    """Return the names of what is hidden in a folder, without what is different in each run."""
    return {p.name.partition(".partial-")[0] for p in folder.iterdir() if p.name.startswith(".")}


def test_the_next_batch_removes_them(folder: Path) -> None:
    report = tw.batch("util.invert", folder.parent / "in" / "a.npy", folder, backend="serial")
    assert report.skipped == 1
    assert hidden(folder) == {".a.ome.zarr", ".b.other.ome.zarr"}  # nobody noted these


def test_a_batch_that_is_forgotten_removes_them(folder: Path) -> None:
    registry.enter(registry.BATCH, folder)
    registry.interrupt(registry.BATCH, folder)
    unfinished.unfinished_run(folder).forget()
    assert hidden(folder) == {".a.ome.zarr", ".b.other.ome.zarr"}


def test_what_a_living_process_writes_stays(folder: Path) -> None:
    (growing,) = folder.glob(".b.ome.zarr.partial-*")
    partial_output.claim(growing)
    try:
        tw.batch("util.invert", folder.parent / "in" / "a.npy", folder, backend="serial")
        assert ".b.ome.zarr" in hidden(folder)
    finally:
        partial_output.release(growing)
    registry.enter(registry.BATCH, folder)  # another batch writes there
    tw.batch("util.invert", folder.parent / "in" / "a.npy", folder, backend="serial")
    assert ".b.ome.zarr" in hidden(folder)


def test_the_journal_says_what_grows(folder: Path) -> None:
    path = folder.parent / "in" / "a.npy"
    tw.batch("util.invert", path, folder, backend="serial", overwrite=True)
    lines = [json.loads(line) for line in (folder / "batch.jsonl").read_text().splitlines()]
    assert [line["suffix"] for line in lines if "replaced" in line] == [".tif", ".ome.zarr"]
