"""What an image declares to be costs nothing: a trillion pixels, and hardly any in the file."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import MemoryBudgetExceeded

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = 2**30
CHILD = """
import sys, threading
import napari_tilewise as tw
from napari_tilewise.engine.budget import peak_resident
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
