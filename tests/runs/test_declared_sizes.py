"""What an image declares to be costs nothing: a trillion pixels, and hardly any in the file."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import h5py
import pytest
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import MemoryBudgetExceeded, SourceUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUDGET = 2**30
CHILD = """
import sys, threading
import napari_tilewise as tw
from napari_tilewise.engine.system.resident import peak_resident
from napari_tilewise.errors import Cancelled, MemoryBudgetExceeded

source, destination, operation = sys.argv[1:]
cancel, passes = threading.Event(), {}

def listen(event):
    passes[getattr(event, "title", "")] = getattr(event, "done", 0)
    if max(passes.values()) >= 40:
        cancel.set()

try:
    tw.run(
        operation, source, destination, memory="1 GiB", workers=2, axes="yx",
        progress=listen, cancel=cancel,
    )
except Cancelled:
    print("cancelled", peak_resident())
except MemoryBudgetExceeded:
    print("refused", peak_resident())
"""


def empty_zarr(path: Path, length: int) -> Path:
    """Write a square image that holds no chunk."""
    zarr.create_array(path, shape=(length, length), chunks=(1024, 1024), dtype="uint8")
    return path


def outcome(source: Path, folder: Path, operation: str, suffix: str) -> tuple[str, int]:
    """Run in a process of its own, cancelled after some tiles; return the end and the peak."""
    environment = {**os.environ, "NAPARI_TILEWISE_STATE": str(folder / "state")}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, source, folder / f"out{suffix}", operation],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    end, peak = child.stdout.split()
    return end, int(peak)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "suffix"),
    [("filters.gaussian", ".ome.zarr"), ("filters.threshold_mean", ".json")],
)
@pytest.mark.parametrize("length", [2**22, 2**24])
def test_a_run_stays_within_its_budget(
    length: int, operation: str, suffix: str, tmp_path: Path
) -> None:
    source = empty_zarr(tmp_path / "in.zarr", length)
    end, peak = outcome(source, tmp_path, operation, suffix)
    assert end == "cancelled"
    assert peak < BUDGET


@pytest.mark.parametrize(
    "step",
    [
        "filters.gaussian",
        "exposure.equalize_hist",
        "measure.label",
        ("restoration.denoise_wavelet", {"wavelet_levels": 3, "sigma": 0.1}),
    ],
)
def test_a_plan_holds_nothing_for_each_tile(step: object, tmp_path: Path) -> None:
    small = empty_zarr(tmp_path / "small.zarr", 2**14)
    source = empty_zarr(tmp_path / "in.zarr", 2**24)
    tw.plan(step, small, memory="8 GiB", axes="yx")  # imports
    tracemalloc.start()
    try:
        tw.plan(step, source, memory="8 GiB", axes="yx")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22


def tiff_of_strips(path: Path, count: int) -> Path:
    """Write a BigTIFF whose page lists so many strips, in a file of holes."""
    page = 8 + 8 + 8 + 7 * 20 + 8
    tags = [
        (256, 4, 1, count), (257, 4, 1, count), (258, 3, 1, 8), (262, 3, 1, 1),
        (273, 16, count, page), (278, 4, 1, 1), (279, 16, count, page + 8 * count),
    ]  # fmt: skip
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(tags)))
        file.write(b"".join(struct.pack("<HHQQ", *tag) for tag in tags) + bytes(8))
        file.truncate(page + 16 * count)
    return path


@pytest.mark.parametrize("call", [tw.open, tw.info, lambda path: tw.plan("filters.gaussian", path)])
def test_a_list_of_strips_that_would_fill_memory_is_refused_unread(
    call: Callable[[Path], object], tmp_path: Path
) -> None:
    tw.open(tiff_of_strips(tmp_path / "few.tif", 8))  # imports
    source = tiff_of_strips(tmp_path / "many.tif", 2**24)
    tracemalloc.start()
    try:
        with pytest.raises(SourceUnreadable, match="16777216 strips or tiles"):
            call(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**24


@pytest.mark.filterwarnings("ignore:.* has no pixel in the file")
def test_an_hdf5_of_any_declared_size_is_planned(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("image", (2**24, 2**24), "u1", chunks=(1024, 1024))
    source = tmp_path / "in.h5"
    tw.plan("filters.gaussian", source, memory="8 GiB", axes="yx")  # imports
    tracemalloc.start()
    try:
        plan = tw.plan("filters.gaussian", source, memory="8 GiB", axes="yx")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert plan.tiles > 2**26
    assert peak < 2**22


def test_a_chunk_that_cannot_be_decoded_is_refused_before_it_is_read(tmp_path: Path) -> None:
    source = zarr.create_array(
        tmp_path / "in.zarr", shape=(2**24, 2**24), chunks=(2**24, 2**14), dtype="uint8"
    )
    with pytest.raises(MemoryBudgetExceeded):
        tw.run("filters.gaussian", source, tmp_path / "out.ome.zarr", memory="4 GiB", axes="yx")
    few = zarr.create_array(
        tmp_path / "few.zarr", shape=(2**13, 2**13), chunks=(2**13, 2**13), dtype="uint8"
    )
    plan = tw.plan("filters.gaussian", few, memory="4 GiB", axes="yx")
    assert plan.budget.per_worker > 2 * 2**26
