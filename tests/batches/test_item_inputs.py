"""Further images that differ from item to item, and the number of objects in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from skimage import filters, measure
from typer.testing import CliRunner

import napari_tilewise as tw
from napari_tilewise.cli import app
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.runs.object_count import FLAGS, count_labels

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = tw.Recipe(
    [tw.recipe.Step("filters.sobel", inputs={"mask": "mask"})],
    inputs=["mask"],
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return a folder with images and their masks, of which one is missing."""
    rng = np.random.default_rng(0)
    pairs = {}
    for name in ("a", "b", "c"):
        image, mask = rng.random((4, 20, 30)), rng.random((4, 20, 30)) > 0.4
        pairs[name] = image, mask
        for part, pixels in (("images", image), ("masks", mask.astype(np.uint8))):
            (tmp_path / part).mkdir(exist_ok=True)
            tifffile.imwrite(
                tmp_path / part / f"{name}.tif",
                pixels,
                metadata={"axes": "TYX"},
                photometric="minisblack",
            )
    (tmp_path / "masks" / "b.tif").unlink()
    return tmp_path, pairs


def test_each_item_has_its_own_mask(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> None:
    root, pairs = folders
    inputs = {"mask": str(root / "masks" / "{stem}.tif")}
    report = tw.batch(RECIPE, str(root / "images/*.tif"), root / "out", inputs=inputs, n_jobs=1)
    assert [row["status"] for row in report.rows] == ["done", "failed", "done"]
    assert "no 'mask'" in report.rows[1]["error"]
    assert "b.tif" in report.rows[1]["error"]
    for name in ("a", "c"):
        image, mask = pairs[name]
        expected = [
            filters.sobel(frame, mask=inside) for frame, inside in zip(image, mask, strict=True)
        ]
        np.testing.assert_array_equal(tw.open(root / f"out/{name}.ome.zarr").data[:], expected)
    # A mask that has changed is processed again, the others are not.
    tifffile.imwrite(root / "masks/a.tif", np.ones((4, 20, 30), np.uint8), photometric="minisblack")
    again = tw.batch(
        RECIPE, str(root / "images/*.tif"), root / "out", inputs=inputs, n_jobs=1,
        overwrite=False,
    )  # fmt: skip
    assert [row["status"] for row in again.rows] == ["failed", "failed", "skipped"]
    assert "exists" in again.rows[0]["error"]


def test_a_part_has_the_same_part_of_its_mask(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> None:
    root, pairs = folders
    report = tw.batch(
        RECIPE, str(root / "images/a.tif"), over="t",
        inputs={"mask": str(root / "masks/{image}.tif")}, n_jobs=1,
    )  # fmt: skip
    image, mask = pairs["a"]
    assert report.done == 4
    for result, frame, inside in zip(report.results, image, mask, strict=True):
        np.testing.assert_array_equal(result, filters.sobel(frame, mask=inside))


def test_unknown_fields_are_refused_before_anything_runs(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> None:
    root, _ = folders
    with pytest.raises(InvalidParameter, match=r"unknown field \{stme\}.*Did you mean 'stem'"):
        tw.batch(RECIPE, str(root / "images"), inputs={"mask": "masks/{stme}.tif"})
    with pytest.raises(InvalidParameter, match="cannot be filled in"):
        tw.batch(RECIPE, str(root / "images"), inputs={"mask": "masks/{stem.tif"})


def test_the_shell_takes_a_path_with_fields(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, _ = folders
    monkeypatch.chdir(root)
    call = ["batch", "filters.sobel", "images/*.tif", "out", "-i", "mask=masks/{stem}.tif"]
    result = CliRunner().invoke(app, [*call, "--jobs", "1"])
    assert result.exit_code == 1
    assert sorted(path.name for path in (root / "out").glob("*.zarr")) == [
        "a.ome.zarr",
        "c.ome.zarr",
    ]


@pytest.mark.parametrize("operation", ["filters.sobel", ("filters.sobel", {"mode": "nearest"})])
def test_an_operation_has_an_image_per_item_too(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]], operation: object
) -> None:
    root, pairs = folders
    inputs = {"mask": str(root / "masks" / "{stem}.tif")}
    report = tw.batch(operation, str(root / "images/*.tif"), inputs=inputs, spatial="yx", n_jobs=1)
    assert [row["status"] for row in report.rows] == ["done", "failed", "done"]
    image, mask = pairs["c"]
    mode = "reflect" if isinstance(operation, str) else "nearest"
    expected = [
        filters.sobel(frame, mask=inside, mode=mode)
        for frame, inside in zip(image, mask, strict=True)
    ]
    np.testing.assert_array_equal(report.results[2], expected)
    tw.run(operation, image[0], root / "run.npy", inputs={"mask": mask[0]})
    np.testing.assert_array_equal(np.load(root / "run.npy"), expected[0])
    with pytest.raises(InvalidParameter, match=r"no further image 'maks'.*Did you mean 'mask'"):
        tw.batch(operation, str(root / "images/*.tif"), inputs={"maks": "m.tif"})


def masked_sum(image: np.ndarray, mask: np.ndarray, scale: float = 1) -> float:
    """Return the sum of the pixels within a mask."""
    return float((image * (mask > 0)).sum() * scale)


@pytest.mark.parametrize("function", [masked_sum, f"{__file__}:masked_sum"])
def test_a_function_has_an_image_per_item_too(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]], function: object
) -> None:
    root, pairs = folders
    inputs = {"mask": str(root / "masks" / "{image}.tif")}
    source = str(root / "images/*.tif")
    report = tw.batch(function, source, inputs=inputs, over="t", n_jobs=1)
    assert [row["status"] for row in report.rows] == ["done"] * 4 + ["failed"] * 4 + ["done"] * 4
    image, mask = pairs["a"]
    assert report.rows[1]["result"] == masked_sum(image[1], mask[1])
    out = root / "out"
    tw.batch(function, source, out, inputs=inputs, n_jobs=1)
    tifffile.imwrite(root / "masks/a.tif", np.ones((4, 20, 30), np.uint8), photometric="minisblack")
    again = tw.batch(function, source, out, inputs=inputs, n_jobs=1)
    assert [row["status"] for row in again.rows] == ["done", "failed", "skipped"]
    with pytest.raises(InvalidParameter, match=r"no further image 'image'.*'mask', 'scale'"):
        tw.batch(function, source, inputs={"image": "m.tif"})


