"""A source that is removed or changed while it is read ends the run; it is never read as zeros."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr

import napari_tilewise as tw
from napari_tilewise.engine.events import RunResumed, TileDone
from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.writers.staging_zarr import StagingZarr
from napari_tilewise.recipe.step import Step
from napari_tilewise.runs import planner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LENGTH, CHUNK = 320, 64
TILES = 25
NOISE = np.random.default_rng(0).integers(1, 60000, (LENGTH, LENGTH)).astype(np.uint16)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "LONGEST_TILE", {2: CHUNK})
    monkeypatch.setattr(planner, "default_chunks", lambda shape, *_: (CHUNK,) * len(shape))


class AfterTile:
    """A listener that does something to the source after a number of tiles, once."""

    def __init__(self, fault: Callable[[], Any], number: int = 7) -> None:
        self._fault, self._remaining = fault, number

    def __call__(self, event: object) -> None:
        """Count finished tiles."""
        if isinstance(event, TileDone):
            self._remaining -= 1
            if self._remaining == 0:
                self._fault()


# -- sources ---------------------------------------------------------------------------------------


def zarr_2(folder: Path) -> Path:
    path = folder / "source.zarr"
    zarr.create_array(path, data=NOISE, chunks=(CHUNK, CHUNK), zarr_format=2)
    return path


def zarr_3(folder: Path) -> Path:
    path = folder / "source.zarr"
    zarr.create_array(path, data=NOISE, chunks=(CHUNK, CHUNK))
    return path


def sharded(folder: Path) -> Path:
    path = folder / "source.zarr"
    zarr.create_array(path, data=NOISE, chunks=(32, 32), shards=(CHUNK, CHUNK))
    return path


def ome_zarr(folder: Path) -> Path:
    path = folder / "source.ome.zarr"
    tw.convert(NOISE, path, axes="yx", memory="2 GiB")
    return path


def npy(folder: Path) -> Path:
    path = folder / "source.npy"
    np.save(path, NOISE)
    return path


def tiff(folder: Path) -> Path:
    path = folder / "source.tif"
    tifffile.imwrite(path, NOISE, tile=(CHUNK, CHUNK), compression="zlib")
    return path


def mapped_tiff(folder: Path) -> Path:
    path = folder / "source.tif"
    tifffile.imwrite(path, NOISE)
    return path


def hdf5(folder: Path) -> Path:
    path = folder / "source.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=NOISE, chunks=(CHUNK, CHUNK))
    return path


ZARRS = [zarr_2, zarr_3, sharded, ome_zarr]
FILES = [npy, tiff, mapped_tiff, hdf5]


# -- faults ----------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    """Remove a file, or a folder chunk by chunk, its metadata last."""
    if path.is_dir():
        for file in sorted(path.rglob("*"), key=lambda file: "z" in file.name):
            if file.is_file():
                file.unlink()
        shutil.rmtree(path)
    else:
        path.unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def lose_chunks(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file() and not file.name.startswith(".z") and file.suffix != ".json":
            file.unlink()


def rewrite(path: Path, make: Callable[[Path], Path]) -> None:
    """Write the same pixels again."""
    remove(path)
    make(path.parent)


CASES = [(make, fault) for make in ZARRS for fault in (remove, rename, lose_chunks)]
CASES += [(make, fault) for make in FILES for fault in (remove, rename)]


# -- tests -----------------------------------------------------------------------------------------


def run(source: Any, out: Path, fault: Callable[[], Any] | None = None, **options: Any) -> Any:
    """Run a filter tile after tile, so that the fault happens between two reads."""
    options = {"axes": "yx", "memory": "2 GiB", "executor": "serial"} | options
    if fault is not None:
        options["progress"] = AfterTile(fault)
    return tw.run("filters.gaussian", source, out, **options)


def assert_right(path: Path) -> None:
    np.testing.assert_array_equal(tw.open(path).data[:], tw.apply("filters.gaussian", NOISE))


@pytest.mark.parametrize(("make", "fault"), CASES)
def test_a_source_that_goes_away_fails_the_run(make: Any, fault: Any, tmp_path: Path) -> None:
    source, out = make(tmp_path), tmp_path / "out" / "a.ome.zarr"
    with pytest.raises(SourceUnreadable, match=r"source\.") as error:
        run(source, out, lambda: fault(source))
    assert "\n" not in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize("make", ZARRS + FILES)
def test_a_source_that_is_rewritten_fails_the_run(make: Any, tmp_path: Path) -> None:
    source, out = make(tmp_path), tmp_path / "out" / "a.ome.zarr"
    with pytest.raises(SourceUnreadable, match="was changed while it was read"):
        run(source, out, lambda: rewrite(source, make))
    assert not out.exists()
    run(source, out)
    assert_right(out)


@pytest.mark.parametrize("fault", [remove, lose_chunks])
def test_tiles_of_lost_chunks_are_computed_again(fault: Any, tmp_path: Path) -> None:
    source, out = zarr_3(tmp_path), tmp_path / "out" / "a.ome.zarr"
    backup = tmp_path / "backup"
    shutil.copytree(source, backup)
    with pytest.raises(SourceUnreadable):
        run(source, out, lambda: fault(source))
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(backup, source)
    run(source, out)
    assert_right(out)


def test_a_renamed_source_that_is_back_resumes(tmp_path: Path) -> None:
    source, out = zarr_3(tmp_path), tmp_path / "out" / "a.ome.zarr"
    with pytest.raises(SourceUnreadable, match="removed or renamed"):
        run(source, out, lambda: rename(source))
    source.with_name("elsewhere").rename(source)
    resumed: list[RunResumed] = []
    run(
        source, out,
        progress=lambda event: resumed.append(event) if isinstance(event, RunResumed) else None,
    )  # fmt: skip
    assert [event.done for event in resumed] == [7]
    assert_right(out)


@pytest.mark.parametrize("fault", [remove, rename, lose_chunks])
def test_worker_processes_read_no_zeros(fault: Any, tmp_path: Path) -> None:
    source, out = zarr_3(tmp_path), tmp_path / "a.ome.zarr"
    with pytest.raises(SourceUnreadable, match=r"source\."):
        run(source, out, lambda: fault(source), executor="processes", workers=2)
    assert not out.exists()


@pytest.mark.parametrize("make", [zarr_3, npy])
def test_an_input_that_goes_away(make: Any, tmp_path: Path) -> None:
    second, out = make(tmp_path), tmp_path / "a.ome.zarr"
    step = Step("util.compare_images", {"method": "diff"}, inputs={"image1": "second"})
    with pytest.raises(SourceUnreadable, match=r"source\."):
        tw.run(
            tw.Recipe([step], ["second"]), NOISE, out, axes="yx", executor="serial",
            inputs={"second": second}, progress=AfterTile(lambda: remove(second)), memory="2 GiB",
        )  # fmt: skip
    assert not out.exists()


@pytest.mark.parametrize("make", [zarr_3, tiff])
def test_a_number_of_a_source_that_goes_away(make: Any, tmp_path: Path) -> None:
    source, out = make(tmp_path), tmp_path / "a.json"
    with pytest.raises(SourceUnreadable, match=r"source\."):
        tw.run(
            "measure.shannon_entropy", source, out, axes="yx", executor="serial", memory="2 GiB",
            progress=AfterTile(lambda: remove(source), 1),
        )  # fmt: skip
    assert not out.exists()


@pytest.mark.parametrize("fault", [remove, lose_chunks])
def test_a_batch_loses_one_row(fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = []
    for name in "abc":
        (tmp_path / name).mkdir()
        sources.append(zarr_3(tmp_path / name).rename(tmp_path / f"{name}.zarr"))
    write = StagingZarr.write
    writes: list[None] = []

    def write_and_fail(self: StagingZarr, *arguments: Any) -> None:
        writes.append(None)
        if len(writes) == TILES + 7:
            fault(sources[1])
        write(self, *arguments)

    monkeypatch.setattr(StagingZarr, "write", write_and_fail)
    report = tw.batch("filters.gaussian", sources, tmp_path / "out", axes="yx", backend="serial")
    assert [row["status"] for row in report.rows] == ["done", "failed", "done"]
    assert "b.zarr" in report.rows[1]["error"]
    outputs = sorted(path.name for path in (tmp_path / "out").glob("*.zarr"))
    assert outputs == ["a.ome.zarr", "c.ome.zarr"]


@pytest.mark.parametrize(("make", "fault"), [(zarr_3, remove), (ome_zarr, lose_chunks)])
def test_a_conversion_of_a_source_that_goes_away(make: Any, fault: Any, tmp_path: Path) -> None:
    source, out = make(tmp_path), tmp_path / "out" / "a.ome.tif"
    with pytest.raises(SourceUnreadable, match=r"source\."):
        tw.convert(
            source, out, axes="yx", memory="2 GiB", progress=AfterTile(lambda: fault(source))
        )
    assert not out.exists()


def test_an_absent_chunk_is_fill_value(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(128, 128), chunks=(64, 64), dtype="u1", fill_value=7
    )
    array[:64, :64] = 1
    image = tw.open(tmp_path / "a.zarr").data[:]
    assert image[0, 0] == 1
    assert image[100, 100] == 7
