"""A table of objects stays beside its labels, and is theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from scipy import ndimage as ndi
from skimage import measure
from typer.testing import CliRunner

import napari_tilewise as tw
from napari_tilewise.cli import app
from napari_tilewise.errors import DestinationExists, InvalidImage, SourceChanged, SourceNotFound
from napari_tilewise.provenance.fingerprint import fingerprint
from napari_tilewise.provenance.record import read

if TYPE_CHECKING:
    from pathlib import Path

PROPERTIES = ("label", "bbox", "area", "centroid", "perimeter", "intensity_mean")


@pytest.fixture(params=["0.4", "0.5"])
def labels(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """Return labels in an OME-Zarr of either version, and an image of their shape."""
    rng = np.random.default_rng(0)
    mask = measure.label(rng.random((70, 90)) > 0.6, connectivity=1)
    path = tmp_path / "labels.ome.zarr"
    tw.run("measure.label", mask > 0, path, ome_zarr=request.param)
    return path, measure.label(mask > 0), rng.random((70, 90))


def test_it_is_measured_once(
    labels: tuple[Path, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pixels, image = labels
    table = tw.label_table(path, ("centroid", "perimeter", "intensity_mean"), intensity=image)
    expected = measure.regionprops_table(pixels, image, PROPERTIES)
    assert list(table) == list(expected)
    for name, column in expected.items():
        assert table[name].dtype == column.dtype
        np.testing.assert_array_equal(table[name], column)
    monkeypatch.setattr("napari_tilewise.runs.label_table.plan", None)  # nothing is measured
    again = tw.label_table(path, ("centroid", "perimeter", "intensity_mean"), intensity=image)
    for name, column in tw.label_table(path).items():
        np.testing.assert_array_equal(column, again[name])
    frame = again.to_pandas()
    assert list(frame) == list(expected)
    assert len(frame) == again.objects == pixels.max()


def test_changed_labels_are_refused(labels: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, pixels, _ = labels
    before = fingerprint(str(path))
    tw.label_table(path, ())
    assert fingerprint(str(path)) == before  # the labels are the same source as before
    zarr.open_group(path, mode="r+")["0"][:5] = 0
    with pytest.raises(SourceChanged, match="have changed since"):
        tw.label_table(path)
    with pytest.raises(DestinationExists, match="overwrite"):
        tw.label_table(path, ("centroid",))
    table = tw.label_table(path, ("centroid",), overwrite=True)
    pixels[:5] = 0
    np.testing.assert_array_equal(table["label"], np.unique(pixels)[1:])
    assert tw.label_table(path).objects == table.objects


def test_another_request_is_another_table(labels: tuple[Path, np.ndarray, np.ndarray]) -> None:
    path, _, image = labels
    tw.label_table(path, ("centroid",))
    with pytest.raises(DestinationExists):
        tw.label_table(path, ("intensity_mean",), intensity=image)
    tw.label_table(path, ("intensity_mean",), intensity=image, name="first channel")
    tables = zarr.open_group(path / "tables", mode="r")
    assert tables.attrs["tables"] == ["objects", "first channel"]
    assert tables["objects"].attrs["encoding-type"] == "anndata"
    assert tables["objects/X"].shape == (tw.label_table(path).objects, 7)
    with pytest.raises(SourceNotFound, match="it has 'first channel', 'objects'"):
        tw.label_table(path, name="nuclei")


def test_objects_for_a_look_are_listed(tmp_path: Path) -> None:
    pixels = np.zeros((60, 80), np.uint16)
    for number in range(20):
        row, column = divmod(number, 5)
        pixels[row * 14 : row * 14 + 5 + row, column * 15 + 2 : column * 15 + 8] = number + 1
    pixels[50:58, 2:70] = 21
    image = zarr.create_array(tmp_path / "in.zarr", data=pixels)
    tw.convert(image, tmp_path / "labels.ome.zarr")
    table = tw.label_table(tmp_path / "labels.ome.zarr", ())
    edge = [*pixels[0], *pixels[-1], *pixels[:, 0], *pixels[:, -1]]
    np.testing.assert_array_equal(table.at_border(), np.unique(edge)[1:])
    assert table.odd_sizes().tolist() == [21]


def by_threshold(image: np.ndarray) -> np.ndarray:
    """Label what is bright."""
    return ndi.label(image > 0.5)[0]


def test_objects_that_tiles_do_not_see_alike_are_listed(tmp_path: Path) -> None:
    """The record of a run says which; the ids are those of the labels, whatever follows them."""
    image = np.zeros((130, 2300))
    for row in range(3):
        for column in range(160):
            image[row * 40 + 4 : row * 40 + 10, column * 14 + 3 : column * 14 + 9] = 1
    image[17, 5:2250] = 1  # longer than the halo
    image[124:130, 5:11] = 1
    tw.operation(output="instances", halo=16)(by_threshold)
    (key,) = {operation.name for operation in tw.OPERATIONS.users()}
    path, expected = tmp_path / "labels.ome.zarr", ndi.label(image)[0]
    with pytest.warns(UserWarning, match="1 is longer than the halo"):
        tw.run(key, image, path)
    values = read(path)["values"]
    long = expected[17, 30]
    assert values == {f"step 1: {key}": expected.max(), f"step 1: {key} merged": [long]}
    tw.OPERATIONS.forget(key)  # another process, which has no such function
    table = tw.label_table(path, ())
    assert table.merged().tolist() == [long]
    assert table.one_sided().tolist() == []
    rows = table.for_review()
    assert dict(zip(rows["label"].tolist(), rows["reason"].tolist(), strict=True)) == {
        long: "merged, size",
        expected[125, 7]: "border",
    }
    index = rows["label"].tolist().index(long)
    assert [rows[f"bbox-{n}"][index] for n in range(4)] == [17, 5, 18, 2250]
    assert tw.label_table(path).for_review()["reason"].tolist() == rows["reason"].tolist()
    result = CliRunner().invoke(app, ["objects", str(path), "--json"])
    document = json.loads(result.stdout)
    assert document["objects"] == expected.max()
    assert [row["reason"] for row in document["review"]] == rows["reason"].tolist()
    shown = CliRunner().invoke(app, ["objects", str(path)]).stdout.splitlines()
    assert shown[0].split() == ["label", "reason", "area", *(f"bbox-{n}" for n in range(4))]
    assert len(shown) == 3


def test_lengths_are_in_the_units_of_the_labels(tmp_path: Path) -> None:
    pixels = measure.label(np.random.default_rng(1).random((40, 40)) > 0.6)
    path = tmp_path / "labels.ome.zarr"
    tw.run("measure.label", pixels > 0, path)
    group = zarr.open_group(path, mode="r+")
    ome = group.attrs["ome"]
    scales = ome["multiscales"][0]
    for axis in scales["axes"]:
        axis["unit"] = "micrometer"
    for dataset in scales["datasets"]:
        dataset["coordinateTransformations"][0]["scale"] = [0.5, 0.25]
    group.attrs["ome"] = ome
    table = tw.label_table(path, ("centroid",))
    expected = measure.regionprops_table(
        measure.label(pixels > 0), properties=("area", "centroid"), spacing=(0.5, 0.25)
    )
    np.testing.assert_array_equal(table["area"], expected["area"])
    np.testing.assert_array_equal(table["centroid-1"], expected["centroid-1"])
    assert table.units == {
        "area": "micrometer^2",
        "centroid-0": "micrometer",
        "centroid-1": "micrometer",
    }


def test_what_is_no_ome_zarr_of_labels_is_refused(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "plain.zarr", data=np.ones((4, 4), np.uint8))
    with pytest.raises(InvalidImage, match="not an OME-Zarr"):
        tw.label_table(tmp_path / "plain.zarr", ())
    tw.run("filters.gaussian", np.ones((40, 40)), tmp_path / "grey.ome.zarr")
    with pytest.raises(InvalidImage, match="expected labels"):
        tw.label_table(tmp_path / "grey.ome.zarr", ())
