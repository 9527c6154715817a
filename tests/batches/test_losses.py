"""Nothing is lost: corrupt, odd and unreadable files, and one that kills whoever works on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_tilewise as tw
from napari_tilewise.io.readers.open_image import open_image
from tests.batches.functions import KILLS, deadly

if TYPE_CHECKING:
    from pathlib import Path

COUNT, CORRUPT, ODD, UNREADABLE, KILLER = 60, range(5), range(5, 8), 8, 30
BAD = {*CORRUPT, *ODD, UNREADABLE, KILLER}


def image(number: int) -> np.ndarray:
    return np.full((16, 16), number, np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(COUNT):
        path = folder / f"f{number}.tif"
        if number in CORRUPT:
            path.write_bytes(b"II*\0" + bytes(number))
        elif number in ODD:
            tifffile.imwrite(path, np.zeros((number, 20), np.uint8))
        elif number == UNREADABLE:
            path.symlink_to(folder / "gone")
        else:
            tifffile.imwrite(path, image(KILLS if number == KILLER else number))
    return folder


def numbers(report: object, status: str) -> set[int]:
    rows = report.rows  # type: ignore[attr-defined]
    return {int(row["item"][1:]) for row in rows if row["status"] == status}


def test_every_item_is_accounted_for(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = tw.batch(deadly, files, out, backend="loky", n_jobs=2)
    assert numbers(first, "failed") == BAD
    assert numbers(first, "done") == set(range(COUNT)) - BAD
    errors = {int(row["item"][1:]): row["error"] for row in first.rows}
    assert "cannot be decoded" in errors[0]
    assert "shape is (5, 20)" in errors[5]
    assert "nothing at" in errors[UNREADABLE]
    assert "SIGKILL" in errors[KILLER] or "EXIT" in errors[KILLER]
    assert not any("Traceback" in (error or "") for error in errors.values())
    assert "Traceback" in (out / "batch.log").read_text()
    for number in numbers(first, "done"):
        made = open_image(out / f"f{number}.ome.zarr").data[...]
        np.testing.assert_array_equal(made, 255 - image(number))
    assert len(list(out.glob("*.zarr"))) == COUNT - len(BAD)

    for number in BAD:
        (files / f"f{number}.tif").unlink()
        tifffile.imwrite(files / f"f{number}.tif", image(number))
    second = tw.batch(deadly, files, out, backend="threading", n_jobs=2)
    assert numbers(second, "done") == BAD
    assert numbers(second, "skipped") == set(range(COUNT)) - BAD
    rows = [json.loads(line) for line in (out / "batch.jsonl").read_text().splitlines()]
    assert sum("target" in row for row in rows) == 2 * COUNT


@pytest.mark.parametrize("backend", ["serial", "threading"])
def test_failures_are_rows_in_every_backend(files: Path, tmp_path: Path, backend: str) -> None:
    (files / f"f{KILLER}.tif").unlink()
    report = tw.batch(deadly, files, tmp_path / "out", backend=backend, n_jobs=2)
    assert numbers(report, "failed") == BAD - {KILLER}
    assert report.done == COUNT - len(BAD)


def test_on_a_cluster(files: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    for number in range(20, COUNT):
        if number != KILLER:
            (files / f"f{number}.tif").unlink()
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        cluster.scheduler.allowed_failures = 0
        report = tw.batch(deadly, files, tmp_path / "out", backend="dask", n_jobs=2)
    assert numbers(report, "failed") == BAD
    assert numbers(report, "done") == set(range(20)) - BAD
