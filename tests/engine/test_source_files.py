"""Tokens of the files behind an array: equal ones only for equal pixels."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from skimage import filters
from zarr.storage import MemoryStore, ZipStore

import napari_tilewise as tw
from napari_tilewise.engine.lazy import expression_token
from napari_tilewise.engine.lazy.sources import as_source
from napari_tilewise.engine.passes.reductions import ReductionRunner
from napari_tilewise.engine.source import pixels_token
from napari_tilewise.engine.system import prepared, source_files
from napari_tilewise.engine.system.prepared import retained_statistics
from napari_tilewise.engine.system.source_files import files_token
from napari_tilewise.io.readers import pictures
from napari_tilewise.io.readers.checked_arrays import CheckedArray
from napari_tilewise.io.readers.checked_stores import checked
from napari_tilewise.io.readers.open_image import open_image

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.arange(64, dtype="u1").reshape(8, 8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    zarr.create_array(tmp_path / "a.zarr", data=PIXELS, chunks=(4, 4))
    return tmp_path / "a.zarr"


def token(folder: Path) -> str | None:
    return files_token(zarr.open_array(folder, mode="r"))


def test_a_token_stays_as_long_as_the_files_do(folder: Path) -> None:
    first = token(folder)
    assert first is not None
    assert first == token(folder) == files_token(checked(zarr.open_array(folder, mode="r"), "a"))


@pytest.mark.parametrize("change", ["pixels", "removed", "time", "fill value", "moved"])
def test_a_token_changes_with_the_files(change: str, folder: Path) -> None:
    first, chunk = token(folder), folder / "c" / "0" / "1"
    if change == "pixels":
        zarr.open_array(folder, mode="r+")[0, 7] = 9
    elif change == "removed":
        chunk.unlink()
    elif change == "time":
        os.utime(chunk, ns=(0, 0))
    elif change == "fill value":
        document = folder / "zarr.json"
        document.write_text(document.read_text().replace('"fill_value": 0', '"fill_value": 7'))
    else:
        folder = folder.rename(folder.with_name("b.zarr"))
    assert token(folder) not in (first, None)


@pytest.mark.parametrize("kind", ["tiled.tif", "plain.tif", "a.npy", "a.h5"])
def test_arrays_in_other_files_have_tokens(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    path = tmp_path / kind

    def write(pixels: np.ndarray) -> None:
        if kind.endswith(".tif"):
            tifffile.imwrite(path, pixels, tile=(16, 16) if kind == "tiled.tif" else None)
        elif kind.endswith(".npy"):
            np.save(path, pixels)
        else:
            h5py = pytest.importorskip("h5py")
            with h5py.File(path, "w") as file:
                file["a"] = pixels

    write(PIXELS)
    tokens = [files_token(open_image(path).data) for _ in range(2)]
    assert tokens[0] == tokens[1] is not None
    write(PIXELS + 1)
    os.utime(path, ns=(7, 7))
    assert files_token(open_image(path).data) not in (tokens[0], None)
    write(PIXELS)
    monkeypatch.setattr(source_files, "SETTLED", 10**12)
    assert files_token(open_image(path).data) is None


def test_an_array_whose_files_are_not_known_has_no_token() -> None:
    array = CheckedArray(PIXELS, "a", reopen=partial(open_image, "a"))
    assert files_token(array) is None


@pytest.mark.parametrize("kind", ["tiled.tif", "a.npy", "a.png"])
def test_two_operations_on_one_file_share_what_they_need(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    path = tmp_path / kind
    pixels = np.random.default_rng(3).integers(0, 200, (64, 64), np.uint8)
    if kind == "a.png":
        monkeypatch.setattr(pictures, "LARGE", 0)
        iio.imwrite(path, pixels)
    elif kind == "a.npy":
        np.save(path, pixels)
    else:
        tifffile.imwrite(path, pixels, tile=(16, 16))
    passes: list[str] = []

    def reduced(runner: Any, *arguments: Any) -> Any:
        passes.append(runner.plane.operation.name)
        return run(runner, *arguments)

    run = ReductionRunner.run
    monkeypatch.setattr(ReductionRunner, "run", reduced)
    for name in ("filters.threshold_otsu", "filters.threshold_yen"):
        assert tw.apply(name, tw.open(path).data, tiles=32).compute() == getattr(
            filters, name.partition(".")[2]
        )(pixels)
    assert "filters.threshold_otsu" in passes
    assert "filters.threshold_yen" not in passes


@pytest.mark.parametrize("kind", ["tiled.tif", "a.npy", "a.h5", "a.zip"])
def test_what_was_computed_of_a_replaced_file_is_not_taken_for_the_new_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    path, pixels = tmp_path / kind, np.random.default_rng(3).integers(0, 90, (64, 64), np.uint8)

    def write(pixels: np.ndarray) -> Any:
        new = tmp_path / f"new-{kind}"
        if kind == "tiled.tif":
            tifffile.imwrite(new, pixels, tile=(16, 16))
        elif kind == "a.npy":
            np.save(new, pixels)
        elif kind == "a.h5":
            with pytest.importorskip("h5py").File(new, "w") as file:
                file["a"] = pixels
        else:
            with ZipStore(new, mode="w") as store:
                zarr.create_array(store, data=pixels, chunks=(32, 32))
        new.replace(path)
        if kind == "a.zip":
            return zarr.open_array(ZipStore(path, mode="r"))
        return tw.open(path).data

    old, new = write(pixels), write(pixels + 100)
    for array in (old, new):
        threshold = tw.apply("filters.threshold_otsu", array, tiles=32).compute()
        assert threshold == filters.threshold_otsu(np.asarray(array[:, :]))


def test_operations_on_one_zip_file_share_what_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "SETTLED", 0)
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        for name, value in (("a", 1), ("b", 2)):
            zarr.create_array(store, name=name, data=PIXELS + value)

    def token(name: str) -> str | None:
        store = ZipStore(tmp_path / "a.zip", mode="r")
        return files_token(zarr.open_group(store, mode="r")[name])

    assert token("a") == token("a") is not None
    assert token("a") != token("b") is not None
    with ZipStore(tmp_path / "a.zip", mode="a") as store:
        assert files_token(zarr.open_group(store)["a"]) is None


def test_what_cannot_be_told_cheaply_has_no_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files_token(PIXELS) is None
    assert files_token(zarr.create_array(MemoryStore(), data=PIXELS)) is None
    monkeypatch.setattr(source_files, "MOST_FILES", 3)
    assert token(folder) is None


def test_files_of_a_moment_ago_have_no_token(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=PIXELS)
    assert token(tmp_path / "a.zarr") is None


def test_a_process_keeps_the_last_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "LARGEST_RETAINED", 0)
    monkeypatch.setattr(prepared, "MOST_BYTES", 4000)
    computed: list[str] = []

    def count(key: str, nbytes: int) -> None:
        def compute() -> bytes:
            computed.append(key)
            return bytes(nbytes)

        retained_statistics(key).get("histogram", 0, compute)

    for key in ("a", "b", "a", "b"):
        count(key, 1000)
    assert computed == ["a", "b"]
    count("c", 1000)  # beyond the room with the others
    count("b", 1000)
    count("a", 1000)
    assert computed == ["a", "b", "c", "a"]


def _expressions(folder: Path) -> dict[str, da.Array]:
    array = da.from_zarr(str(folder))
    return {
        "a path": array,
        "an array": da.from_array(zarr.open_array(folder, mode="r"), chunks=(4, 8)),
        "an open source": da.from_array(tw.open(folder).data),
        "arithmetic": (array + 1).astype("f4") / 2,
        "a part": array[2:7, ::-1].T,
        "other chunks": array.rechunk((8, 2)),
        "a function of NumPy": array.map_blocks(np.sqrt),
        "a mask": da.where(array > 20, array, 0),
    }


@pytest.mark.parametrize("kind", range(8))
def test_an_expression_has_a_token_of_the_files_that_it_reads(kind: int, folder: Path) -> None:
    def token() -> str | None:
        return pixels_token(as_source(list(_expressions(folder).values())[kind]))

    first = token()
    assert first is not None
    assert first == token()
    array = list(_expressions(folder).values())[kind]
    zarr.open_array(folder, mode="r+")[0, 7] = 9
    assert pixels_token(as_source(array)) not in (first, None)


def test_expressions_have_distinct_tokens(folder: Path) -> None:
    tokens = [pixels_token(as_source(array)) for array in _expressions(folder).values()]
    assert len(set(tokens)) == len(tokens)
    array = da.from_zarr(str(folder))
    of_one_name = [array.map_blocks(np.add, number, name="same") for number in (1, 2)]
    tokens = [pixels_token(as_source(expression)) for expression in of_one_name]
    assert tokens[0] != tokens[1]


def test_an_expression_that_may_change_unseen_has_no_token(folder: Path) -> None:
    array = da.from_zarr(str(folder))
    factor = [1]

    def scaled(block: np.ndarray) -> np.ndarray:
        return block * factor[0]

    pixels = dask.delayed(np.load)("a.npy")
    for expression in (
        da.from_array(np.zeros((8, 8))),  # whose owner may write to it
        array.map_blocks(scaled),
        array + da.from_array(np.ones((8, 8), "u1")),
        da.from_delayed(pixels, (8, 8), "u1"),
        da.random.default_rng(0).random((8, 8)),
        da.from_array(zarr.create_array(MemoryStore(), data=PIXELS)),
        tw.apply("filters.gaussian", array) + 1,
        array.map_blocks(np.frompyfunc(lambda value: value * factor[0], 1, 1), dtype="O"),
    ):
        assert pixels_token(as_source(expression)) is None


def test_an_expression_of_many_tasks_has_no_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = da.from_zarr(str(folder))[1:, 1:]
    assert pixels_token(as_source(array)) is not None
    monkeypatch.setattr(expression_token, "MOST_PARTS", 8)
    assert pixels_token(as_source(array)) is None


def test_two_operations_on_an_expression_share_what_they_need(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[str] = []
    run = ReductionRunner.run

    def reduced(runner: Any, *arguments: Any) -> Any:
        passes.append(runner.plane.operation.name)
        return run(runner, *arguments)

    monkeypatch.setattr(ReductionRunner, "run", reduced)
    expected = PIXELS[1:] + 1
    for number, value in enumerate((0, 7)):
        zarr.open_array(folder, mode="r+")[7, 7] = value
        expected[6, 7] = value + 1
        for name in ("threshold_otsu", "threshold_yen"):
            array = da.from_zarr(str(folder))[1:] + 1
            threshold = tw.apply(f"filters.{name}", array, tiles=4).compute()
            assert threshold == getattr(filters, name)(expected)
        assert passes == ["filters.threshold_otsu"] * (number + 1)
