"""Tables of calibrated images are in their units, whichever way they are measured."""

from __future__ import annotations

import json
import runpy
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import xarray as xr
from skimage import filters, measure, transform
from typer.testing import CliRunner

import napari_tilewise as tw
from napari_tilewise.cli import app
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.operations.measure.property_units import REGION_UNITS
from napari_tilewise.operations.measure.regionprops import PROPERTIES
from napari_tilewise.runs.pixel_size import pixel_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "measure.regionprops_table"
COLUMNS = ("label", "area", "num_pixels", "bbox", "centroid", "axis_major_length")
SIZES = {"y": 0.65, "x": 0.3, "z": 2.0, "t": 10.0}
RNG = np.random.default_rng(19)


def objects(*shape: int) -> np.ndarray:
    """Return labels of objects of many sizes and forms."""
    return measure.label(filters.gaussian(RNG.random(shape), 2, channel_axis=None) > 0.5)


def calibrated(image: np.ndarray, axes: str) -> xr.DataArray:
    """Return an image with sizes of pixels in micrometers, and seconds."""
    units = {axis: "second" if axis == "t" else "micrometer" for axis in axes}
    return xr.DataArray(
        image,
        dims=tuple(axes),
        coords={
            axis: (axis, SIZES[axis] * np.arange(length), {"units": units[axis]})
            for axis, length in zip(axes, image.shape, strict=True)
        },
    )


def spacing(axes: str) -> tuple[float, ...]:
    return tuple(SIZES[axis] for axis in axes)


def same(table: Any, expected: Any) -> None:
    assert list(table) == list(expected)
    for name, column in expected.items():
        np.testing.assert_array_equal(table[name], column, err_msg=name)


@pytest.mark.parametrize("ndim", [2, 3])
def test_every_column_grows_with_the_power_of_its_unit(ndim: int) -> None:
    """Twice the pixel size is a power of two in each column, which leaves its digits."""
    grid = np.indices((24,) * ndim)
    labels = (((grid.T - 8.2) ** 2 * (1, 2, 3)[:ndim]).sum(axis=-1) < 40).astype(int)
    labels[(slice(17, 23), slice(16, 22), slice(15, 20))[:ndim]] = 2
    labels[20, 19] = 0
    image = RNG.random(labels.shape)
    names = [n for n in PROPERTIES if n not in REGION_UNITS.in_pixels and _is_measured(n, labels)]
    tables = [
        tw.apply(NAME, labels, intensity_image=image, properties=names, spacing=(size,) * ndim)
        for size in (0.75, 1.5)
    ]
    params = {"separator": "-"}
    for name, column in tables[0].items():
        if column.dtype == object and not name.startswith("coords_scaled"):
            continue
        small, large = (np.concatenate([np.ravel(v) for v in t[name]]) for t in tables)
        power = REGION_UNITS.quantity(name, ndim, params).power
        np.testing.assert_allclose(large, small * 2.0**power, rtol=1e-6, atol=1e-9, err_msg=name)


def _is_measured(name: str, labels: np.ndarray) -> bool:
    """Return whether scikit-image measures a property of objects with so many axes."""
    try:
        measure.regionprops_table(labels, RNG.random(labels.shape), (name,))
    except (AttributeError, NotImplementedError, KeyError):
        return False
    return True


@pytest.mark.parametrize("axes", ["yx", "zyx"])
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_run_measures_a_file_in_its_units(axes: str, executor: str, tmp_path: Path) -> None:
    labels = objects(*(40, 90, 80)[-len(axes) :])
    tw.convert(calibrated(labels, axes), tmp_path / "labels.ome.zarr")
    task = (NAME, {"properties": COLUMNS})
    run = tw.run(task, tmp_path / "labels.ome.zarr", tmp_path / "table.csv", executor=executor)
    expected = measure.regionprops_table(labels, properties=COLUMNS, spacing=spacing(axes))
    same(run.value, expected)
    area = f"micrometer^{len(axes)}"
    assert run.units["area"] == area
    assert run.units["centroid-0"] == run.units["axis_major_length"] == "micrometer"
    assert not {"label", "num_pixels", "bbox-0"} & set(run.units)
    record = json.loads((tmp_path / "table.csv.provenance.json").read_text())["napari-tilewise"]
    assert record["units"] == run.units
    assert record["spacing"] == list(spacing(axes))


