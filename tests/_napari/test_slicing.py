"""Scrolling a lazy result computes the new plane away from the window's thread."""

from __future__ import annotations

import threading

import dask.array as da
import numpy as np
import pytest
import zarr
from dask.callbacks import Callback
from napari.layers import Image, Labels
from skimage import data, filters
from tests._napari.conftest import TIMEOUT
from window_work import Beats

from napari_tilewise._napari.layers import slicing
from napari_tilewise._napari.layers.prefetch import Boxes

pytestmark = pytest.mark.gui

PLANES = np.stack([np.roll(data.camera()[::4, ::4], 10 * k, axis=1) for k in range(6)])


class Gated:
    """A stack whose planes, but for the first, come only while a gate is open."""

    shape, dtype, ndim, size = PLANES.shape, PLANES.dtype, 3, PLANES.size
    chunks = (1, *PLANES.shape[1:])

    def __init__(self):
        self.threads, self.gate = set(), threading.Event()
        self.gate.set()

    def __getitem__(self, key):
        found = PLANES[key]
        if threading.current_thread() is threading.main_thread():
            return found  # napari shows the source itself
        if not np.array_equal(found.reshape(-1)[:99], PLANES[0].reshape(-1)[:99]):
            self.threads.add(threading.current_thread().name)
            assert self.gate.wait(120)
        return found


@pytest.fixture
def stack():
    return Gated()


@pytest.fixture
def lazy_layer(viewer, stack, run):
    viewer.add_image(stack, name="gated", contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 0)
    return run("filters.gaussian", sigma=2.0)


def shown(layer):
    return layer._slice.image.raw.astype(np.float32)  # as napari uploads it


def expected(plane):
    return filters.gaussian(PLANES[plane], sigma=2).astype(np.float32)


def test_the_event_loop_runs_while_a_new_plane_is_computed(viewer, stack, lazy_layer, qtbot):
    np.testing.assert_array_equal(shown(lazy_layer), expected(0))
    beats = Beats()
    stack.gate.clear()
    viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: bool(stack.threads), timeout=TIMEOUT)
    beats.wait(qtbot)
    assert not lazy_layer.loaded
    np.testing.assert_array_equal(shown(lazy_layer), expected(0))  # until the new one is there
    stack.gate.set()
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    beats.stop()
    assert lazy_layer._slice.image.raw.dtype == np.float32, "not converted on the window's thread"
    np.testing.assert_array_equal(shown(lazy_layer), expected(3))


def test_the_last_of_many_steps_wins(viewer, stack, lazy_layer, qtbot):
    stack.gate.clear()
    for step in (1, 2, 3, 4):
        viewer.dims.set_current_step(0, step)
    stack.gate.set()
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(shown(lazy_layer), expected(4))
    viewer.dims.set_current_step(0, 0)  # in memory: at once
    np.testing.assert_array_equal(shown(lazy_layer), expected(0))
    assert lazy_layer.loaded


def test_a_plane_that_comes_late_does_not_cover_the_one_in_memory(viewer, stack, lazy_layer, qtbot):
    stack.gate.clear()
    viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: bool(stack.threads), timeout=TIMEOUT)
    viewer.dims.set_current_step(0, 0)
    stack.gate.set()
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(shown(lazy_layer), expected(0))


def test_data_are_true_whatever_is_shown(viewer, lazy_layer, qtbot):
    viewer.dims.set_current_step(0, 5)
    assert isinstance(lazy_layer.data, da.Array)
    exact = filters.gaussian(PLANES[5], sigma=2)
    np.testing.assert_array_equal(np.asarray(lazy_layer.data[5]), exact)
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)


def test_three_displayed_axes_come_in_the_background_too(viewer, lazy_layer, qtbot):
    viewer.dims.ndisplay = 3
    assert shown(lazy_layer).ndim == 3
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(shown(lazy_layer)[2], expected(2))


def test_a_volume_that_is_displayed_again_is_at_hand(viewer, stack, lazy_layer, qtbot):
    """An empty one in its place would have its room on the graphics card taken once more."""
    volume = display_in_3d(viewer, lazy_layer, qtbot)
    viewer.dims.ndisplay = 2
    np.testing.assert_array_equal(shown(lazy_layer), expected(0))
    viewer.dims.ndisplay = 3
    assert lazy_layer.loaded
    np.testing.assert_array_equal(shown(lazy_layer), volume)


