"""A script that ends while a run goes on ends well, and leaves a run that can be resumed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from skimage import data

import napari_tilewise as tw
from napari_tilewise.batches import unfinished

SCRIPT = """
import sys
from pathlib import Path
import napari
import zarr
from qtpy.QtWidgets import QApplication
from napari_tilewise._napari.jobs.session_runs import SessionRun
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise.engine.events import TileDone
from napari_tilewise.runs import planner

planner.default_chunks = lambda shape, axes, looped: (32, 32)
planner.LONGEST_TILE = {2: 32}
listen, tiles = SessionRun.__call__, []

def stay(self, event):
    listen(self, event)
    if isinstance(event, TileDone):
        tiles.append(event)
        if len(tiles) == 3:
            assert self.cancel.wait(60)  # the end of the script

SessionRun.__call__ = stay
viewer = napari.Viewer(show=False)
viewer.add_image(zarr.open_array("coins.zarr", mode="r"), contrast_limits=(0, 255))
panel = RecipePanel(viewer)
viewer.window.add_dock_widget(panel, name="Recipe")
panel.add_step("filters.gaussian")
panel.files.run(Path("blurred.ome.zarr").absolute())
while len(tiles) < 3:
    QApplication.processEvents()
"""


@pytest.mark.gui
def test_a_script_that_ends_while_a_run_goes_on(tmp_path):
    tw.convert(data.coins(), tmp_path / "whole.ome.zarr", pyramid=False)
    (tmp_path / "whole.ome.zarr" / "0").rename(tmp_path / "coins.zarr")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path,
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = tmp_path / "blurred.ome.zarr"
    assert not path.exists()
    run = unfinished.unfinished_run(path)
    assert run.state is unfinished.RunState.INTERRUPTED
    assert run.progress.done >= 3
    run.resume()
    expected = tw.apply("filters.gaussian", data.coins())
    np.testing.assert_array_equal(np.asarray(tw.open(path).data[:, :]), expected)
