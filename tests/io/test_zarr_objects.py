"""Zarr arrays as objects have a complete name or none, so that every process opens the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ZipStore

import napari_tilewise as tw
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.executors.assignment import portable_source
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.provenance.fingerprint import fingerprint, source_location
from napari_tilewise.provenance.record import read
from napari_tilewise.runs.rerun import rerun

if TYPE_CHECKING:
    from pathlib import Path

NOISE = np.random.default_rng(0).integers(1, 60000, (96, 128)).astype(np.uint16)
MEMORY = "4 GiB"


def root(folder: Path) -> Any:
    zarr.create_array(folder / "an image.zarr", data=NOISE, chunks=(64, 64))
    return zarr.open_array(LocalStore(folder / "an image.zarr"), mode="r")


def in_group(folder: Path) -> Any:
    zarr.create_array(folder / "group.zarr", name="a/b", data=NOISE, chunks=(64, 64))
    return zarr.open_group(folder / "group.zarr", mode="r")["a/b"]


def relative(folder: Path) -> Any:
    zarr.create_array(folder / "group.zarr", name="a", data=NOISE, chunks=(64, 64))
    return zarr.open_group("group.zarr", mode="r")["a"]


def through_fsspec(folder: Path) -> Any:
    zarr.create_array(folder / "group.zarr", name="a", data=NOISE, chunks=(64, 64))
    store = FsspecStore.from_url(f"file://{folder}/group.zarr", read_only=True)
    return zarr.open_array(store, path="a", mode="r")


def zipped(folder: Path) -> Any:
    with ZipStore(folder / "image.zip", mode="w") as store:
        zarr.create_array(store, name="a", data=NOISE, chunks=(64, 64))
    return zarr.open_array(ZipStore(folder / "image.zip", mode="r"), path="a", mode="r")


def in_memory(folder: Path) -> Any:
    return zarr.create_array(MemoryStore(), name="a", data=NOISE, chunks=(64, 64))


def in_fsspec_memory(folder: Path) -> Any:
    url = f"memory://{folder.name}/group.zarr"
    return zarr.create_array(url, name="a", data=NOISE, chunks=(64, 64))


NAMED = [root, in_group, relative, through_fsspec]
UNNAMED = [zipped, in_memory, in_fsspec_memory]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("make", NAMED)
def test_a_name_opens_the_array_anywhere(make: Any, tmp_path: Path) -> None:
    array = make(tmp_path)
    location = source_location(array)
    assert location is not None
    assert location.startswith(str(tmp_path))
    assert portable_source(array) == portable_source(open_image(array)) == location
    np.testing.assert_array_equal(open_image(location).data[...], NOISE)
    assert fingerprint(array) == fingerprint(location) == fingerprint(open_image(array))


@pytest.mark.parametrize("make", UNNAMED)
def test_an_array_without_a_name_says_so(make: Any, tmp_path: Path) -> None:
    array = make(tmp_path)
    assert source_location(array) is source_location(open_image(array)) is None
    np.testing.assert_array_equal(open_image(array).data[...], NOISE)


@pytest.mark.parametrize("make", [in_group, relative, through_fsspec, zipped])
def test_worker_processes_read_the_same_array(make: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    tw.run("filters.gaussian", make(tmp_path), out, executor="processes", workers=2, memory=MEMORY)
    np.testing.assert_array_equal(np.load(out), tw.apply("filters.gaussian", NOISE))
    if make is not zipped:
        assert read(out)["source"]["location"].startswith(str(tmp_path))
        assert rerun(out).identical


@pytest.mark.parametrize("make", [in_memory, in_fsspec_memory])
def test_an_array_in_memory_names_the_executors_that_work(make: Any, tmp_path: Path) -> None:
    array, out = make(tmp_path), tmp_path / "out.npy"
    with pytest.raises(InvalidParameter, match="executor='threads' or executor='serial'"):
        tw.run("filters.gaussian", array, out, executor="processes", workers=2, memory=MEMORY)
    tw.run("filters.gaussian", array, out, executor="serial", memory=MEMORY)
    np.testing.assert_array_equal(np.load(out), tw.apply("filters.gaussian", NOISE))