def test_spacing_that_is_given_goes_first(tmp_path: Path) -> None:
    labels = objects(60, 50)
    source = tmp_path / "labels.ome.zarr"
    tw.convert(calibrated(labels, "yx"), source)
    for given, unit in ((1, None), ((3, 7), "micrometer^2")):
        task = (NAME, {"properties": ("area", "moments_hu", "perimeter")[: 1 + 2 * (given == 1)],
                       "spacing": given})  # fmt: skip
        run = tw.run(task, source, tmp_path / "table.csv", overwrite=True)
        size = 1 if given == 1 else 21
        np.testing.assert_array_equal(run.value["area"], size * np.bincount(labels.flat)[1:])
        assert run.units.get("area") == unit


def test_what_cannot_be_measured_in_units_is_refused_with_the_remedy(tmp_path: Path) -> None:
    source = tmp_path / "labels.ome.zarr"
    tw.convert(calibrated(objects(60, 50), "yx"), source)
    for name in ("perimeter", "Perimeter", "moments_hu"):
        with pytest.raises(InvalidParameter, match=f"{name} with pixels of 0.65 x 0.3: set spac"):
            tw.plan((NAME, {"properties": (name,)}), source)


def test_the_plan_says_how_it_measures(tmp_path: Path) -> None:
    source = tmp_path / "labels.ome.zarr"
    tw.convert(calibrated(objects(60, 50), "yx"), source)
    plan = tw.plan(NAME, source)
    assert plan.describe().endswith("measured with pixels of 0.65 x 0.3 micrometer")
    assert plan.to_dict()["steps"][0]["spacing"] == [0.65, 0.3]
    assert plan.to_dict()["steps"][0]["unit"] == "micrometer"
    assert tw.plan(NAME, objects(60, 50)).describe().endswith("measured in pixels")
    assert "measured" not in tw.plan("filters.gaussian", source).describe()


def test_frames_of_a_series_are_measured_by_the_size_of_their_pixels(tmp_path: Path) -> None:
    series = np.stack([objects(50, 60), objects(50, 60)])
    tw.convert(calibrated(series, "tyx"), tmp_path / "series.ome.zarr")
    run = tw.run((NAME, {"properties": ("label", "area")}), tmp_path / "series.ome.zarr",
                 tmp_path / "table.csv")  # fmt: skip
    tables = [
        measure.regionprops_table(frame, properties=("label", "area"), spacing=(0.65, 0.3))
        for frame in series
    ]
    np.testing.assert_array_equal(run.value["area"], np.concatenate([t["area"] for t in tables]))
    assert run.units == {"area": "micrometer^2"}


def chain(image: np.ndarray, **keywords: Any) -> dict[str, Any]:
    """Return what scikit-image measures on a smaller image."""
    small = transform.downscale_local_mean(image, (2, 2))
    labels = measure.label(small > filters.threshold_otsu(small))
    table: dict[str, Any] = measure.regionprops_table(labels, properties=COLUMNS, **keywords)
    return table


CHAIN: Sequence[Any] = (
    ("transform.downscale_local_mean", {"factors": 2}),
    "filters.threshold_otsu",
    "measure.label",
    (NAME, {"properties": COLUMNS}),
)


