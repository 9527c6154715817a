"""Every executor gives the same bytes, and one that loses a worker loses nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pytest
from skimage import data

import napari_tilewise as tw
from napari_tilewise import errors
from napari_tilewise.engine.events import TileDone, WorkersStarted
from napari_tilewise.functions.loading import load_file
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.recipe import Step
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.rerun import rerun
from tests.executors.pickled_pool import Pickled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

dask_jobqueue = pytest.importorskip("dask_jobqueue")
distributed = pytest.importorskip("distributed")

MEMORY = "3 GiB"

SEEDS = tw.Recipe(
    [
        Step("filters.gaussian", {"sigma": 1.5}, name="smooth"),
        Step("filters.threshold_otsu", name="mask"),
        Step("measure.label", name="seeds"),
        Step(
            "segmentation.watershed", {"mask": None}, inputs={"image": "smooth", "markers": "seeds"}
        ),
        Step("morphology.remove_small_objects", {"max_size": 20}),
    ]
)
TABLE = tw.Recipe(
    [
        ("filters.gaussian", {"sigma": 1}),
        "filters.threshold_li",
        "measure.label",
        ("measure.regionprops_table", {"properties": ("label", "area", "centroid")}),
    ]
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "coins.npy"
    np.save(path, np.tile(data.coins(), (4, 3)))
    return path


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as client:
        yield client


@pytest.fixture(params=["serial", "processes", "client", "pickled"])
def executor(request: pytest.FixtureRequest) -> Any:
    """Every kind of place; two clusters that are started for the run are tested below."""
    if request.param == "pickled":
        return Pickled()
    return request.getfixturevalue("client") if request.param == "client" else request.param


def files(folder: Path) -> dict[str, str]:
    """Return digests of the chunks of an output, which pytest compares in no time."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "zarr.json"
    }


def test_every_executor_writes_the_same_bytes(executor: Any, image: Path, tmp_path: Path) -> None:
    made = {}
    for name, place in (("a", "threads"), ("b", executor)):
        tw.run(SEEDS, image, tmp_path / f"{name}.ome.zarr", executor=place, memory=MEMORY)
        made[name] = files(tmp_path / f"{name}.ome.zarr")
    assert made["a"] == made["b"]
    assert len(made["a"]) > 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ome.zarr", "b.ome.zarr"]


@pytest.mark.parametrize("executor", ["client", "pickled"], indirect=True)
def test_other_processes_measure_the_same(executor: Any, image: Path, tmp_path: Path) -> None:
    tables = [
        tw.run(TABLE, image, tmp_path / f"{number}.csv", executor=place, memory=MEMORY).value
        for number, place in enumerate(("threads", executor))
    ]
    np.testing.assert_equal(tables[1], tables[0])
    assert len(tables[0]["label"]) > 100


def test_each_plane_of_a_stack_is_gathered_once(image: Path, tmp_path: Path) -> None:
    stack = np.stack([np.load(image)[:300, :300] + np.uint8(10 * t) for t in range(3)])
    recipe = ["filters.gaussian", "filters.threshold_otsu", "measure.label"]
    place = Pickled()
    told: list[str] = []
    for name, where in (("a", "threads"), ("b", place)):
        tw.run(
            recipe, stack, tmp_path / f"{name}.ome.zarr", axes="tyx", executor=where, memory=MEMORY,
            progress=lambda event: told.append(getattr(event, "title", "")),
        )  # fmt: skip
    assert files(tmp_path / "a.ome.zarr") == files(tmp_path / "b.ome.zarr")
    gathered = [t for t in place.made.tasks if type(t).__name__ == "ReduceTask"]
    assert len(gathered) == len(set(gathered))
    assert {t.index for t in gathered} == {(0,), (1,), (2,)}


def test_no_pixel_travels(image: Path, tmp_path: Path) -> None:
    place = Pickled()
    tw.run(SEEDS, np.load(image), tmp_path / "a.ome.zarr", executor=place, memory=MEMORY)
    assert place.made.sent < 64 * 1024 < np.load(image).nbytes / 10


def test_random_numbers_are_the_same_in_all_processes(image: Path, tmp_path: Path) -> None:
    noise = [("util.random_noise", {"mode": "gaussian"})]
    tw.run(noise, image, tmp_path / "a.ome.zarr", executor=Pickled(), memory=MEMORY)
    record = rerun(tmp_path / "a.ome.zarr", executor="threads", allow_outside=True)
    assert record.identical
    tw.run(noise, image, tmp_path / "b.ome.zarr", memory=MEMORY)
    assert files(tmp_path / "a.ome.zarr") != files(tmp_path / "b.ome.zarr")


# -- workers that are lost -----------------------------------------------------------------------


FUNCTIONS = """
import os, signal
import napari_tilewise as tw

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which ends a process at once on Windows

@tw.operation(halo=0, dtype="uint8")
def dies_once(image, marker: str = ""):
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return image + 1
    os.kill(os.getpid(), KILL)

@tw.operation(halo=0, dtype="uint8")
def dies(image):
    if image[0, 0] == 7:
        os.kill(os.getpid(), KILL)
    return image + 1
"""


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[str]:
    """Return the module's name of a user's file with deadly functions."""
    name = f"deadly_{tmp_path.name}".replace("-", "_")
    path = tmp_path / f"{name}.py"
    path.write_text(FUNCTIONS)
    loaded = load_file(path)
    yield name
    tw.OPERATIONS.forget(*(one.name for one in loaded))


