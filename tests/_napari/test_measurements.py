"""The Measurements panel: a table of objects linked with the canvas, and other numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from qtpy.QtCore import QItemSelectionModel, QPoint, Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QApplication
from skimage import data, exposure, feature, measure, transform
from tests._napari.conftest import TIMEOUT
from window_work import WindowWork

import napari_tilewise as tw
from napari_tilewise._napari.layers import object_table
from napari_tilewise._napari.layers.columns import plain_columns
from napari_tilewise._napari.manifest.commands import open_measurements
from napari_tilewise._napari.measurements.measurements_panel import MeasurementsPanel

pytestmark = pytest.mark.gui

COINS = data.coins()[:150, :200]
LABELS = measure.label(COINS > 120)
PROPERTIES = ("label", "area", "eccentricity")


@pytest.fixture
def labels(viewer):
    return viewer.add_labels(LABELS, name="coins", scale=(0.5, 0.5), units=("um", "um"))


@pytest.fixture
def measured(viewer, labels, run):
    run("measure.regionprops_table", labels, properties=PROPERTIES)
    return open_measurements(viewer)


def click(panel, position, *modifiers):
    """Press and release the mouse over a world position, as napari tells it to the viewer."""
    event = SimpleNamespace(
        type="mouse_press", pos=(5, 5), position=position, modifiers=modifiers,
        view_direction=None, dims_displayed=list(panel.viewer.dims.displayed),
    )  # fmt: skip
    (callback,) = [
        one for one in panel.viewer.mouse_drag_callbacks if getattr(one, "__self__", None) is panel
    ]
    clicking = callback(panel.viewer, event)
    next(clicking)
    event.type = "mouse_release"
    assert list(clicking) == []


def select(panel, *rows):
    """Select visible rows of the table, as a click does."""
    model = panel.objects.model
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    panel.objects.table.clearSelection()
    for row in rows:
        panel.objects.table.selectionModel().select(model.index(row, 0), flags)


def test_the_table_belongs_to_the_labels_and_napari_s_rows_are_the_label_ids(
    viewer, labels, measured
):
    assert list(viewer.layers) == [labels]
    expected = measure.regionprops_table(LABELS, properties=PROPERTIES, spacing=(0.5, 0.5))
    assert labels.features["label"].tolist() == list(range(LABELS.max() + 1))
    np.testing.assert_array_equal(labels.features["area"][expected["label"]], expected["area"])
    assert np.isnan(labels.features["area"][0])
    assert set(labels.features["unit"]) == {"µm"}, "for napari's status bar"
    assert measured.layer is labels
    titles = [column.title for column in measured.objects.model.columns]
    assert titles == ["label", "area (µm²)", "area (px²)", "eccentricity"]
    pixels = measured.objects.column("area (px²)").values
    np.testing.assert_allclose(pixels, np.bincount(LABELS.flat)[1:])
    assert object_table.of(labels).recipe.recipe.steps[-1].parameters["properties"] == PROPERTIES


def test_without_units_columns_are_in_pixels(viewer, run):
    viewer.add_labels(LABELS, name="plain")
    run("measure.regionprops_table", properties=("label", "area", "perimeter"))
    titles = [column.title for column in open_measurements(viewer).objects.model.columns]
    assert titles == ["label", "area (px²)", "perimeter (px)"]
    assert "unit" not in viewer.layers["plain"].features


def test_a_scale_without_units_has_no_name_and_pixels_beside_it(viewer, run):
    viewer.add_labels(LABELS, name="scaled", scale=(0.5, 0.25))
    run("measure.regionprops_table", properties=("label", "area", "axis_major_length"))
    objects = open_measurements(viewer).objects
    titles = [column.title for column in objects.model.columns]
    assert titles == ["label", "area", "area (px²)", "axis_major_length"]
    pixels = np.bincount(LABELS.flat)[1:]
    np.testing.assert_allclose(objects.column("area").values, pixels / 8)
    np.testing.assert_allclose(objects.column("area (px²)").values, pixels)


def test_a_rotation_moves_objects_but_not_what_is_measured(viewer, run):
    place = {"scale": (0.5, 0.25), "units": ("um", "um")}
    tables = []
    for name, turn in (("plain", {}), ("turned", {"rotate": 30, "translate": (5, 7)})):
        viewer.add_labels(LABELS, name=name, **place, **turn)
        run("measure.regionprops_table", properties=("label", "area", "centroid", "moments"))
        columns = open_measurements(viewer).objects.model.columns
        tables.append({column.title: column.values for column in columns})
    assert {"centroid-0 (µm)", "centroid-0 (px)", "moments-1-2 (µm³)"} <= set(tables[0])
    for title, values in tables[0].items():
        np.testing.assert_array_equal(tables[1][title], values)


def test_axes_of_another_kind_leave_a_table_without_a_unit(viewer, run):
    """An area of pixels and seconds has no name, and no pixels of another unit."""
    viewer.add_labels(LABELS, name="kymograph", scale=(2, 0.5), units=("s", "um"))
    run("measure.regionprops_table", properties=("label", "area"))
    objects = open_measurements(viewer).objects
    assert [column.title for column in objects.model.columns] == ["label", "area", "area (px²)"]


def test_a_row_leads_to_its_object(viewer, labels, measured):
    viewer.scene.camera.zoom = 4
    row = int(np.flatnonzero(measured.objects.column("area (px²)").values > 300)[0])
    select(measured, row)
    (region,) = [one for one in measure.regionprops(LABELS) if one.label == row + 1]
    box = np.array(region.bbox)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (box[:2] + box[2:] - 1) / 4)
    shown = labels.colormap.map(np.arange(LABELS.max() + 1))
    opaque = np.flatnonzero(shown[:, 3] > 0.9)
    assert opaque.tolist() == [row + 1], "the object stands out"
    measured.objects.choose(np.arange(3))
    shown = labels.colormap.map(np.arange(LABELS.max() + 1))
    assert np.flatnonzero(shown[:, 3] > 0.9).tolist() == [1, 2, 3]
    measured.objects.choose(np.zeros(0, int))
    assert labels.colormap.map(np.arange(1, 4))[:, 3].min() > 0.9


def test_an_object_leads_to_its_row(viewer, labels, measured):
    (first, second) = [tuple(np.argwhere(LABELS == label)[0] * 0.5) for label in (5, 9)]
    measured.show()
    click(measured, first)
    table = measured.objects.table
    assert [index.row() for index in table.selectionModel().selectedRows()] == [4]
    click(measured, second, "Shift")
    assert measured.objects.chosen.tolist() == [4, 8]
    click(measured, tuple(np.argwhere(LABELS == 0)[0] * 0.5))
    assert measured.objects.chosen.tolist() == []


def test_channels_have_the_names_that_the_file_has(viewer, run, tmp_path):
    path = tmp_path / "two.ome.tif"
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, np.stack([COINS, COINS[::-1]]), metadata=metadata, ome=True)
    (image,) = viewer.open(path, plugin="napari")
    image.axis_labels = ("c", "y", "x")
    mask = run("filters.threshold_otsu", image)
    labels = run("measure.label", mask)
    run("measure.regionprops_table", labels, properties=("label", "area"))
    view = open_measurements(viewer).objects
    titles = [column.title for column in view.model.columns]
    assert titles[:3] == ["c", "channel", "label"]
    names, numbers = view.column("channel").values, view.column("c").values
    assert set(zip(numbers.tolist(), names.tolist(), strict=True)) == {(0, "DAPI"), (1, "GFP")}


def test_sorting_and_filters_keep_rows_and_objects_together(measured):
    view, model = measured.objects, measured.objects.model
    area = view.column("area (µm²)").values
    view.choose(np.array([6]))
    view.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert model.order.tolist() == np.argsort(-area, kind="stable").tolist()
    (index,) = view.table.selectionModel().selectedRows()
    assert model.order[index.row()] == 6
    view.filter.setText("area_px > 50 and eccentricity < 0.8")
    view.filter.returnPressed.emit()
    keep = (view.column("area (px²)").values > 50) & (view.column("eccentricity").values < 0.8)
    assert sorted(model.order) == np.flatnonzero(keep).tolist()
    assert f"{keep.sum()} of {len(area)} objects" in view.count.text()
    view.filter.setText("wings > 2")
    view.filter.returnPressed.emit()
    assert "no column 'wings'" in measured.message.text()
    assert model.rowCount() == keep.sum(), "what was shown stays"


@pytest.mark.parametrize(
    "text", ["AREA > 5 And not Eccentricity >= 0.8", "area (µm²)>5 and eccentricity < 0.8",
             "area (px²) > 20 and eccentricity<0.8"],
)  # fmt: skip
def test_a_filter_takes_titles_and_capitals(measured, text):
    view = measured.objects
    view.filter.setText(text)
    view.filter.returnPressed.emit()
    keep = (view.column("area (µm²)").values > 5) & (view.column("eccentricity").values < 0.8)
    assert 0 < keep.sum() < len(keep)
    assert sorted(view.model.order) == np.flatnonzero(keep).tolist()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("wings > 2", "The table has no column 'wings'. It has 'label', 'area', 'area_px', "),
        ("open('a') > 2", "The filter does not understand"),
        ("area > 'large'", "The filter \"area > 'large'\" compares a number with a text"),
        ("area >", "The filter 'area >' cannot be read"),
        ("area", "The filter 'area' is not a condition"),
    ],
)
def test_a_filter_that_is_refused_says_why_once(measured, text, reason):
    measured.objects.filter.setText(text)
    measured.objects.filter.returnPressed.emit()
    message = measured.message.text()
    assert message.startswith(reason)
    assert "ufunc" not in message
    assert ".." not in message
    assert message.count("The filter") + message.count("The table") == 1


def test_colours_by_a_column(labels, measured):
    view = measured.objects
    own = labels.colormap
    view.colour.setCurrentText("area (µm²)")
    assert view.legend.isVisibleTo(view)
    area = view.column("area (µm²)").values
    assert view.legend.limits == (area.min(), area.max())
    colours = labels.colormap.map(np.arange(LABELS.max() + 1))
    assert colours[0, 3] == 0
    np.testing.assert_allclose(colours[1 + area.argmax(), :3], (0.993, 0.906, 0.144), atol=0.01)
    view.colour.setCurrentIndex(0)
    assert labels.colormap is own
    assert not view.legend.isVisibleTo(view)


def test_a_drag_over_the_plot_chooses_objects(measured):
    view = measured.objects
    view.across.setCurrentText("area (µm²)")
    area = view.column("area (µm²)").values
    view.plot.brushed.emit((5.0, 20.0), None)
    assert view.chosen.tolist() == np.flatnonzero((area >= 5) & (area <= 20)).tolist()
    view.up.setCurrentText("eccentricity")
    view.plot.brushed.emit((5.0, 20.0), (0.0, 0.5))
    round_ones = view.column("eccentricity").values <= 0.5
    keep = np.flatnonzero((area >= 5) & (area <= 20) & round_ones)
    assert view.chosen.tolist() == keep.tolist()
    view.only_chosen.setChecked(True)
    assert view.model.order.tolist() == keep.tolist()
    view.plot.resize(300, 200)
    assert not view.plot.grab().isNull()


def test_the_plot_shows_what_the_filter_shows(measured):
    """So a filter leaves out what lies far off, and the rest fills the plot."""
    view = measured.objects
    area = view.column("area (µm²)").values
    view.across.setCurrentText("area (µm²)")
    assert len(view.plot._data.x) == len(area)
    limit = float(np.median(area))
    view.filter.setText(f"area < {limit}")
    view.filter.returnPressed.emit()
    np.testing.assert_array_equal(view.plot._data.x, area[area < limit])
    view.choose(np.array([int(area.argmin()), int(area.argmax())]))
    assert view.plot._chosen.sum() == 1
    view.only_chosen.setChecked(True)
    assert view.model.order.tolist() == [int(area.argmin())]
    assert len(view.plot._data.x) == np.count_nonzero(area < limit), "others can be chosen"
    view.plot.brushed.emit((0.0, limit), None)
    assert sorted(view.model.order) == np.flatnonzero(area < limit).tolist()
    view.filter.clear()
    view.filter.returnPressed.emit()
    assert len(view.plot._data.x) == len(area)


def test_a_narrow_drag_over_a_scatter_chooses_and_a_click_does_not(measured, qtbot):
    plot = measured.objects.plot
    plot.resize(300, 200)
    brushed, cleared = [], []
    plot.brushed.connect(lambda *limits: brushed.append(limits))
    plot.cleared.connect(lambda: cleared.append(True))
    measured.objects.up.setCurrentText("eccentricity")
    for end in (QPoint(151, 120), QPoint(150, 41)):
        qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(150, 40))
        qtbot.mouseMove(plot, end)
        qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=end)
    assert len(brushed) == 1
    assert cleared == [True]


def test_the_copy_key_copies_the_chosen_rows(measured, qtbot):
    """Not one cell, as Qt's own table does."""
    view = measured.objects
    measured.show()
    view.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    view.choose(np.array([2, 6]))
    view.table.setFocus()
    area = view.column("area (µm²)").values
    view.table.findChild(QShortcut).activated.emit()
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0].startswith("label\tarea (µm²)")
    rows = sorted((2, 6), key=lambda row: -area[row])
    assert [line.split("\t")[0] for line in lines[1:]] == [str(row + 1) for row in rows]
    assert measured.message.text() == "Copied 2 rows."


