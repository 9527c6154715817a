"""The Batch panel: what is found is listed, done in the background, opened, and done again."""

from __future__ import annotations

import threading

import imageio.v3 as iio
import numpy as np
import pytest
import skimage as ski
import tifffile
import zarr
from napari.layers import Image, Labels, Points
from qtpy.QtCore import Qt
from tests._napari.conftest import TIMEOUT
from window_work import WindowWork

import napari_tilewise as tw
from napari_tilewise._napari.batch_panel import batch_panel, result_stack
from napari_tilewise._napari.batch_panel import thumbnails as thumbnails
from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
from napari_tilewise._napari.batch_panel.batch_run import Pace, duration
from napari_tilewise._napari.batch_panel.item_table import (
    MESSAGE,
    NAME,
    SECONDS,
    STATE,
    UNFIT,
    WAITING,
)
from napari_tilewise._napari.batch_panel.page_widgets import choose
from napari_tilewise._napari.batch_panel.source_page import (
    FILES,
    LAYERS,
    OVER,
    PLATE,
    REGION,
    WINDOW,
)
from napari_tilewise._napari.layers import item_layers, layer_record
from napari_tilewise._napari.layers.item_layers import OpenItem, ViewState
from napari_tilewise._napari.manifest.commands import open_batch
from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
from napari_tilewise.batches import items_of
from napari_tilewise.batches.tasks import DONE, FAILED, OVERWRITE
from napari_tilewise.errors import InvalidImage
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.recipe import Recipe

pytestmark = pytest.mark.gui

CAMERA = ski.data.camera()


def crop(number, rows=40):
    return CAMERA[100 : 100 + rows, 30 * number : 30 * number + 48]


@pytest.fixture
def folder(tmp_path):
    """Five images, one of which is none."""
    path = tmp_path / "images"
    path.mkdir()
    for number in range(5):
        tifffile.imwrite(path / f"cell{number}.tif", crop(number))
    (path / "cell3.tif").write_bytes(b"II*\0 this is no TIFF")
    return path


@pytest.fixture
def batch(viewer, monkeypatch):
    monkeypatch.setattr(batch_panel, "DELAY", 0)  # nobody types here
    made = BatchPanel(viewer)
    viewer.window.add_dock_widget(made, name="Batch")
    return made


@pytest.fixture
def listed(batch, qtbot):
    """Wait until the panel shows what is chosen, and return the names."""

    def wait():
        qtbot.waitUntil(lambda: not batch.is_listing, timeout=TIMEOUT)
        return [text(batch, row, NAME) for row in range(batch.table.rowCount())]

    return wait


@pytest.fixture
def run(batch, qtbot):
    """Press Run, or another button, and wait for the end and for the layer of results."""

    def press(button=None):
        (button or batch.run_all).click()
        qtbot.waitUntil(lambda: not batch.runner.is_running, timeout=TIMEOUT)
        qtbot.waitUntil(lambda: not batch.opener.stack_runner.is_running, timeout=TIMEOUT)

    return press


@pytest.fixture
def opened(batch, viewer, qtbot):
    """Double-click a row, and return the layers that it adds."""

    def click(row):
        before = list(viewer.layers)
        batch.view.doubleClicked.emit(batch.table.index(row, NAME))
        qtbot.waitUntil(lambda: not batch.opener.item_runner.is_running, timeout=TIMEOUT)
        return [layer for layer in viewer.layers if layer not in before]

    return click


@pytest.fixture
def ready(batch, folder, listed, tmp_path):
    """The folder chosen, and a small thing to do with it."""
    batch.source.folder.path = str(folder)
    batch.task.operation.chooser.choose("filters.gaussian")
    batch.task.operation.form.set_values({"sigma": 2})
    batch.output.folder.path = str(tmp_path / "out")
    listed()
    return batch


def text(batch, row, column):
    return batch.table.data(batch.table.index(row, column), Qt.ItemDataRole.DisplayRole)


def column(batch, number):
    return [text(batch, row, number) for row in range(batch.table.rowCount())]


def pixels(path):
    return np.asarray(open_image(path).data[...])


# -- what is listed --------------------------------------------------------------------------------


def test_nothing_is_run_before_it_is_listed(batch, folder, listed):
    assert "Choose a folder" in batch.message.text()
    assert not batch.run_all.isEnabled()
    batch.source.folder.path = str(folder)
    assert listed() == [f"cell{number}" for number in range(5)]
    assert column(batch, STATE) == ["waiting"] * 5
    assert batch.summary.text() == "5 items"
    assert batch.run_all.isEnabled()
    assert not batch.retry.isEnabled()


