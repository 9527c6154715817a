"""What this process may take of the machine: its processors and memory, within its cgroups' limits.

A container or a batch job is told the whole machine's memory, and ended when it takes that.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

UNLIMITED = 2**60
"""Bytes from which a limit is none: the first version writes a number there."""
FILES = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""A cgroup's limit, its use, and the field of ``memory.stat`` that counts pages of files that the
system drops when it needs them, by controller: the second version of cgroups has one for all."""


@cache
def processors() -> int:
    """Return the number of processors that this process may use: affinity, quota of its cgroup."""
    from joblib.externals.loky import cpu_count  # takes a tenth of a second to import

    return max(1, int(cpu_count()))


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
    try:
        lines = (own or Path("/proc/self/cgroup")).read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in {"", "memory"} & set(controllers.split(",")):
            root = groups / controller
            for folder in _upwards(root, path):
                if (limit := _limit(folder, *FILES[controller])) is not None:
                    yield limit


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
        used = int((folder / use).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if most == "max" or int(most) >= UNLIMITED:
        return None
    return int(most), used - int(stat.get(cached, 0))
