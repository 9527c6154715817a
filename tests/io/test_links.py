"""A file decides about no other file: links to outside are refused, and nothing is unpickled."""

from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import DestinationUnwritable, SourceUnreadable

PLANE = np.arange(600, dtype=np.uint16).reshape(20, 30)


@pytest.fixture
def other(tmp_path):
    """A file that another names."""
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = PLANE
    return path


def test_a_link_to_another_hdf5_file_is_not_followed(tmp_path, other):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["own"] = PLANE
        file["group/link"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(SourceUnreadable, match=r"only a link to 'other.h5'.* not followed"):
        tw.open(f"{tmp_path}/a.h5::/group/link")
    assert [item.source for item in tw.items(tmp_path / "a.h5")] == [str(tmp_path / "a.h5")]


def test_pixels_of_hdf5_in_other_files_are_refused(tmp_path, other):
    PLANE.tofile(tmp_path / "raw")
    raw = [(str(tmp_path / "raw"), 0, PLANE.nbytes)]
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("x", shape=PLANE.shape, dtype=PLANE.dtype, external=raw)
    for name, source in {"out.h5": str(other), "in.h5": "."}.items():
        layout = h5py.VirtualLayout(PLANE.shape, PLANE.dtype)
        layout[:] = h5py.VirtualSource(source, "x", PLANE.shape)
        with h5py.File(tmp_path / name, "w") as file:
            file["x"] = PLANE
            file.create_virtual_dataset("v", layout)
    for name in ("raw.h5", "out.h5::/v"):
        with pytest.raises(SourceUnreadable, match=r"has its pixels in .* another file"):
            tw.open(tmp_path / name)
    np.testing.assert_array_equal(tw.open(f"{tmp_path}/in.h5::/v").data[:], PLANE)


@pytest.mark.parametrize("name", ["../b.ome.tif", "/etc/b.tif", "c:b.tif", "sub/../../b.tif"])
def test_an_ome_tiff_names_no_file_outside_its_folder(tmp_path, name):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, PLANE, metadata={"axes": "YX"})
    xml = tifffile.tiffcomment(path)
    start, stop = xml.index("<TiffData"), xml.index("</Pixels>")
    data = f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:1</UUID></TiffData>'
    tifffile.tiffcomment(path, (xml[:start] + data + xml[stop:]).encode())
    with pytest.raises(SourceUnreadable, match="outside its folder"):
        tw.open(path)


@pytest.mark.parametrize("key", ["filters", "compressor"])
def test_no_chunk_is_unpickled(tmp_path, key):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=PLANE, zarr_format=2)
    document = json.loads((path / ".zarray").read_text())
    codec = {"id": "pickle", "protocol": 5}
    document[key] = [codec] if key == "filters" else codec
    (path / ".zarray").write_text(json.dumps(document))
    with pytest.raises(SourceUnreadable, match="pickle"):
        tw.open(path)


def test_an_array_that_would_be_unpickled_is_refused(tmp_path):
    class Coded:
        """As much of an array as says how its chunks are encoded."""

        metadata = type(
            "Metadata", (), {"to_dict": lambda self: {"codecs": [{"name": "x.pickle"}]}}
        )()

    from napari_tilewise.io.readers.checked_stores import checked

    with pytest.raises(SourceUnreadable, match=r"'x.pickle', which runs code"):
        checked(Coded(), "a.zarr")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300])
def test_names_that_no_file_has(tmp_path, name):
    np.save(tmp_path / "a.npy", PLANE)
    path = f"{tmp_path}/{name}"
    calls = [
        lambda: tw.open(path),
        lambda: tw.info(path),
        lambda: tw.items(path),
        lambda: tw.Recipe.load(path),
        lambda: tw.run("filters.sobel", tmp_path / "a.npy", f"{path}.ome.zarr"),
        lambda: tw.run("filters.threshold_otsu", tmp_path / "a.npy", f"{path}.json"),
        lambda: tw.convert(tmp_path / "a.npy", f"{path}.tif"),
        lambda: tw.batch("filters.sobel", tmp_path / "a.npy", path),
    ]
    for call in calls:
        with pytest.raises(tw.TilewiseError):
            call()


ODD_ARGUMENTS = {
    "run": ("executor", "workers", "inputs", "axes", "progress", "cancel", "memory"),
    "batch": ("name", "inputs", "only", "over", "window", "axes", "n_jobs", "progress", "cancel"),
    "convert": ("level", "dtype", "axes", "workers", "pause"),
}


@pytest.mark.parametrize(
    ("door", "argument"), [(door, name) for door, names in ODD_ARGUMENTS.items() for name in names]
)
@pytest.mark.parametrize("value", [1.5, {"a": 1}, b"a"], ids=repr)
def test_arguments_of_the_wrong_type_are_refused(tmp_path, door, argument, value):
    if argument == "memory" and value == 1.5:
        value = [1]
    np.save(tmp_path / "a.npy", PLANE)
    source, destination = tmp_path / "a.npy", tmp_path / "out.ome.zarr"
    arguments = (source, destination) if door == "convert" else ("filters.sobel", source)
    arguments += {"run": (destination,), "batch": (None,)}.get(door, ())
    with pytest.raises(tw.TilewiseError):
        getattr(tw, door)(*arguments, **{argument: value})
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_source_is_not_overwritten_under_its_name_in_another_case(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((8, 9), "u1"))
    before = (tmp_path / "photo.tif").read_bytes()
    other = tmp_path / "PHOTO.tif"
    if not other.exists():
        os.link(tmp_path / "photo.tif", other)  # as a file system without case answers
    with pytest.raises(DestinationUnwritable, match="never written to"):
        tw.run("util.invert", tmp_path / "photo.tif", other, overwrite=True)
    assert (tmp_path / "photo.tif").read_bytes() == before


def test_a_hard_link_of_a_source_is_replaced_without_it(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((8, 9), "u1"))
    os.link(tmp_path / "photo.tif", tmp_path / "copy.tif")
    tw.run("util.invert", tmp_path / "photo.tif", tmp_path / "copy.tif", overwrite=True)
    assert tifffile.imread(tmp_path / "photo.tif").max() == 0
    assert tifffile.imread(tmp_path / "copy.tif").min() == 255
