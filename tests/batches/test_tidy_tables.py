"""Tables of many items: the same columns, whatever makes a row an item; for pandas and AnnData."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from skimage import filters, measure

import napari_tilewise as tw
from napari_tilewise.errors import MissingExtra
from napari_tilewise.recipe import Step

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = tw.Recipe(
    ["measure.label", ("measure.regionprops_table", {"properties": ("label", "area")})]
)
FRAMES = np.random.default_rng(0).random((2, 3, 20, 24)) > 0.7


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "s.tif"
    pixels = FRAMES.astype(np.uint8)
    tifffile.imwrite(path, pixels, metadata={"axes": "TCYX"}, imagej=True)
    return path


@pytest.mark.parametrize("folder", [None, "out"])
@pytest.mark.parametrize("over", [None, "t", "tc"])
def test_columns_do_not_depend_on_what_is_an_item(
    stack: Path, tmp_path: Path, over: str | None, folder: str | None
) -> None:
    out = None if folder is None else tmp_path / folder
    table = tw.batch(RECIPE, str(stack), out, over=over, n_jobs=1).table
    assert table.columns == ("item", "t", "c", "label", "area")
    expected = [
        {"t": t, "c": c, "label": region.label, "area": region.area}
        for t, channels in enumerate(FRAMES)
        for c, frame in enumerate(channels)
        for region in measure.regionprops(measure.label(frame))
    ]
    for name in ("t", "c", "label", "area"):
        np.testing.assert_array_equal(table[name], [row[name] for row in expected])
    assert list(dict(table)) == list(table.columns)
    with pytest.raises(KeyError):
        table["volume"]


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Return a stack whose channels have names, one of which leads out of a folder."""
    path = tmp_path / "n.ome.tif"
    names = ["DAPI", "GFP", "../../x"]
    metadata = {"axes": "TCYX", "Channel": {"Name": names}}
    tifffile.imwrite(path, FRAMES.astype(np.uint8), metadata=metadata, ome=True)
    return path


@pytest.mark.parametrize("over", [None, "t", "c"])
def test_channels_have_their_names(named: Path, tmp_path: Path, over: str | None) -> None:
    table = tw.batch(RECIPE, str(named), over=over, n_jobs=1).table
    assert table.columns.index("channel") == table.columns.index("c") + 1
    names = np.array(["DAPI", "GFP", "../../x"])
    np.testing.assert_array_equal(table["channel"], names[table["c"].astype(int)])
    value = tw.run(RECIPE, named, tmp_path / "table.csv").value
    assert tuple(value) == ("t", "c", "channel", "label", "area")
    np.testing.assert_array_equal(value["channel"], names[value["c"]])


def test_channels_that_a_step_makes_have_no_names_of_the_source(tmp_path: Path) -> None:
    colours = np.zeros((2, 20, 24, 3), np.uint8)
    colours[:, 4:9, 5:9] = 200
    path = tmp_path / "rgb.ome.zarr"
    tw.convert(colours, path, axes="tyxc")
    inks = tw.Recipe(["color.rgb2hed", "filters.threshold_otsu", *RECIPE.steps])
    value = tw.run(inks, path, tmp_path / "inks.csv").value
    assert tuple(value) == ("t", "c", "label", "area")


