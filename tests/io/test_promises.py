"""What a file promises is there, or it is refused with both numbers; nothing is said twice."""

import logging
import os
import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import napari_tilewise as tw
from napari_tilewise.errors import SourceUnreadable, SourceWarning
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.library_messages import library_messages
from tests.io import tiff_layouts

AXES = [{"name": name, "type": "space"} for name in "yx"]
STACK = np.random.default_rng(0).integers(0, 999, (6, 64, 80), np.uint16)
WRITERS = {
    "imagej": {"imagej": True},
    "imagej zlib": {"imagej": True, "compression": "zlib"},
    "imagej tcyx": {"imagej": True, "metadata": {"axes": "TCYX"}, "shape": (3, 2)},
    "ome": {"ome": True},
    "ome zlib": {"ome": True, "compression": "zlib", "tile": (32, 32)},
    "ome big": {"ome": True, "bigtiff": True, "compression": "zlib"},
    "ome colours": {"ome": True, "photometric": "rgb", "compression": "zlib"},
    "shaped": {},
    "shaped zlib": {"compression": "zlib"},
    "shaped big": {"bigtiff": True},
    "shaped colours": {"photometric": "rgb", "compression": "zlib"},
    "shaped MM": {"byteorder": ">", "compression": "zlib"},
    "plain": {"metadata": None},
    "plain zlib": {"metadata": None, "compression": "zlib"},
}
LAYOUTS = [
    pytest.param(layout, big, deflate, id=f"{layout}, {'big ' * big}{'deflate' * deflate}")
    for layout in tiff_layouts.LAYOUTS
    for big in (False, True)
    for deflate in (False, True)
]
MICROSCOPES = {
    "a.stk": tiff_layouts.write_stk,
    "a.lsm": tiff_layouts.write_lsm,
    "fluoview.tif": tiff_layouts.write_fluoview,
    "a_MMStack.tif": tiff_layouts.write_micro_manager,
    "NDTiffStack.tif": tiff_layouts.write_ndtiff,
}
SHARES = {0.4: 2, 0.7: 4, 0.9: 5}
"""What is left of a file of six planes, and how many planes then are whole."""


def write(path, kind):
    options = {"metadata": {"axes": "ZYX"}, **WRITERS[kind]}
    pixels = STACK
    if "colours" in kind:
        pixels, options["metadata"] = np.stack([STACK] * 3, axis=-1), {"axes": "ZYXS"}
    tifffile.imwrite(path, pixels.reshape(options.pop("shape", (6,)) + pixels.shape[1:]), **options)
    return pixels


def is_refused_with_both_numbers(path):
    """Cut a file of six planes, and look for what is left, and of how many, in the refusal."""
    data = path.read_bytes()
    for share, planes in SHARES.items():
        length = int(len(data) * share)
        path.write_bytes(data[:length])
        with pytest.raises(SourceUnreadable) as error:
            tw.open(path)
        message = str(error.value)
        numbers = (
            rf"holds {planes} of (the )?6 (planes|pages)",
            rf"holds {planes} whole pages and ends at {length} bytes, before its .* at \d+:",
            rf"holds none of its pages and ends at {length} bytes, before its first .* at \d+:",
        )
        assert any(re.search(form, message) for form in numbers), message
        assert path.name in message
        assert "\n" not in message
    return True


@pytest.mark.parametrize("kind", WRITERS)
def test_a_stack_that_was_cut_short_is_refused(tmp_path, kind):
    path = tmp_path / "cut.tif"
    pixels = write(path, kind)
    np.testing.assert_array_equal(tw.open(path).data[:].reshape(pixels.shape), pixels)
    assert is_refused_with_both_numbers(path)


@pytest.mark.parametrize(("layout", "big", "deflate"), LAYOUTS)
def test_pages_of_any_layout_that_were_cut_short_are_refused(tmp_path, layout, big, deflate):
    path = tmp_path / "cut.tif"
    tiff_layouts.write_tiff(path, STACK, layout, big=big, deflate=deflate)
    np.testing.assert_array_equal(tw.open(path).data[:], STACK)
    assert is_refused_with_both_numbers(path)


