"""What cannot compute is refused within seconds, in one sentence; what is lost is resumable."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pytest

import napari_tilewise as tw
from napari_tilewise import errors

if TYPE_CHECKING:
    from pathlib import Path

distributed = pytest.importorskip("distributed")
NOISE = np.random.default_rng(0).random((700, 600))
UNGUARDED = """
import numpy as np
import napari_tilewise as tw

tw.plan(
    "filters.gaussian", np.zeros((9, 9)), executor="distributed", workers=1
)
"""
BATCH = """
import napari_tilewise as tw

if True:
    tw.batch("filters.gaussian", ["a.npy"], "out", backend="dask", n_jobs=2)
"""
GUARDED = """
import numpy as np
import napari_tilewise as tw

def main():
    return tw.plan("filters.gaussian", np.zeros((9, 9)), executor="distributed", workers=1)

if __name__ == "__main__":
    plan = main()
"""


@pytest.mark.parametrize("text", [UNGUARDED, BATCH])
def test_a_script_without_a_guard(text: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", NOISE)
    (tmp_path / "script.py").write_text(text)
    with pytest.raises(errors.InvalidParameter, match=r"line 5 .* below `if __name__ == '__main"):
        runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")


def test_a_script_with_a_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(GUARDED)
    values = runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")
    assert "a dask cluster of 1 process" in str(values["plan"].executor)


def test_a_machine_that_submits_no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", "")
    for system, command in (("slurm", "sbatch"), ("sge", "qsub"), ("htcondor", "condor_submit")):
        with dask.config.set({f"jobqueue.{system}": {"cores": 1, "memory": "2 GiB"}}):
            with pytest.raises(errors.InvalidParameter, match=f"command '{command}'.*this machine"):
                tw.plan("filters.gaussian", NOISE, executor=system)


def test_something_else_at_the_address() -> None:
    """It takes the connection, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with dask.config.set({"distributed.comm.timeouts.connect": "0.5s"}):
            with pytest.raises(errors.InvalidParameter, match="no dask scheduler answers there"):
                tw.plan("filters.gaussian", NOISE, executor=address)


@pytest.fixture(scope="module")
def client() -> Any:
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as client:
        yield client


def test_workers_without_the_package(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ModuleNotFoundError("No module named 'napari_tilewise'", name="napari_tilewise")
    monkeypatch.setattr(client, "run", lambda *args, **options: {"tcp://worker": answer})
    with pytest.raises(errors.MissingExtra, match=r"workers .* cannot import 'napari_tilewise'"):
        tw.run("filters.gaussian", NOISE, tmp_path / "a.ome.zarr", executor=client, memory="3 GiB")


def test_a_scheduler_that_is_lost(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", NOISE)
    out, submit = tmp_path / "a.ome.zarr", client.submit
    count = 0

    class Lost:
        def add_done_callback(self, callback: Any) -> None:
            callback(self)

        def result(self) -> None:
            raise distributed.client.FutureCancelledError("do-1", "scheduler-connection-lost")

        def release(self) -> None:
            """Do nothing."""

    def lost_later(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        return submit(*args, **options) if count == 1 else Lost()

    monkeypatch.setattr(client, "submit", lost_later)
    request: dict[str, Any] = {"memory": "3 GiB", "pyramid": False}
    recipe = ["filters.gaussian", "filters.threshold_otsu"]
    with pytest.raises(errors.ClusterLost, match="was lost during the run"):
        tw.run(recipe, tmp_path / "a.npy", out, executor=client, **request)
    assert not out.exists()
    tw.run(recipe, tmp_path / "a.npy", out, executor="threads", **request)
    np.testing.assert_array_equal(
        tw.open(out).data[:],
        (smooth := tw.apply("filters.gaussian", NOISE))
        > tw.apply("filters.threshold_otsu", smooth),
    )


JOBS_IN_A_THREAD = """
import signal, threading
import dask
from napari_tilewise.executors import cluster

dask.config.set({"jobqueue.slurm": {"cores": 1, "memory": "2 GiB"}})
before = signal.getsignal(signal.SIGINT)
messages = []

def start():
    try:
        cluster.of_jobs("slurm", 1)
    except Exception as error:
        messages.append(f"{type(error).__name__}: {error}")

thread = threading.Thread(target=start)
thread.start()
thread.join()
assert "the command 'sbatch'" in messages[0], messages
start()
assert signal.getsignal(signal.SIGINT) is before
"""


def test_jobs_are_started_from_any_thread_and_ctrl_c_stays_as_it_was(tmp_path: Path) -> None:
    """The shell and napari compute in threads of their own."""
    pytest.importorskip("dask_jobqueue")
    environment = {**os.environ, "PATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", JOBS_IN_A_THREAD], env=environment, check=True)
