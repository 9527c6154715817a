"""Take the picture of the Batch panel, after a batch over crops of an image, one of them no image.

On a display without a screen: ``scripts/headless.sh python docs/screenshot_batch.py [DIRECTORY]``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import napari
import skimage as ski
import tifffile
from screenshot import CHAIN, SIZE, take, wait

from napari_tilewise import Recipe
from napari_tilewise._napari.manifest.commands import open_batch

SHOWN = 5
"""The row that is opened."""
EDGE = 96


def images(folder: Path) -> None:
    """Write crops of scikit-image's coins, and one file that is not an image.

    Parameters
    ----------
    folder
        Where to write them.
    """
    coins = ski.data.coins()
    rows, columns = (n // EDGE for n in coins.shape)
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        crop = coins[row * EDGE : (row + 1) * EDGE, column * EDGE : (column + 1) * EDGE]
        tifffile.imwrite(folder / f"coins_{'ABC'[row]}{column + 1}.tif", crop)
    (folder / "coins_B3.tif").write_bytes(b"II*\0 no image")


def main(directory: Path) -> None:
    """Write ``batch.png``.

    Parameters
    ----------
    directory
        Where to write it.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    working_folder = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)  # so that the picture shows no place that is only here
        folder = Path("coins")
        folder.mkdir()
        images(folder)
        Recipe(CHAIN[1:]).save(folder / "coins.yaml")
        panel = open_batch(viewer)
        panel.source.folder.path = str(folder)
        panel.task.recipe.file.path = str(folder / "coins.yaml")
        panel.task.kind.setCurrentIndex(1)
        panel.output.folder.path = str(Path("labels"))
        wait(lambda: not panel.is_listing)
        panel.run()
        wait(lambda: not panel.runner.is_running)
        panel.open(SHOWN)
        wait(lambda: not panel.opener.item_runner.is_running)
        viewer.layers[-1].opacity = 0.6
        viewer.reset_view()
        (failed,) = panel.table.rows_in("failed")
        panel.view.selectRow(failed)
        panel.view.clicked.emit(panel.table.index(failed, 0))
        take(viewer, directory / "batch.png")
        os.chdir(working_folder)
    viewer.close()


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or [Path(__file__).parent / "images"]))
