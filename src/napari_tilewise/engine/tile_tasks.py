"""A crew does the tiles of passes in other processes: only names and small numbers travel.

Each of its processes holds the same chain as the one that asks. A task names a pass and some of its
tiles; whoever does it reads their regions and writes their chunks itself, and answers with what was
gathered, or with nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_tilewise.grid import Position

if TYPE_CHECKING:
    from collections.abc import Mapping

Positions = tuple[Position, ...]

TASKS_PER_SLOT = 8
"""So many tasks each process gets at least in a pass, where there are so many tiles: what a killed
process costs is small, and the last ones do not wait for one."""
LONGEST_TASK = 16
"""Most tiles of a task."""


@dataclass(frozen=True)
class TileTask:
    """Some tiles of a pass."""

    positions: Positions


@dataclass(frozen=True)
class PassTask(TileTask):
    """Some tiles of one of the passes of a driver."""

    step: int
    """The chain's step."""
    index: Position
    """The plane, along the looped axes."""
    number: int
    """Which of the driver's passes."""


@dataclass(frozen=True)
class ReduceTask(PassTask):
    """Answered by a list of contributions, in the order of the tiles."""


@dataclass(frozen=True)
class SweepTask(PassTask):
    """Answered by the positions of those that changed, whose new pixels are staged."""

    versions: Mapping[Position, int]
    """The versions of the tiles to see."""
    starts: bool
    """Whether the image is made, not rewritten."""


@dataclass(frozen=True)
class MaterializeTask(TileTask):
    """Some tiles of a step's result to be kept."""

    step: int


@dataclass(frozen=True)
class WriteTask(TileTask):
    """Some tiles of the output."""


@dataclass(frozen=True)
class LevelTask(TileTask):
    """Some pieces of a level of the output's pyramid, each position a number."""

    level: int


class WorkerPool(Protocol):
    """Other processes, that know the run."""

    @property
    def slots(self) -> int:
        """How many tasks are asked for at a time."""

    def ask(self, task: TileTask) -> Any:
        """Have a task done, and return its answer once it is."""


def task_size(tiles: int, slots: int) -> int:
    """Return how many tiles one task should hold.

    Parameters
    ----------
    tiles
        Number of tiles of the pass.
    slots
        How many tasks are done at a time.
    """
    return max(1, min(LONGEST_TASK, tiles // (slots * TASKS_PER_SLOT)))
