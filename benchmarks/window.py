"""What the window's thread does: opening a panel, and showing a result beside showing its source.

Needs a display; `scripts/headless.sh python -m benchmarks window` uses one of its own.
All figures are processor time of the window's thread in milliseconds, drawing included, which other
work on the machine hardly changes, with the longest pause of the window's loop in real time.

*Opening*: the first opening of each panel in a process of its own, from the menu's command until
the panel can be used; its modules are imported in a thread meanwhile.

*Views*: the same change of the view for a source and for the result of a Gaussian filter on it, in
turns: another part of a stored pyramid, another position of the time slider, and 3-D display, the
latter two lazy. A result is lazy too, so that its pixels are computed by other threads meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _speed_page as page
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer

PANELS = ("Operations", "Recipe", "Measurements", "Batch", "Runs")
MOST = 120
"""Seconds after which a view that is not shown ends the benchmark."""
BEAT = 20
"""Milliseconds between two looks."""
STILL = 0.15
"""Seconds without drawing after which a view is taken to be drawn."""
POSITIONS = 20
"""Images of the time series."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=20, help="changes of the view per layer")
    parser.add_argument(
        "--size",
        type=int,
        default=8192,
        help="side of the pyramid; a quarter of it is that of "
        "the time series, a sixteenth that of the volume",
    )
    parser.add_argument("--panels", nargs="+", choices=PANELS, default=PANELS, metavar="PANEL")
    parser.add_argument("--write", action="store_true", help="write docs/preview.md")
    parser.add_argument("--open", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        _open(arguments.open)
        return
    opening = page.Table(["panel", "window CPU ms", "longest pause ms", "empty dock, CPU ms"])
    for title in arguments.panels:
        command = [sys.executable, __file__, "--open", title]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        opening.add([title, *done.stdout.splitlines()[-1].split()])
    views = page.Table(["view", "source", "result", "ratio"])
    for row in _views(arguments.moves, arguments.size):
        views.add(row)
    if arguments.write:
        page.write("Opening a panel", opening)
        page.write("Views of a result", views)


# -- opening -----------------------------------------------------------------------------------


def _open(title: str) -> None:
    """Print the figures of the first opening of a panel, and of an empty dock."""
    import napari
    from qtpy.QtWidgets import QWidget

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 860)
    viewer.add_image(np.zeros((512, 512), np.uint8))
    _turn_until(lambda: False, 1)
    plain, _ = _cost(lambda: viewer.window.add_dock_widget(QWidget(), name="plain"), lambda: True)
    ready: list[object] = []

    def act() -> None:
        _, contents = viewer.window.add_plugin_dock_widget("napari-tilewise", title)
        contents = getattr(contents, "__wrapped__", contents)
        contents.when_ready(ready.append)

    cost, longest = _cost(act, lambda: bool(ready))
    print(f"{cost:.0f} {longest:.0f} {plain:.0f}")
    viewer.close()


def _cost(act: Callable[[], object], is_done: Callable[[], bool]) -> tuple[float, float]:
    """Return the milliseconds of this thread's processor time, and the longest pause."""
    started, cpu = time.perf_counter(), time.thread_time()
    act()
    longest = max(time.perf_counter() - started, _turn_until(is_done))
    return 1e3 * (time.thread_time() - cpu), 1e3 * longest


def _turn_until(is_done: Callable[[], bool], seconds: float = MOST) -> float:
    """Let the window's loop turn until something is so; return the longest pause in seconds.

    The loop sleeps while there is nothing to do, so that waiting for other threads costs nothing.
    """
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    started = last = time.monotonic()
    longest = 0.0

    def look() -> None:
        nonlocal last, longest
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if is_done() or now - started > seconds:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(BEAT)
    loop.exec()
    timer.stop()
    if seconds == MOST and not is_done():
        raise TimeoutError(f"Not shown within {MOST} s.")
    return longest


# -- views -------------------------------------------------------------------------------------


class _Drawing:
    """When the canvas was drawn last."""

    def __init__(self, viewer: Any) -> None:
        self.last = 0.0
        canvas = viewer.window._qt_viewer.canvas._scene_canvas
        canvas.events.draw.connect(self._drawn, position="last")

    def _drawn(self, event: object) -> None:
        self.last = time.monotonic()

    def show(self, layer: Layer, act: Callable[[], object]) -> float:
        """Change the view; return the processor time until its pixels are drawn."""
        started = time.monotonic()

        def is_done() -> bool:
            is_drawn = self.last > started and time.monotonic() - self.last > STILL
            return is_drawn and bool(layer.loaded)

        return _cost(act, is_done)[0]


