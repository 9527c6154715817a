"""Where the tiles of a run are computed: this process's threads, other processes, or a cluster.

One argument chooses; the result is the same bits. Workers in other processes hold the pipeline of
the run; see `engine.tile_tasks` for the tasks that the process with the checkpoint gives them.
"""

from napari_tilewise.executors.executor import Executor
from napari_tilewise.executors.selection import EXECUTORS, choose

__all__ = ["EXECUTORS", "Executor", "choose"]
