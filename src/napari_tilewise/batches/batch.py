"""A batch runs a recipe or a function on many images, each in a task of its own.

Whatever happens to an item costs one row of the report; an unchanged item is not processed again.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches import batch_journal
from napari_tilewise.batches.backends import AUTO, BACKENDS
from napari_tilewise.batches.batch_events import BatchDone, BatchStarted
from napari_tilewise.batches.batch_request import Naming, request_data
from napari_tilewise.batches.collect import Collector
from napari_tilewise.batches.divide import Division
from napari_tilewise.batches.folder_search import LeftOut
from napari_tilewise.batches.function import BatchFunction
from napari_tilewise.batches.item_inputs import check_inputs
from napari_tilewise.batches.item_progress import item_progress
from napari_tilewise.batches.items import Item, each_item
from napari_tilewise.batches.outputs import folder_of, targets_of
from napari_tilewise.batches.schedule import BatchResources, run_tasks
from napari_tilewise.batches.tasks import ERROR, OVERWRITE, SKIP, BatchTask, ItemTask
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.system.machine import processors
from napari_tilewise.errors import BatchFailed, InvalidParameter, InvalidParameterType, option
from napari_tilewise.io.readers.natural_order import natural
from napari_tilewise.io.writers.output_layout import check_version
from napari_tilewise.pipeline.bind import recipe_images
from napari_tilewise.progress import listening
from napari_tilewise.recipe import SUFFIXES, Recipe
from napari_tilewise.sizes import parse_size, plural

if TYPE_CHECKING:
    from napari_tilewise.batches.report import Report
    from napari_tilewise.batches.rows import ItemRow
    from napari_tilewise.engine.events import Event, Listener
    from napari_tilewise.types import Parameters

LONGEST_LIST = 5
"""How many invalid item numbers a message names."""
REPORT, TABLE = "report.csv", "table.csv"
"""Names of the files that a batch writes into its folder at the end."""


def batch(
    recipe: Any,
    source: Any,
    destination: str | os.PathLike[str] | None = None,
    *,
    n_jobs: int = -1,
    backend: str = AUTO,
    overwrite: bool | str = False,
    progress: Listener | bool | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
    name: str = "{stem}",
    inputs: Parameters | None = None,
    memory: str | float | None = None,
    over: str | int | Sequence[str | int] | None = None,
    window: int | Sequence[int | None] | None = None,
    step: int | Sequence[int | None] | None = None,
    axes: str | Sequence[str] | None = None,
    spatial: str | Sequence[int] | None = None,
    only: Collection[int] | None = None,
    pyramid: bool = True,
    ome_zarr: str = "0.5",
    shards: bool = False,
) -> Report:
    """Run a recipe or a function on many images.

    Parameters
    ----------
    recipe
        An operation's key, an (operation, parameters) pair, a `Recipe` or its file; or a function
        of an image that returns pixels, a number, a dict of numbers or a dict of columns. A
        function may be given by its location: ``"my_ops.py:task"``, ``"package.module:task"``.
    source
        A pattern such as ``"plates/*.tif"``, a folder (with all below it), a file, an OME-Zarr
        plate (its fields), an array, `Item` objects, or a list or a mapping by name of these.
    destination
        The folder of the outputs; None: the report has the results.
    n_jobs
        Number of items that are processed at a time: -1 for as many as processors, -2 for one less.
    backend
        ``"serial"``; ``"threading"``; ``"loky"``: processes, which a crash cannot harm;
        ``"dask"``: the cluster of the current ``distributed.Client``; ``"auto"`` finds out which
        is fastest.
    overwrite
        What happens to existing outputs that may not be what this batch would write. False or
        ``"error"``: the item fails. ``"skip"``: the item is skipped. True or ``"overwrite"``:
        every item is processed. Otherwise an unchanged item is never processed again.
    progress
        Called with `BatchStarted`, `ItemStarted`, `ItemDone` and `BatchDone`, from several threads,
        one call at a time; True shows a bar (in a terminal or a notebook) or a line every few
        seconds (elsewhere), and each reason why items fail.
    cancel
        Set this event to start no more items; those that are running are abandoned, within two
        seconds where they run in other processes, and write nothing.
    pause
        Set this event to start no more items until it is cleared.
    name
        Name of the outputs: ``{stem}``, ``{recipe}``, ``{index}`` and the fields of an item, such
        as ``{t}`` or ``{well}``. Its suffix is the format of images; OME-Zarr by default.
    inputs
        Further images by name, those of a recipe's inputs, of an operation's parameters or of a
        function's (which gets them as arrays): the same for every item, or a path with fields such
        as ``"masks/{stem}.tif"``. Fields are those of `name`, and ``{folder}``, ``{parent}`` (the
        name of the item's folder) and ``{image}``: the stem of the image that an item is a part of,
        with which the same part of the further image is taken. An item without its file fails.
    memory
        Peak memory of all items that are processed at a time, in bytes or as text such as
        ``"2 GiB"``; half of what is available by default.
    over, window, step
        Divide images into items: positions along axes, or windows; see `items_of`.
    axes
        Names of the images' axes, for files that do not name them themselves.
    spatial
        The axes to run over; by default z, y and x if the axes are known, else all of them.
    only
        Indices of the items to process, such as those that failed; the report has the others as
        the last batch in the folder left them.
    pyramid, ome_zarr, shards
        How images of a recipe are written, as in `run`.

    Returns
    -------
    Report
        A row per item and, without a destination, the results.

    Warns
    -----
    BatchFailed
        When all items failed and nobody listened to it; with the reason of the first.

    Raises
    ------
    TilewiseError
        Before anything is processed, if no image is found, the recipe or an option is invalid, or
        two items would write one file. The failure of an item is never raised.
    """
    started = time.perf_counter()
    _check(backend, overwrite)
    _check_types(name, inputs, only)
    resources = BatchResources(
        backend, _jobs(n_jobs), None if memory is None else parse_size(memory)
    )
    check_version(ome_zarr)
    writing = {"pyramid": pyramid, "ome_zarr": ome_zarr, "shards": shards}
    inputs = dict(inputs or {})
    task = BatchTask(task_recipe(recipe, inputs), inputs, spatial, _policy(overwrite), writing)
    if isinstance(task.recipe, Recipe):
        recipe_images(task.recipe, None, inputs)
    else:
        task.recipe.check_inputs(inputs)
    naming = Naming(name, _recipe_name(recipe, task.recipe))
    folder = None if destination is None else folder_of(destination)
    previous = {} if folder is None else batch_journal.last_rows(folder)
    division = Division(over, window, step, axes)
    left_out = LeftOut()
    items = _items(source, division, folder, previous, left_out)
    tasks = _tasks(items, task, naming, folder, previous)
    check_inputs(task.inputs, items)
    selected = tasks if only is None else _selected(tasks, only)
    options = {
        "n_jobs": n_jobs, "backend": backend, "overwrite": overwrite, "memory": resources.memory,
        "over": over, "window": window, "step": step, "axes": axes, "spatial": spatial,
        "only": None if only is None else sorted(only), **writing,
    }  # fmt: skip
    description = {
        **task.describe(),
        "n_jobs": resources.n_jobs,
        "backend": backend,
        "asked": request_data(task, source, naming, options),
    }
    with listening(progress, item_progress) as listener:
        emit = _one_at_a_time(listener) if listener else _ignore
        control = Control(emit, cancel, pause)
        emit(BatchStarted(len(selected), str(left_out)))
        collector = Collector(tasks, selected, folder, description, emit)
        report = replace(
            _processed(selected, resources, control, collector), left_out=str(left_out)
        )
        counts = (report.done, report.failed, report.skipped, report.cancelled)
        emit(BatchDone(*counts, time.perf_counter() - started))
    if not progress and report.failed and report.failed == len(report.items):
        first = report.items[0]
        warnings.warn(
            f"All items failed ({plural(report.failed, 'item')}); the first, {first['input']!r}: "
            f"{first['error']}",
            BatchFailed,
            stacklevel=2,
        )
    return report


def _check_types(name: object, inputs: object, only: object) -> None:
    """Raise `InvalidParameterType` for arguments of `batch` of the wrong type."""
    if not isinstance(name, str):
        raise InvalidParameterType(f"{option('name', name)}: expected a text such as '{{stem}}'.")
    if inputs is not None and not isinstance(inputs, Mapping):
        raise InvalidParameterType(f"{option('inputs', inputs)}: expected images by name.")
    is_number = all(isinstance(n, int) for n in only) if isinstance(only, Collection) else False
    if only is not None and not is_number:
        raise InvalidParameterType(f"{option('only', only)}: expected the indices of items.")


def _processed(
    tasks: Sequence[ItemTask], resources: BatchResources, control: Control, collector: Collector
) -> Report:
    """Return the report of a batch, with all that it writes written."""
    try:
        for outcome in run_tasks(tasks, resources, control, collector.start):
            collector.add(outcome)
    finally:
        collector.close()
    report = collector.report()
    _write(report)
    return report


def task_recipe(recipe: object, inputs: Iterable[str] = ()) -> Recipe | BatchFunction:
    """Return the recipe or the function from what `batch` takes.

    Parameters
    ----------
    recipe
        See `batch`.
    inputs
        Names of the further images.
    """
    if isinstance(recipe, str) and ":" in recipe and not recipe.lower().endswith(SUFFIXES):
        return BatchFunction.of(recipe)
    if isinstance(recipe, BatchFunction):
        return recipe
    return BatchFunction.of(recipe) if callable(recipe) else Recipe.of(recipe, inputs)


def _recipe_name(argument: object, recipe: Recipe | BatchFunction) -> str:
    """Return the text for the field ``{recipe}`` in a name."""
    if isinstance(recipe, BatchFunction):
        return recipe.name.rpartition(".")[2].strip("<>")
    if isinstance(argument, str | os.PathLike) and str(argument).lower().endswith(SUFFIXES):
        return Path(argument).stem
    return recipe.steps[recipe.running[-1]].operation.rpartition(".")[2]


def _items(
    source: Any,
    division: Division,
    folder: str | None,
    previous: Mapping[str, ItemRow],
    left_out: LeftOut,
) -> tuple[Item, ...]:
    is_list = isinstance(source, Sequence) and not isinstance(source, str)
    if is_list and source and all(isinstance(member, Item) for member in source):
        return _numbered(source)
    outputs: frozenset[str] = frozenset()
    if folder is not None:
        outputs = batch_journal.output_paths(folder, previous.values())
    return tuple(each_item(source, division, excluded=outputs, left_out=left_out))


def _tasks(
    items: Sequence[Item],
    task: BatchTask,
    naming: Naming,
    folder: str | None,
    previous: Mapping[str, ItemRow],
) -> list[ItemTask]:
    """Return a task for each item, with its target and its row of an earlier batch."""
    description = dumps(task.describe(), sort_keys=True, default=str)
    key = blake2b(description.encode()).hexdigest()
    if folder is None:
        return [ItemTask(item, task, key, None) for item in items]
    interrupted = batch_journal.interrupted_outputs(folder)
    targets = targets_of(items, folder, naming.template, naming.recipe)
    return [
        ItemTask(
            replace(item, problem=item.problem or target.problem),
            task,
            key,
            target,
            previous.get(target.base),
            is_retry=target.base in interrupted,
        )
        for item, target in zip(items, targets, strict=True)
    ]


def _selected(tasks: Sequence[ItemTask], only: Collection[int]) -> list[ItemTask]:
    """Return the tasks of some items; raise if there is no item of an index."""
    indices = [task.item.index for task in tasks]
    unknown = sorted(set(only).difference(indices), key=lambda index: natural(str(index)))
    if unknown:
        shown = [*map(repr, unknown[:LONGEST_LIST]), *["..."] * (len(unknown) > LONGEST_LIST)]
        raise InvalidParameter(
            f"{option('only')} has numbers of no item: {', '.join(shown)}; expected numbers of "
            f"the {plural(len(indices), 'item')}, {min(indices)} to {max(indices)}."
        )
    return [task for task in tasks if task.item.index in only]


def _numbered(items: Sequence[Item]) -> tuple[Item, ...]:
    """Return items with an index each; part of a list keeps its indices, which names may hold."""
    if len({item.index for item in items}) == len(items):
        return tuple(items)
    return tuple(replace(item, index=number) for number, item in enumerate(items))


def _check(backend: str, overwrite: object) -> None:
    if backend not in BACKENDS:
        raise InvalidParameter(
            f"{option('backend', backend)}: expected one of {', '.join(map(repr, BACKENDS))}."
        )
    if not isinstance(overwrite, bool) and overwrite not in (ERROR, SKIP, OVERWRITE):
        raise InvalidParameter(
            f"{option('overwrite', overwrite)}: expected True, False, {ERROR!r}, {SKIP!r} or "
            f"{OVERWRITE!r}."
        )


def _policy(overwrite: bool | str) -> str:
    if isinstance(overwrite, str):
        return overwrite
    return OVERWRITE if overwrite else ERROR


def _jobs(n_jobs: int) -> int:
    if type(n_jobs) is not int or n_jobs == 0:
        raise InvalidParameter(
            f"{option('n_jobs', n_jobs)}: expected a number of items, or -1 for as many as "
            "processors."
        )
    return n_jobs if n_jobs > 0 else max(1, processors() + 1 + n_jobs)


def _ignore(event: Event) -> None:
    """Do nothing: the caller does not listen."""


def _one_at_a_time(progress: Listener) -> Listener:
    """Return a listener that several threads may call."""
    lock = threading.Lock()

    def listen(event: Event) -> None:
        with lock:
            progress(event)

    return listen


def _write(report: Report) -> None:
    """Write the report, and the table of all items if there is one, into the folder."""
    if report.folder is None:
        return
    report.to_csv(report.folder / REPORT)
    if report.table.columns:
        report.table.to_csv(report.folder / TABLE, overwrite=True)
