"""The cache of decoded chunks: bounded, and never does a thing twice at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_tilewise.engine.system import cache
from napari_tilewise.engine.system.cache import ChunkCache
from napari_tilewise.engine.system.fetchers import FETCHERS, LookAhead

if TYPE_CHECKING:
    from collections.abc import Callable


def test_least_recently_used_go_first() -> None:
    cache = ChunkCache(3 * 80)
    loads: list[int] = []

    def get(key: int) -> np.ndarray:
        return cache.get(key, lambda: loads.append(key) or np.full(10, float(key)))

    for key in (1, 2, 3, 1, 4, 1, 2):
        assert get(key)[0] == key
    assert loads == [1, 2, 3, 4, 2]


def test_threads_that_ask_together_load_once() -> None:
    cache = ChunkCache(10**6)
    entered, go = threading.Event(), threading.Event()
    loads = []

    def load() -> np.ndarray:
        loads.append(1)
        entered.set()
        assert go.wait(60)
        return np.arange(5)

    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("k", load))) for _ in range(4)
    ]
    threads[0].start()
    assert entered.wait(60)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(60)
    assert len(loads) == 1
    assert all(array is found[0] for array in found)
    assert len(found) == 4


def test_threads_that_come_first_together_share_one_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def capacity() -> int:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.1)  # until another thread makes a cache too
        return 100

    monkeypatch.setattr(cache, "_shared", [])
    monkeypatch.setattr(cache, "default_capacity", capacity)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: cache.shared_cache(), range(2))
    assert first is second


def test_an_array_that_is_fetched_again_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[Callable[[], None]] = []

    def later(request: Callable[[], None]) -> Future[None]:
        requests.append(request)
        return Future()

    monkeypatch.setattr(cache, "fetch", later)
    chunks, loads = ChunkCache(10**6), []

    def load() -> np.ndarray:
        loads.append(1)
        if len(loads) == 2:
            requests[1]()  # while the first request loads it
        return np.zeros(5)

    assert chunks.fetch("k", 40, load)
    chunks.get("k", load)
    chunks.clear()  # as if others had taken its room
    assert chunks.fetch("k", 40, load)
    requests[0]()
    assert len(loads) == 2
    chunks.get("k", load)
    assert len(loads) == 2


def test_a_failed_load_is_tried_again() -> None:
    cache = ChunkCache(1000)

    def fail() -> np.ndarray:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        cache.get("k", fail)
    assert cache.get("k", lambda: np.ones(2))[0] == 1


def test_kept_arrays_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ChunkCache(1000).get("k", lambda: np.ones(2))[0] = 3


def ones(count: int) -> np.ndarray:
    return np.ones(count, np.uint8)


def test_what_is_fetched_ahead_takes_half_of_the_capacity_at_most() -> None:
    cache, begin, begun = ChunkCache(1000), threading.Event(), threading.Event()

    def load() -> np.ndarray:
        begun.set()
        begin.wait(60)
        return ones(200)

    assert cache.fetch("a", 200, load)
    assert begun.wait(60)
    assert cache.fetch("b", 200, load)
    assert cache.fetch("a", 200, load)  # begun already
    assert not cache.fetch("c", 200, load)
    begin.set()
    assert len(cache.get("a", never)) == 200
    assert cache.fetch("c", 200, load)  # once one of them was asked for


def never() -> np.ndarray:
    raise AssertionError("it is there already")


def test_what_is_fetched_ahead_makes_room_before_it_is_there() -> None:
    cache, begin = ChunkCache(1000), threading.Event()
    for number in range(5):
        cache.get(number, lambda: ones(200))
    cache.fetch("a", 400, lambda: begin.wait(60) and ones(400))
    reloaded = []
    for number in range(5):
        cache.get(number, lambda number=number: (reloaded.append(number), ones(200))[1])
    begin.set()
    assert reloaded, "800 bytes of arrays and 400 to come would be more than 1000"


def test_an_error_is_that_of_who_asks() -> None:
    cache, calls = ChunkCache(1000), []

    def fail() -> np.ndarray:
        calls.append(1)
        raise OSError("gone")

    cache.fetch("a", 200, fail)
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            cache.get("a", fail)
    assert cache.fetch("b", 500, lambda: ones(500)), "a failed one takes no room"
    assert len(cache.get("b", lambda: ones(500))) == 500


def test_what_nobody_will_ask_for_is_dropped() -> None:
    cache, begin = ChunkCache(10**6), threading.Event()
    loaded = []

    def load(number: int) -> np.ndarray:
        begin.wait(60)
        loaded.append(number)
        return ones(1)

    with LookAhead(range(100), lambda n: cache.fetch(n, 1, partial(load, n))) as ahead:
        ahead.beyond(0)
    begin.set()
    for number in loaded[:]:
        cache.get(number, never)
    assert len(loaded) <= FETCHERS
    assert cache.fetch("a", 5 * 10**5 - FETCHERS, lambda: ones(1)), "dropped ones take no room"
