"""Tasks of workers in other processes: only names and small numbers travel.

Each worker holds the same pipeline as the process that runs it. A task names a pass and some of its
tiles; the worker reads their regions and writes their chunks itself, and answers with contributions
to a reduction, or with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_tilewise.grid import Position

if TYPE_CHECKING:
    from collections.abc import Mapping

Positions = tuple[Position, ...]

TASKS_PER_SLOT = 8
"""Minimum number of tasks per process and pass, if there are enough tiles: little is lost with a
process that is killed, and the last ones do not wait for one another."""
LONGEST_TASK = 16
"""Most tiles of a task."""
MOST_UNTIMED = 4
"""Most tiles of a task if nobody knows how long a tile takes."""
SECONDS = 2.0
"""Seconds that a task of several tiles takes at most: so much is lost when it is cancelled."""


@dataclass(frozen=True)
class TileTask:
    """Some tiles of a pass."""

    positions: Positions


@dataclass(frozen=True)
class PassTask(TileTask):
    """Some tiles of one of the passes on a plane."""

    step: int
    """Number of the pipeline's step."""
    index: Position
    """The plane, along the looped axes."""
    number: int
    """Number of the pass, from 0."""


@dataclass(frozen=True)
class ReduceTask(PassTask):
    """Answered by a list of contributions, in the order of the tiles."""


@dataclass(frozen=True)
class SweepTask(PassTask):
    """Answered by the positions of those that changed, whose new pixels are staged."""

    versions: Mapping[Position, int]
    """The versions of the tiles to see."""
    starts: bool
    """Whether the image is created, not rewritten."""


@dataclass(frozen=True)
class MaterializeTask(TileTask):
    """Some tiles of a step's result that is materialized."""

    step: int


@dataclass(frozen=True)
class WriteTask(TileTask):
    """Some tiles of the output."""


@dataclass(frozen=True)
class LevelTask(TileTask):
    """Some parts of a level of the output's pyramid; each position holds a part's number."""

    level: int


class WorkerPool(Protocol):
    """Workers in other processes, which know the run."""

    @property
    def slots(self) -> int:
        """How many tasks run at a time."""

    def run(self, task: TileTask) -> Any:
        """Have a worker do a task, and return its answer."""


def task_size(tiles: int, slots: int, seconds: float | None = None) -> int:
    """Return how many tiles one task should hold.

    Parameters
    ----------
    tiles
        Number of tiles of the pass.
    slots
        How many tasks run at a time.
    seconds
        Seconds that a tile takes; None: unknown.
    """
    most = MOST_UNTIMED if seconds is None else SECONDS / max(seconds, SECONDS / LONGEST_TASK)
    return max(1, min(int(most), tiles // (slots * TASKS_PER_SLOT)))
