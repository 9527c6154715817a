"""Take the pictures of the whole way, from opening an image to reading an object's numbers.

Run by ``make screenshots``, on a display without a screen. Writes ``docs/images/walk/``, the
animation ``docs/images/walk.webp`` for the README, and the page ``docs/walk.md`` with how long each
step takes until it is painted, beside plain napari doing the same change of the view.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from PIL import Image, ImageOps
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from screenshot import photograph, settle, wait

from napari_tilewise._napari.manifest.commands import open_measurements
from napari_tilewise._napari.manifest.samples import huge_plane
from napari_tilewise._napari.widgets import docks
from napari_tilewise._napari.widgets.panel_titles import PanelTitle

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
SIZE = (1400, 860)
WIDTH = 900
"""Pixels of the animation's width."""
CHAIN = (
    ("top hat", {"footprint": {"shape": "square", "width": 71}},
     "The uneven light is gone. The result is a new layer, with the pixel size of its source."),
    ("blur", {"sigma": 2},
     "With *Continue from the result*, each operation starts from the last result."),
    ("otsu", {}, "A threshold gives a mask, as a labels layer."),
    ("connected components", {},
     "Every coin has a number, the same as without tiles."),
    ("analyze particles", {"properties": ("label", "area", "eccentricity", "solidity")},
     "The Measurements panel opens with a row for each object. The table belongs to the labels "
     "layer: no second layer appears."),
)  # fmt: skip
"""What a user types into the search box, the parameters, and what there is to see."""
REGION = np.array([[30, 40], [30, 110], [100, 110], [100, 40]])
"""A rectangle over some coins, in micrometres."""
INTRODUCTION = (
    "# A walk through the window",
    "",
    "One session in napari, from opening an image to the measurements of an object.",
    "`make screenshots` repeats it in a real window, takes these pictures and writes this page.",
    "",
    "The table says how long each step takes until its result is painted, and how long plain",
    "napari takes for the same change of the view. The window is drawn by software on a machine",
    "that other work shares, so compare the two columns rather than the numbers.",
    "",
    "| step | ms | plain napari, ms |",
    "|---|---|---|",
)


@dataclass
class Step:
    """One step of the way."""

    title: str
    milliseconds: float
    plain: float | None
    """What plain napari takes for the same change of the view; None if it has no such step."""
    picture: str
    text: str
    """What there is to see, in a sentence or two."""


@dataclass
class Walk:
    """A walk through a window."""

    viewer: napari.Viewer
    directory: Path
    steps: list[Step] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)

    def step(
        self,
        title: str,
        action: Callable[[], object],
        text: str,
        *,
        until: Callable[[], bool] = lambda: True,
        plain: float | None = None,
    ) -> None:
        """Do something, wait until it is painted, and take a picture.

        Parameters
        ----------
        title
            What the user does.
        action
            Does it.
        text
            What there is to see.
        until
            Whether its result is there.
        plain
            Milliseconds of plain napari.
        """
        taken = painted(self.viewer, action, until)
        settle(self.viewer)
        picture = self.viewer.window.screenshot(canvas_only=False, flash=False)
        name = f"{len(self.steps) + 1:02d}.webp"
        Image.fromarray(picture[..., :3]).save(self.directory / name, quality=80, method=6)
        self.frames.append(picture[..., :3])
        self.steps.append(Step(title, taken, plain, name, text))
        beside = "" if plain is None else f"; plain napari: {plain:.0f} ms"
        print(f"{name} {title}: {taken:.0f} ms{beside}")

    def write_animation(self, path: Path) -> None:
        """Write the pictures as an animation.

        Parameters
        ----------
        path
            A WebP file.
        """
        height = WIDTH * self.frames[0].shape[0] // self.frames[0].shape[1]
        frames = [ImageOps.pad(Image.fromarray(frame), (WIDTH, height)) for frame in self.frames]
        look = {"quality": 60, "method": 6, "duration": 1600, "loop": 0}
        frames[0].save(path, save_all=True, append_images=frames[1:], **look)
        print(f"{path}: {len(frames)} frames, {path.stat().st_size // 1024} KiB")


