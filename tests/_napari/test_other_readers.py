"""What is written opens in napari with the community's own reader, napari-ome-zarr.

A run on a layer that this reader opened is resumed by any process.
"""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers._source import layer_source
from skimage import data

import napari_tilewise as tw
from napari_tilewise import OPERATIONS
from napari_tilewise._napari.jobs.compute import store
from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.layers import recording, snapshot
from napari_tilewise._napari.layers.layer_file import image_behind
from napari_tilewise._napari.layers.recording import StepRequest
from napari_tilewise.batches import unfinished
from napari_tilewise.engine.events import RunResumed, TileDone
from napari_tilewise.errors import Cancelled
from napari_tilewise.io.image import Image
from napari_tilewise.io.metadata.channels import Channel
from napari_tilewise.runs.registry import STATE

reader = pytest.importorskip("napari_ome_zarr")
pytestmark = pytest.mark.gui


def stack() -> Image:
    """Return an image of two channels with sizes, names and colours."""
    pixels = np.stack([data.coins(), data.coins()[::-1]])
    return Image(
        pixels, axes=("c", "y", "x"), scale=(1.0, 0.5, 0.25),
        units=(None, "micrometer", "micrometer"), levels=(pixels,), labels=False,
        name="coins", recipe=None, format="array",
        channels=(Channel("nuclei", "0000FF"), Channel("membranes", "00FF00")),
    )  # fmt: skip


def finest(layer) -> np.ndarray:
    """Return a layer's pixels at full resolution."""
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_napari_ome_zarr_opens_what_is_written(version, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=False)
    path = tmp_path / "coins.ome.zarr"
    tw.run("filters.gaussian", stack(), path, ome_zarr=version)
    viewer.open(str(path), plugin="napari-ome-zarr")
    layers = list(viewer.layers)
    assert [layer.name for layer in layers] == ["coins: nuclei", "coins: membranes"]
    for layer, pixels in zip(layers, stack().data, strict=True):
        np.testing.assert_array_equal(layer.scale, (0.5, 0.25))
        expected = tw.apply("filters.gaussian", pixels)
        np.testing.assert_array_equal(finest(layer), expected)


def test_napari_ome_zarr_opens_labels(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=False)
    path = tmp_path / "labels.ome.zarr"
    tw.run(["filters.threshold_otsu", "measure.label"], data.coins(), path)
    (layer,) = viewer.open(str(path), plugin="napari-ome-zarr")
    threshold = tw.apply("filters.threshold_otsu", data.coins())
    expected = tw.apply("measure.label", data.coins() > threshold)
    np.testing.assert_array_equal(finest(layer), expected)


def recipe_job(viewer, layer):
    """Return the job of a Gaussian on a layer."""
    request = StepRequest(OPERATIONS["filters.gaussian"], {"sigma": 2}, {}, (0, 1), None)
    step = recording.applied_step(request, layer)
    return Job(step.recipe, step.source, snapshot.shown_box(layer, viewer), step.record)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_run_on_a_layer_of_this_reader_is_resumed_without_the_layer(
    channel, make_napari_viewer, tmp_path, monkeypatch
):
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    monkeypatch.setattr(
        "napari_tilewise.runs.planner.default_chunks",
        lambda shape, *_: (64,) * len(shape),
    )
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 64})
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.01)
    viewer = make_napari_viewer(show=False)
    source, path = tmp_path / "coins.ome.zarr", tmp_path / "blurred.ome.zarr"
    tw.convert(stack(), source)
    layer = viewer.open(str(source), plugin="napari-ome-zarr")[channel]
    assert isinstance(layer.data[0] if layer.multiscale else layer.data, da.Array)
    cancel = threading.Event()

    def stop(event):
        if isinstance(event, TileDone):
            cancel.set()

    with pytest.raises(Cancelled):
        store(recipe_job(viewer, layer), path, stop, cancel)
    viewer.layers.clear()
    run = unfinished.unfinished_run(path)
    assert (run.state, run.progress.source) == (unfinished.RunState.INTERRUPTED, str(source))
    events = []
    run.resume(progress=events.append)
    assert any(isinstance(event, RunResumed) for event in events)
    image = tw.open(path)
    assert image.scale == (0.5, 0.25)
    expected = tw.apply("filters.gaussian", stack().data[channel], sigma=2)
    np.testing.assert_array_equal(np.asarray(image.data[:, :]), expected)


def opened(viewer, path):
    """Return a layer as a reader makes it that reads all pixels at once."""
    with layer_source(path=str(path)):
        return viewer.add_image(tifffile.imread(path))


def test_a_run_on_a_layer_in_memory_is_resumed_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    monkeypatch.setattr(
        "napari_tilewise.runs.planner.default_chunks",
        lambda shape, *_: (64,) * len(shape),
    )
    monkeypatch.setattr("napari_tilewise.runs.planner.LONGEST_TILE", {2: 64})
    monkeypatch.setattr("napari_tilewise.engine.system.pool.LOOK", 0.01)
    viewer = ViewerModel()
    source, path = tmp_path / "coins.tif", tmp_path / "blurred.ome.zarr"
    tifffile.imwrite(source, data.coins())
    layer = opened(viewer, source)
    cancel = threading.Event()

    def stop(event):
        if isinstance(event, TileDone):
            cancel.set()

    with pytest.raises(Cancelled):
        store(recipe_job(viewer, layer), path, stop, cancel)
    run = unfinished.unfinished_run(path)
    assert (run.state, run.progress.source) == (unfinished.RunState.INTERRUPTED, str(source))
    run.resume()
    expected = tw.apply("filters.gaussian", data.coins(), sigma=2)
    np.testing.assert_array_equal(np.asarray(tw.open(path).data[:, :]), expected)


def test_an_edited_pixel_of_a_layer_in_memory_is_not_in_its_file(tmp_path):
    tifffile.imwrite(tmp_path / "coins.tif", data.coins())
    layer = opened(ViewerModel(), tmp_path / "coins.tif")
    assert image_behind(snapshot.take(layer)) is not None
    layer.data[123, 45] ^= 1
    assert image_behind(snapshot.take(layer)) is None
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        image_behind(snapshot.take(layer), cancel)


def test_a_file_that_has_other_pixels_is_not_behind_the_layer(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=False)
    source = tmp_path / "coins.ome.zarr"
    tw.convert(stack(), source)
    layer = viewer.open(str(source), plugin="napari-ome-zarr")[0]
    assert image_behind(snapshot.take(layer)) is not None
    layer.data = layer.data + 1
    assert image_behind(snapshot.take(layer)) is None