def _views(moves: int, size: int) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    import napari
    from qtpy.QtCore import QSettings

    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel

    folder = tempfile.TemporaryDirectory()
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder.name)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 860)
    panel = OperationsPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Operations")
    panel.choose("filters.gaussian")
    drawing = _Drawing(viewer)
    random = np.random.default_rng(0)
    cases = {
        f"another part of a pyramid, {size} x {size}": (
            lambda: _pyramid(Path(folder.name), size),
            lambda number: _look(viewer, random, size),
        ),
        f"time slider, {POSITIONS} x {size // 4} x {size // 4}": (
            lambda: _stack(Path(folder.name), (POSITIONS, size // 4, size // 4), "tyx"),
            lambda number: _move_on(viewer, random),
        ),
        f"3-D display, 32 x {size // 16} x {size // 16}": (
            lambda: _stack(Path(folder.name), (32, size // 16, size // 16), "zyx"),
            lambda number: _display(viewer, number),
        ),
    }
    for name, (make, move) in cases.items():
        source = viewer.add_image(**make())
        viewer.layers.selection.active = source
        panel.run()
        _turn_until(lambda: not panel.runner.is_running and len(viewer.layers) == 2, 600)
        yield [name, *_compare(viewer, drawing, move, moves)]
        viewer.dims.ndisplay = 2
        viewer.layers.clear()
    viewer.close()
    folder.cleanup()


def _compare(
    viewer: Any, drawing: _Drawing, move: Callable[[int], object], moves: int
) -> list[str]:
    """Return the median costs of the source and of the result, and their ratio."""
    costs: list[list[float]] = [[], []]
    for number in range(moves + 1):
        for costs_of, layer in zip(costs, viewer.layers, strict=True):
            for other in viewer.layers:
                other.visible = other is layer
            _turn_until(lambda: False, 0.5)
            cost = drawing.show(layer, lambda number=number: move(number))  # type: ignore[misc]
            if number:  # the first one of each is another
                costs_of.append(cost)
            viewer.dims.ndisplay = 2
    source, result = map(float, map(np.median, costs))
    return [f"{source:.0f}", f"{result:.0f}", f"{result / source:.2f}"]


def _look(viewer: Any, random: np.random.Generator, size: int) -> None:
    margin = min(700, size // 3)
    y, x = random.integers(margin, size - margin, 2)
    viewer.scene.camera.center = (0, y, x)
    viewer.scene.camera.zoom = 1


def _move_on(viewer: Any, random: np.random.Generator) -> None:
    """Show another position; the same one would not be drawn again."""
    step = viewer.dims.current_step[0] + int(random.integers(1, POSITIONS))
    viewer.dims.set_current_step(0, step % POSITIONS)


def _display(viewer: Any, number: int) -> None:
    viewer.dims.ndisplay = 3


def _pixels(shape: tuple[int, ...]) -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 4000, shape, np.uint16)
    return image


def _pyramid(folder: Path, size: int) -> dict[str, Any]:
    """Return a stored pyramid as arguments of a layer."""
    import dask.array as da

    import napari_tilewise as tw

    path = folder / "source.ome.zarr"
    tw.convert(_pixels((size, size)), path)
    image = tw.open(path)
    levels = [da.from_array(level, chunks=level.chunks) for level in image.levels]
    return {"data": levels, "multiscale": True, "contrast_limits": (0, 4000)}


def _stack(folder: Path, shape: tuple[int, ...], axes: str) -> dict[str, Any]:
    """Return a stored stack as arguments of a layer."""
    import dask.array as da
    import zarr

    chunks = (1, *(min(n, 512) for n in shape[1:]))
    array = zarr.create_array(
        str(folder / f"{axes}.zarr"), shape=shape, chunks=chunks, dtype=np.uint16
    )
    for plane in range(shape[0]):
        array[plane] = _pixels(shape[1:])
    data = da.from_array(array, chunks=chunks)
    return {"data": data, "axis_labels": tuple(axes), "contrast_limits": (0, 4000)}


if __name__ == "__main__":
    main()
