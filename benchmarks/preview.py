"""The delay from a parameter to the preview's pixels, beside the same change in plain napari.

Needs a display; `scripts/headless.sh python -m benchmarks preview` uses one of its own.
Prints, for each case, the median and the 95th percentile of the delay in milliseconds, and the gaps
between two turns of the window's loop meanwhile. Plain napari sets the data of an image layer that
was computed before: what showing costs, without computing.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=30, help="parameter changes per case")
    parser.add_argument("--size", type=int, default=131072, help="side of the lazy image")
    arguments = parser.parse_args()
    import napari
    from qtpy.QtCore import QSettings

    QSettings.setPath(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "/nonexistent/napari-tilewise"
    )
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1500, 1100)
    small = np.random.default_rng(0).integers(0, 255, (1024, 1024), np.uint8)
    cases = {
        "1024 x 1024": lambda: viewer.add_image(small),
        f"lazy {arguments.size} x {arguments.size}": lambda: _lazy(viewer, arguments.size),
    }
    columns = ("median ms", "p95 ms", "beat p95", "beat max")
    print(f"{'image':24} {'change':22} " + " ".join(f"{column:>9}" for column in columns))
    for name, add in cases.items():
        viewer.layers.clear()
        add()
        for change, move in _changes(viewer):
            delays, beats = _measured(viewer, move, arguments.moves)
            print(
                f"{name:24} {change:22} {np.median(delays):9.0f} {np.percentile(delays, 95):9.0f} "
                f"{np.percentile(beats, 95):9.0f} {max(beats):9.0f}"
            )
    viewer.close()


def _lazy(viewer: Any, size: int) -> Any:
    """Add a lazy pyramid, zoomed to full resolution."""
    levels = [_plane(size >> number) for number in range(8) if size >> number >= 512]
    layer = viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255))
    viewer.scene.camera.center = (0, size / 2, size / 2)
    viewer.scene.camera.zoom = 1
    return layer


def _plane(size: int) -> da.Array:
    def block(block_info: Any = None) -> np.ndarray:
        shape = block_info[None]["chunk-shape"]
        y, x = np.indices(shape, np.int32)
        return ((y * x) % 251).astype(np.uint8)

    chunk = min(size, 1024)
    return da.map_blocks(block, chunks=((chunk,) * (size // chunk),) * 2, dtype=np.uint8)


def _changes(viewer: Any) -> list[tuple[str, Callable[[int], Callable[[], bool]]]]:
    """Return what is measured: each begins a change, and returns whether it is shown."""
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Operations")
    panel.choose("filters.gaussian")
    panel.preview.bar.on.setChecked(True)
    while not panel.preview.shown.is_shown:
        _turn()
    layer = panel.preview.shown.layer
    images = [np.asarray(layer.data) + np.float32(k) for k in range(2)]

    def preview(number: int, sigma: float) -> Callable[[], bool]:
        before = panel.preview.worker.computed
        panel.form.set_values({"sigma": sigma + (1 + number % 7) / 10})
        state = panel.preview.worker._state
        return lambda: panel.preview.worker.computed > before and not state.is_announced

    def plain(number: int) -> Callable[[], bool]:
        panel.preview.pause()
        if not viewer.layers or viewer.layers[-1].name != "plain":
            viewer.add_image(images[0], name="plain", contrast_limits=(0, 1))
        viewer.layers[-1].data = images[number % 2]
        return lambda: True

    return [
        ("Gaussian, sigma 1", lambda number: preview(number, 1)),
        ("Gaussian, sigma 3", lambda number: preview(number, 3)),
        ("plain: layer.data =", plain),
    ]


def _measured(
    viewer: Any, move: Callable[[int], Callable[[], bool]], moves: int
) -> tuple[list[float], list[float]]:
    """Return delays and gaps between two turns of the loop, in milliseconds."""
    for number in (4, 5, 6):
        _until(move(number), [])
    delays, beats = [], []
    for number in range(moves):
        started = time.perf_counter()
        _until(move(number), beats)
        viewer.window._qt_viewer.canvas.native.repaint()
        delays.append(1e3 * (time.perf_counter() - started))
    return delays, beats


def _until(is_shown: Callable[[], bool], beats: list[float]) -> None:
    while True:
        started = time.perf_counter()
        _turn()
        beats.append(1e3 * (time.perf_counter() - started))
        if is_shown():
            return


def _turn() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    time.sleep(0.0005)


if __name__ == "__main__":
    main()