def test_files_are_chosen_by_pattern_and_depth(batch, folder, listed):
    (folder / "deep").mkdir()
    tifffile.imwrite(folder / "deep" / "cell9.tif", crop(9))
    batch.source.folder.path = str(folder)
    assert listed()[-1] == "deep/cell9"
    batch.source.recursive.setChecked(False)
    assert len(listed()) == 5
    batch.source.pattern.setText("*2.tif")
    assert listed() == ["cell2"]
    batch.source.pattern.setText("*2.png")
    assert listed() == []
    assert "No image was found" in batch.message.text()
    assert not batch.run_all.isEnabled()
    batch.source.folder.path = str(folder / "nowhere")
    batch.source.pattern.setText("")
    assert listed() == []
    assert "does not exist" in batch.message.text()


def test_layers_positions_and_windows(batch, viewer, listed):
    stack = np.stack([crop(n) for n in range(3)])
    layer = viewer.add_image(stack, name="st/ack", axis_labels=("t", "y", "x"))
    viewer.add_labels((crop(0) > 100).astype(np.uint8), name="mask")
    choose(batch.source.kind, LAYERS)
    batch.source.tick(*viewer.layers)
    assert listed() == ["mask", "st_ack"]
    batch.source.tick(layer)
    choose(batch.source.part, OVER)
    batch.source.over.setText("t")
    assert listed() == ["st_ack_t0", "st_ack_t1", "st_ack_t2"]
    batch.source.over.setText("q")
    assert listed() == []
    assert "'q'" in batch.message.text()
    choose(batch.source.part, WINDOW)
    batch.source.window_size.setText("40, 24")
    assert len(listed()) == 2
    batch.source.step.setText("40, 12")
    assert len(listed()) == 3
    batch.source.step.setText("1.5")
    assert listed() == []
    assert "not a whole number" in batch.message.text()


RECTANGLE = np.array([[4.6, 9.7], [4.6, 30.3], [20.2, 30.3], [20.2, 9.7]])
"""The centres of the pixels 5 to 20 and 10 to 30 are in it."""


def test_a_region_limits_each_layer_where_it_lies(batch, viewer, listed, run, opened):
    viewer.add_image(crop(0), name="a", scale=(0.5, 0.5), translate=(3, 4))
    viewer.add_image(ski.data.astronaut()[:60, :70], name="b", scale=(0.5, 0.5))
    batch.source.tick(*viewer.layers)
    choose(batch.source.part, REGION)
    listed()
    assert "draw one" in batch.message.text()
    shapes = viewer.add_shapes([RECTANGLE * 0.5 + (3, 4)], shape_type="rectangle")
    assert listed() == ["b_y11_x18", "a_axis05_axis110"]
    choose(batch.output.kind, "layer")
    batch.task.operation.chooser.choose("util.invert")
    run()
    part = crop(0)[5:21, 10:31]
    assert "the shape" in batch.message.text()
    batch.source.tick(viewer.layers["a"])
    listed()
    run()
    np.testing.assert_array_equal(viewer.layers[-1].data[0], 255 - part)
    item, result = opened(0)
    np.testing.assert_array_equal(item.data, part)
    np.testing.assert_array_equal(result.data, 255 - part)
    for layer in (item, result):
        np.testing.assert_allclose(layer.translate, (3 + 2.5, 4 + 5))
    shapes.data = [RECTANGLE[:, ::-1] * 0.5 + (3, 4)]
    assert listed() == ["a_axis010_axis15"]
    shapes.data = [RECTANGLE + 500]
    assert listed() == []
    assert "lies beside 'a'" in batch.message.text()
    viewer.layers["b"].translate = (900, 900)
    batch.source.tick(viewer.layers["a"], viewer.layers["b"])
    shapes.data = [RECTANGLE * 0.5 + (3, 4)]
    assert listed() == ["b", "a_axis05_axis110"]
    assert [batch.table.state(row).status for row in range(2)] == [UNFIT, WAITING]
    assert "lies beside 'b'" in batch.table.message(0)
    assert batch.summary.text() == "2 items, 1 cannot run"


