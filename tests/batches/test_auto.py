"""What ``backend="auto"`` decides from what it measured; the measuring itself is a benchmark's."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from napari_tilewise.batches import auto as module
from napari_tilewise.batches.auto import TILED, Auto, Clock, Measured
from napari_tilewise.batches.backends import LOKY, SERIAL, THREADING
from napari_tilewise.batches.tasks import DONE, FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator


def shown(
    threads: float, cpu: float, idle: float, serial: tuple[float, float] | None, **options: Any
) -> Auto:
    """Return an `Auto` for two whose first ten items took as long as the test says.

    Per item: seconds in threads, what was computed and idle meanwhile; for `serial` seconds and
    what was computed.
    """
    auto = Auto(2, **{"large": False, **options})
    auto.measured[auto.first] = Measured(10, 10 * threads, 10 * cpu, 10 * idle)
    if serial is not None:
        auto.measured[SERIAL] = Measured(10, 10 * serial[0], 10 * serial[1], 10 * serial[0])
    return auto


def test_one_job_is_serial() -> None:
    assert Auto(1, large=False).choose(7) == (SERIAL, 7)


def test_threads_come_first_and_a_few_items() -> None:
    assert Auto(2, large=False).choose(1000) == (THREADING, 2)


def test_large_items_are_tiled_unless_they_are_known_to_hold_the_lock() -> None:
    assert Auto(2, large=True).choose(10) == (TILED, 1)
    assert Auto(2, large=True, holds_lock=True).choose(10) == (LOKY, 10)


@pytest.mark.parametrize(
    ("left", "threads", "cpu", "idle", "serial", "expected"),
    [
        # Two processors are kept busy.
        (1000, 0.010, 0.020, 0.000, (0.018, 0.018), THREADING),
        # One alone, the other is idle, and 20 s to go: the lock.
        (1000, 0.020, 0.020, 0.020, (0.020, 0.020), LOKY),
        # And 2 s to go, less than starting takes.
        (100, 0.020, 0.020, 0.020, (0.021, 0.021), THREADING),
        # Threads are in each other's way, 2 s to go.
        (1000, 0.012, 0.015, 0.009, (0.002, 0.002), SERIAL),
        # One is kept busy, but others have the second one: processes would not get it either.
        (1000, 0.020, 0.020, 0.000, (0.020, 0.020), THREADING),
        # Both wait for the disk, as processes would.
        (1000, 0.020, 0.002, 0.038, (0.040, 0.002), THREADING),
    ],
)
def test_what_is_left_decides(
    left: int,
    threads: float,
    cpu: float,
    idle: float,
    serial: tuple[float, float],
    expected: str,
) -> None:
    assert shown(threads, cpu, idle, serial).choose(left)[0] == expected


def test_few_long_items_need_no_trial_to_go_to_processes() -> None:
    assert shown(10.0, 10.2, 9.8, None).choose(20)[0] == LOKY
    assert shown(5.0, 9.9, 0.1, None).choose(20)[0] == THREADING


def test_too_short_a_time_tells_nothing_of_idle_processors() -> None:
    auto = shown(0.002, 0.002, 0.002, (0.002, 0.002))
    assert auto.choose(100_000)[0] != LOKY
    auto.measured[THREADING] = Measured(100, 0.2, 0.2, 0.2)
    assert auto.choose(100_000)[0] == LOKY


def test_a_way_that_turned_out_slower_is_left_again() -> None:
    auto = shown(0.020, 0.020, 0.020, (0.030, 0.030))
    auto.measured[LOKY] = Measured(10, 10 * 0.050)
    assert auto.choose(1000)[0] == THREADING
    auto.measured[LOKY] = Measured(10, 10 * 0.012)
    assert auto.choose(1000)[0] == LOKY


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock of the test's own, with two processors of which one computes."""
    time = SimpleNamespace(wall=0.0)
    read = classmethod(lambda cls: cls(time.wall, time.wall, time.wall))
    monkeypatch.setattr(module.Clock, "now", read)
    monkeypatch.setattr(module.time, "perf_counter", lambda: time.wall)
    return time


def outcomes(clock: SimpleNamespace, each: float, states: list[str]) -> Iterator[Any]:
    for status in states:
        clock.wall += each
        yield SimpleNamespace(status=status)