def painted(
    viewer: napari.Viewer, action: Callable[[], object], until: Callable[[], bool] = lambda: True
) -> float:
    """Return the milliseconds until an action's result is painted in the canvas.

    Parameters
    ----------
    viewer
        The viewer.
    action
        Changes what is shown.
    until
        Whether its result is there.
    """
    start = time.perf_counter()
    action()
    wait(until)
    QApplication.processEvents()
    viewer.screenshot(canvas_only=True, flash=False)
    return (time.perf_counter() - start) * 1000


def look_at(viewer: napari.Viewer, center: tuple[float, float], zoom: float) -> None:
    """Move the view."""
    viewer.scene.camera.center = (0, *center)
    viewer.scene.camera.zoom = zoom


def plain_times() -> dict[str, float]:
    """Return the milliseconds of plain napari, without a panel, for the changes of the view."""
    ((levels, arguments, _),) = huge_plane()
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    painted(viewer, lambda: viewer.add_image(photograph()))  # a canvas's first picture takes long
    viewer.layers.clear()
    times = {"open": painted(viewer, lambda: viewer.add_image(levels, **arguments))}
    times["zoom"] = painted(viewer, lambda: look_at(viewer, (16384, 16384), 4))
    viewer.layers.clear()
    labels = (photograph() > 120).astype(np.int32)
    viewer.add_image(photograph(), name="coins")
    viewer.add_labels(labels)
    viewer.reset_view()
    settle(viewer)
    times["move"] = painted(viewer, lambda: look_at(viewer, (200, 300), 3))
    viewer.close()
    return times


def main(directory: Path) -> None:
    """Write the pictures, the animation and the page.

    Parameters
    ----------
    directory
        Where to write the pictures.
    """
    folder = directory / "walk"
    folder.mkdir(parents=True, exist_ok=True)
    plain = plain_times()
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    walk = Walk(viewer, folder)
    huge(walk, plain)
    measure(walk, plain)
    walk.write_animation(directory / "walk.webp")
    write_page(walk.steps)
    viewer.close()


def huge(walk: Walk, plain: dict[str, float]) -> None:
    """Open the huge sample, and look at it."""
    viewer = walk.viewer
    walk.step(
        "Open a huge image",
        lambda: viewer.open_sample("napari-tilewise", "huge_plane"),
        "**File > Open Sample > napari-tilewise** has a lazy plane of 131072 x 131072 pixels. "
        "Nothing of it is in memory but what is in view.",
        plain=plain["open"],
    )
    docks_before = set(viewer.window.dock_widgets)
    walk.step(
        "Open the Operations panel, for the first time",
        lambda: viewer.window.add_plugin_dock_widget("napari-tilewise", "Operations"),
        "**Plugins > napari-tilewise > Operations**. The dock opens at once and says that the "
        "panel is loading; the window can be used meanwhile.",
    )
    (title,) = set(viewer.window.dock_widgets) - docks_before
    dock = viewer.window.dock_widgets[title]
    ready: list[object] = []
    walk.step(
        "The panel has loaded",
        lambda: dock.when_ready(ready.append),
        "Its modules were imported in a thread. A second panel takes a fraction of the time.",
        until=lambda: bool(ready),
    )
    walk.step(
        "Zoom in",
        lambda: look_at(viewer, (16384, 16384), 4),
        "As in plain napari: the panel costs nothing while nothing is applied.",
        plain=plain["zoom"],
    )
    panel = docks.open_panel(viewer, PanelTitle.OPERATIONS)
    search(panel, "blur")
    shown = panel.preview.shown
    walk.step(
        "Search for “blur”, and tick Preview",
        lambda: panel.preview.bar.on.setChecked(True),
        "The search knows the names of Fiji's menus; Enter chooses the first match, Gaussian. The "
        "part in view is computed exactly, whatever the size of the image.",
        until=lambda: shown.layer is not None,
    )
    before = float(np.asarray(shown.layer.data).std())
    walk.step(
        "Set sigma to 8",
        lambda: panel.form.set_values({"sigma": 8}),
        "The preview follows the slider.",
        until=lambda: float(np.asarray(shown.layer.data).std()) != before,
    )
    walk.step(
        "Tick Split",
        lambda: panel.preview.bar.splits.setChecked(True),
        "Before on the left of the line, after on the right.",
    )
    panel.preview.bar.splits.setChecked(False)
    panel.preview.bar.on.setChecked(False)


