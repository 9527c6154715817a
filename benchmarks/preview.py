"""The delay from a parameter to the preview's pixels, beside the same change in plain napari.

Needs a display; `scripts/headless.sh python -m benchmarks preview` uses one of its own.
Prints, for each case, the median and the 95th percentile of the delay in milliseconds until the
canvas has drawn the new pixels; the processor time of a move in all threads and in the window's
thread, drawing included (most of it where OpenGL is drawn by software); the turns of the window's
loop meanwhile; and what of a turn is the preview's own work (a request with the wait for its
result, or a result that is shown), without drawing the window. Plain napari sets the data of an
image layer that was computed before, in the same place: what showing costs, without computing. The
cases take turns, so that other work on the machine slows all of them down alike. With ``--write``
the figures go to docs/preview.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import _speed_page as page
import dask.array as da
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = {
    "median": "median ms", "p95": "p95 ms", "cpu": "CPU ms", "thread": "window CPU ms",
    "beat95": "beat p95", "beat": "beat max", "own95": "own p95", "own": "own max",
}  # fmt: skip
ROUND = 6
"""Moves of one case before the next one has its turn."""
MOST = 60
"""Seconds after which a change that is not drawn ends the benchmark."""
WARM = 2
"""Moves at the beginning of a turn that are not counted: they add layers."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=30, help="parameter changes per case")
    parser.add_argument("--size", type=int, default=131072, help="side of the lazy image")
    parser.add_argument("--side", type=int, default=1024, help="side of the image in memory")
    parser.add_argument("--write", action="store_true", help="write docs/preview.md")
    parser.add_argument("--window", type=int, nargs=2, default=(1500, 1100), help="in pixels")
    arguments = parser.parse_args()
    import napari
    from qtpy.QtCore import QSettings

    settings = tempfile.TemporaryDirectory()  # no value is remembered from another session
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, settings.name)
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(*arguments.window)
    canvas = _Canvas(viewer)
    side = arguments.side
    small = np.random.default_rng(0).integers(0, 255, (side, side), np.uint8)
    images = {
        f"{side} x {side}": lambda: viewer.add_image(small),
        f"lazy {arguments.size} x {arguments.size}": lambda: _lazy(viewer, arguments.size),
    }
    table = page.Table(["image", "change", *COLUMNS.values()])
    for name, add in images.items():
        viewer.layers.clear()
        add()
        cases = _cases(viewer, canvas)
        while len(cases[0].delays) < arguments.moves:
            for case in cases:
                case.take_turn(canvas, min(ROUND, arguments.moves - len(case.delays)))
        for case in cases:
            table.add([name, case.name, *case.figures()])
    if arguments.write:
        page.write("From a parameter to its pixels", table)
    viewer.close()
    settings.cleanup()


@dataclass(eq=False)
class _Case:
    """A change that is measured, and its figures in milliseconds."""

    name: str
    begin: Callable[[], None]
    """Called before its turn."""
    move: Callable[[int], None]
    delays: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    thread: list[float] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def take_turn(self, canvas: _Canvas, moves: int) -> None:
        """Measure some moves."""
        self.begin()
        for number in range(-WARM, moves):
            canvas.begin()
            _own_work.clear()
            beats: list[float] = []
            started, cpu = time.perf_counter(), time.process_time()
            thread = time.thread_time()
            self.move(number)
            while not canvas.is_drawn:
                turned = time.perf_counter()
                if turned - started > MOST:
                    raise TimeoutError(f"{self.name}: nothing was drawn: is the canvas visible?")
                _turn()
                beats.append(1e3 * (time.perf_counter() - turned))
            if number >= 0:
                self.delays.append(1e3 * (time.perf_counter() - started))
                self.cpu.append(1e3 * (time.process_time() - cpu))
                self.thread.append(1e3 * (time.thread_time() - thread))
                self.beats += beats
                self.own += _own_work

    def figures(self) -> list[str]:
        """Return the figures of a row."""
        own, beats = self.own or [0.0], self.beats or [0.0]
        numbers = (
            np.median(self.delays), np.percentile(self.delays, 95), np.median(self.cpu),
            np.median(self.thread), np.percentile(beats, 95), max(beats),
            np.percentile(own, 95), max(own),
        )  # fmt: skip
        return [f"{number:.0f}" for number in numbers]


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


def _cases(viewer: Any, canvas: _Canvas) -> list[_Case]:
    """Return what is measured."""
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Operations")
    panel.choose("filters.gaussian")
    preview = panel.preview
    preview.bar.on.setChecked(True)
    _wait_for_preview(preview)
    _timed(preview, "refresh_now")
    _timed(preview, "_show_again", canvas.change)
    layer = preview.shown.layer
    images = [np.asarray(layer.data) + np.float32(k) for k in range(2)]

    def begin() -> None:
        if "plain" in viewer.layers:
            viewer.layers.remove("plain")
        preview.resume()
        _wait_for_preview(preview)

    def begin_plain() -> None:
        preview.pause()
        viewer.add_image(
            images[0], name="plain", contrast_limits=(0, 1),
            scale=layer.scale, translate=layer.translate,
        )  # fmt: skip

    def plain(number: int) -> None:
        viewer.layers["plain"].data = images[number % 2]
        canvas.change()

    def move(sigma: float) -> Callable[[int], None]:
        return lambda number: panel.form.set_values({"sigma": sigma + (WARM + 1 + number) / 10})

    return [
        _Case("Gaussian, sigma 1", begin, move(1)),
        _Case("Gaussian, sigma 3", begin, move(3)),
        _Case("plain: layer.data =", begin_plain, plain),
    ]


def _wait_for_preview(preview: Any) -> None:
    while not preview.shown.is_shown:
        _turn()


def _turn() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()
    time.sleep(0.0005)


if __name__ == "__main__":
    main()