@pytest.mark.parametrize("change", ["data", "size"])
def test_a_volume_of_other_data_or_too_large_is_not_kept(
    viewer, stack, lazy_layer, qtbot, monkeypatch, change
):
    volume = display_in_3d(viewer, lazy_layer, qtbot)
    if change == "size":
        monkeypatch.setattr(slicing, "MOST_KEPT", volume.nbytes - 1)
    viewer.dims.ndisplay = 2
    if change == "data":
        lazy_layer.data = lazy_layer.data[:, ::-1]
        volume = volume[:, ::-1]
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    viewer.dims.ndisplay = 3
    assert not lazy_layer.loaded
    qtbot.waitUntil(lambda: lazy_layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(shown(lazy_layer), volume)


def display_in_3d(viewer, layer, qtbot):
    """Display a layer in 3-D, and return the pixels that are shown."""
    viewer.dims.ndisplay = 3
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    volume = shown(layer)
    assert volume.shape == PLANES.shape
    return volume


def test_screenshot_waits_for_the_plane(viewer, lazy_layer):
    viewer.dims.set_current_step(0, 2)
    viewer.screenshot(canvas_only=True, flash=False)
    assert not viewer._layer_slicer._layers_to_task


@pytest.fixture
def hearing():
    """Return the threads whose tasks a callback heard that is registered for the process."""
    threads = set()
    callback = Callback(pretask=lambda *_: threads.add(threading.current_thread()))
    callback.register()
    yield threads
    callback.unregister()


@pytest.mark.parametrize("name", ["filters.gaussian", "measure.label"])
def test_napari_s_cache_of_tasks_is_the_window_s_alone(viewer, run, qtbot, hearing, name):
    # napari registers that cache while it slices a dask layer: its state is one computation's
    stack = zarr.array(PLANES > 120, chunks=(1, *PLANES.shape[1:]))
    viewer.add_image(stack, contrast_limits=(0, 1))
    viewer.dims.set_current_step(0, 0)
    layer = run(name)
    assert isinstance(layer.data, da.Array)
    viewer.dims.set_current_step(0, 3)
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(shown(layer), np.asarray(layer.data[3]).astype(np.float32))
    assert hearing <= {threading.main_thread()}


def test_blocks_are_computed_once_however_boxes_are_cut():
    blocks = []

    def counted(data, block_info=None):
        blocks.append(block_info[0]["chunk-location"])
        return data + 1

    stack = da.from_array(PLANES, chunks=(2, 50, 64))
    lazy = stack.map_blocks(counted, dtype=PLANES.dtype, meta=PLANES[:0])
    boxes = Boxes(lazy)
    keys = [(1,), (0, slice(None), slice(3, 70)), (slice(1, 3), slice(40, 60), 5), ()]
    for key in keys:
        np.testing.assert_array_equal(boxes[key], PLANES[key] + 1)
    assert len(blocks) == len(set(blocks)) == lazy.npartitions


def test_another_napari_slices_as_it_always_did(viewer, lazy_layer, monkeypatch):
    monkeypatch.setattr(slicing, "NEEDED_OF_SLICER", ("_no_such_thing",))
    plain = viewer.add_image(np.zeros((3, 4, 5)), contrast_limits=(0, 1))
    kind = type(plain._slicing_state)
    assert not slicing.in_background(plain, viewer)
    assert type(plain._slicing_state) is kind


def test_a_pyramid_of_float64_is_shown_as_float32(viewer, panel, run, qtbot):
    image = data.camera()[:256, :256]
    levels = [da.from_array(image[::step, ::step], chunks=64) for step in (1, 2)]
    viewer.add_image(levels, multiscale=True, contrast_limits=(0, 255))
    layer = run("filters.gaussian", sigma=2.0)
    exact = filters.gaussian(image, sigma=2)
    assert layer.multiscale
    assert layer.dtype == layer.data[0].dtype == np.float64
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    assert layer._slice.image.raw.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(layer.data[0]), exact)
    viewer.layers.selection.active = layer
    again = run("filters.median")
    np.testing.assert_array_equal(np.asarray(again.data[0]), filters.median(exact))
    layer.data = [exact, exact[::2, ::2]]  # the user's own
    np.testing.assert_array_equal(
        layer._slice.image.raw, layer.data[layer.data_level], "arrays in memory stay as they are"
    )


@pytest.fixture
def noted():
    """Return a pyramid of a stack that notes the threads that compute its planes and levels."""
    computed = []

    def note(block, level):
        if block.size:
            computed.append((threading.current_thread(), level))
        return block / 2

    levels = [
        da.from_array(PLANES[:, ::step, ::step], chunks=(1, 50, 64)).map_blocks(
            note, number, dtype=float, meta=np.empty((0, 0, 0))
        )
        for number, step in enumerate((1, 2, 4))
    ]
    return levels, computed


def look_at(layer, level, corners):
    """Show a part of a level, as napari does when the canvas is drawn."""
    layer._data_level = level
    layer.corner_pixels = np.array(corners)
    layer.refresh(extent=False, thumbnail=False)


@pytest.mark.parametrize("kind", [Image, Labels])
def test_a_stored_pyramid_is_sliced_in_the_background(viewer, qtbot, noted, kind):
    levels, computed = noted
    if kind is Labels:
        levels = [level.astype(np.int32) for level in levels]
    layer = kind(levels, multiscale=True)
    slicing.prepare(layer, viewer, is_lazy=False)
    viewer.add_layer(layer)
    look_at(layer, 0, [[0, 0, 0], [0, 127, 127]])
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    del computed[:]
    viewer.dims.set_current_step(0, 4)
    assert not layer.loaded
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    assert {level for _, level in computed} <= {0, 2}, "what is shown, and the thumbnail"
    seen = [thread for thread, level in computed if level == 0]
    assert len(seen) == 6, "the blocks of one plane"
    assert threading.main_thread() not in seen
    exact = (PLANES[4] / 2).astype(np.int32 if kind is Labels else np.float32)
    np.testing.assert_array_equal(layer._slice.image.raw, exact)
    look_at(layer, 0, [[0, 50, 0], [0, 99, 63]])
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    np.testing.assert_array_equal(layer._slice.image.raw, exact[50:100, :64])
    np.testing.assert_array_equal(layer._transforms["tile2data"].translate[-2:], (50, 0))
    assert len([thread for thread, level in computed if level == 0]) == 6, "cached by tile"
    viewer.dims.ndisplay = 3
    assert layer._slice.image.raw.shape == levels[-1].shape
    viewer.dims.ndisplay = 2
    qtbot.waitUntil(lambda: layer.loaded, timeout=TIMEOUT)
    assert layer._slice.image.raw.ndim == 2
