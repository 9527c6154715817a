"""A million tiles are a count and a rule: in order, each once, in next to no memory."""

from __future__ import annotations

import tracemalloc
from itertools import product

import pytest

from napari_tilewise.engine.many_tiles import LazySequence, PositionSet
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.tile_order import banded
from napari_tilewise.grid import Grid


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
