"""What a file promises is there, or it is refused with both numbers; nothing is said twice."""

import logging
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.errors import SourceUnreadable, SourceWarning
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.library_messages import library_messages

STACK = np.random.default_rng(0).integers(0, 999, (6, 64, 80), np.uint16)
WRITERS = {
    "imagej": {"imagej": True},
    "imagej zlib": {"imagej": True, "compression": "zlib"},
    "ome": {"ome": True},
    "ome zlib": {"ome": True, "compression": "zlib", "tile": (32, 32)},
    "ome big": {"ome": True, "bigtiff": True, "compression": "zlib"},
    "shaped": {},
    "shaped zlib": {"compression": "zlib"},
}


def write(path, kind):
    tifffile.imwrite(path, STACK, metadata={"axes": "ZYX"}, **WRITERS[kind])


@pytest.mark.parametrize("kind", WRITERS)
def test_a_stack_that_was_cut_short_is_refused(tmp_path, kind):
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    write(whole, kind)
    np.testing.assert_array_equal(tw.open(whole).data[:], STACK)
    data = whole.read_bytes()
    for share in (0.4, 0.7, 0.9):
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(SourceUnreadable, match=r"cut\.tif") as error:
            tw.open(cut).data[:]
        assert "\n" not in str(error.value)


def test_a_tiff_without_any_page_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(SourceUnreadable, match=r"a\.tif' holds no page"):
        tw.open(tmp_path / "a.tif")
    assert [item.source for item in tw.items(tmp_path)] == [str(tmp_path / "a.tif")]


def test_imagej_promises_a_number_of_planes(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, STACK[:2], description="ImageJ=1.54f\nimages=6\nslices=6\n", metadata=None
    )
    with pytest.raises(SourceUnreadable, match=r"holds [12] of the 6 planes .*images=6"):
        tw.open(path)


def test_ome_promises_a_number_of_planes(tmp_path):
    path = tmp_path / "a.ome.tif"
    write(path, "ome")
    data = path.read_bytes().replace(b'SizeZ="6"', b'SizeZ="9"')
    path.write_bytes(data)
    with pytest.raises(SourceUnreadable, match=r"of the 9 planes .*SizeT=1, SizeC=1, SizeZ=9"):
        tw.open(path)


def write_set(folder, count=3):
    """Write an OME-TIFF set: one file for each plane, each with the description of all."""
    names = [f"plane{z}.ome.tif" for z in range(count)]
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:0000000{z}-0000-0000-0000-000000000000</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    for z, name in enumerate(names):
        xml = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:0000000{z}-0000-0000-0000-000000000000">'
            '<Image ID="Image:0" Name="set"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            f'Type="uint16" SizeX="80" SizeY="64" SizeZ="{count}" SizeC="1" SizeT="1">'
            f"{data}</Pixels></Image></OME>"
        )
        tifffile.imwrite(folder / name, STACK[z], description=xml, metadata=None)
    return names


def test_a_missing_file_of_a_set_is_named(tmp_path):
    names = write_set(tmp_path)
    np.testing.assert_array_equal(tw.open(tmp_path / names[0]).data[:], STACK[:3])
    (tmp_path / names[1]).unlink()
    with pytest.raises(
        SourceUnreadable, match=r"'plane1\.ome\.tif' is missing, with 1 of 3 planes"
    ):
        tw.open(tmp_path / names[0])


def test_a_batch_does_a_set_once(tmp_path):
    names = write_set(tmp_path)
    write(tmp_path / "other.ome.tif", "ome")
    items = tw.items(tmp_path)
    assert [os.path.basename(item.source) for item in items] == ["other.ome.tif", names[0]]
    assert len(tw.items(tmp_path / "plane*.tif")) == 1
    assert tw.items(tmp_path / names[2])[0].source.endswith(names[2])


def test_what_a_library_says_is_one_warning(tmp_path):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, STACK[0], software="y")
    data = bytearray(path.read_bytes())
    data[data.index(b"\x31\x01\x02\x00") + 2] = 99  # a type of tag that does not exist
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = tw.open(path)
    assert [warning.category for warning in caught] == [SourceWarning]
    assert str(caught[0].message).startswith(f"{str(path)!r}: tifffile: ")
    np.testing.assert_array_equal(image.data[:], STACK[0])


