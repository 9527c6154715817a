"""Joined pieces say what they take before they take it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from skimage.measure import label

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stack_results import compute
from napari_tilewise.errors import MemoryBudgetExceeded
from napari_tilewise.grid import Grid
from napari_tilewise.operations.shared.components import Pieces, gather_components
from napari_tilewise.operations.spec.operation import Block

IMAGE = np.random.default_rng(0).random((512, 512)) < 0.4


@pytest.mark.parametrize("tile", [16, 64, 256])
@pytest.mark.parametrize("measured", [False, True])
def test_the_stated_size_covers_the_peak(tile: int, measured: bool) -> None:
    def pieces(block: Block) -> Pieces:
        labels, count = label(block.data, return_num=True, connectivity=1)
        sizes = {"size": np.bincount(labels.ravel(), minlength=count + 1)} if measured else None
        return Pieces(labels, count, measures=sizes)

    gather = gather_components(pieces, 1, ufuncs={"size": np.add} if measured else None)
    grid = Grid(IMAGE.shape, (tile, tile))
    tracemalloc.start()
    try:
        total = None
        for position in grid.positions():
            region = grid.region(position)
            part = gather.of(Block(IMAGE[region], {}, region, region, grid, position))
            total = part if total is None else gather.merge(total, part)
        del part
        tracemalloc.reset_peak()
        assert gather.finish is not None
        gather.finish(total)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= total.nbytes


def test_more_pieces_than_the_budget_holds_are_refused_with_the_number() -> None:
    stack = build(
        tw.OPERATIONS["measure.label"],
        IMAGE,
        {"connectivity": 1},
        Session(tables=2**20),
        StackLayout(tiles=64),
    )
    with pytest.raises(MemoryBudgetExceeded, match=r"connected pieces .* 1\.0 MiB of the budget"):
        compute(stack)
    generous = Session(tables=2**26)
    enough = build(
        tw.OPERATIONS["measure.label"], IMAGE, {"connectivity": 1}, generous, StackLayout(tiles=64)
    )
    np.testing.assert_array_equal(compute(enough), label(IMAGE, connectivity=1))


@pytest.mark.parametrize("background", [None, 0, 1, 2, -1])
def test_a_mask_has_true_or_false_as_background(background: int | None) -> None:
    mask = IMAGE[:40, :60]
    expected = label(mask, background=background)
    for tiles in ("auto", 16):
        result = tw.apply("measure.label", mask, background=background, tiles=tiles)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
