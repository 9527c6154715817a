"""What a child process does whose memory is measured: one run, nothing else."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import psutil

import napari_tilewise as tw
from napari_tilewise.engine.system.resident import peak_resident, resident

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def run(told: Connection, recipe: Any, source: str, destination: str, options: Any) -> None:
    """Run a recipe and tell what was stated, what was resident at most, and how it began."""
    before = resident()
    result = tw.run(recipe, source, destination, **options)
    told.send((result.planned_memory, peak_resident(), before))


def batch(told: Connection, recipe: Any, sources: Any, destination: str, options: Any) -> None:
    """Run a batch and tell what all its processes held together at most, and how many were done."""
    ended, most = threading.Event(), [0]

    def held(process: psutil.Process) -> int:
        try:
            return int(process.memory_info().rss)
        except psutil.Error:  # it ended meanwhile
            return 0

    def watch() -> None:
        me = psutil.Process()
        while not ended.wait(0.01):
            family = [me, *me.children(recursive=True)]
            most[0] = max(most[0], sum(map(held, family)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        report = tw.batch(recipe, sources, destination, **options)
    finally:
        ended.set()
        watcher.join()
    told.send((report.done, most[0]))
    told.close()
    os._exit(0)  # joblib keeps its processes for the next batch, and a child would wait for them
