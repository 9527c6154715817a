"""Ctrl-C and SIGTERM are answered whatever a tile computes, and leave a resumable run."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import zarr

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

FUNCTIONS = """
import itertools, os, threading
import napari_tilewise as tw

CALLS = itertools.count()

@tw.operation(output="image", dtype="same", halo=0)
def slow(image):
    is_tile = max(image.shape) > 256  # not a window on which the time of tiles is measured
    if is_tile and next(CALLS) >= int(os.environ["QUICK_TILES"]):
        os.write(2, b"computing\\n")
        if "HOLDS_THE_LOCK" in os.environ:
            sum(range(10**13))
        threading.Event().wait()
    return image + 1
"""


COMMAND = """
import os, sys
from napari_tilewise.cli import interrupts, main

if "PATIENCE" in os.environ:
    interrupts.cancellable.__wrapped__.__defaults__ = (float(os.environ["PATIENCE"]),)
sys.exit(main())
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that starts a run whose tiles never end, but for some quick ones."""
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    np.save(tmp_path / "a.npy", np.zeros((1024, 1024), np.uint8))
    processes = []

    def start(*options, quick_tiles=0, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "run", "--functions", "mine.py",
             "mine.slow", "a.npy", "out.ome.zarr", *options],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=tmp_path, text=True,
            env=os.environ | {"QUICK_TILES": str(quick_tiles)} | variables, start_new_session=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def says(process, words):
    """Read what a process writes up to a line with these words; whether there is one."""
    return any(words in line for line in iter(process.stderr.readline, ""))


@pytest.mark.parametrize(
    ("executor", "variables"), [("threads", {}), ("serial", {"HOLDS_THE_LOCK": "1"})]
)
def test_the_first_ctrl_c_is_answered_and_the_second_ends_the_process(run, executor, variables):
    process = run("--executor", executor, PATIENCE="600", **variables)
    assert says(process, "computing")
    process.send_signal(signal.SIGINT)
    assert says(process, "has 600 s to finish")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert says(process, "Interrupted")
    process.wait(timeout=60)
    assert process.returncode == (-signal.SIGKILL if variables else 1)


@pytest.mark.parametrize(
    ("executor", "variables"),
    [("threads", {}), ("serial", {"HOLDS_THE_LOCK": "1"}), ("processes", {}),
     ("distributed", {"HOLDS_THE_LOCK": "1"})],
)  # fmt: skip
def test_one_ctrl_c_ends_a_run_whose_tiles_never_end(run, executor, variables):
    process = run("--executor", executor, "--workers", "1", **variables)
    assert says(process, "computing")
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes of a command
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if executor == "serial" else 1)
    assert "Traceback" not in stderr
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


def test_sigterm_ends_a_process_that_cannot_answer(run):
    process = run(HOLDS_THE_LOCK="1")
    assert says(process, "computing")
    process.send_signal(signal.SIGTERM)
    assert says(process, "Interrupted")
    process.wait(timeout=60)


def test_a_run_that_sigterm_ended_is_resumed(run, tmp_path):
    process = run("--workers", "1", quick_tiles=2)
    assert says(process, "computing")
    process.send_signal(signal.SIGTERM)
    assert says(process, "Cancelling")
    assert says(process, "Interrupted")
    process.wait(timeout=60)
    assert process.returncode in (1, -signal.SIGKILL)  # it ends itself, or its helper does
    assert "out.ome.zarr" not in os.listdir(tmp_path)
    process = run("--workers", "1", quick_tiles=1000)
    assert says(process, "resuming: 2 of ")
    process.wait(timeout=60)
    assert process.returncode == 0
    assert np.all(zarr.open_group(tmp_path / "out.ome.zarr", mode="r")["0"][:] == 1)
