"""A million tiles are a count and a rule: in order, each once, in next to no memory."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise.engine.build import StackLayout, build
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import TileDone
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.stored.many_tiles import (
    PositionSet,
    TileVersions,
    not_done,
    positions_of,
)
from napari_tilewise.engine.stored.stored_image import StoredImage
from napari_tilewise.engine.tile_order import banded
from napari_tilewise.grid import Grid, LazySequence
from napari_tilewise.operations.shared import gathered_rows, global_numbers
from napari_tilewise.operations.shared.components import Pieces, gather_components
from napari_tilewise.operations.shared.gathered_rows import FEW, PARTS, GatheredRows, TileNumbers
from napari_tilewise.operations.spec.operation import Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("width", [1, 2, 3, 16])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (1, 4), (3, 4, 5), (2, 3, 4, 5)])
def test_every_tile_comes_once_band_after_band(shape: tuple[int, ...], width: int) -> None:
    grid = Grid(shape, (1,) * len(shape))
    order = banded(grid, width)
    assert sorted(order) == list(grid.positions())
    assert [grid.position(number) for number in range(len(grid))] == list(grid.positions())
    if len(shape) == 2:
        columns = range(0, shape[1], width)
        bands = (
            (y, x)
            for c in columns
            for y, x in product(range(shape[0]), range(*slice(c, c + width).indices(shape[1])))
        )
        assert list(order) == list(bands)


def test_a_part_of_a_lazy_sequence_is_lazy() -> None:
    squares = LazySequence(10, lambda number: number**2)
    everything = [n**2 for n in range(10)]
    assert list(squares[3:7]) == everything[3:7]
    assert list(squares[3:][2:4]) == everything[5:7]
    assert squares[-1] == 81
    assert list(squares[::3]) == everything[::3]
    assert not squares[20:]
    with pytest.raises(IndexError):
        squares[10]


def test_a_set_of_positions_is_a_set() -> None:
    positions = {(0, 0), (5, 1), (2, 9)}
    flags = PositionSet(positions)
    flags.add((5, 1))
    assert flags == positions
    assert len(flags) == 3
    assert (5, 2) not in flags
    assert (500, 2) not in flags
    flags.clear()
    assert not flags


def test_passes_over_a_trillion_pixels_of_tiles_take_no_memory() -> None:
    """2^24 x 2^24 pixels in tiles of 1024: what a pass holds does not grow with their number."""
    grid = Grid((2**24, 2**24), (1024, 1024))

    class Enough(Exception):
        """Ends the pass."""

    def work(position: tuple[int, ...]) -> None:
        if position[0] == 40:
            raise Enough

    tracemalloc.start()
    try:
        session = Session(workers=1)
        with pytest.raises(Enough):
            session.once("tiles", "tiles", work, banded(grid, 16))
        with pytest.raises(Enough):
            session.reduce("sums", work, lambda a, b: a, banded(grid, 16))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_what_is_not_done_is_found_without_looking_at_all() -> None:
    grid = Grid((2**24, 2**24), (1024, 1024))
    order = banded(grid, 16)
    done = PositionSet(order[number] for number in (0, 1, 2, 5, 6, 9))
    remaining = not_done(order, done)
    assert len(remaining) == len(grid) - 6
    expected = [order[number] for number in (3, 4, 7, 8, 10, 11)]
    assert list(remaining[:6]) == expected
    assert remaining[-1] == order[-1]
    assert not_done(order, PositionSet()) is order
    small = banded(Grid((4, 4), (1, 1)), 2)
    assert list(not_done(small, PositionSet(small))) == []


@pytest.mark.parametrize("count", [1, 7, 128, 129, 1000, 4097, 2**20 + 3])
@pytest.mark.parametrize("piece", [128, 200, 5000])
def test_runs_of_a_sum_are_numpys_halves(count: int, piece: int) -> None:
    def halves(start: int, count: int) -> Iterator[tuple[int, int]]:
        if count <= piece:
            yield start, start + count
        else:
            half = count // 2 - count // 2 % 8
            yield from halves(start, half)
            yield from halves(start + half, count - half)

    cuts = global_numbers.cuts_of(count, piece)
    assert list(cuts) == list(halves(0, count))
    values = np.random.default_rng(count).random(count).astype(np.float32)
    parts = [[np.sum(values[start:stop])] for start, stop in cuts]
    assert global_numbers.join_cuts(parts, cuts) == [np.sum(values)]


def test_runs_of_a_trillion_values_are_not_listed() -> None:
    cuts = global_numbers.cuts_of(2**48 + 5)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == 2**48 + 5
    middle = len(cuts) // 3
    assert cuts[middle][1] == cuts[middle + 1][0]


def test_versions_are_those_of_a_dict() -> None:
    versions, expected = TileVersions((4, 5)), {}
    for position, number in [((0, 0), 0), ((3, 4), 7), ((0, 0), 1)]:
        versions[position] = expected[position] = number
    assert dict(versions) == expected
    assert len(versions) == 2
    assert (1, 1) not in versions
    other = TileVersions((4, 5))
    other[1, 1] = 3
    other.update(versions.array)
    assert dict(other) == expected | {(1, 1): 3}


def test_versions_of_an_image_of_many_tiles_take_a_few_bytes_each(tmp_path: Path) -> None:
    grid = Grid((300, 300), (1, 1))
    image = StoredImage(grid.shape, np.uint8, grid.tile, folder=tmp_path)
    tracemalloc.start()
    try:
        for _ in range(3):  # another process writes all of them, again and again
            image.staged(grid.positions())
            image.commit()
        assert tracemalloc.get_traced_memory()[0] < 40 * len(grid)
    finally:
        tracemalloc.stop()
    assert image.versions_of((slice(7, 8), slice(9, 10))) == {(7, 9): 2}
    another = StoredImage(grid.shape, np.uint8, grid.tile, folder=tmp_path)
    another.see(image.versions)
    assert another.versions_of((slice(7, 8), slice(9, 10))) == {(7, 9): 2}


def test_positions_are_made_of_rows_when_they_are_asked_for() -> None:
    rows = np.array([[1, 2], [3, 4]], np.int32)
    assert list(positions_of(rows)) == list(positions_of([(1, 2), (3, 4)])) == [(1, 2), (3, 4)]
    assert all(type(n) is int for position in positions_of(rows) for n in position)


LENGTH = 4
"""Pixels along a side of a tile."""


def held_by_passes(name: str, tiles: int) -> int:
    """Return the most bytes that are held while an empty image of so many tiles is gathered."""
    held = []

    def listen(event: Any) -> None:
        if isinstance(event, TileDone) and event.done % (event.tiles // 3 or 1) == 0:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])

    image = np.zeros((2 * LENGTH, tiles // 2 * LENGTH), np.uint8)
    session = Session(1, Control(progress=listen), memory=2**32, tables=2**32)
    stack = build(tw.OPERATIONS[name], image, {}, session, StackLayout(tiles=LENGTH))
    assert len(stack.node_grid) == tiles
    tracemalloc.start()
    try:
        stack.runner(()).final()
        return max(held)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["measure.regionprops_table", "measure.find_contours"])
def test_what_passes_gather_takes_a_few_bytes_for_a_tile_without_objects(name: str) -> None:
    held_by_passes(name, 60)  # imports, and what is held once
    few, many = held_by_passes(name, 100), held_by_passes(name, 900)
    assert (many - few) / 800 < 48


def held_by_components(shape: tuple[int, int]) -> int:
    """Return the bytes of joined tiles without pieces."""
    grid = Grid(shape, (1, 1))
    measures = {"size": np.ones(1, np.int64)}
    gather = gather_components(
        lambda block: Pieces(block.data, 0, measures=measures), 2, ufuncs={"size": np.add}
    )
    pixels = np.zeros((1, 1), np.int32)
    total = None
    tracemalloc.start()
    try:
        for position in banded(grid, 16):
            region = grid.region(position)
            part = gather.of(Block(pixels, {}, region, region, grid, position))
            total = part if total is None else gather.merge(total, part)
        del part
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        assert total.nbytes < 100 * len(grid)
        assert gather.finish is not None
        assert gather.finish(total).measures["size"].tolist() == [len(grid)]
        return held
    finally:
        tracemalloc.stop()


def test_joined_tiles_without_pieces_take_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_rows, "FEW", 16)
    few, many = held_by_components((16, 32)), held_by_components((16, 160))
    assert (many - few) / (16 * 128) < 48  # two numbers, and 256th parts of arrays


@pytest.mark.parametrize("count", [1, PARTS - 1, PARTS, 5 * PARTS + 3])
def test_rows_come_back_in_their_order(count: int) -> None:
    generator = np.random.default_rng(count)
    parts = [generator.random((generator.integers(0, 4), 3)) for _ in range(count)]
    parts[count // 2] = np.ones((2**13, 3))
    rows = GatheredRows(parts[0], parts[0][:, 0])
    other = GatheredRows(parts[0][:0], parts[0][:0, 0])
    for number, part in enumerate(parts[1:], 1):
        (rows if number < count // 2 else other).append(part, part[:, 0])
    rows.extend(other)
    whole, column = rows.columns()
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(column, whole[:, 0])


def test_empty_rows_of_another_type_decide_about_the_type() -> None:
    rows = GatheredRows(np.zeros(0, np.int8))
    rows.append(np.ones(2, np.int8))
    rows.append(np.zeros(0, np.float32))
    (column,) = rows.columns()
    assert column.dtype == np.float32


def test_numbers_of_tiles_are_those_of_a_dict() -> None:
    grid = Grid((FEW, 3), (1, 1))
    numbers, expected = TileNumbers(grid.counts), {}
    for number, position in enumerate(reversed(list(grid.positions()))):
        numbers[position] = expected[position] = 7 * number
        if number in (5, FEW + 1):
            numbers[position] = expected[position] = 1
            assert dict(numbers) == expected
            assert len(numbers) == len(expected)
            assert (0, 0) not in numbers
            assert numbers.get((0, 0)) is None
    assert numbers == expected


def test_a_box_that_is_a_tile_is_known() -> None:
    grid = Grid((10, 7), (4, 3))
    for position in grid.positions():
        assert grid.position_of(grid.region(position)) == position
    others = [(0, 4, 0, 2), (1, 5, 0, 3), (8, 10, 6, 9), (0, 8, 0, 3), (12, 12, 0, 3), (0, 0, 0, 3)]
    for y, y_end, x, x_end in others:
        assert grid.position_of((slice(y, y_end), slice(x, x_end))) is None
    assert Grid((0, 7), (4, 3)).position_of((slice(0, 0), slice(0, 3))) is None