def test_a_name_of_another_format_is_refused_with_both_formats(measured, qtbot, tmp_path):
    measured.objects.save_rows(tmp_path / "table.xlsx")
    qtbot.waitUntil(lambda: not measured.objects.writer.is_running, timeout=TIMEOUT)
    assert "ends in .csv or .parquet" in measured.message.text()
    assert not list(tmp_path.iterdir())


def test_export_and_copy(measured, qtbot, tmp_path):
    view = measured.objects
    view.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    view.copy.click()
    lines = QApplication.clipboard().text().splitlines()
    assert lines[0] == "label\tarea (µm²)\tarea (px²)\teccentricity"
    assert len(lines) == LABELS.max() + 1
    for name in ("table.csv", "table.parquet"):
        view.save_rows(tmp_path / name)
        qtbot.waitUntil(lambda: not view.writer.is_running, timeout=TIMEOUT)
    assert f"Saved {'table.parquet'!r}" in measured.message.text()
    rows = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].split(",")[0] == lines[1].split("\t")[0]
    parquet = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "table.parquet")
    np.testing.assert_array_equal(
        parquet["area (µm²)"], view.column("area (µm²)").values[view.model.order]
    )


def test_changes_by_hand_are_said(labels, measured):
    labels.paint((5, 5), 3)
    measured.show_layer(labels)
    assert "was changed by hand after it was measured" in measured.message.text()


