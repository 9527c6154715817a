"""What someone did by clicking is a text file that gives the same result anywhere."""

from __future__ import annotations

import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest
import skimage as ski
import zarr
from tests._napari.conftest import TIMEOUT

from napari_tilewise._napari.jobs.running import LatestProgress
from napari_tilewise._napari.manifest.commands import open_recipe
from napari_tilewise.cli import main
from napari_tilewise.operations.spec.operation import Operation
from napari_tilewise.recipe import Recipe

pytestmark = pytest.mark.gui

COINS, OTHER = ski.data.coins(), ski.data.camera()
CLICKS = (
    ("filters.gaussian", {"sigma": "2"}),
    ("filters.threshold_otsu", {}),
    ("measure.label", {}),
    ("morphology.remove_small_objects", {"max_size": 40}),
)


def by_hand(image, sigma=2.0, max_size=40):
    smooth = ski.filters.gaussian(image, sigma=sigma)
    labels = ski.measure.label(smooth > ski.filters.threshold_otsu(smooth))
    return ski.morphology.remove_small_objects(labels, max_size=max_size)


@pytest.fixture
def click(panel, viewer, qtbot):
    """Choose an operation, type its parameters, press Apply; wait for the new layer."""

    def clicks(name, **typed):
        panel.chooser.search.setText(name.rpartition(".")[2])
        panel.chooser.choose(name)
        for key, value in typed.items():
            panel.form.editors[key].widget.value = value
        count = len(viewer.layers)
        panel.apply.click()
        qtbot.waitUntil(lambda: len(viewer.layers) > count, timeout=TIMEOUT)
        return viewer.layers[-1]

    return clicks


@pytest.fixture
def recorded(viewer, panel, click):
    viewer.add_image(COINS, name="coins")
    panel.continues.setChecked(True)
    for name, typed in CLICKS:
        layer = click(name, **typed)
    return layer


@pytest.fixture
def recipes(viewer):
    return open_recipe(viewer)


def replayed(recipe, source, destination):
    assert main(["run", str(recipe), str(source), str(destination)]) == 0
    return np.asarray(zarr.open_group(destination, mode="r")["0"])


def scripted(script, source, destination):
    """Run a script as anybody would, in a process of its own without napari."""
    command = [sys.executable, str(script), str(source), str(destination)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return destination


def written(path):
    if path.suffix == ".zarr":
        return np.asarray(zarr.open_group(path, mode="r")["0"])
    return np.load(path) if path.suffix == ".npy" else iio.imread(path)


def test_clicked_saved_and_replayed_from_the_shell(recorded, recipes, tmp_path, capsys):
    np.testing.assert_array_equal(recorded.data, by_hand(COINS))
    recipes.files.write(tmp_path / "recipe.yaml")
    kept = recorded.metadata["napari-tilewise"]["recipe"]
    assert Recipe.load(tmp_path / "recipe.yaml") == Recipe.from_dict(kept)
    for name, image in (("coins", COINS), ("other", OTHER)):
        iio.imwrite(tmp_path / f"{name}.tif", image)
        found = replayed(
            tmp_path / "recipe.yaml", tmp_path / f"{name}.tif", tmp_path / f"{name}.ome.zarr"
        )
        np.testing.assert_array_equal(found, by_hand(image))
        assert found.dtype == recorded.data.dtype


@pytest.mark.parametrize("plain", [False, True], ids=["tiled", "scikit-image only"])
def test_exported_scripts(recorded, recipes, tmp_path, plain):
    script = tmp_path / "script.py"
    recipes.files.write_script(script, plain=plain)
    for name, image in (("coins", COINS), ("other", OTHER)):
        iio.imwrite(tmp_path / f"{name}.tif", image)
        suffix = ".npy" if plain else ".ome.zarr"
        made = scripted(script, tmp_path / f"{name}.tif", tmp_path / f"{name}{suffix}")
        np.testing.assert_array_equal(written(made), by_hand(image))


def test_edited_and_updated(viewer, recorded, recipes, qtbot, monkeypatch):
    done = set()
    function, told = Operation.function, LatestProgress.__call__

    def counted(self, data, /, **params):
        done.add(self.name)
        return function(self, data, **params)

    def listened(self, event):
        done.add(getattr(event, "title", "").partition(":")[0])
        told(self, event)

    def update():
        """Return the operations that ran: tiles call some, passes over the image tell of others."""
        done.clear()
        recipes.update_layer.click()
        qtbot.waitUntil(lambda: not recipes.runner.is_running, timeout=TIMEOUT)
        return done & {name for name, _ in CLICKS}

    monkeypatch.setattr(Operation, "function", counted)
    monkeypatch.setattr(LatestProgress, "__call__", listened)
    viewer.layers.selection.active = recorded
    recipes.list.setCurrentRow(0)
    recipes.step.form.editors["sigma"].widget.value = "3"
    assert update() == {name for name, _ in CLICKS}
    np.testing.assert_array_equal(recorded.data, by_hand(COINS, sigma=3))
    recipes.list.setCurrentRow(3)
    recipes.step.form.editors["max_size"].widget.value = 400
    assert update() == {CLICKS[-1][0]}
    np.testing.assert_array_equal(recorded.data, by_hand(COINS, sigma=3, max_size=400))
