"""The peak memory of a result is what was measured while it was computed."""

import threading

import numpy as np

import napari_tilewise as tw
from napari_tilewise.engine.system.resident import resident
from napari_tilewise.runs.peak_memory import PeakMemory

HELD = 64 * 2**20


def test_memory_that_is_held_for_a_while_counts():
    before = resident()
    with PeakMemory() as memory:
        pixels = np.ones(HELD, np.uint8)
        pause = threading.Event()
        for _ in range(1000):
            if memory.bytes >= before + HELD // 2:
                break
            pause.wait(0.01)
        del pixels
    assert memory.bytes >= before + HELD // 2


def test_a_run_measures_and_states_its_memory(tmp_path):
    image = np.zeros((50, 60))
    before = resident()
    result = tw.run("filters.sobel", image, tmp_path / "a.ome.zarr", memory="4 GiB")
    assert result.peak_memory >= before // 2
    assert result.planned_memory <= 4 * 2**30
