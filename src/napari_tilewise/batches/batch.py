"""A batch does one thing with many images: each in a task of its own, and none lost.

Whatever happens to an item costs one row of the report. What is done and unchanged stays.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches import batch_journal
from napari_tilewise.batches.backends import AUTO, BACKENDS
from napari_tilewise.batches.batch_events import BatchDone, BatchStarted
from napari_tilewise.batches.collect import Collector
from napari_tilewise.batches.discover import natural
from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.items import Item, each_item
from napari_tilewise.batches.outputs import folder_of, targets_of
from napari_tilewise.batches.request import asked
from napari_tilewise.batches.schedule import drive
from napari_tilewise.batches.tasks import ERROR, OVERWRITE, SKIP, ItemTask, Work
from napari_tilewise.engine.machine import processors
from napari_tilewise.errors import InvalidParameter
from napari_tilewise.pipeline.bind import given
from napari_tilewise.recipe import SUFFIXES, Recipe
from napari_tilewise.sizes import parse_size

if TYPE_CHECKING:
    from napari_tilewise.batches.report import Report
    from napari_tilewise.engine.events import Event, Listener

MOST = 5
"""So many of the numbers that are no item's are named in a message."""
REPORT, TABLE = "report.csv", "table.csv"
"""What is written into the folder in the end."""


def batch(
    recipe: Any,
    source: Any,
    destination: str | os.PathLike[str] | None = None,
    *,
    n_jobs: int = -1,
    backend: str = AUTO,
    overwrite: bool | str = False,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    name: str = "{stem}",
    inputs: Mapping[str, Any] | None = None,
    memory: str | float | None = None,
    over: str | int | Sequence[str | int] | None = None,
    window: int | Sequence[int | None] | None = None,
    step: int | Sequence[int | None] | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    only: Collection[int] | None = None,
) -> Report:
    """Run a recipe or a function on many images.

    Parameters
    ----------
    recipe
        An operation's key, an (operation, parameters) pair, a `Recipe` or its file; or a function
        of an image that returns pixels, a number, a dict of numbers or a dict of columns. A
        function may be named by where it is: ``"my_ops.py:task"``, ``"package.module:task"``.
    source
        A pattern such as ``"plates/*.tif"``, a folder (with all below it), a file, an OME-Zarr
        plate (its fields), an array, `Item` objects, or a list or a mapping by name of such.
    destination
        The folder of the outputs; None gives the results back in the report.
    n_jobs
        How many items are in work at a time: -1 as many as processors, -2 one less.
    backend
        ``"serial"``; ``"threading"``; ``"loky"``, processes, which a crash cannot harm; ``"dask"``,
        the current ``distributed.Client``'s cluster; ``"auto"`` finds out which is fastest.
    overwrite
        What becomes of outputs that are there and not known to be what would be made now. False or
        ``"error"``: the item fails. ``"skip"``: it is left out. True or ``"overwrite"``: everything
        is done again. Otherwise what is done and unchanged is never done again.
    progress
        Called with `BatchStarted`, `ItemStarted`, `ItemDone` and `BatchDone`, from several threads,
        one call at a time.
    cancel
        Set this event to begin no more items; those in work are finished.
    pause
        Set this event to begin no more items until it is cleared.
    name
        The outputs' name: ``{stem}``, ``{recipe}``, ``{index}`` and what else is known of an item,
        such as ``{t}`` or ``{well}``. Its suffix is the format of images, OME-Zarr unless given.
    inputs
        A recipe's further images by name, the same for every item.
    memory
        Most memory of all items in work together; half of what is available unless given.
    over, window, step
        Make items of the positions along axes, or of windows of each image; see `items_of`.
    axes
        Names of the images' axes, where they do not know them themselves.
    spatial
        The axes to run over; z, y and x where the axes are known, else all of them.
    only
        Numbers of the items to do, such as those that failed; the report has the others as the
        last batch in the folder left them.

    Returns
    -------
    Report
        A row per item; where no folder is given, the results.

    Raises
    ------
    TilewiseError
        Before anything is done, when nothing is found, the recipe or an option will not do, or two
        items would write one file. What happens to an item is never raised.
    """
    started = time.perf_counter()
    _check(backend, overwrite)
    jobs = _jobs(n_jobs)
    limit = None if memory is None else parse_size(memory)
    work = Work(what_of(recipe), dict(inputs or {}), spatial, _policy(overwrite))
    if isinstance(work.what, Recipe):
        given(work.what, None, inputs)
    folder = None if destination is None else folder_of(destination)
    before = {} if folder is None else batch_journal.last_rows(folder)
    items = _items(source, folder, before, over=over, window=window, step=step, axes=axes)
    called = _called(recipe, work.what)
    tasks = _tasks(items, work, folder, before, name=name, called=called)
    progress = _one_at_a_time(progress) if progress else _silent
    todo = tasks if only is None else _chosen(tasks, only)
    progress(BatchStarted(len(todo)))
    head = {
        **work.describe(),
        "n_jobs": jobs,
        "backend": backend,
        "asked": asked(
            work, source, name, called, n_jobs=n_jobs, backend=backend,
            overwrite=overwrite, memory=limit, over=over, window=window, step=step, axes=axes,
            spatial=spatial, only=None if only is None else sorted(only),
        ),
    }  # fmt: skip
    keeper = Collector(tasks, todo, folder, head, progress)
    try:
        for outcome in drive(todo, backend, jobs, limit, cancel, keeper.begun, pause):
            keeper.take(outcome)
    finally:
        keeper.close()
    report = keeper.report()
    _write(report)
    counts = (report.done, report.failed, report.skipped, report.cancelled)
    progress(BatchDone(*counts, time.perf_counter() - started))
    return report