def test_messages_belong_to_the_thread_that_opens_a_file(caplog):
    """Files are opened in many threads; when all are open, libraries log as ever."""
    library, barrier = logging.getLogger("tifffile"), threading.Barrier(3)

    def opened(number):
        with library_messages(f"{number}.tif", warn=False) as messages:
            barrier.wait()
            library.warning("odd %d", number)
            library.warning("odd %d", number)
            barrier.wait()
            return messages

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(opened, number) for number in range(2)]
        barrier.wait()
        library.warning("of nobody")
        barrier.wait()
        assert [future.result() for future in found] == [["odd 0"], ["odd 1"]]
    library.warning("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["of nobody", "afterwards"]


def test_what_bioio_says_is_in_the_error(tmp_path, caplog):
    pytest.importorskip("bioio_nd2")
    (tmp_path / "a.nd2").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceUnreadable, match=r"a\.nd2' cannot be read by bioio-nd2"):
        tw.open(tmp_path / "a.nd2")
    assert not caplog.records


def test_a_zarr_of_version_2_without_any_chunk_is_warned_of(tmp_path):
    for name in ("a.zarr", "b.zarr"):
        array = zarr.create_array(tmp_path / name, shape=(20, 30), dtype="u1", zarr_format=2)
    with pytest.warns(SourceWarning, match=r"a\.zarr' has no chunk on disk: all its pixels are 0"):
        tw.open(tmp_path / "a.zarr")
    array[:10] = 1
    assert tw.open(tmp_path / "b.zarr").data[:].sum() == 300


def test_a_plate_says_that_a_batch_takes_it(tmp_path):
    plate = zarr.create_group(tmp_path / "p.zarr", zarr_format=3)
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}]
    plate.attrs["ome"] = {"version": "0.5", "plate": {"wells": wells}}
    plate.create_group("A/1").attrs["ome"] = {"version": "0.5", "well": {"images": [{"path": "0"}]}}
    with pytest.raises(
        SourceUnreadable, match=r"a plate of 1 well, not .*p\.zarr/A/1/0', or a batch"
    ):
        tw.info(tmp_path / "p.zarr")
    with pytest.raises(SourceUnreadable, match=r"a well of 1 field, not an image"):
        tw.open(tmp_path / "p.zarr" / "A" / "1")


def test_our_own_zarr_of_zeros_is_complete(tmp_path):
    """OME-Zarr 0.4 has no file for a chunk of zeros; the record says that there is none."""
    for pixels, name in ((np.zeros((40, 52), np.uint8), "zeros"), (STACK[0], "values")):
        path = tw.convert(pixels, tmp_path / f"{name}.ome.zarr", axes="yx", ome_zarr="0.4").path
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(tw.open(path).data[:], pixels)
    for chunk in (path / "0" / "0").iterdir():
        chunk.unlink()
    with pytest.warns(SourceWarning, match="has no chunk on disk"):
        tw.open(path)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_to_be_shown_turned_is_warned_of(tmp_path, orientation):
    path, tag = tmp_path / "a.tif", (274, "H", 1, orientation, True)
    tifffile.imwrite(path, STACK[0], extratags=[tag])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(tw.open(path).data[:], STACK[0])
    messages = [str(warning.message) for warning in caught]
    assert ["turned by 90 degrees (its tag Orientation is 6)" in m for m in messages] == [True] * (
        orientation == 6
    )


def test_a_page_beyond_any_file_is_refused(tmp_path):
    """Found among the tests of Pillow."""
    path = tmp_path / "a.tif"
    path.write_bytes(b"II+\0\x08\0\0\0" + b"\xff" * 8)
    with pytest.raises(SourceUnreadable, match=r"a\.tif"):
        tw.open(path)
    assert [str(item.source) for item in tw.items(path)] == [str(path)]


def test_a_chunk_longer_than_memory_is_named():
    class Endless:
        shape, dtype = (4, 5), np.dtype("u1")

        def __getitem__(self, key):
            raise MemoryError

    with pytest.raises(SourceUnreadable, match=r"'a\.tif' cannot be decoded: memory does not suf"):
        CheckedArray(Endless(), "a.tif")[:2]


def test_attributes_without_end_are_refused(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(20, 30), dtype="u1", zarr_format=3)
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    array.attrs["a"] = deep
    with pytest.raises(SourceUnreadable, match="its attributes are nested more than 100 deep"):
        tw.open(tmp_path / "a.zarr")
