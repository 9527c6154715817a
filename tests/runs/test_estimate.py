"""What a plan tells before the run: what it moves, and how long it takes, from bounded samples."""

from __future__ import annotations

import gc
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from skimage import data

import napari_tilewise as tw
from napari_tilewise.cli import main
from napari_tilewise.engine.events import DiskShort
from napari_tilewise.errors import Cancelled
from napari_tilewise.recipe.step import Step
from napari_tilewise.runs import estimate as module
from napari_tilewise.runs.estimate import Estimate, _scaled, estimate
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.traffic import shortage, traffic
from tests.sources import ArrayLike

if TYPE_CHECKING:
    from pathlib import Path

NUCLEI: list[Any] = [("filters.gaussian", {"sigma": 2}), "filters.threshold_otsu", "measure.label"]
RECIPES = {
    "pointwise": "util.invert",
    "chain": NUCLEI,
    "geometry": ("transform.rescale", {"scale": 0.5}),
    "size of its own": ("transform.resize", {"output_shape": (2000, 1800)}),
    "iterative": ("restoration.denoise_tv_chambolle", {"max_num_iter": 2}),
    "number": "filters.threshold_li",
}
COINS = np.pad(data.coins(), ((0, 721), (0, 1152)), mode="symmetric")
CHUNK = 128


