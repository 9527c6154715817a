"""What `info` tells about a file."""

import numpy as np
import pytest
import tifffile

from napari_tilewise.errors import SourceNotFound
from napari_tilewise.io.info import image_info
from tests.io.writing import new_writer

OPTIONS = {
    "shape": (30, 2000),
    "dtype": "u2",
    "axes": ("y", "x"),
    "scale": (0.5, 0.5),
    "units": ("micrometer", None),
    "chunks": (30, 500),
    "labels": True,
    "record": {"recipe": {"steps": ["measure.label"]}, "versions": {"numpy": "2"}},
}


def test_output_of_this_package(tmp_path):
    writer = new_writer(tmp_path / "a.zarr", **OPTIONS)
    started = image_info(writer.staging)
    assert started["complete"] is False
    assert started["shape"] == (30, 2000)
    assert started["recipe"] == {"steps": ["measure.label"]}
    path = writer.finish()
    assert image_info(path) == {
        "path": str(path),
        "format": "ome-zarr 0.5",
        "complete": True,
        "shape": (30, 2000),
        "dtype": "uint16",
        "axes": "yx",
        "scale": (0.5, 0.5),
        "units": ("micrometer", None),
        "channels": (),
        "chunks": (30, 500),
        "levels": ((30, 2000), (15, 1000)),
        "bytes": 120000,
        "labels": True,
        "series": [],
        "recipe": {"steps": ["measure.label"]},
        "made_by": {"versions": {"numpy": "2"}},
    }
    assert list(started) == list(image_info(path))


def test_file_of_somebody_else(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 50), "f4"))
    told = image_info(tmp_path / "a.tif")
    assert (told["format"], told["bytes"], told["recipe"]) == ("tiff", 8000, None)


def test_nothing(tmp_path):
    with pytest.raises(SourceNotFound):
        image_info(tmp_path / "a.tif")
