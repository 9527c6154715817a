"""Fingerprints: the same for a copy, another for a change that can be seen, and little is read."""

import os
import shutil

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from dask import delayed
from hypothesis import given
from hypothesis import strategies as st

from napari_tilewise.errors import SourceNotFound
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance import fingerprint_samples
from napari_tilewise.provenance.fingerprint import NAMED, SAMPLED, fingerprint, source_location

LARGE = fingerprint_samples.WHOLE + 2**20


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 4000, (60, 70), dtype=np.uint16)


@given(st.integers(0, 5000), st.integers(1, 200))
def test_spaced(count, most):
    result = fingerprint_samples.spaced(count, most)
    assert len(result) == min(count, most)
    assert result == sorted(set(result))
    assert set(result) <= set(range(count))
    if count and most > 1:
        assert {0, count - 1} <= set(result)


# Files and folders


def change_pixel(path):
    if path.suffix == ".tif":
        tifffile.memmap(path, mode="r+")[3, 4] += 1
    elif path.suffix == ".npy":
        np.load(path, mmap_mode="r+")[3, 4] += 1
    else:
        zarr.open_array(path, mode="r+")[3, 4] += 1


def write(path, image):
    if path.suffix == ".tif":
        tifffile.imwrite(path, image)
    elif path.suffix == ".npy":
        np.save(path, image)
    else:
        zarr.create_array(path, data=image, chunks=(16, 16))
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.npy", "a.zarr"])
def test_a_copy_has_the_same_and_one_pixel_makes_another(tmp_path, image, name):
    path = write(tmp_path / name, image)
    before = fingerprint(path)
    assert before.startswith(f"{SAMPLED}:")
    copied = tmp_path / "elsewhere" / f"other{path.suffix}"
    copied.parent.mkdir()
    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copied)
    os.utime(copied, (1, 1))
    assert fingerprint(str(copied)) == fingerprint(copied.as_uri()) == before
    change_pixel(copied)
    assert fingerprint(copied) != before
    assert fingerprint(path) == before


def test_what_is_noticed_of_a_large_file(tmp_path):
    path = tmp_path / "large.raw"
    path.write_bytes(bytes(LARGE))
    before = fingerprint(path)

    def changed(at):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"\1")
            file.flush()
            now = fingerprint(path)
            file.seek(at)
            file.write(b"\0")
        return now != before

    blocks = fingerprint_samples.spaced(
        LARGE // fingerprint_samples.BLOCK, fingerprint_samples.BLOCKS
    )
    assert all(changed(at) for at in (0, LARGE - 1, blocks[16] * fingerprint_samples.BLOCK))
    assert not changed((blocks[16] + 1) * fingerprint_samples.BLOCK)  # as its docstring says
    assert fingerprint(path) == before
    with path.open("ab") as file:
        file.write(b"\0")
    assert fingerprint(path) != before


def test_a_terabyte_is_not_read(tmp_path):
    path = tmp_path / "huge.raw"
    with path.open("wb") as file:
        file.truncate(2**40)
    read = sum(
        len(sample) for sample in fingerprint_samples.of_file(path) if isinstance(sample, bytes)
    )
    assert (
        read == 2 * fingerprint_samples.END + fingerprint_samples.BLOCK * fingerprint_samples.BLOCKS
    )


def test_a_folder_of_many_files_is_looked_at_evenly(tmp_path, monkeypatch):
    for row in range(12):
        (tmp_path / "c" / str(row)).mkdir(parents=True)
        for column in range(12):
            (tmp_path / "c" / str(row) / str(column)).write_bytes(b"x" * 9)
    (tmp_path / "zarr.json").write_text("{}")
    whole = list(fingerprint_samples.walk(tmp_path, "", 1000))
    assert len([name for name, *_ in whole if not name.endswith("/")]) == 145
    monkeypatch.setattr(fingerprint_samples, "FILES", 24)
    result = [n for n, *_ in fingerprint_samples.walk(tmp_path, "", 24) if not n.endswith("/")]
    assert len(result) <= 2 * 24
    assert {name.split("/")[1] for name in result if "/" in name} == set(map(str, range(12)))
    before = fingerprint(tmp_path)
    (tmp_path / "c" / "5" / "more").write_bytes(b"")
    assert fingerprint(tmp_path) != before


def test_depth_and_number_are_bounded_in_a_deep_tree(tmp_path):
    below = tmp_path
    for _ in range(6):
        for name in "abc":
            (below / name).mkdir()
        below = below / "b"
    assert len(list(fingerprint_samples.walk(tmp_path, "", 2))) <= 2 * 7 * 2