@pytest.fixture
def source() -> ArrayLike:
    return ArrayLike(COINS, (CHUNK, CHUNK))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which whatever is temporary lies."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_a_part_is_read_and_nothing_left(name: str, source: ArrayLike, temporary: Path) -> None:
    made = plan(RECIPES[name], source, axes="yx", workers=2)
    before = left(temporary)
    told = estimate(made)
    assert told.seconds is not None
    assert 0 < told.seconds < 600
    assert told.share <= 0.5
    counts = {tuple(s.start // CHUNK for s in box) for box in source.reads}
    assert len(counts) < 0.75 * COINS.size / CHUNK**2  # the whole was never swept
    assert left(temporary) <= before


def left(folder: Path) -> set[Path]:
    """Return what stands in a folder once nobody needs it."""
    gc.collect()
    return set(folder.iterdir())


def test_larger_windows_are_begun_while_there_is_time(source: ArrayLike) -> None:
    made = plan("util.invert", source, axes="yx")
    assert estimate(made, within=0).share < 0.05 < estimate(made, within=600).share


def test_the_run_is_not_changed(source: ArrayLike, tmp_path: Path) -> None:
    made = plan(NUCLEI, source, axes="yx", workers=2)
    estimate(made)
    np.testing.assert_array_equal(made.last.read((slice(0, 300),) * 2), whole()[:300, :300])
    path = tw.run(NUCLEI, source, tmp_path / "a.ome.zarr", axes="yx").path
    np.testing.assert_array_equal(zarr.open(path)["0"][:], whole())


def whole() -> np.ndarray:
    """Return the labels of the whole image."""
    smooth = tw.apply("filters.gaussian", COINS, sigma=2)
    mask = smooth > tw.apply("filters.threshold_otsu", smooth)
    return np.asarray(tw.apply("measure.label", mask))


def test_a_dask_array_of_many_chunks_has_a_time() -> None:
    lazy = da.from_array(COINS, chunks=CHUNK)
    told = estimate(plan("filters.threshold_otsu", lazy, axes="yx"))
    assert told.seconds is not None
    assert told.share <= 0.5


def test_planes_and_inputs_are_cut_alike() -> None:
    film, seeds = np.stack([COINS] * 3), (COINS > 200).astype(np.int32)
    recipe = tw.Recipe(
        [Step("segmentation.watershed", inputs={"markers": "seeds"})], inputs=["seeds"]
    )
    told = estimate(plan(recipe, film, inputs={"seeds": seeds}, axes="tyx"))
    assert told.seconds is not None
    assert told.share <= 0.25


def test_cancel_ends_it(source: ArrayLike, temporary: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        estimate(plan(NUCLEI, source, axes="yx"), cancel=cancel)
    assert left(temporary) == set()


def test_what_samples_cannot_tell_is_said(source: ArrayLike) -> None:
    recipe = [("transform.resize", {"output_shape": (300, 500)}), "measure.label"]
    told = estimate(plan(recipe, source, axes="yx"))
    assert told.seconds is None
    assert str(told).startswith("unknown: the result has a size of its own")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (42, "42 s"), (600, "10 min"), (4 * 3600, "4.0 h")],
)
def test_words(seconds: float, words: str) -> None:
    assert str(Estimate(seconds, 0.031, 1.0)) == f"about {words}, from 3.1% of the image"


def test_a_constant_and_a_rate() -> None:
    told = [(100.0, 1.0 + 100 * 0.01), (400.0, 1.0 + 400 * 0.01)]
    assert module._scaled(told, 1000) == pytest.approx(1.0 + 1000 * 0.01)
    assert module._scaled([(100.0, 2.0)], 1000) == pytest.approx(20)


# -- what is moved ---------------------------------------------------------------------------------


def test_bytes_read_and_written(source: ArrayLike, tmp_path: Path) -> None:
    made = plan("filters.gaussian", source, axes="yx")
    moved = traffic(made)
    path = tw.run("filters.gaussian", source, tmp_path / "a.ome.zarr", axes="yx").path
    levels = [zarr.open(path)[str(n)] for n in range(2)]
    assert moved.output == levels[0].nbytes
    assert moved.pyramid == levels[1].nbytes
    assert moved.read == COINS.nbytes
    assert traffic(made, pyramid=False).pyramid == 0
    stored = sum(file.stat().st_size for file in path.rglob("*"))
    assert stored < moved.lasting(path) == moved.written
    assert moved.lasting(tmp_path / "a.ome.tif") == 2 * moved.written


def test_passes_halos_and_what_is_kept(source: ArrayLike) -> None:
    chain = traffic(plan(NUCLEI, source, axes="yx", resume=True))
    assert chain.materialized >= COINS.size * 8
    assert chain.passes == 4  # range, histogram, pieces, labels
    assert chain.read == COINS.nbytes
    wide = traffic(plan(("filters.gaussian", {"sigma": 20}), source, axes="yx"))
    assert traffic(plan("util.invert", source, axes="yx")).halo == 1 < wide.halo


def test_a_disk_that_may_be_too_small_is_said(
    source: ArrayLike, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "a.ome.zarr"
    assert shortage(plan("util.invert", source, axes="yx"), path) is None
    huge = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(2**28, 2**28), chunks=(2048, 2048), dtype="f8"
    )
    told = shortage(plan("util.invert", huge, axes="yx"), path)
    assert told is not None
    assert told.startswith("the run may write up to ")
    assert str(path.parent) in told
    events: list[Any] = []
    monkeypatch.setattr("napari_tilewise.runs.traffic.free_bytes", lambda path: 2**20)
    tw.run("util.invert", source, path, axes="yx", progress=events.append)  # tried all the same
    (short,) = (event for event in events if isinstance(event, DiskShort))
    assert "1.0 MiB are free" in short.amounts


def test_the_shell_tells_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", COINS)
    target = tmp_path / "b.ome.zarr"
    argv = ["run", "filters.gaussian", str(tmp_path / "a.npy"), str(target), "--dry-run"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "passes  1, computing 1.0" in out
    assert "disk    reads up to " in out
    assert "\ntime    about " in out
    assert not target.exists()


def test_noise_makes_no_time_negative() -> None:
    assert _scaled([(2.0**16, 0.3), (2.0**18, 0.1)], 2**24) >= 0.1
    assert _scaled([(2.0**16, 0.1), (2.0**18, 0.4)], 2**20) == pytest.approx(1.6)
