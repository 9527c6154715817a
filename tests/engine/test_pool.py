"""Sweeps: every item once, nested ones never wait for each other, errors and cancel end them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from napari_tilewise.engine.pool import sweep
from napari_tilewise.errors import Cancelled


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_item_is_done_once(workers: int) -> None:
    seen = np.zeros(500, int)

    def work(number: int, item: int) -> None:
        seen[item] += number + 1

    sweep(work, range(500), workers=workers)
    np.testing.assert_array_equal(seen, np.arange(1, 501))


def test_a_sweep_within_a_sweep_within_a_sweep_ends() -> None:
    count = threading.Semaphore(0)

    def inner(_: int, __: int) -> None:
        count.release()

    def middle(_: int, __: int) -> None:
        sweep(inner, range(3), workers=2)

    def outer(_: int, __: int) -> None:
        sweep(middle, range(3), workers=2)

    sweep(outer, range(4), workers=2)
    assert sum(count.acquire(blocking=False) for _ in range(100)) == 36


def test_the_first_error_ends_the_sweep() -> None:
    done = []

    def work(_: int, item: int) -> None:
        if item == 5:
            raise ValueError("tile 5")
        done.append(item)

    with pytest.raises(ValueError, match="tile 5"):
        sweep(work, range(1000), workers=2)
    assert len(done) < 1000


def test_cancel_takes_effect_within_one_item() -> None:
    cancel = threading.Event()
    done = []

    def work(_: int, item: int) -> None:
        done.append(item)
        if item == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        sweep(work, range(1000), workers=1, cancel=cancel)
    assert done == [0, 1, 2, 3]


def test_libraries_hold_one_thread_each_inside() -> None:
    before = {(info["filepath"], info["num_threads"]) for info in threadpool_info()}
    inside = []

    def work(_: int, __: int) -> None:
        inside.extend(info["num_threads"] for info in threadpool_info())

    sweep(work, range(3), workers=2)
    assert set(inside) <= {1}
    assert {(info["filepath"], info["num_threads"]) for info in threadpool_info()} == before