def test_a_time_series_shows_the_row_of_its_frame(viewer, run):
    series = np.zeros((3, 30, 30), np.uint8)
    series[0, 2:5, 2:5], series[1, 2:8, 2:8], series[2, 2:4, 2:4] = 1, 1, 1
    series[2, 20:24, 20:24] = 3
    labels = viewer.add_labels(series, name="cells", axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    run("measure.regionprops_table", labels, properties=("label", "area"))
    assert labels.features["area"].tolist()[1:] == [9]
    viewer.dims.set_point(0, 1)
    assert labels.features["area"].tolist()[1:] == [36]
    assert "36" in labels.get_status((1, 3, 3), world=True, dims_displayed=[1, 2])["value"]
    panel = open_measurements(viewer)
    panel.show()
    click(panel, (1, 3, 3))
    assert panel.objects.chosen.tolist() == [1]
    select(panel, 3)
    assert viewer.dims.current_step[0] == 2
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (21.5, 21.5))


def test_a_million_rows_are_shown_without_work_per_row(viewer):
    view = MeasurementsPanel(viewer).objects
    random = np.random.default_rng(0)
    count = 1_000_000
    columns = {"label": np.arange(1, count + 1), "area": random.random(count)}
    with WindowWork() as work:
        view.show_table(plain_columns(columns), None)
        view.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
        view.filter.setText("area > 0.5")
        view.filter.returnPressed.emit()
        view.choose(np.arange(0, count, 3))
        view.up.setCurrentText("area")
        view.plot.resize(300, 200)
        view.plot.grab()
    assert view.model.rowCount() == np.count_nonzero(columns["area"] > 0.5)
    assert sum(work.lines.values()) < 5_000


