"""What is written is valid by the specifications, and other people's readers see the same image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tifffile
import zarr

from napari_tilewise.errors import InvalidImage, InvalidParameter
from napari_tilewise.io.metadata.channels import of_samples
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.pyramid import halve
from tests.io.test_formats import CHANNELS, SIZES, UNITS, write
from tests.io.writing import new_writer

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 60000, (2, 3, 4, 60, 1100)).astype(np.uint16)
SCALE = tuple(SIZES.values())
OPTIONS = {"scale": SCALE, "units": tuple(UNITS.values()), "channels": CHANNELS}
LEVELS = [PIXELS, halve(PIXELS, (False,) * 3 + (True, True), average=True)]
LAYOUTS = {
    "0.5": {},
    "0.4": {"ome_zarr": "0.4"},
    "sharded": {"shards": (1, 1, 4, 60, 512), "chunks": (1, 1, 2, 60, 256)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("labels", [False, True])
def test_ome_zarr_is_valid_by_the_models(tmp_path, layout, labels):
    package = pytest.importorskip("ome_zarr_models")
    path = write(tmp_path / "a.zarr", PIXELS, "tczyx", labels=labels, **OPTIONS, **LAYOUTS[layout])
    models = package.v04 if layout == "0.4" else package.v05
    group = zarr.open_group(path, mode="r")
    (models.ImageLabel if labels else models.Image).from_zarr(group)
    metadata = group.attrs.asdict()
    omero = pytest.importorskip("ome_zarr_models.v04.omero").Omero
    result = omero.model_validate(metadata.get("ome", metadata)["omero"]).channels
    assert [(channel.label, channel.color) for channel in result] == [
        (channel.name, channel.color) for channel in CHANNELS
    ]
    assert result[0].window.start < result[0].window.end <= 65535


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ome_zarr_is_read_by_ome_zarr(tmp_path, layout):
    reader = pytest.importorskip("ome_zarr.reader").Reader
    parse_url = pytest.importorskip("ome_zarr.io").parse_url
    path = write(tmp_path / "a.zarr", PIXELS, "tczyx", **OPTIONS, **LAYOUTS[layout])
    node = next(iter(reader(parse_url(path, mode="r"))()))
    assert [level.shape for level in node.data] == [level.shape for level in LEVELS]
    for level, expected in zip(node.data, LEVELS, strict=True):
        np.testing.assert_array_equal(np.asarray(level), expected)
    assert node.metadata["channel_names"] == [channel.name for channel in CHANNELS]
    scale = node.metadata["coordinateTransformations"][0][0]["scale"]
    assert tuple(scale) == SCALE
    assert [axis.get("unit") for axis in node.metadata["axes"]] == list(UNITS.values())


def test_shards_are_what_zarr_says(tmp_path):
    path = write(tmp_path / "a.zarr", PIXELS, "tczyx", **LAYOUTS["sharded"])
    array = zarr.open_array(path / "0", mode="r")
    assert (array.chunks, array.shards) == ((1, 1, 2, 60, 256), (1, 1, 4, 60, 512))
    np.testing.assert_array_equal(array[:], PIXELS)
    np.testing.assert_array_equal(zarr.open_array(path / "1", mode="r")[:], LEVELS[1])
    files = [file for file in (path / "0" / "c").rglob("*") if file.is_file()]
    assert len(files) == 2 * 3 * 3  # of a row of shards; as chunks there were 60


def test_shards_that_cannot_be(tmp_path):
    options = {"shape": (64, 64), "dtype": "u1", "axes": "yx", "chunks": (16, 16)}
    with pytest.raises(InvalidParameter, match="whole chunks"):
        new_writer(tmp_path / "a.zarr", shards=(24, 32), **options)
    with pytest.raises(InvalidParameter, match="no shards"):
        new_writer(tmp_path / "a.zarr", shards=(32, 32), ome_zarr="0.4", **options)
    with pytest.raises(InvalidParameter, match=r"ome_zarr='0\.3'"):
        new_writer(tmp_path / "a.zarr", ome_zarr="0.3", **options)
    with pytest.raises(InvalidParameter, match="belong to OME-Zarr"):
        new_writer(tmp_path / "a.ome.tif", shards=(32, 32), **options)
    assert list(tmp_path.iterdir()) == []


def test_ome_tiff_is_valid_and_read_by_tifffile(tmp_path):
    path = write(tmp_path / "a.ome.tif", PIXELS, "tczyx", **OPTIONS)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert tiff.is_ome
        series = tiff.series[0]
        assert series.axes == "TCZYX"
        assert [level.shape for level in series.levels] == [level.shape for level in LEVELS]
        for level, expected in zip(series.levels, LEVELS, strict=True):
            np.testing.assert_array_equal(level.asarray(), expected)
        page = tiff.pages.first
        assert page.is_tiled
        assert len(page.subifds) == 1
        offsets = [offset for page in series.levels[0].pages for offset in page.dataoffsets]
        assert offsets == sorted(offsets)  # whole tiles in the order of the file
        # For readers of slides, which know no OME-XML: pixels per centimeter, at each level.
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        for level, factor in zip(series.levels, (1, 2), strict=True):
            across, times = level.keyframe.tags["XResolution"].value
            assert across / times == pytest.approx(1e4 / 0.5 / factor)
        xml = tiff.ome_metadata
    ome_types = pytest.importorskip("ome_types")
    pixels = ome_types.from_xml(xml, validate=False).images[0].pixels
    assert (pixels.size_t, pixels.size_c, pixels.size_z) == PIXELS.shape[:3]
    assert (pixels.physical_size_x, pixels.physical_size_x_unit.value) == (0.5, "µm")
    assert (pixels.time_increment, pixels.time_increment_unit.value) == (2.5, "s")
    assert [channel.name for channel in pixels.channels] == [c.name for c in CHANNELS]
    colors = [channel.color.as_rgb_tuple() for channel in pixels.channels]
    assert colors == [(0, 0, 255), (0, 255, 0), (255, 128, 0)]


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i4", "u4", "f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(1100, 40), (5, 7), (512, 1024), (16, 16)])
def test_ome_tiff_of_every_type_and_ragged_shape(tmp_path, dtype, shape):
    pixels = RNG.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)
    path = write(tmp_path / "a.ome.tiff", pixels, "yx")
    assert tifffile.imread(path).dtype == pixels.dtype
    np.testing.assert_array_equal(tifffile.imread(path), pixels)
    np.testing.assert_array_equal(open_image(path).data[3:, 2:30], pixels[3:, 2:30])


def test_labels_are_never_averaged_in_a_tiff(tmp_path):
    pixels = RNG.integers(0, 1000, (1200, 1030)).astype(np.int32)
    image = open_image(write(tmp_path / "a.ome.tif", pixels, "yx", labels=True))
    np.testing.assert_array_equal(image.levels[1][:], pixels[::2, ::2])
    assert image.labels


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "f4"])
def test_imagej_is_read_by_tifffile(tmp_path, dtype):
    pixels = RNG.integers(0, 2 if dtype == "?" else 200, (2, 3, 4, 30, 41)).astype(dtype)
    path = write(tmp_path / "a.tif", pixels, "tczyx", **OPTIONS)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_imagej
        result = tiff.imagej_metadata
        assert tiff.series[0].axes == "TZCYX"
        np.testing.assert_array_equal(tiff.asarray(), pixels.transpose(0, 2, 1, 3, 4))
    assert (result["unit"], result["spacing"], result["finterval"]) == ("um", 0.8, 2.5)
    assert result["Labels"][:4] == ["DAPI", "GFP é", "Cy5", "DAPI"]
    assert (result["channels"], result["slices"], result["frames"]) == (3, 4, 2)


def test_imagej_knows_one_unit_only(tmp_path):
    sizes = {"scale": (800.0, 250.0, 0.5), "units": ("nanometer", "nanometer", "micrometer")}
    image = open_image(write(tmp_path / "a.tif", PIXELS[0, 0], "zyx", **sizes))
    assert image.scale == pytest.approx((0.8, 0.25, 0.5))
    assert image.units == ("micrometer",) * 3


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".ome.tif", ".ome.zarr"])
def test_a_colour_picture_stays_one(tmp_path, suffix, count):
    pixels = RNG.integers(0, 255, (700, 60, count)).astype(np.uint8)
    path = write(tmp_path / f"a{suffix}", pixels, "yxc", channels=of_samples(count))
    image = open_image(path)
    moved = [image.axes.index(axis) for axis in "yxc"]
    np.testing.assert_array_equal(np.asarray(image.data[...]).transpose(moved), pixels)
    assert [channel.name for channel in image.channels[:3]] == ["Red", "Green", "Blue"]
    if suffix == ".ome.tif" or (suffix == ".tif" and count == 3):
        with tifffile.TiffFile(path) as tiff:
            assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
            assert tiff.pages.first.samplesperpixel == count


REFUSED = {
    "a.ome.tif": [((4, 4), "i8", "yx"), ((2, 4, 4), "u1", "qyx")],
    "a.tif": [((4, 4), "i4", "yx"), ((4, 4), "f8", "yx"), ((70000, 70000), "u1", "yx")],
    "a.png": [((2, 4, 4), "u1", "zyx"), ((4, 4), "f4", "yx"), ((4, 4, 3), "u2", "yxc"),
              ((20000, 20000), "u1", "yx")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "axes"),
    [(name, *case) for name, cases in REFUSED.items() for case in cases],
)
def test_what_a_format_cannot_hold_is_refused_before_the_start(tmp_path, name, shape, dtype, axes):
    with pytest.raises(InvalidImage, match=r"cannot be .*; (write|name)") as caught:
        new_writer(tmp_path / name, shape=shape, dtype=dtype, axes=axes)
    assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["i8", "u8"])
@pytest.mark.parametrize("name", ["a.ome.zarr", "a.npy", "a.ome.tif", "a.tif", "a.png"])
def test_integers_of_64_bits_go_where_they_fit(tmp_path, name, dtype):
    pixels = np.array([[0, np.iinfo(dtype).max], [np.iinfo(dtype).min, 7]], dtype)
    if name in ("a.ome.zarr", "a.npy"):
        path = write(tmp_path / name, pixels, "yx")
        np.testing.assert_array_equal(open_image(path).data[...], pixels)
    else:
        with pytest.raises(InvalidImage, match=r"write NAME.ome.zarr or NAME.npy"):
            new_writer(tmp_path / name, shape=(2, 2), dtype=dtype, axes="yx")


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif", "a.npy", "a.png", "a.ome.zarr"])
def test_the_same_image_has_the_same_bytes(tmp_path, name):
    def content(folder):
        path = write(folder / name, PIXELS[0, 0, 0], "yx", record={"record": 1})
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return [file.read_bytes() for file in files if file.is_file()]

    first, second = content(tmp_path / "first"), content(tmp_path / "second")
    assert first == second
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(tmp_path / "first" / name)
