"""Take the picture of the Runs panel: runs that are done, under way, paused, waiting, and left.

Run on a display without a screen:
``scripts/headless.sh python docs/screenshot_runs.py [DIRECTORY]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import Qt
from screenshot import SIZE, dock_of, photograph, take, wait

import napari_tilewise as tw
from napari_tilewise._napari.jobs.session_runs import Pause, follow
from napari_tilewise._napari.manifest.commands import open_runs
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import TileDone
from napari_tilewise.errors import Cancelled
from napari_tilewise.runs.registry import STATE

if TYPE_CHECKING:
    from napari_tilewise._napari.jobs.session_runs import SessionRun
    from napari_tilewise.engine.events import Event, Listener


class Work:
    """An operation on a file, into another."""

    def __init__(self, operation: str, source: Path, path: Path) -> None:
        self.operation, self.source, self.path, self.pause = operation, source, path, Pause()

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the run in the Runs panel."""
        return follow(
            tw.OPERATIONS[self.operation].title, source=str(self.source), output=self.path,
            control=Control(listener, cancel, self.pause), work=self,
        )  # fmt: skip

    def __call__(self, progress: Listener, cancel: threading.Event) -> None:
        """Run the operation."""
        tw.run(
            self.operation, self.source, self.path, memory="2 GiB", workers=1, progress=progress,
            cancel=cancel, pause=self.pause,
        )  # fmt: skip


def leave(source: Path, path: Path) -> None:
    """Start a run and cancel it: the registry lists it as interrupted."""
    cancel = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, TileDone) and event.done == 7:
            cancel.set()

    try:
        tw.run("filters.gaussian", source, path, memory="2 GiB", progress=listen, cancel=cancel)
    except Cancelled:
        return


def main(directory: Path) -> None:
    """Write ``runs.png``.

    Parameters
    ----------
    directory
        Where to write it.
    """
    folder = Path(tempfile.mkdtemp())
    os.environ[STATE] = str(folder / "state")
    source = folder / "slide.npy"
    np.save(source, np.tile(photograph(), (12, 12)))
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    viewer.add_image(photograph(), name="coins")
    leave(source, folder / "smooth.ome.zarr")
    panel = open_runs(viewer)
    main_window, dock = viewer.window._qt_window, dock_of(panel)
    main_window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    main_window.resizeDocks([dock], [300], Qt.Orientation.Vertical)
    done = panel.queue.start(Work("filters.sobel", source, folder / "edges.ome.zarr"))
    wait(lambda: done.state.is_over)
    running = panel.queue.start(Work("filters.median", source, folder / "median.ome.zarr"))
    panel.queue.start(Work("measure.label", source, folder / "labels.ome.zarr"))
    wait(lambda: running.done > 5)
    panel.view.selectRow(1)
    take(viewer, directory / "runs.png")
    for run in panel._session.all():
        panel.queue.cancel(run)
    wait(lambda: not panel.queue.is_running)
    viewer.close()


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or [Path(__file__).parent / "images"]))