@pytest.mark.parametrize("executor", ["processes", "client"], indirect=True)
def test_a_lost_worker_costs_its_tiles_only(
    executor: Any, functions: str, image: Path, tmp_path: Path
) -> None:
    done: list[int] = []

    def listen(event: Any) -> None:
        if isinstance(event, TileDone):
            done.append(event.done)

    recipe = [(f"{functions}.dies_once", {"marker": str(tmp_path / "marker")})]
    out = tmp_path / "a.ome.zarr"
    tw.run(recipe, image, out, executor=executor, memory=MEMORY, pyramid=False, progress=listen)
    result = np.asarray(open_image(out).data[:])
    np.testing.assert_array_equal(result, np.load(image) + 1)
    assert done == list(range(1, max(done) + 1))
    assert max(done) >= 4


@pytest.mark.parametrize("executor", ["processes", "client"], indirect=True)
def test_tiles_that_end_every_process_are_told(
    executor: Any, functions: str, image: Path, tmp_path: Path
) -> None:
    deadly, out = np.load(image), tmp_path / "a.ome.zarr"
    deadly[...] = np.where(deadly == 7, 8, deadly)
    deadly[0, 0] = 7
    np.save(tmp_path / "deadly.npy", deadly)
    if executor != "processes":
        executor.cluster.scheduler.allowed_failures = 0
    with pytest.raises(errors.OperationFailed, match=r"ended.*\(0, 0\)|\(0, 0\).*ended"):
        tw.run(
            [f"{functions}.dies"], tmp_path / "deadly.npy", out,
            executor=executor, workers=1, memory=MEMORY,
        )  # fmt: skip
    assert not out.exists()


# -- which places there are ----------------------------------------------------------------------


def test_a_cluster_is_started_for_the_run_and_closed(image: Path, tmp_path: Path) -> None:
    told: list[Any] = []
    tw.run(
        ["filters.gaussian"], image, tmp_path / "a.ome.zarr", executor="distributed", workers=1,
        memory=MEMORY, progress=told.append, pyramid=False,
    )  # fmt: skip
    (started,) = [event for event in told if isinstance(event, WorkersStarted)]
    assert started.dashboard.startswith("http://")
    assert "1 process" in started.executor


# jobqueue's stand-in for a batch system leaves the pipes of its jobs to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_batch_system_is_asked_for_jobs(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask_jobqueue.local import LocalCluster

    monkeypatch.setattr(dask_jobqueue, "SLURMCluster", LocalCluster)
    job = {"cores": 1, "memory": "2 GiB", "processes": 1}
    local = {f"jobqueue.local.{key}": value for key, value in job.items()}
    local["jobqueue.local.log-directory"] = str(tmp_path / "logs")
    with dask.config.set({"jobqueue.slurm": job, **local}):
        tw.run(
            ["filters.gaussian", "filters.threshold_otsu"], image, tmp_path / "a.ome.zarr",
            executor="slurm", workers=2, pyramid=False,
        )  # fmt: skip
    tw.run(
        ["filters.gaussian", "filters.threshold_otsu"], image, tmp_path / "b.ome.zarr",
        memory=MEMORY, pyramid=False,
    )  # fmt: skip
    assert files(tmp_path / "a.ome.zarr") == files(tmp_path / "b.ome.zarr")


def test_a_batch_system_that_is_not_described_is_refused(image: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidParameter, match=r"jobqueue\.pbs\.cores"):
        plan("filters.gaussian", image, executor="pbs")


@pytest.mark.parametrize(
    ("executor", "words"),
    [("proceses", "processes"), ("tcp://127.0.0.1:1", "no dask scheduler answers"), (3, "3")],
)
def test_what_is_no_executor_is_refused(executor: Any, words: str, image: Path) -> None:
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        with pytest.raises(errors.InvalidParameter, match=words):
            plan("filters.gaussian", image, executor=executor)


def test_a_missing_package_names_its_extra(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, executor in (("distributed", "distributed"), ("dask_jobqueue", "slurm")):
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(errors.MissingExtra, match=r"napari-tilewise\[cluster\]"):
            plan("filters.gaussian", image, executor=executor)


def test_what_holds_the_lock_goes_to_processes(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tilewise.executors.selection.WORTH", 1)
    assert plan(["feature.hog"], image, workers=2).executor.processes == 2
    assert plan(["feature.hog"], image, workers=2, executor="threads").executor.processes == 0
    assert plan(["filters.gaussian"], image, workers=2).executor.processes == 0


def test_a_source_that_belongs_to_this_process_is_refused(tmp_path: Path) -> None:
    class Lock:
        shape, dtype = (64, 64), np.dtype("uint8")

        def __getitem__(self, key: Any) -> Any:
            return np.zeros(self.shape, self.dtype)[key]

        def __reduce__(self) -> Any:
            raise TypeError("cannot pickle the microscope")

    with pytest.raises(errors.InvalidParameterType, match=r"microscope.*executor='threads'"):
        tw.run("filters.gaussian", Lock(), tmp_path / "a.ome.zarr", executor=Pickled())
    assert list(tmp_path.iterdir()) == []


def test_memory_of_processes_is_counted(image: Path) -> None:
    here = plan("filters.gaussian", image, workers=2, memory=MEMORY).budget
    there = plan("filters.gaussian", image, workers=2, memory=MEMORY, executor="processes").budget
    # This process may have grown in between.
    before, after = (b.total - b.cache - b.process for b in (here, there))
    assert after == before + 2 * there.child
    assert there.child > 2**27
    memory = here.total - here.cache - here.tables
    with pytest.raises(errors.MemoryBudgetExceeded):
        plan("filters.gaussian", image, workers=1, memory=memory, executor="processes")