def test_a_region_limits_each_file(batch, viewer, folder, listed, run, tmp_path):
    tifffile.imwrite(folder / "cell4.tif", crop(4, rows=15))
    tifffile.imwrite(folder / "cell5.tif", crop(4, rows=4))
    iio.imwrite(folder / "colours.png", ski.data.astronaut()[:50, :60])
    shapes = viewer.add_shapes([RECTANGLE + 90], shape_type="rectangle")
    choose(batch.source.part, REGION)
    batch.source.folder.path = str(folder)
    assert listed() == []
    assert "over no image" in batch.message.text()
    viewer.add_image(np.zeros((40, 48)))
    viewer.add_image(np.zeros((16, 21)), translate=(5, 10), name="an opened part")
    shapes.data = [RECTANGLE]
    names = listed()
    assert names[:3] == [f"cell{n}_y5_x10" for n in range(3)]
    assert names[-3:] == ["cell4_y5_x10", "cell5", "colours_y5_x10"]
    beside = names.index("cell5")
    assert batch.table.state(beside).status == UNFIT, "said before anything runs"
    assert "lies outside the image" in batch.table.message(beside)
    batch.output.folder.path = str(tmp_path / "out")
    batch.task.operation.chooser.choose("util.invert")
    run()
    assert batch.table.state(beside).status == FAILED
    assert "lies outside the image" in batch.table.message(beside)
    done = {path.name: tw.open(path).data for path in (tmp_path / "out").glob("*_x10*")}
    assert sorted(tuple(data.shape) for data in done.values()) == [
        (3, 16, 21), (10, 21), (16, 21), (16, 21), (16, 21),
    ]  # fmt: skip


def test_fields_of_a_plate(batch, listed, tmp_path):
    root = zarr.open_group(tmp_path / "plate.ome.zarr", mode="w")
    wells = [{"path": path} for path in ("A/1", "B/2")]
    root.update_attributes({"ome": {"version": "0.5", "plate": {"wells": wells}}})
    for number, well in enumerate(wells):
        group = root.create_group(well["path"])
        group.update_attributes({"ome": {"version": "0.5", "well": {"images": [{"path": "0"}]}}})
        group.create_array("0", data=crop(number))
    choose(batch.source.kind, PLATE)
    batch.source.plate.path = str(tmp_path / "plate.ome.zarr")
    assert listed() == ["plate/A1_0", "plate/B2_0"]


def test_results_of_an_earlier_batch_are_no_items(ready, folder, listed, run):
    ready.output.folder.path = str(folder)
    assert len(listed()) == 5
    run()
    ready.source.pattern.setText("*")
    ready.source.pattern.setText("")
    assert len(listed()) == 5


# -- what is run -----------------------------------------------------------------------------------


def test_a_corrupt_file_costs_one_row(ready, run, tmp_path):
    run()
    assert column(ready, STATE) == ["done", "done", "done", "failed", "done"]
    assert text(ready, 0, MESSAGE) == "cell0.ome.zarr"
    assert "cell3.tif" in text(ready, 3, MESSAGE)
    assert float(text(ready, 0, SECONDS)) > 0
    assert ready.summary.text() == "4 done, 1 failed, 0 skipped"
    assert str(tmp_path / "out" / "report.csv") in ready.message.text()
    for number in (0, 1, 2, 4):
        found = pixels(tmp_path / "out" / f"cell{number}.ome.zarr")
        np.testing.assert_array_equal(found, ski.filters.gaussian(crop(number), sigma=2))
    run()
    assert ready.summary.text() == "0 done, 1 failed, 4 skipped"


def test_only_the_failed_ones_are_run_again(ready, folder, run, tmp_path):
    run()
    seconds = column(ready, SECONDS)
    tifffile.imwrite(folder / "cell3.tif", crop(3))
    run(ready.retry)
    assert column(ready, STATE) == ["done"] * 5
    assert [new == old for new, old in zip(column(ready, SECONDS), seconds, strict=True)].count(
        True
    ) >= 4
    rows = (tmp_path / "out" / "batch.jsonl").read_text().splitlines()
    assert [sum(f'"{what}": ' in row for row in rows) for what in ("batch", "target")] == [2, 6]
    report = (tmp_path / "out" / "report.csv").read_text()
    assert [f"cell{number}" in report for number in range(5)] == [True] * 5
    assert not ready.retry.isEnabled()


def test_what_is_there_is_an_error_unless_it_may_be_replaced(ready, run, tmp_path):
    run()
    ready.task.operation.form.set_values({"sigma": 3})
    run()
    assert column(ready, STATE) == ["failed"] * 5
    assert "exists" in text(ready, 0, MESSAGE)
    choose(ready.output.existing, OVERWRITE)
    run(ready.retry)
    assert ready.table.counts[DONE] == 4
    found = pixels(tmp_path / "out" / "cell0.ome.zarr")
    np.testing.assert_array_equal(found, ski.filters.gaussian(crop(0), sigma=3))


def test_problems_are_told_before_anything_runs(ready, notes, tmp_path):
    ready.output.folder.path = ""
    ready.run_all.click()
    assert "Choose a folder for the results" in notes[-1].message
    ready.output.folder.path = str(tmp_path / "out")
    ready.output.memory.setText("much")
    ready.run_all.click()
    assert "'much'" in notes[-1].message
    ready.output.memory.setText("")
    ready.task.operation.form.editors["sigma"].widget.value = "three"
    assert "'three'" in ready.task.operation.kind.text()
    ready.run_all.click()
    assert "'three'" in notes[-1].message
    assert not ready.runner.is_running