def test_litter_of_file_managers_does_not_count(tmp_path, image):
    path = write(tmp_path / "a.zarr", image)
    before = fingerprint(path)
    for name in (".DS_Store", "._zarr.json", "Thumbs.db"):
        (path / name).write_bytes(b"x")
    assert fingerprint(path) == before


def test_renamed_and_missing_chunks_are_noticed(tmp_path, image):
    path = write(tmp_path / "a.zarr", image)
    before = fingerprint(path)
    (path / "c/0/0").rename(path / "c/0/9")
    assert fingerprint(path) != before
    (path / "c/0/9").unlink()
    assert fingerprint(path) != before


@pytest.mark.parametrize("source", ["nowhere.tif", "memory://nowhere/a.zarr"])
def test_nothing_there(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound, match="nowhere"):
        fingerprint(source)


# URLs


def test_behind_a_url(image):
    url = "memory://fingerprint/a.zarr"
    array = zarr.create_array(url, data=image, chunks=(16, 16), fill_value=0, overwrite=True)
    before = fingerprint(url)
    assert fingerprint(url) == before
    array[3, 4] += 1
    changed = fingerprint(url)
    assert changed != before
    array[:16, :16] = 0  # the chunk is gone: zeros are not written
    assert fingerprint(url) not in {before, changed}
    copy = "memory://fingerprint/b.zarr"
    zarr.create_array(copy, data=array[:], chunks=(16, 16), fill_value=0, overwrite=True)
    assert fingerprint(copy) == fingerprint(url)


def test_a_pyramid_behind_a_url(image):
    url = "memory://fingerprint/p.zarr"
    group = zarr.open_group(url, mode="w")
    levels = [group.create_array(str(i), data=image[:: i + 1], chunks=(16, 16)) for i in range(2)]
    before = fingerprint(url)
    levels[0][0, 0] += 1
    assert fingerprint(url) != before


# Arrays


def test_order_in_memory_does_not_count(image):
    strided = np.zeros((60, 140), np.uint16)[:, ::2]
    strided[:] = image
    same = [image.copy(), np.asfortranarray(image), strided, image.astype(">u2")]
    same += [open_image(image), zarr.array(image)]
    assert {fingerprint(array) for array in same} == {fingerprint(image)}
    other = [image.astype("u4"), image.T, image.reshape(-1), image + 1, image.view("i2")]
    assert fingerprint(image) not in {fingerprint(array) for array in other}


def test_a_large_array_is_sampled_alike_in_any_order():
    image = np.zeros((LARGE // 1024, 1024), np.uint8)
    before = fingerprint(image)
    assert fingerprint(np.asfortranarray(image)) == before
    image[-1, -1] = 1
    assert fingerprint(image) != before
    assert fingerprint(np.asfortranarray(image)) == fingerprint(image)
    read = sum(
        len(sample) for sample in fingerprint_samples.of_array(image) if isinstance(sample, bytes)
    )
    assert read <= fingerprint_samples.BLOCK * fingerprint_samples.BLOCKS


def test_a_large_zarr_in_memory():
    array = zarr.zeros((LARGE // 1024, 1024), chunks=(512, 512), dtype="u1")
    before = fingerprint(array)
    assert before.startswith(SAMPLED)
    array[0, 0] = 1
    assert fingerprint(array) != before


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_little_arrays(shape):
    assert fingerprint(np.zeros(shape)) != fingerprint(np.zeros((*shape, 1)))


def test_nothing_is_computed_for_a_lazy_array():
    @delayed
    def fail():
        raise AssertionError("computed")

    lazy = da.from_delayed(fail(), (10, 10), "u1")
    assert fingerprint(lazy) == fingerprint(lazy)
    assert fingerprint(lazy).startswith(f"{NAMED}:")
    assert fingerprint(lazy) != fingerprint(lazy + 1)


def test_an_array_on_disk_is_its_folder(tmp_path, image):
    path = write(tmp_path / "a.zarr", image)
    array = zarr.open_array(path)
    assert source_location(array) == source_location(open_image(array)) == str(path)
    assert fingerprint(array) == fingerprint(open_image(path)) == fingerprint(path)


def test_places(tmp_path, monkeypatch, image):
    monkeypatch.chdir(tmp_path)
    assert (
        source_location("a.tif")
        == source_location((tmp_path / "a.tif").as_uri())
        == str(tmp_path / "a.tif")
    )
    assert source_location("https://a.b/c.zarr") == "https://a.b/c.zarr"
    assert source_location(image) is None
    assert source_location(open_image(zarr.array(image))) is None