@pytest.mark.parametrize("name", MICROSCOPES)
@pytest.mark.filterwarnings("ignore:.* tifffile. ")
def test_a_stack_of_a_microscope_that_was_cut_short_is_refused(tmp_path, name):
    path = tmp_path / name
    MICROSCOPES[name](path, STACK)
    np.testing.assert_array_equal(tw.open(path).data[:], STACK)
    assert is_refused_with_both_numbers(path)


def test_a_pyramid_that_was_cut_short_is_refused(tmp_path):
    path = tmp_path / "cut.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(STACK, subifds=1, compression="zlib")
        tiff.write(STACK[:, ::2, ::2], subfiletype=1, compression="zlib")
    assert len(tw.open(path).levels) == 2
    data = path.read_bytes()
    for share, numbers in {0.4: r"holds 3 of the 6 planes", 0.9: r"ends at \d+ .* at \d+:"}.items():
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(SourceUnreadable, match=numbers):
            tw.open(path)


def test_one_page_that_was_cut_short_is_refused(tmp_path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib")
    data = path.read_bytes()
    path.write_bytes(data[:5000])
    with pytest.raises(SourceUnreadable, match=rf"is 5000 bytes long, its .* {len(data)}: expec"):
        tw.open(path)


@pytest.mark.parametrize("kind", WRITERS)
def test_pages_that_end_before_they_should_are_refused(tmp_path, kind):
    """The whole file is there, and its third page says that it is the last one."""
    path = tmp_path / "a.tif"
    pixels = write(path, kind)
    with tifffile.TiffFile(path) as tiff:
        size, count = tiff.tiff.offsetsize, len(tiff.pages[2].aspage().tags)
        end = tiff.pages[2].offset + tiff.tiff.tagnosize + count * tiff.tiff.tagsize
    data = bytearray(path.read_bytes())
    data[end : end + size] = bytes(size)
    path.write_bytes(data)
    if kind.startswith("plain"):  # nothing says that there were more
        assert len(tw.open(path).data) == 3
    elif kind in {"imagej", "imagej tcyx", "shaped", "shaped big"}:  # and pages are not needed
        np.testing.assert_array_equal(tw.open(path).data[:].reshape(pixels.shape), pixels)
    else:
        with pytest.raises(SourceUnreadable, match=r"holds 3 of the 6 planes"):
            tw.open(path)


def test_planes_that_an_index_does_not_find_are_refused(tmp_path):
    path = tmp_path / "a_MMStack.tif"
    tiff_layouts.write_micro_manager(path, STACK, missing=2)
    with pytest.raises(SourceUnreadable, match=r"holds 4 of the 6 planes .*Micro-Manager's Inde"):
        tw.open(path)
    path = tmp_path / "NDTiffStack.tif"
    tiff_layouts.write_ndtiff(path, STACK)
    index = tmp_path / "NDTiff.index"
    entry = len(data := index.read_bytes()) // 6
    index.write_bytes(data[: 2 * entry] + data[3 * entry :])
    with pytest.raises(SourceUnreadable, match=r"has 6 pages, of which its NDTiff.index lists 5"):
        tw.open(path)
    tiff_layouts.write_ndtiff(path, STACK, name="other.tif")
    with pytest.raises(SourceUnreadable, match=r"'other\.tif' is missing, with 6 of 6 planes"):
        tw.open(path)
    tiff_layouts.write_ndtiff(path, STACK, name="../other.tif")
    with pytest.raises(SourceUnreadable, match=r"in '\.\./other\.tif', outside its folder"):
        tw.open(path)


PICTURES = ("a.png", "a.jpg", "a.gif", "a.bmp", "a.tga", "a.webp", "a.npy", "a.ppm", "a.h5")
LENGTHS = {
    "a.npy": r"is (\d+) bytes long, its pixels end at byte (\d+)",
    "a.ppm": r"is (\d+) bytes long, its pixels end at byte (\d+)",
    "a.h5": r"is (\d+) bytes long, its content ends at byte (\d+)",
    "a.webp": r"cannot be read as an image",
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("share", SHARES)
def test_a_picture_that_was_cut_short_is_refused(tmp_path, name, share):
    path, pixels = tmp_path / name, np.stack([STACK[0].astype(np.uint8)] * 3, axis=-1)
    if name == "a.npy":
        np.save(path, pixels)
    elif name == "a.h5":
        with h5py.File(path, "w") as file:
            file["a"] = pixels
    else:
        Image.fromarray(pixels).save(path)
    assert tw.open(path).data.shape == pixels.shape
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    expected = LENGTHS.get(name, r"ends before its pixels do, after (\d+) bytes")
    with pytest.raises(SourceUnreadable, match=expected):
        tw.open(path)


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


def test_a_file_of_a_set_that_was_cut_short_is_named(tmp_path):
    names = write_set(tmp_path)
    path = tmp_path / names[1]
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(
        SourceUnreadable, match=r"holds 2 of the 3 .* cut short: 'plane1\.ome\.tif'"
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
        result = [pool.submit(opened, number) for number in range(2)]
        barrier.wait()
        library.warning("of nobody")
        barrier.wait()
        assert [future.result() for future in result] == [["odd 0"], ["odd 1"]]
    library.warning("afterwards")
    assert [record.getMessage() for record in caplog.records] == ["of nobody", "afterwards"]


def test_what_bioio_says_is_in_the_error(tmp_path, caplog):
    pytest.importorskip("bioio_nd2")
    (tmp_path / "a.nd2").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceUnreadable, match=r"a\.nd2' cannot be read by bioio-nd2"):
        tw.open(tmp_path / "a.nd2")
    assert not caplog.records


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_without_any_chunk_is_warned_of(tmp_path, version):
    path, levels = tmp_path / "a.ome.zarr", [{"path": "0", "coordinateTransformations": []}]
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    metadata = {"multiscales": [{"version": version, "axes": AXES, "datasets": levels}]}
    group.attrs.update(metadata if version == "0.4" else {"ome": metadata})
    array = group.create_array("0", shape=(20, 30), dtype="u1")
    with pytest.warns(SourceWarning, match=r"a\.ome\.zarr' has no chunk on disk: all its pixels a"):
        tw.open(path)
    array[:10] = 1
    assert tw.open(path).data[:].sum() == 300


def test_an_array_of_version_2_without_any_chunk_is_warned_of(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(20, 30), dtype="u1", zarr_format=2)
    with pytest.warns(SourceWarning, match=r"a\.zarr' has no chunk on disk: all its pixels are 0"):
        tw.open(tmp_path / "a.zarr")
    array[:10] = 1
    assert tw.open(tmp_path / "a.zarr").data[:].sum() == 300


def test_an_hdf5_without_any_pixel_is_warned_of(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (20, 30), "u1", chunks=(10, 10))
    with pytest.warns(SourceWarning, match=r"a\.h5::/a' has no pixel in the file: all of them are"):
        tw.open(tmp_path / "a.h5")


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


@pytest.mark.parametrize(("version", "chunks"), [("0.4", "0/0"), ("0.5", "0/c")])
def test_our_own_zarr_of_zeros_is_complete(tmp_path, version, chunks):
    """There is no file for a chunk of zeros; the record says that there is none."""
    for pixels, name in ((np.zeros((40, 52), np.uint8), "zeros"), (STACK[0], "values")):
        path = tw.convert(
            pixels, tmp_path / f"{name}.ome.zarr", axes="yx", ome_zarr=version, shards=False
        ).path
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(tw.open(path).data[:], pixels)
    for chunk in (path / chunks).rglob("*"):
        if chunk.is_file():
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
    array[:10] = 1
    array.attrs["a"] = deep
    with pytest.raises(SourceUnreadable, match="its attributes are nested more than 100 deep"):
        tw.open(tmp_path / "a.zarr")