def test_pixels_that_a_step_made_larger_count_as_they_are(tmp_path: Path) -> None:
    image = filters.gaussian(RNG.random((64, 80)), 3)
    tw.convert(calibrated(image, "yx"), tmp_path / "image.ome.zarr")
    run = tw.run(tw.Recipe(CHAIN), tmp_path / "image.ome.zarr", tmp_path / "table.csv")
    same(run.value, chain(image, spacing=(1.3, 0.6)))
    in_pixels = tw.run(tw.Recipe(CHAIN), image, tmp_path / "pixels.csv")
    same(in_pixels.value, chain(image))
    assert not in_pixels.units


def test_a_script_measures_as_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = filters.gaussian(RNG.random((2, 64, 80)), (0, 3, 3))
    for name, pixels, axes in (("plane", image[0], "yx"), ("series", image, "tyx")):
        source = tmp_path / f"{name}.ome.zarr"
        tw.convert(calibrated(pixels, axes), source)
        run = tw.run(tw.Recipe(CHAIN), source, tmp_path / f"{name}.csv")
        script, table = tmp_path / f"{name}.py", tmp_path / f"{name}-script.csv"
        script.write_text(tw.Recipe(CHAIN).to_script(axes=axes))
        monkeypatch.setattr(sys, "argv", [str(script), str(source), str(table)])
        runpy.run_path(str(script), run_name="__main__")
        assert table.read_text() == run.path.read_text()


def test_a_plain_script_takes_the_size_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = filters.gaussian(RNG.random((64, 80)), 3)
    np.save(tmp_path / "image.npy", image)
    script, table = tmp_path / "script.py", tmp_path / "table.csv"
    script.write_text(tw.Recipe(CHAIN).to_script(scikit_image_only=True))
    arguments = [str(tmp_path / "image.npy"), str(table)]
    for extra, keywords in (([], {}), (["--spacing", "1.3", "0.6"], {"spacing": (1.3, 0.6)})):
        monkeypatch.setattr(sys, "argv", [str(script), *arguments, *extra])
        runpy.run_path(str(script), run_name="__main__")
        areas = np.loadtxt(table, delimiter=",", skiprows=1)[:, 1]
        np.testing.assert_array_equal(areas, chain(image, **keywords)["area"])


def test_the_pixel_size_of_a_file(tmp_path: Path) -> None:
    tw.convert(calibrated(RNG.random((2, 64, 80)), "tyx"), tmp_path / "series.ome.zarr")
    source = tmp_path / "series.ome.zarr"
    assert pixel_size(source) == (0.65, 0.3)
    assert pixel_size(source, spatial="x") == (0.3,)
    assert pixel_size(source, ("transform.downscale_local_mean", {"factors": 3})) == pytest.approx(
        (1.95, 0.9)
    )
    tw.convert(RNG.random((64, 80)), tmp_path / "plain.ome.zarr")
    assert pixel_size(tmp_path / "plain.ome.zarr") is None


def test_numbers_in_pixels_are_recorded_with_their_size(tmp_path: Path) -> None:
    """The numbers themselves stay as scikit-image gives them."""
    mask = objects(50, 60) > 0
    fine = xr.DataArray(
        mask, dims=("y", "x"),
        coords={n: (n, 0.5 * np.arange(k), {"units": "micrometer"})
                for n, k in zip("yx", mask.shape, strict=True)},
    )  # fmt: skip
    tw.run("measure.perimeter", fine, tmp_path / "perimeter.json")
    written = json.loads((tmp_path / "perimeter.json").read_text())
    assert written["value"] == measure.perimeter(mask)
    lengths = written["napari-tilewise"]["lengths"]
    assert lengths == {
        "unit": "micrometer", "columns": ["perimeter"], "powers": [1], "sizes": [0.5],
    }  # fmt: skip
    line = {"src": (0, 0), "dst": (30, 40)}
    tw.run(("measure.profile_line", line), fine.astype(float), tmp_path / "line.json")
    written = json.loads((tmp_path / "line.json").read_text())
    lengths = written["napari-tilewise"]["lengths"]
    assert lengths == {"unit": "micrometer", "step": 0.5, "step_in_pixels": 1.0}


