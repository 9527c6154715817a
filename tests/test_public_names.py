"""The package's public functions do what the shell's commands of the same names do."""

from __future__ import annotations

import inspect
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

import napari_tilewise as tw
from napari_tilewise.cli import app
from napari_tilewise.errors import InvalidImage, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "cells.ome.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (2, 60, 80), dtype=np.uint8)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(
        path, pixels, metadata={"axes": "CYX", "Channel": {"Name": ["a", "b"]}, **sizes}
    )
    return path


def test_open_gives_a_lazy_image_and_its_metadata(image: Path) -> None:
    opened = tw.open(image, series=0)
    assert not isinstance(opened.data, np.ndarray)
    assert opened.data.shape == (2, 60, 80)
    assert opened.axes == ("c", "y", "x")
    assert opened.scale == (1.0, 1.0, 0.5)
    assert opened.translate == (0.0, 0.0, 0.0)
    assert opened.units == (None, None, "micrometer")
    assert [channel.name for channel in opened.channels] == ["a", "b"]
    assert opened.series == 0
    np.testing.assert_array_equal(opened.data[0, :5, :5], tifffile.imread(image)[0, :5, :5])


def test_an_opened_image_is_a_source(image: Path, tmp_path: Path) -> None:
    tw.run("filters.sobel", tw.open(image), tmp_path / "edges.ome.zarr", spatial="yx")
    assert tw.info(tmp_path / "edges.ome.zarr")["axes"] == "cyx"


def test_open_says_where_an_ome_zarr_lies(tmp_path: Path) -> None:
    path = tmp_path / "moved.zarr"
    group = zarr.open_group(path, mode="w")
    for level, length in enumerate((64, 32)):
        group.create_array(str(level), data=np.ones((length, length), np.uint8))
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name, "type": "space"} for name in "yx"],
                "coordinateTransformations": [
                    {"type": "scale", "scale": [2, 2]},
                    {"type": "translation", "translation": [100, 0]},
                ],
                "datasets": [
                    {
                        "path": str(level),
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [2**level, 2**level]},
                            {"type": "translation", "translation": [10, 0.5 * level]},
                        ],
                    }
                    for level in range(2)
                ],
            }
        ],
    }
    assert tw.open(path).translate == (120.0, 0.0)
    assert tw.open(path, level=1).translate == (120.0, 1.0)


def test_another_series_is_refused_in_one_sentence(image: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"series=1: .* has no such image; it holds one"):
        tw.open(image, series=1)


def test_info_is_what_the_shell_prints(image: Path) -> None:
    information = tw.info(image)
    assert (information["shape"], information["axes"]) == ((2, 60, 80), "cyx")
    shown = CliRunner().invoke(app, ["info", str(image)]).stdout
    assert all(f"{key}:" in shown for key in information)
    assert json.dumps(information)


def test_convert_writes_the_format_of_the_suffix(image: Path, tmp_path: Path) -> None:
    result = tw.convert(image, tmp_path / "cells.ome.zarr", pyramid=False)
    np.testing.assert_array_equal(tw.open(result.path).data[:], tifffile.imread(image))


def test_items_are_what_a_batch_does(image: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((60, 80), np.uint8))
    items = tw.items(str(tmp_path / "*.tif"))
    assert [Path(item.source).name for item in items] == ["cells.ome.tif", "other.tif"]
    report = tw.batch("filters.sobel", items, tmp_path / "out")
    assert [row["input"] for row in report.rows] == [item.source for item in items]
    parts = tw.items(image, over="c")
    assert [item.parts for item in parts] == [(0, None, None), (1, None, None)]


def test_the_version_has_one_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]
    assert tw.__version__.count(".") == 2


@pytest.mark.parametrize(
    ("function", "positional"),
    [(tw.run, 3), (tw.plan, 2), (tw.batch, 3), (tw.convert, 2), (tw.items, 1), (tw.open, 1)],
)
def test_options_are_keywords(function: Callable[..., object], positional: int) -> None:
    parameters = inspect.signature(function).parameters.values()
    by_position = [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert len(by_position) == positional


def test_a_path_where_pixels_are_wanted_is_named(image: Path) -> None:
    for path in (image, str(image)):
        with pytest.raises(InvalidImage, match=r"is a path, expected pixels: .*tw\.open"):
            tw.apply("filters.gaussian", path, sigma=2)
