"""The cache of decoded chunks: bounded, and never does a thing twice at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_tilewise.engine.system.cache import ChunkCache


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
        assert go.wait(10)
        return np.arange(5)

    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("k", load))) for _ in range(4)
    ]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert len(loads) == 1
    assert all(array is found[0] for array in found)
    assert len(found) == 4


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
