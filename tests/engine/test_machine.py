"""What a process may take is the machine's, within the limits of its cgroups."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil
import pytest

from napari_tilewise.engine.system.machine import available_memory, processors, total_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 2**20


def made(folder: Path, **files: object) -> None:
    """Write the files of a cgroup."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_the_second_version_and_the_groups_above(tmp_path: Path) -> None:
    made(tmp_path, memory__stat="inactive_file 0", memory__max="max", memory__current=0)
    job = tmp_path / "job"
    made(job, memory__max=200 * MIB, memory__current=90 * MIB)
    (job / "memory.stat").write_text(f"anon 5\ninactive_file {30 * MIB}\n")
    made(job / "step", memory__max="max", memory__current=MIB, memory__stat="inactive_file 0")
    own = tmp_path / "own"
    own.write_text("0::/job/step\n")
    assert available_memory(tmp_path, own) == 140 * MIB
    assert total_memory(tmp_path, own) == 200 * MIB


def test_the_first_version(tmp_path: Path) -> None:
    root = tmp_path / "memory"
    made(
        root, memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=5,
        memory__stat="total_inactive_file 0",
    )  # fmt: skip
    made(
        root / "job", memory__limit_in_bytes=64 * MIB, memory__usage_in_bytes=65 * MIB,
        memory__stat="total_inactive_file 0",
    )  # fmt: skip
    own = tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/\n3:memory:/job\n0::/\n")
    assert available_memory(tmp_path, own) == 0
    assert total_memory(tmp_path, own) == 64 * MIB
    own.write_text("3:memory:/\n")
    assert total_memory(tmp_path, own) == psutil.virtual_memory().total


def test_where_there_are_no_cgroups(tmp_path: Path) -> None:
    assert total_memory(tmp_path, tmp_path / "none") == psutil.virtual_memory().total


def test_processors_are_those_that_may_be_used() -> None:
    assert 1 <= processors() <= (psutil.cpu_count() or 1)


@pytest.mark.parametrize("version", [1, 2])
def test_processors_are_limited_by_quotas(version: int, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/job/step\n" if version == 1 else "0::/job/step\n")
    root = tmp_path / "cpu" if version == 1 else tmp_path
    quotas = {"job": (150_000, 100_000), "job/step": ("max" if version == 2 else -1, 100_000)}
    for name, (quota, period) in quotas.items():
        if version == 1:
            made(root / name, cpu__cfs_quota_us=quota, cpu__cfs_period_us=period)
        else:
            made(root / name, cpu__max=f"{quota} {period}")
    assert processors(tmp_path, own) == min(2, processors())


@pytest.fixture
def group() -> Iterator[Path]:
    """Return a cgroup of half a gibibyte."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory" / "memory.limit_in_bytes").exists()
    folder = (root / "memory" if first else root) / f"napari-tilewise-{uuid4().hex[:8]}"
    limit = folder / ("memory.limit_in_bytes" if first else "memory.max")
    try:
        folder.mkdir()
        limit.write_text(str(512 * MIB))
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"cgroups cannot be made here: {error}")
    yield folder
    folder.rmdir()


CHILD = """
import sys, os
open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
import numpy as np
import napari_tilewise as tw
print(tw.plan("filters.gaussian", np.zeros((4096, 4096), "u1")).limit)
"""


def test_a_run_in_a_group_keeps_to_its_limit(group: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(group)], capture_output=True, text=True, check=True
    )
    assert 64 * MIB < int(done.stdout) < 512 * MIB < psutil.virtual_memory().available