def test_problems_of_the_whole_batch_are_told(ready, run, notes):
    ready.output.name.setText("same")
    run()
    assert "would both be written to" in notes[-1].message
    assert column(ready, STATE) == ["waiting"] * 5
    assert ready.run_all.isEnabled()


def test_a_function_of_the_users(ready, run, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def _no(image): ...\ndef brightest(image):\n    return {'top': image.max()}\n")
    choose(ready.task.kind, "function")
    ready.task.function.file.path = str(file)
    names = ready.task.function.name
    assert [names.itemText(n) for n in range(names.count())] == ["brightest"]
    run()
    assert text(ready, 0, MESSAGE) == f"top {crop(0).max()}"
    file.write_text("def brightest(image):\n    return {'least': image.min()}\n")
    run()
    assert text(ready, 0, MESSAGE) == f"least {crop(0).min()}"


def test_a_recipe_file_with_a_further_image(ready, viewer, run, notes, tmp_path):
    file = tmp_path / "masked.yaml"
    file.write_text(
        "version: 2\ninputs: [where]\nsteps:\n"
        "- operation: filters.rank.mean\n  parameters: {footprint: {shape: disk, radius: 2}}\n"
        "  inputs: {mask: where}\n"
    )
    choose(ready.task.kind, "recipe")
    ready.task.recipe.file.path = str(tmp_path / "none.yaml")
    assert "none.yaml" in ready.task.recipe.steps.text()
    ready.task.recipe.file.path = str(file)
    assert "Mean" in ready.task.recipe.steps.text()
    run()
    assert "'where' is missing" in notes[-1].message
    mask = (crop(0) > 90).astype(np.uint8)
    layer = viewer.add_labels(mask, name="mask")
    choose(ready.task.recipe._inputs["where"], str(layer.unique_id))
    ready.output.name.setText("{stem}_{recipe}")
    run()
    footprint = ski.morphology.disk(2)
    expected = ski.filters.rank.mean(crop(1), footprint, mask=mask)
    found = pixels(tmp_path / "out" / "cell1_masked.ome.zarr")
    np.testing.assert_array_equal(found, expected)


def test_an_operation_and_a_function_with_an_image_per_item(ready, run, tmp_path, folder):
    (tmp_path / "masks").mkdir()
    masks = [(crop(number) > 90).astype(np.uint8) for number in range(4)]
    for number in (0, 1, 2):
        tifffile.imwrite(tmp_path / "masks" / f"cell{number}.tif", masks[number])
    choose(ready.task.kind, "operation")
    part = ready.task.operation
    part.chooser.choose("filters.sobel")
    part.images._lines["mask"].setText(str(tmp_path / "masks/{stem}.tif"))
    ready.output.name.setText("{stem}_{recipe}")
    run()
    for number in (0, 2):
        expected = ski.filters.sobel(crop(number), mask=masks[number])
        found = pixels(tmp_path / "out" / f"cell{number}_sobel.ome.zarr")
        np.testing.assert_array_equal(found, expected)
    assert "no 'mask'" in text(ready, 4, MESSAGE)
    file = tmp_path / "mine.py"
    file.write_text(
        "def inside(image, mask, weights=None, scale=2, *, other=None):\n"
        "    return {'sum': (image * mask).sum() * scale}\n"
    )
    choose(ready.task.kind, "function")
    ready.task.function.file.path = str(file)
    assert list(ready.task.function.images._lines) == ["mask", "weights", "other"]
    ready.task.function.images._lines["mask"].setText(str(tmp_path / "masks/{stem}.tif"))
    run()
    assert text(ready, 1, MESSAGE) == f"sum {(crop(1) * masks[1]).sum() * 2}"


def test_closing_the_viewer_cancels(make_napari_viewer, qtbot, tmp_path):
    viewer, gate = make_napari_viewer(show=False), tmp_path / "gate"
    made = BatchPanel(viewer)
    viewer.window.add_dock_widget(made)
    viewer.add_image(np.zeros((50, 4, 4)), name="zeros")
    (tmp_path / "mine.py").write_text(
        "import time, pathlib\n"
        f"gate = pathlib.Path({str(gate)!r})\n"
        "def wait(image):\n"
        "    while not gate.exists():\n"
        "        time.sleep(0.01)\n"
        "    return 1\n"
    )
    made.source.tick(viewer.layers[0])
    choose(made.source.part, OVER)
    made.source.over.setText("0")
    choose(made.task.kind, "function")
    made.task.function.file.path = str(tmp_path / "mine.py")
    choose(made.output.kind, "layer")
    qtbot.waitUntil(lambda: not made.is_listing, timeout=TIMEOUT)
    made.run_all.click()
    qtbot.waitUntil(lambda: made.table.counts["running"] > 0, timeout=TIMEOUT)
    cancel = made.runner._worker.cancel
    threading.Thread(target=lambda: cancel.wait(60) and gate.touch()).start()
    viewer.close()
    assert cancel.is_set()


@pytest.mark.parametrize("output", ["layer", "folder"])
def test_cancel_begins_no_more(batch, viewer, listed, qtbot, notes, tmp_path, output):
    begun, gate = threading.Event(), threading.Event()

    class Gated:
        shape, dtype, ndim, size = (6, 4, 4), np.dtype(np.uint8), 3, 96

        def __getitem__(self, key):
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                assert gate.wait(120)
            return np.zeros(self.shape, self.dtype)[key]

    viewer.add_image(Gated(), name="gated", axis_labels=("t", "y", "x"), contrast_limits=(0, 9))
    batch.view.hide()  # pictures of items would wait at the gate too
    batch.source.tick(viewer.layers[0])
    choose(batch.source.part, OVER)
    batch.source.over.setText("t")
    listed()
    choose(batch.output.kind, output)
    batch.output.folder.path = str(tmp_path / "out")
    batch.output.jobs.setValue(1)
    batch.run_all.click()
    qtbot.waitUntil(begun.is_set, timeout=TIMEOUT)
    assert not batch.source.isEnabled()
    batch.cancel.click()
    gate.set()
    qtbot.waitUntil(lambda: not batch.runner.is_running, timeout=TIMEOUT)
    states = column(batch, STATE)
    assert states.count("done") <= 2
    assert states[-1] in ("waiting", "not started")
    assert batch.source.isEnabled()
    assert not notes
    qtbot.waitUntil(lambda: not batch.opener.stack_runner.is_running, timeout=TIMEOUT)
    if output == "folder":
        assert batch.message.text().startswith("Cancelled: ")
        assert len(list((tmp_path / "out").glob("*.ome.zarr"))) == states.count("done")
    else:
        assert viewer.layers[-1].data.shape == (6, 4, 4)
        assert f"{6 - states.count('done')} of 6 items are blank" in batch.message.text()


# -- what is opened --------------------------------------------------------------------------------


def test_double_click_opens_an_item_and_its_result(ready, run, opened, viewer):
    (alone,) = opened(0)
    np.testing.assert_array_equal(alone.data, crop(0))
    run()
    source, result = opened(1)
    assert isinstance(source, Image)
    np.testing.assert_array_equal(source.data, crop(1))
    np.testing.assert_array_equal(result.data, ski.filters.gaussian(crop(1), sigma=2))
    assert (source.name, result.name) == ("cell1", "cell1 - result")
    assert layer_record.of(result).source.id == str(source.unique_id)
    assert layer_record.of(result).recipe.steps[0].operation == "filters.gaussian"
    assert opened(1) == []
    assert [layer.name for layer in opened(0)] == ["cell0 - result"]
    assert opened(3) == []
    assert "cell3.tif" in ready.message.text()


def test_points_open_as_points(ready, run, opened):
    ready.task.operation.chooser.choose("feature.corner_peaks")
    run()
    _, points = opened(0)
    assert isinstance(points, Points)
    np.testing.assert_array_equal(points.data, ski.feature.corner_peaks(crop(0)))


def test_tables_open_as_points_where_they_have_some(ready, run, opened, tmp_path):
    choose(ready.task.kind, "recipe")
    file = tmp_path / "objects.yaml"
    steps = ["filters.threshold_otsu", "measure.label"]
    Recipe([*steps, ("measure.regionprops_table", {"properties": ("label", "centroid")})]).save(
        file
    )
    ready.task.recipe.file.path = str(file)
    run()
    _, points = opened(0)
    labels = ski.measure.label(crop(0) > ski.filters.threshold_otsu(crop(0)))
    table = ski.measure.regionprops_table(labels, properties=("label", "centroid"))
    centres = np.stack([table["centroid-0"], table["centroid-1"]], axis=1)
    np.testing.assert_allclose(points.data, centres)
    assert list(points.features["label"]) == list(table["label"])
    Recipe([*steps, ("measure.regionprops_table", {"properties": ("label", "area")})]).save(file)
    ready.task.recipe.file.path = ""
    ready.task.recipe.file.path = str(file)
    choose(ready.output.existing, OVERWRITE)
    run()
    assert opened(0) == []
    assert str(tmp_path / "out" / "cell0.csv") in ready.message.text()


def open_now(item, result=None, point=(0.0, 0.0)):
    return OpenItem(item, result, ViewState(point, 2))(print, threading.Event())


def test_large_images_are_not_read_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(item_layers, "SMALL", 1000)
    stack = np.stack([crop(number) for number in range(4)])
    np.save(tmp_path / "stack.npy", stack)
    (item,) = items_of(tmp_path / "stack.npy")
    picture, _ = open_now(item, point=(2.0, 0.0, 0.0))
    assert picture.is_lazy
    blocks = dict(picture.levels[0].__dask_graph__())
    held = [key for key, value in blocks.items() if isinstance(value, np.ndarray)]
    assert [key[1:] for key in held] == [(2, 0, 0)]
    np.testing.assert_array_equal(np.asarray(picture.layer().data), stack)
    monkeypatch.setattr(item_layers, "LARGE", 1000)
    with pytest.raises(InvalidImage, match="without a pyramid"):
        open_now(item)
    big = np.kron(crop(0), np.ones((32, 32), np.uint8))
    report = tw.batch("util.invert", {"big": big}, tmp_path / "out", backend="serial")
    (item,) = items_of(report.rows[0]["output"])
    picture, _ = open_now(item)
    assert len(picture.levels) > 1
    assert picture.layer().multiscale
    np.testing.assert_array_equal(np.asarray(picture.layer().data[0]), 255 - big)


def test_windows_lie_where_they_are_in_their_image(tmp_path):
    tw.run("util.invert", crop(0), tmp_path / "image.ome.zarr")
    items = items_of(tmp_path / "image.ome.zarr", window=(20, 24))
    mask = np.zeros((20, 24), bool)
    picture, result = open_now(items[3], mask)
    assert picture.arguments["translate"] == result.arguments["translate"] == (20, 24)
    np.testing.assert_array_equal(picture.layer().data, 255 - crop(0)[20:, 24:])
    assert isinstance(result.layer(), Labels)


def test_colours_stay_colours(tmp_path):
    colours = ski.data.astronaut()[:20, :30]
    iio.imwrite(tmp_path / "a.png", colours)
    (item,) = items_of(tmp_path)
    picture, result = open_now(item, colours // 2)
    assert picture.layer().rgb
    assert result.layer().rgb
    assert thumbnails.thumbnail(item).isGrayscale() is False


def test_positions_come_back_as_one_layer(batch, viewer, listed, run, opened):
    stack = np.stack([[crop(t), crop(t + 4)] for t in range(3)])
    layer = viewer.add_image(
        stack, name="stack", axis_labels=("t", "c", "y", "x"), scale=(2, 1, 0.5, 0.5)
    )
    batch.source.tick(layer)
    choose(batch.source.part, OVER)
    batch.source.over.setText("ct")
    assert len(listed()) == 6
    batch.task.operation.chooser.choose("measure.label")
    choose(batch.output.kind, "layer")
    run()
    made = viewer.layers[-1]
    assert isinstance(made, Labels)
    expected = np.stack([[ski.measure.label(p) for p in pair] for pair in stack])
    np.testing.assert_array_equal(made.data, expected)
    np.testing.assert_allclose(made.scale, layer.scale)
    assert batch.message.text() == f"The results are in {made.name!r}."
    source, result = opened(3)
    np.testing.assert_array_equal(source.data, stack[1, 1])
    np.testing.assert_array_equal(result.data, expected[1, 1])


def test_layers_come_back_as_one_layer_and_failures_are_blank(
    batch, viewer, listed, run, tmp_path, notes
):
    file = tmp_path / "mine.py"
    file.write_text("def twice(image):\n    assert image[0, 0]\n    return image * 2.0\n")
    for number in range(3):
        viewer.add_image(np.full((4, 5), number), name=f"l{number}")
    batch.source.tick(*viewer.layers)
    assert listed() == ["l2", "l1", "l0"]
    choose(batch.task.kind, "function")
    batch.task.function.file.path = str(file)
    choose(batch.output.kind, "layer")
    run()
    made = viewer.layers[-1]
    np.testing.assert_array_equal(made.data[:, 0, 0], [4, 2, 0])
    assert "1 of 3 items are blank" in batch.message.text()
    file.write_text("def twice(image):\n    return image + 7.0\n")
    run(batch.retry)
    assert viewer.layers[-1] is made
    np.testing.assert_array_equal(made.data[:, 0, 0], [4, 2, 7])
    viewer.add_image(np.zeros((3, 3)), name="other")
    batch.source.tick(*viewer.layers[-2:], viewer.layers[0])
    batch.source.tick(viewer.layers[0], viewer.layers["other"])
    listed()
    run()
    assert "the shape" in notes[-1].message


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("measure.label", ski.measure.label),
        ("filters.threshold_otsu", lambda image: image > ski.filters.threshold_otsu(image)),
        ("segmentation.expand_labels", lambda image: ski.segmentation.expand_labels(image)),
    ],
)
def test_labels_and_masks_of_colours_come_back_by_channel(batch, viewer, listed, run, name, one):
    colours = np.stack([ski.data.cat()[at : at + 30, :40] for at in (0, 50)])
    if name == "segmentation.expand_labels":
        colours = colours / 255.0  # what labels are floats is an image
    for number, image in enumerate(colours):
        viewer.add_image(image, rgb=True, scale=(2, 3), name=f"l{number}")
    batch.source.tick(*viewer.layers)
    assert listed() == ["l1", "l0"]
    batch.task.operation.chooser.choose(name)
    choose(batch.output.kind, "layer")
    run()
    made = viewer.layers[-1]
    expected = [[one(image[..., c]) for c in range(3)] for image in colours[::-1]]
    if name == "segmentation.expand_labels":
        assert made.rgb
        np.testing.assert_array_equal(made.data, np.moveaxis(expected, 1, -1))
        return
    assert isinstance(made, Labels)
    np.testing.assert_array_equal(made.data, expected)
    assert made.axis_labels == ("item", "c", "y", "x")
    np.testing.assert_array_equal(made.scale, (1, 1, 2, 3))


