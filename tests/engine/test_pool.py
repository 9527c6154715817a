"""Sweeps: every item once, nested ones never wait for each other, errors and cancel end them."""

from __future__ import annotations

import signal
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skimage import restoration
from threadpoolctl import ThreadpoolController, threadpool_info

from napari_tilewise.engine.plane import QUICK
from napari_tilewise.engine.system import pool
from napari_tilewise.engine.system.pool import abandonable, single_threaded_libraries, sweep
from napari_tilewise.errors import Cancelled
from napari_tilewise.runs import tile_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
    items = iter(range(10**6))

    def work(_: int, item: int) -> None:
        if item == 5:
            raise ValueError("tile 5")

    with pytest.raises(ValueError, match="tile 5"):
        sweep(work, items, workers=2)
    assert next(items, None) is not None, "all were taken"


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
    restoration.rolling_ball(np.ones((5, 5)))  # brings OpenMP, which counts for each thread
    with single_threaded_libraries():
        pass  # what lingers of earlier tests is lifted
    before = {(info["filepath"], info["num_threads"]) for info in threadpool_info()}
    inside = []

    def work(_: int, __: int) -> None:
        inside.extend(info["num_threads"] for info in threadpool_info())

    sweep(work, range(3), workers=2)
    assert set(inside) <= {1}
    assert {(info["filepath"], info["num_threads"]) for info in threadpool_info()} == before


def test_libraries_are_looked_for_again_only_after_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = []

    def controller() -> ThreadpoolController:
        looked.append(1)
        return ThreadpoolController()

    monkeypatch.setattr("napari_tilewise.engine.system.pool.ThreadpoolController", controller)
    monkeypatch.setitem(sys.modules, "a_module_of_a_test", ModuleType("a_module_of_a_test"))
    for _ in range(20):  # as until nothing changes
        sweep(lambda number, item: None, range(3), workers=2)
    assert len(looked) == 1
    monkeypatch.setitem(sys.modules, "another_of_a_test", ModuleType("another_of_a_test"))
    sweep(lambda number, item: None, range(3), workers=2)
    assert len(looked) == 2


def _threads_of_libraries() -> set[int]:
    """Return the numbers of threads that libraries may use, whichever thread asks.

    OpenMP, which other tests may have loaded, has a number for each thread that asks.
    """
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] != "openmp"}


def test_libraries_stay_held_between_tasks_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with single_threaded_libraries():
        pass  # what lingers of earlier tests is lifted
    before = _threads_of_libraries()
    monkeypatch.setattr(pool, "LINGER", 60)
    governed: list[object] = []
    limited = pool._limited
    monkeypatch.setattr(pool, "_limited", lambda found: governed.append(found) or limited(found))
    for _ in range(5):
        with single_threaded_libraries(lingers=True):
            assert _threads_of_libraries() == {1}
        assert _threads_of_libraries() == {1}
    assert len(governed) == 1
    sweep(lambda number, item: None, range(3), workers=2)  # whose end waits for none
    assert _threads_of_libraries() == before


def test_libraries_are_lifted_when_no_task_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    with single_threaded_libraries():
        pass
    before = _threads_of_libraries()
    monkeypatch.setattr(pool, "LINGER", 0.0)
    for _ in range(20):
        with single_threaded_libraries(lingers=True):
            assert _threads_of_libraries() == {1}
        pool._INNER._govern(lambda: None)  # after what was asked of the governor before
        assert _threads_of_libraries() == before


def test_libraries_are_held_and_lifted_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with single_threaded_libraries():
        pass
    before = _threads_of_libraries()
    monkeypatch.setattr(pool, "LINGER", 0.0005)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for lingers in rng.integers(0, 2, 200).tolist():
            with single_threaded_libraries(lingers=bool(lingers)):
                np.ones(int(rng.integers(1, 2000))).sum()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    with single_threaded_libraries():
        assert _threads_of_libraries() == {1}
    assert _threads_of_libraries() == before


class Watched(threading.Event):
    """A pause that tells how often it was looked at while it was set."""

    def __init__(self, at_look: Callable[[int], None]) -> None:
        super().__init__()
        self._at_look = at_look
        self._looks = 0

    def is_set(self) -> bool:
        found = super().is_set()
        if found:
            self._looks += 1
            self._at_look(self._looks)
        return found


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.001)


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("workers", [1, 3])
def test_a_pause_holds_up_all_that_was_not_begun(workers: int) -> None:
    begun, seen, pulled = [], [], 5

    def look(number: int) -> None:
        seen.append(len(begun))
        if number == 20:
            pause.clear()

    pause = Watched(look)

    def items() -> Iterator[int]:  # no thread pulls another item meanwhile
        for item in range(100):
            if item == pulled - 1:
                pause.set()
            yield item

    sweep(lambda _, item: begun.append(item), items(), workers=workers, pause=pause)
    assert sorted(begun) == list(range(100))
    assert seen[-1] == seen[-5] == pulled


def test_a_cancel_ends_a_pause_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 1000)
    cancel = threading.Event()
    pause = Watched(lambda _: cancel.set())
    pause.set()
    with pytest.raises(Cancelled):
        sweep(lambda *_: None, range(9), workers=2, cancel=cancel, pause=pause)


@pytest.mark.usefixtures("quick_looks")
def test_a_paused_sweep_leaves_the_threads_to_others() -> None:
    is_paused, both = threading.Event(), threading.Barrier(2, timeout=60)
    pause = Watched(lambda _: is_paused.set())
    pause.set()
    done = []
    paused = threading.Thread(
        target=sweep, args=(lambda _, item: done.append(item), range(9)),
        kwargs={"workers": 2, "pause": pause},
    )  # fmt: skip
    paused.start()
    assert is_paused.wait(60)
    sweep(lambda *_: both.wait(), range(2), workers=2)  # needs two threads at a time
    assert done == []
    pause.clear()
    paused.join(60)
    assert sorted(done) == list(range(9))


def test_what_computes_for_long_is_not_waited_for_once_it_is_cancelled() -> None:
    cancel, release = threading.Event(), threading.Event()

    def work() -> bool:
        cancel.set()
        return release.wait(60)

    with pytest.raises(Cancelled):
        abandonable(work, cancel)
    assert not release.is_set()
    release.set()


def test_errors_and_results_of_what_computes_for_long() -> None:
    assert abandonable(lambda: 5, threading.Event()) == 5
    with pytest.raises(ZeroDivisionError):
        abandonable(lambda: 1 / 0, threading.Event())  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_process_that_ignores_interrupts_computes_in_its_own_thread(is_ignored: bool) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        if is_ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        computes = abandonable(threading.current_thread, None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (computes is threading.main_thread()) is is_ignored


@pytest.mark.usefixtures("quick_looks")
def test_an_interrupt_does_not_wait_for_what_other_threads_compute() -> None:
    begun, release = threading.Event(), threading.Event()

    def work(_: int, __: int) -> None:
        if threading.current_thread() is threading.main_thread():
            assert begun.wait(60)
            raise KeyboardInterrupt
        abandonable(lambda: begun.set() or release.wait(60), None)

    with pytest.raises(KeyboardInterrupt):
        sweep(work, range(2), workers=2)
    assert not release.is_set()
    release.set()


def test_windows_that_are_timed_are_computed_in_the_thread_that_asks() -> None:
    assert tile_time.WINDOW <= QUICK