def measure(walk: Walk, plain: dict[str, float]) -> None:
    """Segment coins, measure them, and look at one."""
    viewer = walk.viewer
    panel = docks.open_panel(viewer, PanelTitle.OPERATIONS)
    viewer.layers.clear()
    image = viewer.add_image(photograph(), name="coins", scale=(0.5, 0.5), units=("um", "um"))
    viewer.reset_view()
    panel.continues.setChecked(True)
    for phrase, params, text in CHAIN:
        search(panel, phrase)
        panel.form.set_values(params)
        walk.step(
            f"Search for “{phrase}”: {panel.operation.title}",
            panel.apply.click,
            text,
            until=lambda: not panel.runner.is_running,
        )
    for layer in viewer.layers[1:-1]:
        layer.visible = False
    image.visible = True
    view = open_measurements(viewer).objects
    walk.step(
        "Colour the objects by their area",
        lambda: view.colour.setCurrentText("area (µm²)"),
        "The legend is below the table. Lengths and areas are in the layer's units.",
    )
    walk.step(
        "Plot area against solidity",
        lambda: view.up.setCurrentText("solidity"),
        "Each point is an object.",
    )
    walk.step(
        "Drag over the large ones",
        lambda: view.plot.brushed.emit((450, 900), (0, 2)),
        "The objects are chosen in the plot, in the table and in the image alike.",
    )
    view.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    walk.step(
        "Click a row",
        lambda: view.table.selectRow(6),
        "The view goes to the object. A click on an object in the image finds its row.",
        plain=plain["move"],
    )
    panel = docks.open_panel(viewer, PanelTitle.OPERATIONS)
    viewer.layers.selection.active = image
    region = viewer.add_shapes([REGION], shape_type="rectangle", name="region", opacity=0.3,
                               units=("um", "um"))  # fmt: skip
    viewer.layers.selection.active = image
    viewer.reset_view()
    search(panel, "otsu")
    panel.target.region_box.value = region
    walk.step(
        "Draw a rectangle, choose it as region, and apply",
        panel.apply.click,
        "The image is cropped to the rectangle first, so the threshold is that of its pixels. The "
        "result lies where its pixels are, and its recipe begins with the crop.",
        until=lambda: not panel.runner.is_running,
    )


def search(panel: object, phrase: str) -> None:
    """Type words into the search box, and choose what comes first, as a user does."""
    panel.chooser.search.clear()
    QTest.keyClicks(panel.chooser.search, phrase)
    QTest.keyClick(panel.chooser.search, Qt.Key.Key_Return)


def write_page(steps: list[Step]) -> None:
    """Write the page that shows the way."""
    rows = [
        f"| {step.title} | {step.milliseconds:.0f} | "
        f"{'' if step.plain is None else f'{step.plain:.0f}'} |"
        for step in steps
    ]
    sections = []
    for number, step in enumerate(steps, start=1):
        picture = f"![{step.title}](images/walk/{step.picture})"
        sections += [f"## {number}. {step.title}", "", step.text, "", picture, ""]
    page = [*INTRODUCTION, *rows, "", *sections]
    (HERE / "walk.md").write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or [HERE / "images"]))