def what_of(recipe: Any) -> Recipe | BatchFunction:
    """Return the recipe or the function that is meant.

    Parameters
    ----------
    recipe
        See `batch`.
    """
    if isinstance(recipe, str) and ":" in recipe and not recipe.lower().endswith(SUFFIXES):
        return BatchFunction.of(recipe)
    if isinstance(recipe, BatchFunction):
        return recipe
    return BatchFunction.of(recipe) if callable(recipe) else Recipe.of(recipe)


def _called(recipe: Any, what: Recipe | BatchFunction) -> str:
    """Return what ``{recipe}`` in a name becomes."""
    if isinstance(what, BatchFunction):
        return what.name.rpartition(".")[2].strip("<>")
    if isinstance(recipe, str | os.PathLike) and str(recipe).lower().endswith(SUFFIXES):
        return Path(recipe).stem
    return what.steps[what.running[-1]].operation.rpartition(".")[2]


def _items(
    source: Any, folder: str | None, before: Mapping[str, Mapping[str, Any]], **options: Any
) -> tuple[Item, ...]:
    listed = isinstance(source, Sequence) and not isinstance(source, str)
    if listed and source and all(isinstance(one, Item) for one in source):
        return _numbered(source)
    excluded = (
        frozenset() if folder is None else batch_journal.output_paths(folder, before.values())
    )
    return tuple(each_item(source, excluded=excluded, **options))


def _tasks(
    items: Sequence[Item],
    work: Work,
    folder: str | None,
    before: Mapping[str, Mapping[str, Any]],
    *,
    name: str,
    called: str,
) -> list[ItemTask]:
    """Return a task for each item: where its output goes, and what is known of an earlier one."""
    key = blake2b(dumps(work.describe(), sort_keys=True, default=str).encode()).hexdigest()
    if folder is None:
        return [ItemTask(item, work, key, None) for item in items]
    cut_off = batch_journal.interrupted_outputs(folder)
    return [
        ItemTask(item, work, key, at, before.get(at.base), again=at.base in cut_off)
        for item, at in zip(items, targets_of(items, folder, name, called), strict=True)
    ]


def _chosen(tasks: Sequence[ItemTask], only: Collection[int]) -> list[ItemTask]:
    """Return the tasks of some items; raise where there is no such item."""
    numbers = [task.item.index for task in tasks]
    unknown = sorted(set(only).difference(numbers), key=lambda one: natural(str(one)))
    if unknown:
        shown = ", ".join([*map(repr, unknown[:MOST]), *["..."] * (len(unknown) > MOST)])
        raise InvalidParameter(
            f"only= names what is no item's number: {shown}; expected numbers of the "
            f"{len(numbers)} items, {min(numbers)} to {max(numbers)}."
        )
    return [task for task in tasks if task.item.index in only]


def _numbered(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return items with a number each; part of a list keeps its numbers, which names may hold."""
    if len({item.index for item in items}) == len(items):
        return tuple(items)
    return tuple(replace(item, index=number) for number, item in enumerate(items))


def _check(backend: str, overwrite: Any) -> None:
    if backend not in BACKENDS:
        raise InvalidParameter(
            f"backend={backend!r}: expected one of {', '.join(map(repr, BACKENDS))}."
        )
    if not isinstance(overwrite, bool) and overwrite not in (ERROR, SKIP, OVERWRITE):
        raise InvalidParameter(
            f"overwrite={overwrite!r}: expected True, False, {ERROR!r}, {SKIP!r} or {OVERWRITE!r}."
        )


def _policy(overwrite: bool | str) -> str:
    if isinstance(overwrite, str):
        return overwrite
    return OVERWRITE if overwrite else ERROR


def _jobs(n_jobs: int) -> int:
    if type(n_jobs) is not int or n_jobs == 0:
        raise InvalidParameter(
            f"n_jobs={n_jobs!r}: expected a number of items, or -1 for as many as processors."
        )
    return n_jobs if n_jobs > 0 else max(1, processors() + 1 + n_jobs)


def _silent(event: Event) -> None:
    """Tell nobody."""


def _one_at_a_time(progress: Listener) -> Listener:
    """Return a listener that several threads may call."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            progress(event)

    return tell


def _write(report: Report) -> None:
    """Write the report, and the table of all items where there is one, into the folder."""
    if report.folder is None:
        return
    report.to_csv(report.folder / REPORT)
    if report.table.columns:
        report.table.to_csv(report.folder / TABLE, overwrite=True)