def test_a_scalar_says_what_it_is_in_the_unit(tmp_path: Path) -> None:
    """In the row of a batch, in a notebook and in the shell; stdout stays the number alone."""
    mask = objects(50, 60) > 0
    for number, size in enumerate((0.5, 0.25), start=1):
        tifffile.imwrite(
            tmp_path / f"cells{number}.tif", mask.astype(np.uint8), imagej=True,
            resolution=(1 / size, 1 / size), metadata={"unit": "um", "axes": "YX"},
        )  # fmt: skip
    pixels = measure.perimeter(mask)
    report = tw.batch("measure.perimeter", tmp_path / "*.tif", tmp_path / "out", backend="serial")
    assert [row["result"] for row in report.rows] == [pixels, pixels]
    units = [row["result (micrometer)"] for row in report.rows]
    np.testing.assert_allclose(units, [pixels / 2, pixels / 4])
    run = tw.run("measure.perimeter", tmp_path / "cells1.tif", tmp_path / "p.json")
    assert run.value == pixels
    assert run.value_in_unit == f"{pixels / 2:.6g} micrometer"
    assert f"<td>{pixels / 2:.6g} micrometer</td>" in run._repr_html_()
    arguments = ["run", "measure.perimeter", str(tmp_path / "cells1.tif")]
    shown = CliRunner().invoke(app, [*arguments, str(tmp_path / "q.json")])
    assert shown.stdout == f"{pixels}\n"
    assert f"= {pixels / 2:.6g} micrometer\n" in shown.stderr
    shown = CliRunner().invoke(app, [*arguments, str(tmp_path / "r.json"), "--json", "-q"])
    assert json.loads(shown.stdout)["lengths"]["sizes"] == [0.5]
    assert not shown.stderr
    series = calibrated(np.stack([mask, mask[::-1]]), "tyx")
    flat = tw.batch("measure.perimeter", [series], backend="serial").rows[0]
    assert "result (micrometer)" not in flat, "its pixels are not as long as wide"


def test_items_of_a_batch_are_measured_each_in_its_own_units(tmp_path: Path) -> None:
    labels = objects(50, 60)
    for number, size in enumerate((0.5, 0.25), start=1):
        tifffile.imwrite(
            tmp_path / f"cells{number}.tif", labels.astype(np.uint16), imagej=True,
            resolution=(1 / size, 1 / size), metadata={"unit": "um", "axes": "YX"},
        )  # fmt: skip
    report = tw.batch((NAME, {"properties": ("label", "area")}), tmp_path / "*.tif",
                      tmp_path / "out", backend="serial")  # fmt: skip
    pixels = np.bincount(labels.flat)[1:]
    areas = np.concatenate([0.25 * pixels, 0.0625 * pixels])
    np.testing.assert_array_equal(report.table["area"], areas)
    assert report.table.units == {"area": "micrometer^2"}
    in_memory = tw.batch((NAME, {"properties": ("area",)}), tmp_path / "*.tif", backend="serial")
    np.testing.assert_array_equal(in_memory.table["area"], areas)
    assert in_memory.table.units == report.table.units
    assert report.table.to_pandas().attrs["units"] == report.table.units
    parquet = pytest.importorskip("pyarrow.parquet")
    schema = parquet.read_schema(report.table.to_parquet(tmp_path / "table.parquet"))
    assert schema.field("area").metadata[b"unit"] == b"micrometer^2"
    assert not schema.field("label").metadata
    shown = CliRunner().invoke(
        app, ["run", NAME, str(tmp_path / "cells1.tif"), str(tmp_path / "t.csv"),
              "-p", "properties=area", "--dry-run"],
    )  # fmt: skip
    assert "measured with pixels of 0.5 x 0.5 micrometer" in shown.stdout