def test_scripts_measure_the_layer_in_the_viewer(viewer, labels):
    table = tw.apply("measure.regionprops_table", labels, properties=PROPERTIES, viewer=viewer)
    assert table is labels
    assert list(viewer.layers) == [labels]
    apart = tw.apply("measure.regionprops_table", Labels(LABELS), properties=("area",))
    assert apart.features["area"].tolist()[1:] == np.bincount(LABELS.flat)[1:].tolist()


def test_points_have_a_table_too(viewer, run):
    image = viewer.add_image(COINS, name="coins")
    blobs = run("feature.blob_dog", image, max_sigma=10.0, threshold=0.1)
    panel = open_measurements(viewer)
    panel.show_layer(blobs)
    assert len(panel.objects.model.order) == len(
        feature.blob_dog(COINS, max_sigma=10, threshold=0.1)
    )
    select(panel, 2)
    assert blobs.selected_data == {2}
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], blobs.data[2])


def test_lengths_that_count_pixels_are_in_the_layers_unit(viewer, run, panel):
    """With the pixels beside them, as the declaration says; the stored numbers stay in pixels."""
    mask = COINS > 150
    fine = viewer.add_image(mask.astype(float), name="mask", scale=(0.5, 0.5), units=("um", "um"))
    run("measure.perimeter", fine)
    expected = measure.perimeter(mask)
    (shown,) = panel.numbers.numbers.values()
    assert shown == f"{expected / 2} µm ({expected} px)"
    assert panel.numbers.table.item(0, 1).text() == f"{expected / 2:.6g} µm ({expected:.6g} px)"
    src, dst = (10, 10), (40, 50)
    run("measure.profile_line", fine, src=src, dst=dst)
    numbers = open_measurements(viewer).numbers
    profile = measure.profile_line(mask.astype(float), src, dst)
    assert numbers.plot._data.x_title == "distance (µm)"
    np.testing.assert_allclose(numbers.plot._data.x, np.arange(len(profile)) / 2)
    titles = [column.title for column in numbers.model.columns]
    assert titles == ["distance (µm)", "distance (px)", "return value"]
    np.testing.assert_array_equal(numbers.model.columns[2].values, profile)
    run("transform.hough_line", fine)
    _, _, distances = transform.hough_line(mask.astype(float))
    columns = {column.title: column.values for column in numbers.model.columns}
    np.testing.assert_array_equal(columns["distances (px)"], distances)
    np.testing.assert_array_equal(columns["distances (µm)"], distances / 2)


