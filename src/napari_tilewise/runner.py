"""A run streams a recipe over an image into a file: bounded memory, whole chunks, atomic end.

Tiles are pulled through the chain by a few workers, each with one tile in hand, and written as they
come; nothing queues up. The pyramid is built from what was just written. The output grows under
another name and takes its own only when it is complete.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tilewise.engine.events import RunDone, RunStarted
from napari_tilewise.engine.order import band_width, banded
from napari_tilewise.io.omezarr import OmeZarrWriter, create_writer, unfinished
from napari_tilewise.io.source import open_image
from napari_tilewise.io.values import check_file, write_value
from napari_tilewise.operations.model import Output
from napari_tilewise.planner import Plan, plan

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.stack import Stack


@dataclass(frozen=True)
class RunResult:
    """What a run made."""

    path: Path
    """Where the output stands."""
    seconds: float
    """How long it took."""
    peak_memory: int
    """The peak of resident memory that was stated before the start, in bytes."""
    tiles: int
    """Number of tiles of the output."""
    shape: tuple[int, ...]
    """Shape of the output; empty for tables and points."""
    value: Any = None
    """The result where it is not an image: a scalar, points or a table."""


def run(
    recipe: Any,
    source: Any,
    destination: Any,
    *,
    memory: str | float | None = None,
    workers: int | None = None,
    executor: str = "threads",
    overwrite: bool = False,
    pyramid: bool = True,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
) -> RunResult:
    """Run a recipe on an image of any size, in bounded memory, into a file.

    Parameters
    ----------
    recipe
        An operation's key, an (operation, parameters) pair, or a `Recipe`. A threshold step gives
        the mask ``image > t``.
    source
        A path, a URL, or anything with `shape`, `dtype` and slicing.
    destination
        ``NAME.ome.zarr`` for an image; ``.json`` or ``.csv`` for scalars, points and tables.
    memory
        Most resident memory in bytes, or a text such as ``"2 GiB"``; half of what is available
        unless given. The interpreter is included.
    workers
        Threads; as many as processors unless given.
    executor
        ``"threads"`` or ``"serial"``.
    overwrite
        Whether an existing destination is replaced, once the new one is complete.
    pyramid
        Whether to write smaller levels too.
    progress
        Called with `engine.events.Event` objects.
    cancel
        Set this event to stop within one tile's time.
    axes
        Names of the source's axes, where it does not know them itself.
    spatial
        The axes to run over; z, y and x where the axes are known, else all of them.

    Returns
    -------
    RunResult
        Where the output stands and what it took.

    Raises
    ------
    MemoryBudgetExceeded
        Before the start, when the run cannot fit; names the memory that it would need.
    TilewiseError
        For anything else; nothing is left under the destination's name.
    """
    started = time.perf_counter()
    image = open_image(source)
    made = plan(
        recipe, image, memory=memory, workers=workers, executor=executor,
        progress=progress, cancel=cancel, axes=axes, spatial=spatial,
    )  # fmt: skip
    if made.last.is_image:
        result = _stream(made, source, destination, overwrite, pyramid, started)
    else:
        result = _measure(made, destination, overwrite, started)
    made.session.tell(RunDone(result.seconds))
    return result


def provenance(source: Any) -> dict[str, Any]:
    """Return what made an output: the versions of the packages and the source's name."""
    packages = ("napari-tilewise", "scikit-image", "numpy", "scipy")
    name = source if isinstance(source, str) else getattr(source, "name", None)
    return {
        "versions": {package: version(package) for package in packages},
        "source": str(name) if name else type(source).__name__,
    }


def _stream(
    made: Plan,
    source: Any,
    destination: Any,
    overwrite: bool,
    pyramid: bool,
    started: float,
) -> RunResult:
    last, session = made.last, made.session
    labels = _holds_labels(made.stacks, made.image.labels)
    for stale in unfinished(destination):
        shutil.rmtree(stale, ignore_errors=True)  # a killed run's, which nobody goes on with
    writer = create_writer(
        destination, source=source, shape=last.shape, dtype=last.dtype, axes=made.axes,
        scale=made.scale, units=made.units, chunks=made.chunks, labels=labels,
        recipe=made.recipe.to_dict(images=False), provenance=provenance(source),
        overwrite=overwrite, pyramid=pyramid,
    )  # fmt: skip
    try:
        session.tell(RunStarted(None, len(made.grid), made.budget.total))
        for stack in made.stacks:
            stack.prepare()
        _write_tiles(made, writer)
        for level in range(1, len(writer.pyramid_levels())):
            tasks = writer.pyramid_tasks(level)
            session.sweep(f"pyramid level {level}", lambda task: task(), tasks)
        path = writer.finish()
    except BaseException:
        writer.abort()
        raise
    return RunResult(
        path, time.perf_counter() - started, made.budget.total, len(made.grid), last.shape
    )


def _holds_labels(stacks: Sequence[Stack], labels: bool) -> bool:
    """Return whether a chain ends in labels or masks, whose pyramid is never averaged.

    An operation that keeps the pixels' type (an erosion, small objects removed) keeps labels.
    """
    for stack in stacks:
        kept = labels and stack.dtype == stack.source.dtype
        labels = kept or stack.call.operation.output is not Output.IMAGE
    return labels


def _write_tiles(made: Plan, writer: OmeZarrWriter) -> None:
    grid, last = made.grid, made.last
    cache = made.session.cache
    assert cache is not None
    width = band_width(grid.tile, made.stacks[0].source.dtype.itemsize, cache.capacity)

    def work(position: tuple[int, ...]) -> None:
        region = grid.region(position)
        writer.write(region, np.ascontiguousarray(last.read(region)))

    made.session.sweep(last.call.operation.name, work, banded(grid, width))


def _measure(made: Plan, destination: Any, overwrite: bool, started: float) -> RunResult:
    from napari_tilewise.io.staging import local_path

    check_file(local_path(destination), overwrite=overwrite)
    made.session.tell(RunStarted(None, len(made.last.node_grid), made.budget.total))
    value = made.last.value()
    path = write_value(
        destination, value, overwrite, provenance={"recipe": made.recipe.to_dict(images=False)}
    )
    seconds = time.perf_counter() - started
    return RunResult(path, seconds, made.budget.total, len(made.last.node_grid), (), value)
