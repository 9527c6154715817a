"""What a plan sets aside is what its steps may fill: never more than the image has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

import napari_tilewise as tw
from napari_tilewise.engine.budget import LEAST_TABLES

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (512, 512)


@pytest.fixture
def source() -> zarr.Array:
    array = zarr.create_array({}, shape=SHAPE, chunks=(64, 64), dtype="uint16")
    array[:] = np.arange(SHAPE[0] * SHAPE[1], dtype="uint16").reshape(SHAPE)
    return array


@pytest.mark.parametrize(
    "operation", ["filters.sobel", "exposure.adjust_gamma", "filters.threshold_otsu"]
)
def test_no_more_chunks_than_there_are_and_few_numbers(source: zarr.Array, operation: str) -> None:
    budget = tw.plan(operation, source).budget
    assert 0 < budget.cache <= SHAPE[0] * SHAPE[1] * (2 + 8)
    assert budget.tables == LEAST_TABLES


@pytest.mark.parametrize("operation", ["filters.rank_order", "measure.label"])
def test_what_gathers_has_room_for_it(tmp_path: Path, operation: str) -> None:
    sources = {
        side: zarr.create_array(
            tmp_path / str(side), shape=(side, side), dtype="u2", chunks=(512,) * 2
        )
        for side in (256, 2**13)
    }
    small, large = (tw.plan(["filters.sobel", operation], sources[side]).budget for side in sources)
    assert small.tables == LEAST_TABLES  # so few pixels hold no more objects
    assert large.tables > LEAST_TABLES


def test_processes_hold_chunks_each(source: zarr.Array) -> None:
    alone = tw.plan("filters.sobel", source, executor="threads").budget
    apart = tw.plan("filters.sobel", source, executor="processes", workers=2).budget
    assert apart.cache == 2 * alone.cache


@pytest.mark.parametrize(("column", "is_read_again"), [("area", False), ("perimeter", True)])
def test_an_image_is_kept_only_where_it_is_read_again(
    tmp_path: Path, column: str, is_read_again: bool
) -> None:
    side = 2**12
    labels = zarr.create_array(tmp_path / "a", shape=(side,) * 2, dtype="u2", chunks=(256,) * 2)
    step = ("measure.regionprops_table", {"properties": ("label", column)})
    cache = tw.plan(step, labels, memory="2 GiB").budget.cache
    assert cache >= side * side * 2 if is_read_again else cache < side * side * 2 // 2
