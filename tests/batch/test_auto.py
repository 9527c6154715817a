"""What ``backend="auto"`` decides from what it measured; the measuring itself is a benchmark's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from napari_tilewise.batching.auto import TILED, Auto, LockMeter
from napari_tilewise.batching.backends import LOKY, SERIAL, THREADING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Shown(Auto):
    """An `Auto` whose first items took as long as the test says."""

    def __init__(self, each: float, cpu: float, share: float, **options: Any) -> None:
        super().__init__(2, **{"large": False, **options})
        measured = self.measured.setdefault(self.first, type(self._cpu)())
        measured.items = self._cpu.items = 10
        measured.seconds, self._cpu.seconds = 10 * each, 10 * cpu
        self.share = share

    def alone(self, each: float) -> Shown:
        """Have items that were done one after another take so long."""
        serial = self.measured.setdefault(SERIAL, type(self._cpu)())
        serial.items, serial.seconds = 10, 10 * each
        return self


def test_one_job_is_serial() -> None:
    assert Auto(1, large=False).choose(7) == (SERIAL, 7)


def test_threads_come_first_and_a_few_items() -> None:
    way, count = Auto(2, large=False).choose(1000)
    assert way == THREADING
    assert count == 2


def test_large_items_are_tiled_unless_they_are_known_to_hold_the_lock() -> None:
    assert Auto(2, large=True).choose(10) == (TILED, 1)
    assert Auto(2, large=True, holds_lock=True).choose(10) == (LOKY, 10)


@pytest.mark.parametrize(
    ("left", "each", "cpu", "share", "alone", "expected"),
    [
        (1000, 0.010, 0.020, 0.1, 0.018, THREADING),  # two processors are kept busy
        (1000, 0.020, 0.020, 0.9, 0.020, LOKY),  # one alone, and 20 s to go
        (100, 0.020, 0.020, 0.9, 0.020, THREADING),  # and 2 s to go: less than starting
        (1000, 0.004, 0.002, 0.9, 0.002, SERIAL),  # threads in each other's way, 2 s to go
        (1000, 0.010, 0.018, 0.6, 0.018, THREADING),  # two are kept busy, whatever the meter says
    ],
)
def test_what_is_left_decides(
    left: int, each: float, cpu: float, share: float, alone: float, expected: str
) -> None:
    auto = Shown(each, cpu, share).alone(alone)
    auto._slower = lambda: 1.0  # type: ignore[method-assign]
    assert auto.choose(left)[0] == expected


def test_a_way_that_turned_out_slower_is_left_again() -> None:
    auto = Shown(0.020, 0.020, 0.9).alone(0.030)
    loky = auto.measured.setdefault(LOKY, type(auto._cpu)())
    loky.items, loky.seconds = 10, 10 * 0.050
    assert auto.choose(1000)[0] == THREADING
    loky.seconds = 10 * 0.012
    assert auto.choose(1000)[0] == LOKY


def test_where_threads_leave_a_processor_idle_a_few_are_done_one_by_one() -> None:
    assert Shown(0.020, 0.020, 0.1).choose(1000) == (SERIAL, 5)
    assert Shown(0.001, 0.001, 0.1).choose(1000) == (SERIAL, 25)
    assert Shown(0.020, 0.020, 0.1).choose(50)[0] == THREADING  # too few to spend any
    assert Shown(0.010, 0.020, 0.1).choose(1000)[0] == THREADING  # both are busy


def test_every_item_is_in_some_leg() -> None:
    auto, left, legs = Shown(0.01, 0.02, 0.0), 1000, 0
    while left:
        _, count = auto.choose(left)
        assert 1 <= count <= left
        left, legs = left - count, legs + 1
    assert legs < 20


def test_python_that_runs_is_seen_to_hold_the_lock() -> None:
    def busy() -> Iterator[None]:
        while not done.is_set():
            yield

    done = threading.Event()
    worker = threading.Thread(target=lambda: [None for _ in busy()])
    with LockMeter() as meter:
        worker.start()
        while meter._naps < 20:
            done.wait(0.01)
        done.set()
        worker.join()
    assert meter.share > 0.5
