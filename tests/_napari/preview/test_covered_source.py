"""The source below an opaque preview is drawn only where some of it may be seen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tests._napari.conftest import TIMEOUT
from tests._napari.previews import speckles

from napari_tilewise._napari.preview import covered_source
from napari_tilewise._napari.preview.view import camera_of

IMAGE = speckles((200, 240))


@pytest.fixture
def source(viewer):
    return viewer.add_image(IMAGE, name="spots")


@pytest.fixture
def preview(panel):
    return panel.preview


@pytest.fixture
def show(panel, preview, qtbot):
    """Show the preview of an operation, and return its layer."""

    def show(name="filters.gaussian", **params):
        if panel.operation.name != name:
            panel.choose(name)
        panel.form.set_values(params)
        preview.bar.on.setChecked(True)
        qtbot.waitUntil(lambda: preview.is_still and preview.shown.is_shown, timeout=TIMEOUT)
        return preview.shown.layer

    return show


@pytest.fixture
def is_drawn(viewer, source):
    node = viewer.window._qt_viewer.canvas.layer_to_visual[source].node
    return lambda: node.visible


def test_it_is_not_drawn_and_its_layer_stays_as_it_is(viewer, source, show, is_drawn):
    layer = show(sigma=2)
    assert not is_drawn()
    assert source.visible
    assert list(viewer.layers) == [source, layer]
    show(sigma=3)
    assert not is_drawn()


def test_the_picture_is_the_same(viewer, preview, show, is_drawn):
    show(sigma=2)
    covered = viewer.screenshot(canvas_only=True, flash=False)
    assert not is_drawn()
    preview.shown.covered.uncover()
    assert is_drawn()
    np.testing.assert_array_equal(covered, viewer.screenshot(canvas_only=True, flash=False))


def _move_camera(viewer, source, preview):
    camera_of(viewer).zoom /= 8


def _pan_away(viewer, source, preview):
    camera_of(viewer).center = (0, 20, 20)


def _show_in_3d(viewer, source, preview):
    viewer.dims.ndisplay = 3


def _shine_through(viewer, source, preview):
    preview.shown.layer.opacity = 0.5


def _add_up(viewer, source, preview):
    preview.shown.layer.blending = "additive"


def _fade_in(viewer, source, preview):
    preview.shown.layer.colormap = [[0, 0, 0, 0], [1, 1, 1, 1]]


def _press(viewer, source, preview):
    preview.bar.before.pressed.emit()


def _split(viewer, source, preview):
    preview.bar.splits.setChecked(True)


def _side_by_side(viewer, source, preview):
    viewer.canvas.grid.enabled = True


def _move_source(viewer, source, preview):
    source.translate = (5, 5)


def _move_preview(viewer, source, preview):
    preview.shown.layer.scale = (2, 2)


def _enlarge_canvas(viewer, source, preview):
    height, width = viewer.canvas.size
    viewer.canvas.size = (height * 2, width * 2)


def _switch_off(viewer, source, preview):
    preview.bar.on.setChecked(False)


REVEALING = [
    _move_camera, _pan_away, _show_in_3d, _shine_through, _add_up, _fade_in, _press, _split,
    _side_by_side, _move_source, _move_preview, _enlarge_canvas, _switch_off,
]  # fmt: skip


@pytest.mark.parametrize("reveal", REVEALING)
def test_it_is_drawn_at_once_where_it_may_be_seen(viewer, source, preview, show, is_drawn, reveal):
    """Without a drawing between: a picture may be taken next."""
    camera_of(viewer).center, camera_of(viewer).zoom = (0, 100, 120), 8
    show(sigma=2)
    assert not is_drawn()
    reveal(viewer, source, preview)
    assert is_drawn() or viewer.dims.ndisplay == 3
    viewer.dims.ndisplay = 2
    assert is_drawn()


@pytest.mark.parametrize("missing", ["grid", "size", "window"])
def test_another_napari_draws_it_always(viewer, source, missing):
    """One that does not tell what else may show it, or has no such nodes."""
    canvas = SimpleNamespace(grid=viewer.canvas.grid, events=SimpleNamespace(size=None))
    other = SimpleNamespace(canvas=canvas, window=viewer.window)
    assert covered_source._node_of(other, source) is not None
    owner = {"grid": canvas, "size": canvas.events, "window": other}[missing]
    delattr(owner, missing)
    assert covered_source._node_of(other, source) is None


def test_it_is_not_drawn_where_the_user_hid_it(source, preview, show, is_drawn):
    show(sigma=2)
    source.visible = False
    assert not preview.shown.covered.is_covered
    assert not is_drawn()
    source.visible = True
    assert is_drawn()
    show(sigma=3)
    assert not is_drawn()


def test_it_shows_where_a_value_is_not_a_number(viewer, panel, show):
    image = IMAGE.astype(np.float32)
    image[100, 120] = np.nan
    source = viewer.add_image(image, name="holes")
    panel.target.layer_box.value = source
    show(sigma=2)
    assert viewer.window._qt_viewer.canvas.layer_to_visual[source].node.visible


@pytest.mark.parametrize("name", ["filters.threshold_otsu", "feature.blob_dog"])
def test_it_shows_below_objects(show, source, is_drawn, name):
    show(sigma=2)
    show(name)
    assert is_drawn()


def test_other_steps_of_a_stack_are_drawn(viewer, panel, show):
    stack = viewer.add_image(np.stack([IMAGE] * 3), name="stack", axis_labels=("t", "y", "x"))
    panel.target.layer_box.value = stack
    node = viewer.window._qt_viewer.canvas.layer_to_visual[stack].node
    show(sigma=2)
    assert not node.visible
    viewer.dims.set_current_step(0, 2)
    assert node.visible