def test_a_layer_that_cannot_be_made_is_one_sentence(ready, run, notes, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(result_stack.ResultStack, "layer", fail)
    choose(ready.output.kind, "layer")
    run()
    assert ready.message.text() == "Stacking 4 results failed: ZeroDivisionError: first line"
    assert notes[-1].message == ready.message.text()
    assert ready.run_all.isEnabled()


def test_a_corrupt_first_file_is_blank_in_the_layer(ready, viewer, folder, run):
    (folder / "cell0.tif").write_bytes(b"no image")
    choose(ready.output.kind, "layer")
    run()
    assert column(ready, STATE) == ["failed", "done", "done", "failed", "done"]
    assert "2 of 5 items are blank" in ready.message.text()
    made = viewer.layers[-1].data
    assert not made[0].any()
    np.testing.assert_array_equal(made[4], ski.filters.gaussian(crop(4), sigma=2))


def test_a_layer_that_goes_meanwhile_is_listed_no_more_afterwards(
    batch, viewer, listed, run, tmp_path
):
    for number in range(2):
        viewer.add_image(np.full((4, 5), number), name=f"l{number}")
    batch.source.tick(*viewer.layers)
    assert listed() == ["l1", "l0"]
    choose(batch.output.kind, "layer")
    batch.task.operation.chooser.choose("util.invert")
    batch.run_all.click()
    viewer.layers.remove("l0")
    assert batch.table.rowCount() == 2
    assert listed() == ["l1", "l0"]
    run(batch.cancel)
    assert listed() == ["l1"]


def test_numbers_stand_in_the_table(ready, viewer, run, notes):
    ready.task.operation.chooser.choose("measure.shannon_entropy")
    choose(ready.output.kind, "layer")
    run()
    assert text(ready, 0, MESSAGE).startswith("result ")
    assert "The numbers are in the table" in ready.message.text()
    assert not viewer.layers
    ready.task.operation.chooser.choose("feature.corner_peaks")
    run()
    assert "gives points, which cannot become one layer" in notes[-1].message
    assert column(ready, STATE) == ["waiting"] * 5


def test_a_layer_that_would_not_fit_is_refused(ready, run, notes, monkeypatch):
    class Little:
        available = 20_000

    monkeypatch.setattr("psutil.virtual_memory", Little)
    choose(ready.output.kind, "layer")
    run()
    assert "write the results to files" in notes[-1].message


def test_a_click_shows_the_whole_message(ready, run):
    run()
    ready.view.clicked.emit(ready.table.index(3, NAME))
    assert ready.message.text() == text(ready, 3, MESSAGE)
    assert "'cell3.tif'" in ready.message.text()


def test_the_pace_is_told_in_words():
    assert [duration(s) for s in (3.2, 500, 9000)] == ["3 s", "8 min", "2 h 30 min"]
    assert Pace().describe(0, 1000) == "0 of 1,000"
    assert Pace().describe(900, 1000).endswith(" per second, 0 s left")


def test_pictures_are_made_of_rows_that_are_shown(ready, qtbot, viewer):
    viewer.window._qt_window.show()
    ready.view.show()
    qtbot.waitUntil(lambda: len(ready.table.thumbnails._cache) >= 5, timeout=TIMEOUT)
    found = [ready.table.thumbnails.of(row).toImage() for row in range(5)]
    assert found[3] == ready.table.thumbnails._blank.toImage()  # no image
    assert found.count(found[3]) == 1


# -- from the Recipe panel -------------------------------------------------------------------------


def test_send_to_batch(viewer, panel, qtbot, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", crop(0))
    tifffile.imwrite(tmp_path / "b.tif", crop(1))
    viewer.open(tmp_path / "a.tif", plugin="napari")
    recipes = RecipePanel(viewer)
    viewer.window.add_dock_widget(recipes, name="Recipe")
    assert not recipes.batch.isEnabled()
    recipes.add_step("filters.sobel")
    recipes.batch.click()
    batch = open_batch(viewer)
    assert batch.task.request().recipe == recipes.recipe
    assert batch.source.kind.currentData() == FILES
    qtbot.waitUntil(lambda: not batch.is_listing, timeout=TIMEOUT)
    assert column(batch, NAME) == ["a"]
    batch.source.pattern.setText("*.tif")
    batch.output.folder.path = str(tmp_path / "out")
    qtbot.waitUntil(lambda: not batch.is_listing, timeout=TIMEOUT)
    batch.run_all.click()
    qtbot.waitUntil(lambda: not batch.runner.is_running, timeout=TIMEOUT)
    found = pixels(tmp_path / "out" / "b.ome.zarr")
    np.testing.assert_array_equal(found, ski.filters.sobel(crop(1)))
    memory = viewer.add_image(crop(2), name="in memory")
    recipes.add_step("filters.sobel")
    recipes.batch.click()
    qtbot.waitUntil(lambda: not batch.is_listing, timeout=TIMEOUT)
    assert batch.source.ticked == [memory]
    assert column(batch, NAME) == ["in memory"]


# -- a window that lives ---------------------------------------------------------------------------

MANY = 10_000


POLLS = ("is_listing", "is_running", "_poll", "_look", "is_idle", "finished")
"""What the window's thread asks again and again, as long as something takes."""
CELLS = (
    "ItemTableModel.data", "ItemTableModel._text", "ItemTableModel.message", "RowModel.",
    "Thumbnails.", "_ThumbnailThread.",
)  # fmt: skip
"""What is asked for the cells that are visible."""


def lines_but(work, *names):
    """Return the lines that the window executed in functions but those named."""
    return {name: n for name, n in work.lines.items() if not any(part in name for part in names)}


def test_the_window_does_nothing_for_each_of_many_files(batch, viewer, qtbot, tmp_path):
    for number in range(MANY):
        (tmp_path / f"{number}.tif").touch()
    viewer.window._qt_window.show()
    with WindowWork() as work:
        batch.source.folder.path = str(tmp_path)
        qtbot.waitUntil(lambda: batch.is_listing, timeout=TIMEOUT)
        qtbot.waitUntil(lambda: not batch.is_listing, timeout=TIMEOUT)
    assert batch.table.rowCount() == MANY
    assert 0 < sum(lines_but(work, *POLLS, *CELLS).values()) < MANY // 10


def test_the_states_of_many_items_are_drawn_together(
    batch, viewer, listed, qtbot, tmp_path, monkeypatch
):
    (tmp_path / "mine.py").write_text("def mean(image):\n    return float(image.mean())\n")
    viewer.window._qt_window.show()
    viewer.add_image(np.arange(MANY, dtype=np.uint16).reshape(100, 100), name="image")
    batch.source.tick(viewer.layers[0])
    choose(batch.source.part, WINDOW)
    batch.source.window_size.setText("1")
    assert len(listed()) == MANY
    choose(batch.task.kind, "function")
    batch.task.function.file.path = str(tmp_path / "mine.py")
    choose(batch.output.kind, "layer")
    choose(batch.output.backend, "serial")
    taken, drawn = [], []
    take = batch.table.take
    monkeypatch.setattr(batch.table, "take", lambda news: taken.append(1) or take(news))
    batch.table.dataChanged.connect(lambda *cells: drawn.append(cells))
    with WindowWork() as work:
        batch.run_all.click()
        qtbot.waitUntil(lambda: batch.table.counts[DONE] >= MANY // 10, timeout=60_000)
        batch.cancel.click()
        qtbot.waitUntil(lambda: not batch.runner.is_running, timeout=TIMEOUT)
    assert batch.table.counts[FAILED] == 0
    assert batch.table.counts.total() == MANY
    assert not batch.table.counts["running"]
    assert text(batch, 7, MESSAGE) == "result 7"
    looks = work.lines["Runner._poll"]  # at least one line for each look
    thumbnails_drawn = work.lines["ItemTableModel._thumbnail_ready"]
    assert 0 < len(drawn) <= len(taken) + thumbnails_drawn
    assert len(taken) <= looks + 3
