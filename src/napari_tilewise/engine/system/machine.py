"""What this process may take of the machine: its processors and memory, within its cgroups' limits.

A container or a batch job is told the whole machine's memory, and ended when it takes that.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from math import ceil
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT = 0.05
"""Seconds for which what is available is not looked up again."""
UNLIMITED = 2**60
"""Bytes from which a limit is none: the first version writes a number there."""
FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""A cgroup's limit, its use, and the field of ``memory.stat`` that counts pages of files that the
system drops when it needs them: in the second version of cgroups, and in the first."""
_lately = (0.0, 0)
"""Until when the bytes that follow count as available."""


@cache
def processors(groups: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> int:
    """Return the number of processors that this process may use.

    Affinity, the quotas of its cgroups and joblib's ``LOKY_MAX_CPU_COUNT`` limit it.

    Parameters
    ----------
    groups
        Where cgroups are mounted.
    own
        The file that tells this process's.
    """
    counts = [os.cpu_count() or 1]
    if sys.platform == "linux":
        counts.append(len(os.sched_getaffinity(0)))
    if os.environ.get("LOKY_MAX_CPU_COUNT", "").isdecimal():
        counts.append(int(os.environ["LOKY_MAX_CPU_COUNT"]))
    counts += [ceil(quota) for folder in _folders(groups, own, "cpu") if (quota := _quota(folder))]
    return max(1, min(counts))


def _quota(folder: Path) -> float | None:
    """Return how many processors a cgroup may use; None where it may use all."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
    except OSError:
        return None
    return int(quota) / int(period) if quota.isdecimal() and int(period) else None


def available_memory(groups: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> int:
    """Return how many bytes this process can still take.

    Parameters
    ----------
    groups
        Where cgroups are mounted.
    own
        The file that tells this process's.
    """
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(limit - used for limit, used in _limits(groups, own))]))


def lately_available_memory() -> int:
    """Return how many bytes this process could still take a moment ago.

    Many small images ask one after the other: each look-up reads a dozen files.
    """
    global _lately
    now = monotonic()
    if now >= _lately[0]:
        _lately = now + MOMENT, available_memory()
    return _lately[1]


def total_memory(groups: Path = Path("/sys/fs/cgroup"), own: Path | None = None) -> int:
    """Return how many bytes this process could take if nothing else ran.

    Parameters
    ----------
    groups
        Where cgroups are mounted.
    own
        The file that tells this process's.
    """
    total = int(psutil.virtual_memory().total)
    return min([total, *(limit for limit, _ in _limits(groups, own))])


def _limits(groups: Path, own: Path | None) -> Iterator[tuple[int, int]]:
    """Yield the limit and the use, in bytes, of each cgroup that limits this process."""
    for folder in _folders(groups, own, "memory"):
        for files in FILES:
            if (limit := _limit(folder, *files)) is not None:
                yield limit


def _folders(groups: Path, own: Path | None, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroups for a controller, and those above them."""
    try:
        lines = (own or Path("/proc/self/cgroup")).read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for name in {"", controller} & set(controllers.split(",")):
            yield from _upwards(groups / name, path)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """Yield a cgroup's folder and those above it; in a container its own one is the root."""
    folder = root / path.lstrip("/")
    while folder != root:
        yield folder
        folder = folder.parent
    yield root


def _limit(folder: Path, limit: str, use: str, cached: str) -> tuple[int, int] | None:
    """Return a cgroup's limit and what is used of it; None where there is none."""
    try:
        most = (folder / limit).read_text().strip()
        if most == "max" or int(most) >= UNLIMITED:
            return None  # nothing else is read then
        used = int((folder / use).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return int(most), used - int(stat.get(cached, 0))