def test_a_name_of_a_channel_is_no_path(named: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    report = tw.batch("util.invert", str(named), out, over="c", name="{channel}/{stem}", n_jobs=1)
    folders = ["DAPI", "GFP", "_.._x"]
    assert [row["output"] for row in report.rows] == [
        str(out / folder / f"n_c{number}.ome.zarr") for number, folder in enumerate(folders)
    ]


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    """Return a plate of two wells with two fields each, which are time series."""
    path = tmp_path / "p.zarr"
    root = zarr.open_group(path, mode="w")
    wells = [{"path": f"A/{n}", "rowIndex": 0, "columnIndex": n - 1} for n in (1, 2)]
    root.attrs["ome"] = {"version": "0.5", "plate": {"wells": wells}}
    for well in wells:
        group = root.create_group(well["path"])
        images = [{"path": "0"}, {"path": "1"}]
        group.attrs["ome"] = {"version": "0.5", "well": {"images": images}}
        for number in range(2):
            field = path / well["path"] / str(number)
            tw.convert(FRAMES[number].astype(np.uint8), field.with_suffix(".ome.zarr"), axes="tyx")
            field.with_suffix(".ome.zarr").rename(field)
    return path


@pytest.mark.parametrize("over", [None, "t"])
def test_wells_and_fields_come_first(plate: Path, over: str | None) -> None:
    table = tw.batch(RECIPE, str(plate), over=over, n_jobs=1).table
    assert table.columns == ("item", "well", "row", "column", "field", "t", "label", "area")
    assert sorted(set(table["well"].tolist())) == ["A1", "A2"]
    assert sorted(set(table["field"].tolist())) == ["0", "1"]


def test_anndata_has_measurements_apart(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    table = tw.batch(RECIPE, str(stack), n_jobs=1).table
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(MissingExtra, match="pip install anndata"):
        table.to_anndata()

    def data(**parts: Any) -> SimpleNamespace:
        return SimpleNamespace(**parts)

    monkeypatch.setitem(sys.modules, "anndata", SimpleNamespace(AnnData=data))
    result = table.to_anndata()
    assert list(result.obs) == ["item", "t", "c", "label"]
    assert list(result.var.index) == ["area"]
    np.testing.assert_array_equal(result.X[:, 0], table["area"])


def test_one_channel_is_segmented_and_another_measured(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (2, 3, 20, 24), np.uint8)
    path = tmp_path / "p.ome.zarr"
    tw.convert(pixels, path, axes="tcyx")
    recipe = tw.Recipe(
        [
            Step("numpy.take", {"indices": 0}),
            Step("filters.threshold_otsu"),
            Step("measure.label", name="labels"),
            Step("numpy.take", {"indices": -1}, inputs={"a": "source"}, name="marker"),
            Step(
                "measure.regionprops_table",
                {"properties": ("label", "intensity_mean")},
                inputs={"label_image": "labels", "intensity_image": "marker"},
            ),
        ]
    )
    value = tw.run(recipe, path, tmp_path / "marker.csv").value
    assert tuple(value) == ("t", "label", "intensity_mean")
    for number, channels in enumerate(pixels):
        labels = measure.label(channels[0] > filters.threshold_otsu(channels[0]))
        expected = measure.regionprops_table(
            labels, channels[2], properties=("label", "intensity_mean")
        )
        for name, column in expected.items():
            np.testing.assert_array_equal(value[name][value["t"] == number], column)


@pytest.mark.parametrize("axes", ["cyx", "yxc"])
def test_small_items_are_bound_once_with_their_channels_last(tmp_path: Path, axes: str) -> None:
    shape = (3, 3, 3)  # any order of the axes has this shape
    images = np.random.default_rng(2).integers(0, 255, (4, *shape), np.uint8)
    for number, image in enumerate(images):
        np.save(tmp_path / f"{number}.npy", image)
    step = Step(
        "measure.regionprops_table",
        {"properties": ("intensity_mean",)},
        inputs={"label_image": "labels", "intensity_image": "source"},
    )
    take = Step("numpy.take", {"indices": 0}, name="labels")
    report = tw.batch(
        tw.Recipe([take, step]), str(tmp_path / "*.npy"), tmp_path / "out", axes=axes, n_jobs=1
    )
    channel = axes.index("c")
    means = [
        measure.regionprops_table(
            image.take(0, channel), np.moveaxis(image, channel, -1), ("intensity_mean",)
        )["intensity_mean-1"]
        for image in images
    ]
    np.testing.assert_array_equal(report.table["intensity_mean-1"], np.concatenate(means))
