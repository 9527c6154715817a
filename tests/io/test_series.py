"""Files of several images: each can be named, a batch takes each, nothing is left out unsaid."""

import numpy as np
import pytest
import tifffile
import yaml

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.errors import InvalidParameter, SourceWarning
from tests.io import leica

RNG = np.random.default_rng(0)
FIRST = RNG.integers(0, 999, (3, 40, 50), np.uint16)
SECOND = RNG.integers(0, 99, (30, 20), np.uint8)


@pytest.fixture
def two(tmp_path):
    """An OME-TIFF of two images."""
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(FIRST, metadata={"axes": "ZYX", "Name": "cells", "PhysicalSizeX": 0.5})
        tiff.write(SECOND, metadata={"axes": "YX", "Name": "dish", "PhysicalSizeX": 2.0})
    return path


@pytest.fixture
def mixed(tmp_path):
    """A TIFF with pages of two shapes."""
    path = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(FIRST[0], metadata=None)
        tiff.write(SECOND, metadata=None)
    return path


def pixels(image):
    return np.asarray(image.data[:])


def test_a_series_is_opened_by_number_and_by_name(two):
    image = tw.open(two, series=1)
    np.testing.assert_array_equal(pixels(image), SECOND)
    assert (image.scale[-1], image.series, image.name) == (2.0, 1, f"{two}[1]")
    np.testing.assert_array_equal(pixels(tw.open(f"{two}[1]")), SECOND)
    np.testing.assert_array_equal(pixels(tw.open(two, series=0)), FIRST)
    assert [entry.name for entry in image.all_series] == ["cells", "dish"]
    with pytest.raises(InvalidParameter, match=r"series=2: .*two\.ome\.tif' has no such image"):
        tw.open(two, series=2)
    np.save(two.parent / "one.npy", FIRST)
    with pytest.raises(InvalidParameter, match="it holds one image"):
        tw.open(two.parent / "one.npy", series=1)


def test_which_of_several_was_taken_is_said(two, mixed):
    for path in (two, mixed):
        with pytest.warns(SourceWarning, match=r"holds 2 images: the first is taken. .*\[1\]'"):
            image = tw.open(path)
        assert image.data.shape[-2:] == FIRST.shape[-2:]
        assert image.name == str(path)


def test_a_file_of_this_very_name_comes_first(two):
    named = two.parent / "two.ome.tif[1]"
    tifffile.imwrite(named, FIRST[1])
    np.testing.assert_array_equal(pixels(tw.open(named)), FIRST[1])


def test_a_run_names_its_series_in_the_record_and_can_be_repeated(two, tmp_path, capsys):
    output = tmp_path / "out.ome.zarr"
    assert main(["run", "filters.sobel", str(two), str(output), "--series", "1"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert tw.open(output).data.shape == SECOND.shape
    assert main(["rerun", str(output)]) == 0
    assert main(["run", "filters.sobel", f"{two}[0]", str(tmp_path / "b.ome.zarr")]) == 0
    assert main(["run", "filters.sobel", str(two), str(tmp_path / "c.ome.zarr")]) == 0
    assert "holds 2 images: the first is taken" in capsys.readouterr().err
    assert main(["convert", str(two), str(two), "--series", "1", "--overwrite"]) == 1
    assert "never written to" in capsys.readouterr().err


def test_info_lists_all_series(two, capsys):
    assert main(["info", str(two)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [entry["name"] for entry in yaml.safe_load(out)["series"]] == ["cells", "dish"]
    assert tw.info(f"{two}[1]")["shape"] == SECOND.shape
    assert tw.info(two)["series"][1]["path"] == f"{two}[1]"


def test_a_batch_takes_each_series(two, mixed):
    items = tw.items(two.parent)
    assert [item.source for item in items] == [f"{p}[{n}]" for p in (mixed, two) for n in (0, 1)]
    assert [item.stem for item in items] == [
        f"{p}_series{n}" for p in ("mixed", "two") for n in (0, 1)
    ]
    assert len({item.stem for item in items}) == 4
    report = tw.batch("filters.sobel", items, two.parent / "out", backend="serial")
    assert report.done == 4
    assert tw.items(f"{two}[1]")[0].source == f"{two}[1]"


def test_labels_and_smaller_pages_are_no_items(tmp_path):
    path = tmp_path / "slide.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(SECOND, metadata={"axes": "YX", "Name": "tissue"})
        tiff.write(SECOND[:9, :9], metadata={"axes": "YX", "Name": "label image"})
    (item,) = tw.items(tmp_path)
    assert item.source == str(path)
    np.testing.assert_array_equal(pixels(tw.open(path)), SECOND)
    assert len(tw.info(path)["series"]) == 2


def test_each_dataset_of_an_hdf5_file_is_an_item(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["more/mask"] = FIRST, SECOND
    items = tw.items(tmp_path)
    assert [item.source.rpartition("::")[2] for item in items] == ["/more/mask", "/raw"]
    assert [item.stem for item in items] == ["a_more_mask", "a_raw"]


def test_scenes_of_a_microscope_are_series(tmp_path):
    pytest.importorskip("bioio_lif")
    path = tmp_path / "cells.lif"
    scenes = RNG.integers(0, 999, (2, 1, 3, 40, 50), np.uint16)
    leica.write_lif(path, scenes[0], (2.0, 0.5, 0.5), scenes[1])
    image = tw.open(path, series=1)
    np.testing.assert_array_equal(pixels(image), scenes[1, 0])
    assert [entry.name for entry in image.all_series] == ["image", "image 2"]
    with pytest.warns(SourceWarning, match="holds 2 images"):
        np.testing.assert_array_equal(pixels(tw.open(path)), scenes[0, 0])
    assert [item.source for item in tw.items(tmp_path)] == [f"{path}[0]", f"{path}[1]"]
    report = tw.batch("filters.sobel", tmp_path, tmp_path / "out", backend="serial", over="z")
    assert report.done == 6


def test_a_dataset_of_a_type_that_numpy_has_not_is_no_image(tmp_path):
    """Found in a file of PyTables: floats of 112 bits of exponent."""
    h5py = pytest.importorskip("h5py")
    odd = h5py.h5t.IEEE_F64LE.copy()
    odd.set_size(16)
    odd.set_precision(128)
    odd.set_fields(127, 112, 15, 0, 112)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        h5py.h5d.create(file.id, b"odd", odd, h5py.h5s.create_simple((4, 5)))
        file["image"] = np.ones((4, 5))
    assert [str(item.source) for item in tw.items(tmp_path / "a.h5")] == [str(tmp_path / "a.h5")]
    assert tw.open(tmp_path / "a.h5").data.shape == (4, 5)
