"""Every source format reads back equal, with its scale and units, and says what is wrong."""

import pickle

import dask.array as da
import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imwrite

from napari_tilewise.errors import InvalidParameter, SourceNotFound, SourceUnreadable
from napari_tilewise.io.readers.checked_arrays import CheckedArray, read_error
from napari_tilewise.io.readers.open_image import open_image

PIXELS = np.random.default_rng(0).integers(0, 60000, (3, 70, 90)).astype(np.uint16)
UM = "micrometer"
OME = {
    "axes": "ZYX",
    "PhysicalSizeX": 0.25,
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeY": 0.5,
    "PhysicalSizeYUnit": "µm",
    "PhysicalSizeZ": 800.0,
    "PhysicalSizeZUnit": "nm",
}
IMAGEJ = {"unit": "um", "axes": "ZYX", "spacing": 1.5}


def multiscales(version):
    axes = [
        {"name": "z", "type": "space", "unit": "micrometer"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]
    scales = [[2.0, 0.5, 0.5], [2.0, 1.0, 1.0]]
    datasets = [
        {"path": f"s{i}", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for i, scale in enumerate(scales)
    ]
    outer = [{"type": "scale", "scale": [1.0, 1.0, 2.0]}]
    item = {"axes": axes, "datasets": datasets, "coordinateTransformations": outer}
    return [item if version == "0.5" else {**item, "version": version}]


def write_ome_zarr(path, version):
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    for i, level in enumerate((PIXELS, PIXELS[:, ::2, ::2])):
        group.create_array(f"s{i}", data=level, chunks=(1, 32, 32))
    content = {"multiscales": multiscales(version)}
    ome = {"ome": {"version": "0.5", **content}} if version == "0.5" else content
    group.attrs.update(ome)


def test_arrays_are_taken_as_they_are():
    lazy = da.from_array(PIXELS, chunks=(1, 35, 45))
    for array in (PIXELS, lazy):
        image = open_image(array)
        assert image.data is array
        assert image.axes == ()  # nobody named them
        assert image.scale == (1.0, 1.0, 1.0)
    assert open_image(PIXELS[0]).axes == ("y", "x")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = tmp_path / "image.ome.zarr"
    write_ome_zarr(path, version)
    image = open_image(path)
    np.testing.assert_array_equal(image.data[:], PIXELS)
    assert image.axes == ("z", "y", "x")
    assert image.scale == (2.0, 0.5, 1.0)
    assert image.units == (UM,) * 3
    assert [level.shape for level in image.levels] == [(3, 70, 90), (3, 35, 45)]
    assert image.data.chunks == (1, 32, 32)
    assert image.format == f"ome-zarr {version}"
    assert not image.labels
    coarse = open_image(str(path), level=1)
    assert coarse.scale == (2.0, 1.0, 2.0)
    np.testing.assert_array_equal(coarse.data[1, 5:9], PIXELS[1, 10:18:2, ::2])
    with pytest.raises(InvalidParameter, match="level=2"):
        open_image(path, level=2)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_zarr_by_path_url_or_array(tmp_path, zarr_format):
    path = tmp_path / "plain.zarr"
    array = zarr.create_array(path, data=PIXELS, chunks=(1, 32, 32), zarr_format=zarr_format)
    for source in (path, path.as_uri(), array):
        image = open_image(source)
        np.testing.assert_array_equal(image.data[:, 3:50], PIXELS[:, 3:50])
        assert image.data.chunks == (1, 32, 32)
        assert image.axes == ()


def test_zarr_array_that_names_its_axes(tmp_path):
    for names in (("time", "y", "x"), ("band", "Y", "X")):
        zarr.create_array(tmp_path / f"{names[0]}.zarr", data=PIXELS, dimension_names=names)
        letter = {"time": "t", "band": "c"}[names[0]]
        assert open_image(tmp_path / f"{names[0]}.zarr").axes == (letter, "y", "x")
    zarr.create_array(tmp_path / "a.zarr", data=PIXELS, dimension_names=("t", "y", "x"))
    assert open_image(tmp_path / "a.zarr").axes == ("t", "y", "x")


def test_npy_is_mapped_and_travels_without_its_pixels(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, np.zeros((2000, 1000)))
    image = open_image(path)
    assert len(pickle.dumps(image.data)) < 1000
    assert image.data[5:9].shape == (4, 1000)


TIFFS = {
    "ome": {"ome": True, "metadata": OME},
    "ome-tiled": {"ome": True, "metadata": OME, "tile": (32, 32), "compression": "zlib"},
    "ome-big": {"ome": True, "metadata": OME, "bigtiff": True},
    "imagej": {"imagej": True, "metadata": IMAGEJ, "resolution": (4, 2)},
    "plain": {"resolution": (40000, 20000), "resolutionunit": 3, "photometric": "minisblack"},
    "plain-inch": {"resolution": (101600, 50800), "resolutionunit": 2, "photometric": "minisblack"},
    "printed": {"resolution": (300, 300), "resolutionunit": 2, "photometric": "minisblack"},
}
SIZES = {
    "ome": ((800.0, 0.5, 0.25), ("nanometer", UM, UM)),
    "imagej": ((1.5, 0.5, 0.25), (UM,) * 3),
    "plain": ((1.0, 0.5, 0.25), (None, UM, UM)),
    "printed": ((1.0, 1.0, 1.0), (None, None, None)),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_tiff(tmp_path, kind):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, PIXELS, **TIFFS[kind])
    image = open_image(path)
    assert isinstance(image.data, CheckedArray)
    assert image.data.dtype == np.uint16
    assert image.data.dtype.isnative
    np.testing.assert_array_equal(image.data[1:, 60:, 20:33], PIXELS[1:, 60:, 20:33])
    again = pickle.loads(pickle.dumps(image.data))
    np.testing.assert_array_equal(again[:], PIXELS)
    scale, units = SIZES[kind.partition("-")[0]]
    assert image.axes[1:] == ("y", "x")
    assert image.scale == pytest.approx(scale)
    assert image.units == units


def test_tiff_pyramid(tmp_path):
    path = tmp_path / "pyramid.tif"
    plane = PIXELS[0]
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(plane, subifds=1, tile=(32, 32))
        tiff.write(plane[::2, ::2], subfiletype=1, tile=(32, 32))
    image = open_image(path, level=1)
    np.testing.assert_array_equal(image.data[:], plane[::2, ::2])
    assert image.scale == (2.0, 2.0)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_colour(tmp_path, suffix):
    path = tmp_path / f"colour.{suffix}"
    pixels = PIXELS.view(np.uint8)[0, :60, :90].reshape(60, 30, 3)
    imwrite(path, pixels) if suffix == "png" else tifffile.imwrite(path, pixels, photometric="rgb")
    image = open_image(path)
    np.testing.assert_array_equal(image.data[:], pixels)
    assert image.axes == ("y", "x", "c")


def test_nothing_there(tmp_path):
    for source in (tmp_path / "no.tif", tmp_path / "no" / "no.zarr", "no.png"):
        with pytest.raises(SourceNotFound, match="There is nothing at") as caught:
            open_image(source)
        assert repr(str(source)) in str(caught.value)


def broken_sources():
    tiff = b"II*\0" + b"\x08\0\0\0" + b"\xff" * 20
    return {
        "text.txt": b"not an image",
        "empty.png": b"",
        "cut.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "cut.tif": tiff,
        "cut.npy": b"\x93NUMPY\x01\0v\0{'descr'",
        "torn.npy": b"\x93NUMPY\x01\0\x20\0" + b"{'descr': '<u1', 'shape': (3,".ljust(31) + b"\n",
    }


@pytest.mark.parametrize("name", broken_sources())
def test_unreadable_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(broken_sources()[name])
    with pytest.raises(SourceUnreadable, match=name):
        open_image(path)


def test_npy_shorter_than_it_says(tmp_path):
    path = tmp_path / "cut.npy"
    np.save(path, PIXELS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceUnreadable, match=r"cut\.npy"):
        open_image(path)


def test_folder_that_is_no_image(tmp_path):
    with pytest.raises(SourceUnreadable, match=r"a folder but not a Zarr.*batch"):
        open_image(tmp_path)


def test_zarr_with_broken_metadata(tmp_path):
    path = tmp_path / "bad.zarr"
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": 3, ')
    with pytest.raises(SourceUnreadable, match=r"bad\.zarr"):
        open_image(path)


def test_ome_zarr_with_a_missing_level(tmp_path):
    path = tmp_path / "bad.zarr"
    write_ome_zarr(path, "0.5")
    (path / "s1" / "zarr.json").unlink()
    with pytest.raises(SourceUnreadable, match="level 's1' is missing"):
        open_image(path)


def test_group_of_several_images_names_them(tmp_path):
    group = zarr.create_group(tmp_path / "many.zarr")
    for name in ("first", "second"):
        group.create_array(name, data=PIXELS)
    with pytest.raises(SourceUnreadable, match="'first', 'second'"):
        open_image(tmp_path / "many.zarr")
    assert open_image(tmp_path / "many.zarr" / "second").data.shape == PIXELS.shape


def test_something_else():
    with pytest.raises(SourceUnreadable, match="type list"):
        open_image([1, 2, 3])


CODECS = {
    "zstd": zarr.codecs.ZstdCodec(),
    "gzip": zarr.codecs.GzipCodec(),
    "blosc": zarr.codecs.BloscCodec(),
    "blosc 2": numcodecs.Blosc(),
    "none": None,
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_corrupt_chunk_is_named_when_it_is_read(tmp_path, codec, damage):
    path = tmp_path / "damaged.zarr"
    zarr_format = 2 if codec.endswith("2") else 3
    zarr.create_array(
        path,
        data=PIXELS,
        chunks=(1, 32, 32),
        compressors=CODECS[codec],
        zarr_format=zarr_format,
    )
    chunk = path / ("1.0.1" if zarr_format == 2 else "c/1/0/1")
    good = chunk.read_bytes()
    chunk.write_bytes({"cut": good[: len(good) // 2], "noise": b"?" * 77, "empty": b""}[damage])
    data = pickle.loads(pickle.dumps(open_image(path).data))
    np.testing.assert_array_equal(data[0], PIXELS[0])
    with pytest.raises(SourceUnreadable, match=r"1:2, 0:32, 32:64\].*damaged\.zarr"):
        data[1:2, :32, 32:64]
    with pytest.raises(IndexError):
        data[7]


def test_corrupt_tiff_tile_is_named_when_it_is_read(tmp_path):
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, PIXELS[0], tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 50] = b"?" * 50
    path.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=r"damaged\.tif"):
        open_image(path).data[:32, :32]


def test_a_missing_file_is_not_called_damaged():
    error = read_error(FileNotFoundError(2, "No such file or directory", "a.tif"), "a.tif")
    assert "a file of it is missing" in str(error)
    assert "decoded" not in str(error)


def test_picture_too_large_to_be_read_whole(tmp_path, monkeypatch):
    imwrite(tmp_path / "huge.png", PIXELS[0].astype(np.uint8))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    with pytest.raises(SourceUnreadable, match=r"huge\.png.*convert it"):
        open_image(tmp_path / "huge.png")