def test_lengths_in_directions_that_pixels_do_not_share(viewer, run, panel):
    """A perimeter has no length then; a line has one."""
    mask = (COINS > 150).astype(float)
    flat = viewer.add_image(mask, name="mask", scale=(0.5, 2), units=("um", "um"))
    run("measure.perimeter", flat)
    assert list(panel.numbers.numbers.values()) == [f"{measure.perimeter(mask > 0)} px"]
    run("measure.profile_line", flat, src=(10, 10), dst=(40, 50))
    numbers = open_measurements(viewer).numbers
    length = np.hypot(30 * 0.5, 40 * 2)
    np.testing.assert_allclose(numbers.plot._data.x[-1], length)


def test_lengths_without_a_unit_are_in_pixels(viewer, run, panel):
    mask = viewer.add_image((COINS > 150).astype(float), name="mask")
    run("measure.perimeter", mask)
    assert list(panel.numbers.numbers.values()) == [f"{measure.perimeter(COINS > 150)} px"]
    run("measure.profile_line", mask, src=(10, 10), dst=(40, 50))
    assert open_measurements(viewer).numbers.plot._data.x_title == "distance (px)"


def test_curves_pictures_and_small_tables(viewer, run):
    image = viewer.add_image(COINS, name="coins")
    run("exposure.histogram", image)
    panel = open_measurements(viewer)
    numbers = panel.numbers
    counts, centers = exposure.histogram(COINS)
    assert panel.tabs.currentWidget() is numbers
    assert numbers.choice.currentText() == "Histogram"
    np.testing.assert_array_equal(numbers.plot._data.x, centers)
    np.testing.assert_array_equal(numbers.plot._data.y, counts)
    numbers.copy.click()
    assert len(QApplication.clipboard().text().splitlines()) == len(counts) + 1
    run("transform.hough_line", viewer.add_image((COINS > 150).astype(float), name="edges"))
    assert numbers.picture.isVisibleTo(numbers)
    run("measure.moments", image)
    assert not numbers.plot.isVisibleTo(numbers)
    columns = {column.title: column.values for column in numbers.model.columns}
    assert list(columns) == ["name", "value", "unit"]
    assert columns["name"].tolist() == [f"{y}-{x}" for y in range(4) for x in range(4)]
    np.testing.assert_array_equal(columns["value"], measure.moments(COINS).ravel())
    assert columns["unit"].tolist()[:6] == ["", "px", "px²", "px³", "px", "px²"]
    assert numbers.model.data(numbers.model.index(0, 1)) == str(int(COINS.sum()))
