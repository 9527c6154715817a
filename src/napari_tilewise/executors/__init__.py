"""Where the tiles of a run are computed: this process's threads, other processes, or a cluster.

One argument chooses; the result is the same bits. In other processes a run is a crew that holds the
chain; see `engine.crew` for what passes between it and the process that keeps the account.
"""

from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.selection import EXECUTORS, choose

__all__ = ["EXECUTORS", "Executor", "choose"]