def test_the_shell_passes_a_function_its_images(
    folders: tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root, _ = folders
    monkeypatch.chdir(root)
    call = ["batch", f"{__file__}:masked_sum", "images/*.tif", "out"]
    result = CliRunner().invoke(app, [*call, "-i", "mask=masks/{stem}.tif", "--jobs", "1"])
    assert result.exit_code == 1
    report = (root / "out/report.csv").read_text().splitlines()
    assert [",done," in line for line in report[1:]] == [True, False, True]
    result = CliRunner().invoke(app, [*call, "-i", "maks=masks/{stem}.tif"])
    assert "no further image 'maks'" in str(result.exception) + result.output


@pytest.mark.parametrize("destination", [None, "out"])
@pytest.mark.parametrize("key", ["measure.label", "measure.regionprops_table"])
def test_rows_say_how_many_objects(tmp_path: Path, key: str, destination: str | None) -> None:
    images = {}
    for number in range(2):
        blobs = np.random.default_rng(number).random((50, 60)) > 0.8
        images[f"i{number}"] = measure.label(blobs)
    folder = None if destination is None else tmp_path / destination
    report = tw.batch(key, images, folder, n_jobs=1)
    assert [row["objects"] for row in report.rows] == [image.max() for image in images.values()]
    again = tw.batch(key, images, folder, n_jobs=1)
    assert [row["objects"] for row in again.rows] == [row["objects"] for row in report.rows]
    smooth = tw.batch("filters.gaussian", images, n_jobs=1)
    assert [row["objects"] for row in smooth.rows] == [None, None]


@pytest.mark.parametrize("high", [9, FLAGS + 9, 2**63])
def test_labels_are_counted_whatever_their_ids(high: int) -> None:
    labels = np.array([[0, 3, 3], [high, 0, 5]], np.uint64)
    assert count_labels(labels) == 3
    signed = np.array([[0, -3, 3], [7, 0, 5]])
    assert count_labels(signed) == 4
