"""Formats that need an extra: read with it, and a message that names it without."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from imageio.v3 import imwrite
from skimage import filters

import napari_tilewise as tw
from napari_tilewise.errors import MissingExtra, SourceNotFound, SourceUnreadable
from napari_tilewise.io.readers import microscopes
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance.fingerprint import fingerprint
from tests.io import leica, nikon

PIXELS = np.random.default_rng(0).integers(0, 60000, (3, 70, 90)).astype(np.uint16)


@pytest.fixture
def hdf5(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("group/raw", data=PIXELS, chunks=(1, 32, 32))
        data.attrs["element_size_um"] = [2.0, 0.5, 0.25]
        data.attrs["axistags"] = '{"axes": [{"key": "z"}, {"key": "y"}, {"key": "x"}]}'
        file["text"] = "no image"
    return path


@pytest.mark.parametrize("inside", ["", "::/group/raw", "::group/raw"])
def test_hdf5(hdf5, inside):
    image = open_image(f"{hdf5}{inside}")
    np.testing.assert_array_equal(image.data[1:, 5:50], PIXELS[1:, 5:50])
    assert image.data.chunks == (1, 32, 32)
    assert (image.axes, image.scale) == (("z", "y", "x"), (2.0, 0.5, 0.25))
    assert set(image.units) == {"micrometer"}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image.data))[:], PIXELS)
    assert open_image(image.name).data.shape == PIXELS.shape
    assert fingerprint(image) == fingerprint(hdf5)


def test_hdf5_sizes_without_axes_are_those_of_zyx_or_of_the_axes_that_the_user_names(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["volume"], file["series"] = PIXELS, PIXELS[None]
        for dataset in file.values():
            dataset.attrs["element_size_um"] = [2.0, 0.5, 0.25]
    image = open_image(f"{path}::volume")
    assert (image.axes, image.scale) == (("z", "y", "x"), (2.0, 0.5, 0.25))
    assert open_image(f"{path}::series").scale == (1.0,) * 4
    tw.convert(f"{path}::series", tmp_path / "a.ome.zarr", axes="tzyx")
    copy = open_image(tmp_path / "a.ome.zarr")
    assert (copy.scale, copy.units) == ((1.0, 2.0, 0.5, 0.25), (None, *["micrometer"] * 3))
    tw.convert(f"{path}::volume", tmp_path / "b.ome.zarr", axes="tyx")
    assert open_image(tmp_path / "b.ome.zarr").scale == (1.0, 0.5, 0.25)


def test_hdf5_of_several_arrays_names_them(hdf5):
    with h5py.File(hdf5, "a") as file:
        file["other"] = PIXELS
    with pytest.raises(SourceUnreadable, match=r"'/group/raw', '/other'; .*file\.h5::/group/raw'"):
        open_image(hdf5)
    with pytest.raises(SourceUnreadable, match="not '/nothing'"):
        open_image(f"{hdf5}::/nothing")
    with pytest.raises(SourceNotFound):
        open_image(f"{hdf5}.gone::/group/raw")


def test_only_hdf5_has_something_within(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    with pytest.raises(SourceUnreadable, match="is not an HDF5 file"):
        open_image(f"{tmp_path / 'a.npy'}::/raw")


def test_broken_hdf5(hdf5):
    hdf5.write_bytes(hdf5.read_bytes()[:600])
    with pytest.raises(SourceUnreadable, match=r"file\.h5"):
        open_image(hdf5)


def test_without_h5py(hdf5, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"napari-tilewise\[hdf5\]"):
        open_image(hdf5)


@pytest.mark.parametrize(("suffix", "plugin"), microscopes.PLUGINS.items())
def test_a_microscope_file_names_its_plugin(tmp_path, monkeypatch, suffix, plugin):
    monkeypatch.setattr(microscopes, "find_spec", lambda name: None)
    path = tmp_path / f"image{suffix.upper()}"
    path.write_bytes(b"ZISRAWFILE")
    with pytest.raises(MissingExtra, match=rf"napari-tilewise\[bioio\]' {plugin}"):
        open_image(path)


def needs(suffix):
    """Skip a test where the plugin of a suffix is not installed, as at lowest versions."""
    pytest.importorskip(microscopes.PLUGINS[suffix].replace("-", "_"))


def write_czi(path, pixels, scale):
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(path)) as file:
        for c, volume in enumerate(pixels):
            for z, plane in enumerate(volume):
                file.write(data=plane[..., None], plane={"C": c, "Z": z, "T": 0})
        sizes = {f"scale_{axis}": size * 1e-6 for axis, size in zip("zyx", scale, strict=True)}
        file.write_metadata(channel_names={0: "DAPI"}, **sizes)


def test_czi(tmp_path):
    needs(".czi")
    path = tmp_path / "image.czi"
    write_czi(path, PIXELS[None], (2.0, 0.5, 0.25))
    image = open_image(path)
    np.testing.assert_array_equal(image.data[1:, 5:50], PIXELS[1:, 5:50])
    assert (image.axes, image.scale) == (("z", "y", "x"), pytest.approx((2.0, 0.5, 0.25)))
    assert [channel.name for channel in image.channels] == ["DAPI"]


@pytest.mark.parametrize(
    ("write", "suffix", "scale", "chunks"),
    [
        (leica.write_lif, ".lif", (2.0, 0.5, 0.25), (1, 3, 70, 90)),
        (nikon.write_nd2, ".nd2", (2.0, 0.5, 0.5), (2, 1, 70, 90)),
    ],
)
def test_channels_of_volumes(tmp_path, write, suffix, scale, chunks):
    needs(suffix)
    path = tmp_path / f"image{suffix}"
    pixels = np.stack([PIXELS, PIXELS[::-1]])
    write(path, pixels, scale)
    image = open_image(path)
    np.testing.assert_array_equal(image.data[:, 1:, 5:50], pixels[:, 1:, 5:50])
    assert image.data.chunks == chunks
    assert (image.axes, image.scale) == (tuple("czyx"), pytest.approx((1.0, *scale)))
    assert image.units == (None, "micrometer", "micrometer", "micrometer")
    assert [channel.name for channel in image.channels] == ["Green", "Red"]
    made = tw.run("filters.sobel", path, tmp_path / "out.ome.zarr", spatial="yx").path
    expected = [[filters.sobel(plane) for plane in volume] for volume in pixels]
    np.testing.assert_array_equal(open_image(made).data[:], expected)


WRITERS = {".czi": write_czi, ".lif": leica.write_lif, ".nd2": nikon.write_nd2}


@pytest.mark.parametrize("suffix", WRITERS)
def test_many_threads_read_at_once(tmp_path, suffix):
    needs(suffix)
    path = tmp_path / f"image{suffix}"
    pixels = np.repeat(PIXELS[:1], 20, axis=0) + np.arange(20, dtype=np.uint16)[:, None, None]
    WRITERS[suffix](path, pixels[None], (2.0, 0.5, 0.5))
    data = open_image(path).data
    with ThreadPoolExecutor(8) as pool:
        numbers = [*range(20)] * 10
        for z, plane in zip(numbers, pool.map(lambda z: data[z], numbers), strict=True):
            np.testing.assert_array_equal(plane, pixels[z])


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_microscope_file_cut_short(tmp_path, suffix):
    needs(suffix)
    path = tmp_path / f"image{suffix}"
    WRITERS[suffix](path, PIXELS[None], (2.0, 0.5, 0.5))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SourceUnreadable, match=rf"image\{suffix}"):
        open_image(path).data[:]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_that_is_not_of_its_suffix(tmp_path, suffix):
    needs(suffix)
    path = tmp_path / f"image{suffix}"
    path.write_bytes(b"no image" * 20)
    with pytest.raises(SourceUnreadable, match=rf"image\{suffix}' cannot be read by bioio-"):
        open_image(path)


def test_a_compression_that_needs_codecs(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0], compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags["Compression"]
        content[tag.valueoffset : tag.valueoffset + 2] = (5).to_bytes(2, "little")  # LZW
    path.write_bytes(content)
    monkeypatch.setattr(
        type(tifffile.TIFF.DECOMPRESSORS), "__getitem__", lambda self, key: {}[f"{key!r} requires"]
    )
    with pytest.raises(MissingExtra, match=r"LZW.*napari-tilewise\[codecs\]"):
        open_image(path)


def test_png_of_deep_colours_is_not_cut_to_8_bits(tmp_path):
    path = tmp_path / "a.png"
    imwrite(path, np.zeros((5, 6, 3), np.uint8))
    content = bytearray(path.read_bytes())
    content[24] = 16  # bits a sample
    path.write_bytes(content)
    with pytest.raises(SourceUnreadable, match="PNG of 16-bit values"):
        open_image(path)


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_zarr_behind_a_url_that_fsspec_knows(tmp_path, protocol):
    url = f"memory://{tmp_path.name}/a.zarr" if protocol == "memory" else tmp_path.as_uri()
    store = url if protocol == "memory" else tmp_path
    zarr.create_array(store, data=PIXELS, chunks=(1, 30, 30), shards=(1, 60, 60))
    image = open_image(url)
    np.testing.assert_array_equal(image.data[:, 3:65], PIXELS[:, 3:65])
    assert image.data.chunks == (1, 30, 30)


def test_a_microscopes_overview_is_not_taken_for_its_image(tmp_path):
    """A .vsi file is a TIFF of an overview; the pixels are in files beside it."""
    path = tmp_path / "slide.vsi"
    tifffile.imwrite(path, PIXELS[0])
    plugin = microscopes.PLUGINS[".vsi"]
    with pytest.raises((MissingExtra, SourceUnreadable), match=plugin):
        open_image(path)


def test_a_dataset_of_a_microscopes_file_is_opened_by_its_name(tmp_path):
    """An Imaris file is HDF5: without a plugin its arrays can be named."""
    path = tmp_path / "cells.ims"
    with h5py.File(path, "w") as file:
        file["DataSet/Data"] = PIXELS
    image = open_image(f"{path}::/DataSet/Data")
    np.testing.assert_array_equal(image.data[...], PIXELS)


def test_a_compression_that_nobody_knows(tmp_path):
    """Found among the tests of OpenSlide: installing a package does not help."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0])
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags["Compression"]
        content[tag.valueoffset : tag.valueoffset + 2] = (52479).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(SourceUnreadable, match=r"nobody knows \(.*52479"):
        open_image(path)


def test_a_filter_of_hdf5_that_is_not_installed_is_named(tmp_path, monkeypatch):
    """Found among the tests of PyTables; the file is intact."""
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code != 1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", data=PIXELS, compression="gzip")
    with pytest.raises(MissingExtra, match=r"filter 'deflate' \(1\), .* pip install hdf5plugin"):
        open_image(tmp_path / "a.h5")


def test_python_objects_are_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{1: 2}], object), allow_pickle=True)
    with pytest.raises(SourceUnreadable, match=r"holds Python objects, which are not read"):
        open_image(tmp_path / "a.npy")
