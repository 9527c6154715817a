"""The delay from a parameter to the preview's pixels, beside the same change in plain napari.

Needs a display; `scripts/headless.sh python -m benchmarks preview` uses one of its own.
Prints, for each case, the median and the 95th percentile of the delay in milliseconds until the
canvas has drawn the new pixels, the turns of the window's loop meanwhile, and what of a turn is the
preview's own work (a request, or a result that is shown), without drawing the window. Plain napari
sets the data of an image layer that was computed before: what showing costs, without computing.
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
    canvas = _Canvas(viewer)
    small = np.random.default_rng(0).integers(0, 255, (1024, 1024), np.uint8)
    cases = {
        "1024 x 1024": lambda: viewer.add_image(small),
        f"lazy {arguments.size} x {arguments.size}": lambda: _lazy(viewer, arguments.size),
    }
    columns = ("median ms", "p95 ms", "beat p95", "beat max", "own p95", "own max")
    print(f"{'image':24} {'change':22} " + " ".join(f"{column:>9}" for column in columns))
    for name, add in cases.items():
        viewer.layers.clear()
        add()
        for change, move in _changes(viewer, canvas):
            delays, beats = _measured(canvas, move, arguments.moves)
            own = _own_work or [0.0]
            print(
                f"{name:24} {change:22} {np.median(delays):9.0f} {np.percentile(delays, 95):9.0f} "
                f"{np.percentile(beats, 95):9.0f} {max(beats):9.0f} "
                f"{np.percentile(own, 95):9.0f} {max(own):9.0f}"
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


_own_work: list[float] = []
"""Milliseconds of the window's thread that the preview itself took, one by one."""


class _Canvas:
    """Notices when the canvas has drawn new pixels."""

    def __init__(self, viewer: Any) -> None:
        self.is_changed = self.is_drawn = False
        canvas = viewer.window._qt_viewer.canvas._scene_canvas
        canvas.events.draw.connect(self._draw, position="last")

    def begin(self) -> None:
        """Wait for new pixels."""
        self.is_changed = self.is_drawn = False

    def change(self, *_: object) -> None:
        """Note that a layer has new pixels."""
        self.is_changed = True

    def _draw(self, event: object) -> None:
        self.is_drawn |= self.is_changed


def _timed(owner: Any, name: str, then: Callable[[], None] = lambda: None) -> None:
    """Note how long a method takes."""
    inner = getattr(owner, name)

    def call(*arguments: Any) -> Any:
        started = time.perf_counter()
        result = inner(*arguments)
        _own_work.append(1e3 * (time.perf_counter() - started))
        then()
        return result

    setattr(owner, name, call)


def _changes(viewer: Any, canvas: _Canvas) -> list[tuple[str, Callable[[int], None]]]:
    """Return what is measured: functions that begin a change."""
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Operations")
    panel.choose("filters.gaussian")
    panel.preview.bar.on.setChecked(True)
    while not panel.preview.shown.is_shown:
        _turn()
    _timed(panel.preview, "_offer")
    _timed(panel.preview, "_show_again", canvas.change)
    layer = panel.preview.shown.layer
    images = [np.asarray(layer.data) + np.float32(k) for k in range(2)]

    def preview(number: int, sigma: float) -> None:
        panel.form.set_values({"sigma": sigma + (1 + number % 7) / 10})

    def plain(number: int) -> None:
        panel.preview.pause()
        if not viewer.layers or viewer.layers[-1].name != "plain":
            viewer.add_image(images[0], name="plain", contrast_limits=(0, 1))
        viewer.layers[-1].data = images[number % 2]
        canvas.change()

    return [
        ("Gaussian, sigma 1", lambda number: preview(number, 1)),
        ("Gaussian, sigma 3", lambda number: preview(number, 3)),
        ("plain: layer.data =", plain),
    ]


def _measured(
    canvas: _Canvas, move: Callable[[int], None], moves: int
) -> tuple[list[float], list[float]]:
    """Return delays and turns of the loop, in milliseconds."""
    delays: list[float] = []
    beats: list[float] = []
    for number in range(-3, moves):
        if not number:
            delays.clear()
            beats.clear()
            _own_work.clear()
        canvas.begin()
        started = time.perf_counter()
        move(number)
        _until(canvas, beats)
        delays.append(1e3 * (time.perf_counter() - started))
    return delays, beats


def _until(canvas: _Canvas, beats: list[float]) -> None:
    while not canvas.is_drawn:
        started = time.perf_counter()
        _turn()
        beats.append(1e3 * (time.perf_counter() - started))


def _turn() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    time.sleep(0.0005)


if __name__ == "__main__":
    main()