def done(clock: SimpleNamespace, each: float, number: int) -> Any:
    clock.wall += each
    return SimpleNamespace(status=DONE, number=number)


def test_after_the_first_a_few_are_done_one_by_one(clock: SimpleNamespace) -> None:
    for each, left, expected in (
        (0.020, 1000, (SERIAL, 5)),
        (0.001, 1000, (SERIAL, 25)),
        (9.000, 1000, (SERIAL, 2)),
        (0.020, 50, (THREADING, 2)),  # too few to spend any
    ):
        auto = Auto(2, large=False)
        assert len(list(auto.measure(THREADING, outcomes(clock, each, [DONE, DONE])))) == 2
        assert not auto.measured[THREADING].items  # they pay for what is imported
        assert auto.choose(left) == expected


def test_what_failed_measures_nothing(clock: SimpleNamespace) -> None:
    auto = Auto(2, large=False)
    list(auto.measure(SERIAL, outcomes(clock, 1.0, [FAILED] * 3)))
    assert not auto.measured[SERIAL].items
    list(auto.measure(SERIAL, outcomes(clock, 1.0, [DONE] * 4)))
    assert auto.measured[SERIAL] == Measured(4, 4.0, 4.0, 4.0)


def test_the_clock_tells_what_this_process_computes() -> None:
    before = Clock.now()
    sum(range(10**6))
    after = Clock.now()
    assert after.wall > before.wall
    assert after.cpu > before.cpu
    assert after.idle >= before.idle


def test_a_pause_changes_nothing_of_what_is_known(clock: SimpleNamespace) -> None:
    auto = Auto(2, large=True, holds_lock=True)
    way, _ = auto.choose(10)
    list(auto.measure(way, outcomes(clock, 1.0, [DONE] * 4)))  # paused after four
    assert auto.choose(6) == (LOKY, 6)


@pytest.mark.parametrize("large", [False, True])
def test_every_item_is_in_some_leg(clock: SimpleNamespace, large: bool) -> None:
    auto, rest, taken, legs = Auto(2, large=large), deque(range(1000)), [], 0
    while rest:
        way, count = auto.choose(len(rest))
        got = auto.take(way, count, rest)
        taken += list(auto.measure(way, (done(clock, 0.01, number) for number in got)))
        legs += 1
    assert [one.number for one in taken] == list(range(1000))
    assert legs < 8


def test_what_goes_on_in_one_way_waits_for_nothing(clock: SimpleNamespace) -> None:
    auto, rest = Auto(2, large=False), deque(range(50))
    way, count = auto.choose(50)
    # All of them, three in work before the first is done, as joblib takes them.
    got, ahead = auto.take(way, count, rest), deque[int]()

    def pipeline() -> Iterator[Any]:
        for number in got:
            ahead.append(number)
            if len(ahead) == 3:
                yield done(clock, 0.01, ahead.popleft())
        while ahead:
            yield done(clock, 0.01, ahead.popleft())

    assert len(list(auto.measure(way, pipeline()))) == 50
    assert not rest


def test_a_better_way_takes_what_is_left(clock: SimpleNamespace) -> None:
    auto, rest = shown(0.020, 0.020, 0.020, (0.010, 0.010)), deque(range(100))
    got = auto.take(THREADING, 10, rest)
    assert len(list(auto.measure(THREADING, (done(clock, 0.02, number) for number in got)))) == 10
    assert auto.choose(len(rest))[0] == SERIAL


def test_processes_are_not_judged_by_their_start(clock: SimpleNamespace) -> None:
    auto, rest = shown(0.020, 0.020, 0.020, (0.020, 0.020)), deque(range(1000))
    got = auto.take(LOKY, 2, rest)
    # The third item still pays for what its process imports.
    times = iter([2.0, 0.1, 0.2, *[0.010] * 1000])
    assert len(list(auto.measure(LOKY, (done(clock, next(times), n) for n in got)))) == 1000


def test_processes_that_have_started_pay_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = shown(0.020, 0.020, 0.020, (0.021, 0.021))
    assert auto.choose(100)[0] == THREADING
    monkeypatch.setattr(module, "have_started", lambda n_jobs: n_jobs == 2)
    assert auto.choose(100)[0] == LOKY
