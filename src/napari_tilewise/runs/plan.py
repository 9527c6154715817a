"""The public function `plan`: how a run would proceed, before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.axes import AxisSelection
from napari_tilewise.engine.control import Control
from napari_tilewise.executors.selection import AUTO
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.request import Resources, RunRequest

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.runs.run_plan import RunPlan
    from napari_tilewise.types import AxisNames, MemorySize, PathLike, SpatialAxes


def plan(
    recipe: object,
    source: object,
    *,
    inputs: Mapping[str, object] | None = None,
    memory: MemorySize | None = None,
    workers: int | None = None,
    executor: object = AUTO,
    axes: AxisNames | None = None,
    spatial: SpatialAxes | None = None,
    resume: bool = False,
    destination: PathLike | None = None,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
) -> RunPlan:
    """Return how a run would proceed: its pipeline, tiles and memory. No pixel is read.

    Parameters
    ----------
    recipe, source, inputs, memory, workers, executor, axes, spatial, progress, cancel, pause
        See `run`.
    resume
        Whether the run could be resumed: materialized results then go to disk.
    destination
        Path of the output; materialized results go to the same disk.

    Returns
    -------
    RunPlan
        Its `describe` returns it as text.

    Raises
    ------
    MemoryBudgetExceeded
        When the run cannot fit; the message has the memory that it would need.
    TilewiseError
        For all other errors that `run` raises before it starts.
    """
    request = RunRequest(
        Recipe.of(recipe, inputs or ()), source, dict(inputs or {}), AxisSelection(axes, spatial),
        Resources.of(memory, workers, executor), destination,
    )  # fmt: skip
    return make_plan(request, Control(progress, cancel, pause), is_lasting=resume)
