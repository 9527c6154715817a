"""What a file says besides its pixels goes with them, as long as it is true of the result."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.io.metadata.channels import Channel
from napari_tilewise.io.metadata.units import converted, symbol, unit_name
from tests.io.carried import carried_table
from tests.io.test_formats import ATTRIBUTES, COLOURS, PAGE, STACK, original, write

RNG = np.random.default_rng(0)
PLANE = RNG.integers(0, 4000, (40, 60)).astype(np.uint16)
SIZES = {"scale": (0.5, 0.25), "units": ("micrometer", "micrometer")}


def test_the_page_shows_what_each_door_carries(tmp_path):
    table = carried_table(tmp_path)
    assert table in PAGE.read_text(encoding="utf-8"), "python -m tests.io.carried"
    assert " no " not in table


def test_a_display_window_is_that_of_the_same_values(tmp_path):
    channel = Channel("DAPI", "0000FF", (100.0, 900.0), (0.0, 4095.0), active=False)
    source = write(tmp_path / "a.ome.zarr", PLANE, "yx", channels=[channel])
    same = tw.run("filters.rank.median", source, tmp_path / "same.ome.zarr").path
    other = tw.run("util.invert", source, tmp_path / "other.ome.zarr").path
    mask = tw.run("filters.threshold_otsu", source, tmp_path / "mask.ome.zarr").path
    assert tw.open(same).channels == (channel,)
    for path in (other, mask):
        assert tw.open(path).channels == (Channel("DAPI", "0000FF", active=False),)
    # What others read: a window of all values.
    window = zarr.open_group(other).attrs["ome"]["omero"]["channels"][0]["window"]
    assert window["start"] > 60000


def test_colours_belong_to_the_numbers_of_labels(tmp_path):
    source = original(tmp_path, "OME-Zarr 0.5", STACK[0, 0, 0])
    eroded = tw.run("morphology.erosion", source, tmp_path / "eroded.ome.zarr").path
    anew = tw.run("measure.label", source, tmp_path / "anew.ome.zarr").path
    assert tw.open(eroded).details.label_entries == COLOURS
    assert tw.open(anew).details.label_entries == {}
    assert tw.open(anew).details.attributes == ATTRIBUTES


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.ome.tif", "a.tif"])
def test_a_crop_says_where_it_lies(tmp_path, name):
    source = write(tmp_path / name, PLANE.astype("f4"), "yx", translate=(3.0, -1.0), **SIZES)
    crop = ("util.crop", {"crop_width": [[4, 0], [8, 2]]})
    result = tw.open(tw.run(crop, source, tmp_path / f"crop-{name}").path)
    assert result.translate == pytest.approx((3.0 + 4 * 0.5, -1.0 + 8 * 0.25))
    halved = ("transform.downscale_local_mean", {"factors": 2})
    small = tw.run(halved, source, tmp_path / f"small-{name}").path
    assert tw.open(small).translate == pytest.approx((3.0 + 0.25, -1.0 + 0.125))


def test_what_imagej_writes_is_read(tmp_path):
    path = tmp_path / "a.tif"
    metadata = {"unit": "um", "min": 10.0, "max": 300.0, "xorigin": 4.0, "yorigin": -2.0}
    options = {"imagej": True, "resolution": (4, 2), "metadata": {**metadata, "Info": "by hand"}}
    tifffile.imwrite(path, PLANE, **options)
    image = tw.open(path)
    assert image.translate == (1.0, -1.0)
    assert image.channels == (Channel(window=(10.0, 300.0)),)
    assert image.details.info == "by hand"
    with tifffile.TiffFile(tw.convert(path, tmp_path / "b.tif").path) as tiff:
        written = tiff.imagej_metadata
    assert {key: written[key] for key in metadata} == metadata
    assert tw.open(tmp_path / "b.tif").details.info == "by hand"
    assert tw.info(tmp_path / "b.tif")["recipe"] is not None


def test_where_a_stage_stood_is_a_position_only_in_a_unit(tmp_path):
    def position(**plane):
        path = tmp_path / "a.ome.tif"
        sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        planes = {key: [value] for key, value in plane.items()}
        tifffile.imwrite(path, PLANE, metadata={"axes": "YX", **sizes, "Plane": planes})
        return tw.open(path).translate

    assert position(PositionX=2.0, PositionXUnit="mm", PositionY=7.0, PositionYUnit="µm") == (
        7.0,
        2000.0,
    )
    assert position(PositionX=2.0, PositionXUnit="reference frame") == (0.0, 0.0)
    assert position(PositionX=2.0) == (0.0, 0.0)


def test_positions_of_planes_stay_until_the_image_moves(tmp_path):
    drift = {"PositionX": [1.0, 1.5, 2.0], "PositionXUnit": ["µm"] * 3, "DeltaT": [0.0, 1.0, 2.0]}
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "Plane": drift}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([PLANE] * 3), metadata=metadata)
    same = tw.convert(tmp_path / "a.ome.tif", tmp_path / "same.ome.tif").path
    crop = ("util.crop", {"crop_width": [[0, 0], [4, 0]]})
    moved = tw.run(crop, tmp_path / "a.ome.tif", tmp_path / "moved.ome.tif", spatial="yx").path
    values = [tw.open(path).details.planes.values for path in (same, moved)]
    assert [v["PositionX"] for v in values] == [["1.0", "1.5", "2.0"], ["3.0"] * 3]
    assert [v["DeltaT"] for v in values] == [["0.0", "1.0", "2.0"]] * 2


SHAPES = {
    (3, 40, 60): ("cyx", (1.0, 0.5, 0.25)),
    (40, 60): ("yx", (0.5, 0.25)),
    (3, 60): ("yx", (1.0, 1.0)),  # which of the axes these are is not clear: the default
    (20, 30): ("yx", (1.0, 1.0)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_functions_result_keeps_the_axes_that_it_has(tmp_path, shape):
    channels = tuple(Channel(name) for name in ("one", "two", "three"))
    stack = np.stack([PLANE] * 3)
    source = write(
        tmp_path / "a.ome.zarr", stack, "cyx", channels=channels,
        scale=(1.0, 0.5, 0.25), units=(None, "micrometer", "micrometer"), translate=(0, 2, 3),
    )  # fmt: skip
    report = tw.batch(lambda image: np.resize(image, shape), source, tmp_path / "out", n_jobs=1)
    image = tw.open(tmp_path / "out" / report.rows[0]["output"])
    axes, scale = SHAPES[shape]
    assert ("".join(image.axes), image.scale) == (axes, scale)
    assert image.translate == ((0, 2, 3)[-len(shape) :] if 0.25 in scale else (0,) * len(shape))
    assert [c.name for c in image.channels] == (["one", "two", "three"] if "c" in axes else [])


def test_a_part_of_the_channels_has_their_names(tmp_path):
    channels = [Channel("one", "FF0000"), Channel("two", "00FF00")]
    source = write(tmp_path / "a.ome.zarr", np.stack([PLANE] * 2), "cyx", channels=channels)
    report = tw.batch("filters.rank.median", source, tmp_path / "out", over="c", n_jobs=1)
    images = [tw.open(tmp_path / "out" / row["output"]) for row in report.rows]
    assert [image.channels for image in images] == [(channel,) for channel in channels]


def test_units_of_every_size():
    for name, short in {"yoctometer": "ym", "megameter": "Mm", "petasecond": "Ps"}.items():
        assert (symbol(name), unit_name(short), unit_name(name)) == (short, name, name)
    assert unit_name("mm") == "millimeter"
    assert converted(2.0, "megameter", "micrometer") == 2e12
    assert unit_name("furlong") is None


def test_a_unit_that_only_its_file_knows_is_carried(tmp_path):
    source = write(tmp_path / "a.ome.zarr", PLANE, "yx")
    group = zarr.open_group(source)
    ome = group.attrs["ome"]
    ome["multiscales"][0]["axes"][0] |= {"unit": "furlong", "name": "north"}
    group.attrs["ome"] = ome
    for name in ("b.ome.zarr", "c.ome.zarr"):
        source = tw.convert(source, tmp_path / name).path
    written = zarr.open_group(source)
    axes = written.attrs["ome"]["multiscales"][0]["axes"]
    assert axes[0] == {"name": "north", "type": "space", "unit": "furlong"}
    assert written["0"].metadata.dimension_names == ("north", "x")


def test_attributes_that_are_no_mapping_are_refused(tmp_path):
    source = write(tmp_path / "a.ome.zarr", PLANE, "yx")
    document = source / "zarr.json"
    document.write_text('{"attributes": ["a"], "zarr_format": 3, "node_type": "group"}')
    for read in (tw.open, tw.info):
        with pytest.raises(tw.TilewiseError, match="cannot be read"):
            read(source)
