"""Unfinished runs and batches, whichever process started them, and how to resume them.

The registry lists their destinations; next to each output is how far it is, and all arguments. So
any process can resume what another one started.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches import batch, batch_journal
from napari_tilewise.batches.batch_request import (
    NOT_RESUMABLE,
    from_request_data,
    function_of,
)
from napari_tilewise.batches.partials import remove_partials
from napari_tilewise.engine.checkpoints.checkpoint_contents import (
    CheckpointContents,
    read_checkpoint,
)
from napari_tilewise.engine.checkpoints.checkpoint_lock import is_locked
from napari_tilewise.errors import InvalidParameter, TilewiseError
from napari_tilewise.io.cropped_image import crop_image
from napari_tilewise.io.readers.locations import file_of
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs import registry, resume
from napari_tilewise.runs.convert import convert
from napari_tilewise.runs.run import run

if TYPE_CHECKING:
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import Metadata
    from napari_tilewise.types import PathLike

_OTHER_RELEASE = "another release of napari-tilewise started it"
_DAMAGED = "what its journal says was not written by napari-tilewise"
_FOREIGN = (
    KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, RecursionError,
)  # fmt: skip
"""What is raised where a journal's data are not those of a run or of a batch."""


class RunState(StrEnum):
    """State of an unfinished run or batch."""

    RUNNING = "running"
    """It is running, in this or another process."""
    INTERRUPTED = "interrupted"
    """It ended before it was complete, and can be resumed."""
    NOT_RESUMABLE = "not resumable"
    """It ended before it was complete, and cannot be resumed on this machine."""


class NotResumable(TilewiseError, ValueError):
    """A run or a batch is running, or lacks what it takes to resume it."""


@dataclass(frozen=True)
class Progress:
    """How far an unfinished run or batch is, and what it does."""

    task: str
    """An operation's name, a number of steps, or a function."""
    source: str = ""
    """What it reads."""
    done: int = 0
    """Number of tiles of the output, or of items, that are done."""
    total: int = 0
    """Number of all of them; 0 if it is not known."""
    facts: Metadata = field(default_factory=dict)
    """The contents of its checkpoint or journal, as plain data."""


@dataclass(frozen=True)
class UnfinishedRun:
    """A run or a batch that is not complete."""

    entry: registry.RegistryEntry
    state: RunState
    progress: Progress
    reason: str = ""
    """Why it cannot be resumed; empty unless it is `RunState.NOT_RESUMABLE`."""

    @property
    def is_batch(self) -> bool:
        """Whether it has items instead of tiles."""
        return self.entry.kind == registry.BATCH

    @property
    def destination(self) -> Path:
        """Where its output goes."""
        return Path(self.entry.destination)

    def __str__(self) -> str:
        """Return a line of text."""
        progress, unit = self.progress, "items" if self.is_batch else "tiles"
        source = f" of {progress.source}" if progress.source else ""
        total = f" of {progress.total}" if progress.total else ""
        done = f", {progress.done}{total} {unit}" if progress.done or total else ""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.state}  {self.destination}  {progress.task}{source}{done}{reason}"

    def resume(self, **options: Any) -> Any:
        """Resume it; return what `run`, `convert` or `batch` returns.

        Parameters
        ----------
        **options
            Further arguments: progress, cancel, pause; memory, workers.

        Raises
        ------
        NotResumable
            When it is running, or cannot be resumed.
        TilewiseError
            For all that they raise.
        """
        if self.state is not RunState.INTERRUPTED:
            reason = self.reason or "it is running"
            raise NotResumable(
                f"The {self.entry.kind} into {self.entry.destination!r} cannot be resumed: "
                f"{reason}. Start it again, or forget it."
            )
        facts, destination = self.progress.facts, self.destination
        function = function_of(facts) if self.is_batch else None
        if function is not None and function != self.entry.function:
            raise NotResumable(
                f"The batch into {self.entry.destination!r} cannot be resumed: its journal names "
                f"the function {function!r}, which is not known to be what you started there. "
                "Start the batch again with the function that you trust."
            )
        try:
            call = _batch_call if self.is_batch else _run_call
            resumed, *arguments, keywords = call(facts, destination)
            keywords |= options
            inspect.signature(resumed).bind(*arguments, **keywords)
        except TilewiseError:
            raise
        except _FOREIGN as error:
            raise NotResumable(
                f"The {self.entry.kind} into {self.entry.destination!r} cannot be resumed: "
                f"{_DAMAGED} ({error!r}). Start it again, or forget it."
            ) from error
        return resumed(*arguments, **keywords)

    def forget(self) -> None:
        """Remove its unfinished pixels and its checkpoint; the finished items of a batch stay.

        Raises
        ------
        DestinationBusy
            When it is running.
        """
        if self.is_batch:
            if self.state is not RunState.RUNNING:
                remove_partials(self.entry.destination, forgets=True)
            registry.remove(registry.BATCH, self.destination)
        else:
            resume.forget(self.destination)


def unfinished_runs() -> list[UnfinishedRun]:
    """Return all unfinished runs and batches, the latest first."""
    runs = map(_of_entry, registry.entries())
    return [unfinished for unfinished in runs if unfinished is not None]


def unfinished_run(destination: PathLike) -> UnfinishedRun:
    """Return the unfinished run or batch into a destination.

    Parameters
    ----------
    destination
        The output of a run, or the folder of a batch.

    Raises
    ------
    InvalidParameter
        When there is none.
    """
    path = local_path(destination)
    for unfinished in unfinished_runs():
        if unfinished.destination == path:
            return unfinished
    raise InvalidParameter(
        f"There is no unfinished run or batch into {str(path)!r}; expected one of those that "
        "napari-tilewise runs lists."
    )


def _of_entry(entry: registry.RegistryEntry) -> UnfinishedRun | None:
    """Return the run or batch of an entry; None if it is complete."""
    return _batch(entry) if entry.kind == registry.BATCH else _run(entry)


# -- runs ------------------------------------------------------------------------------------------


def _run(entry: registry.RegistryEntry) -> UnfinishedRun | None:
    destination, is_alive = Path(entry.destination), entry.is_alive
    folder = resume.checkpoint_folder(destination)
    contents = read_checkpoint(folder)
    if contents is None:
        if is_alive:
            return UnfinishedRun(entry, RunState.RUNNING, Progress(entry.kind))
        if destination.exists():  # it was killed between its last two steps
            registry.remove(entry.kind, destination)
            return None
        reason = f"its checkpoint next to {destination.name!r} is gone"
        return UnfinishedRun(entry, RunState.NOT_RESUMABLE, Progress(entry.kind), reason)
    progress, reason = _progress_of_run(contents)
    if is_locked(folder) if is_alive is None else is_alive:
        return UnfinishedRun(entry, RunState.RUNNING, progress)
    return _ended(entry, progress, reason)


def _progress_of_run(contents: CheckpointContents) -> tuple[Progress, str]:
    """Return how far a run is, and why it cannot be resumed."""
    facts, done = contents.facts, contents.done.get("tiles", 0)
    try:
        texts = _task_name(facts), _source_name(_source(facts))
        return Progress(*texts, done, int(facts.get("tiles", 0)), facts), _obstacle(facts)
    except _FOREIGN:
        return Progress(registry.RUN, done=done, facts=facts), _DAMAGED


def _ended(entry: registry.RegistryEntry, progress: Progress, reason: str) -> UnfinishedRun:
    state = RunState.NOT_RESUMABLE if reason else RunState.INTERRUPTED
    return UnfinishedRun(entry, state, progress, reason)


def _source(facts: Metadata) -> Metadata:
    """Return the description of a run's source: the record of a conversion has its past."""
    history = facts["history"]
    source: Metadata = history.get("converted_from", history["source"])
    return source


def _source_name(source: Metadata) -> str:
    source = _whole(source)
    return str(source.get("location") or source.get("name") or f"an array of {source.get('shape')}")


def _task_name(facts: Metadata) -> str:
    if "convert" in facts.get("asked", {}):
        return "conversion"
    steps = [step["operation"] for step in facts["history"]["recipe"]["steps"]]
    return str(steps[-1]) if len(steps) == 1 else f"{len(steps)} steps to {steps[-1]}"


def _obstacle(facts: Metadata) -> str:
    """Return why a run cannot be resumed; empty if it can."""
    history = facts["history"]
    if "asked" not in facts:
        return _OTHER_RELEASE
    if reason := history.get("not_repeatable"):
        return f"its recipe cannot be saved: {reason}"
    images = {"source": _source(facts)}
    images |= {f"input {name!r}": image for name, image in history["inputs"].items()}
    for name, image in images.items():
        whole = _whole(image)
        if whole["kind"] == "array":
            return f"its {name} was in memory, and only its own process had it"
        location = whole["location"]
        if whole["kind"] != "url" and not os.path.exists(file_of(location)):
            return f"its {name} {location!r} is gone"
    return ""


def _run_call(facts: Metadata, destination: Path) -> tuple[Any, ...]:
    """Return the function that resumes a run, its arguments, and its keywords last."""
    keywords = dict(facts["asked"])
    conversion = keywords.pop("convert", None)
    history, source = facts["history"], _source(facts)
    if conversion is not None:
        keywords.pop("executor", None)
        return convert, source["location"], destination, {**conversion, **keywords}
    inputs = {name: _open(image) for name, image in history["inputs"].items()}
    image = _with_noted_axes(_open(source), facts["image"])
    recipe = Recipe.from_dict(history["recipe"])
    return run, recipe, image, destination, {"inputs": inputs, **history["run"], **keywords}


def _with_noted_axes(image: Image, noted: Metadata) -> Image:
    """Return an image with the axes and pixel sizes that the interrupted run had."""
    axes, units = tuple(noted["axes"]), tuple(noted["units"])
    scale = tuple(map(float, noted["scale"]))
    texts = (*axes, *(unit for unit in units if unit is not None))
    ndim = len(image.data.shape)
    if not all(isinstance(text, str) for text in texts) or {len(scale), len(units)} != {ndim}:
        raise ValueError(f"not the axes of an image of {ndim}: {noted!r}")
    return replace(image, axes=axes, scale=scale, units=units, labels=bool(noted["labels"]))


def _whole(image: Metadata) -> Metadata:
    """Return the description of the image that an image is a part of; its own if it is whole."""
    while "part_of" in image:
        image = image["part_of"]
    return image


def _open(image: Metadata) -> Image:
    """Open an image, or a part of one, from its description in a record."""
    if "part_of" not in image:
        return open_image(image["location"], level=image.get("level", 0))
    whole = _open(image["part_of"])
    parts = [tuple(part) if isinstance(part, list) else part for part in image["part"]]
    return crop_image(whole, parts, whole.name, _part_source(image["part_of"], whole))


def _part_source(description: Metadata, whole: Image) -> object:
    """Return what a part's record names as its whole, as the interrupted run named it."""
    return whole if "part_of" in description or "level" in description else description["location"]


# -- batches ---------------------------------------------------------------------------------------


def _batch(entry: registry.RegistryEntry) -> UnfinishedRun:
    latest = batch_journal.latest_batch(entry.destination)
    # Whether a batch of another machine is running is unknown there: only that machine resumes it.
    is_alive = entry.is_alive is not False
    if latest is None:
        progress = Progress(entry.kind)
        if is_alive:
            return UnfinishedRun(entry, RunState.RUNNING, progress)
        return UnfinishedRun(entry, RunState.NOT_RESUMABLE, progress, "its journal is gone")
    description, done = latest
    request = description.get("asked", {NOT_RESUMABLE: _OTHER_RELEASE})
    source, items = _batch_source_name(request.get("source", "")), description.get("items", 0)
    progress = Progress(_batch_task_name(description), source, done, items, description)
    if is_alive:
        return UnfinishedRun(entry, RunState.RUNNING, progress)
    return _ended(entry, progress, str(request.get(NOT_RESUMABLE, "")))


def _batch_call(facts: Metadata, destination: Path) -> tuple[Any, ...]:
    """Return the function that resumes a batch, its arguments, and its keywords last."""
    recipe, source, keywords = from_request_data(facts["asked"])
    return batch, recipe, source, destination, keywords


def _batch_task_name(description: Metadata) -> str:
    if "function" in description:
        return str(description["function"])
    recipe = description.get("recipe")
    steps = recipe.get("steps") if isinstance(recipe, Mapping) else None
    try:
        if steps is not None:
            return _task_name({"history": description})
    except _FOREIGN:  # another program wrote the journal
        pass
    return "a batch"


def _batch_source_name(source: Any) -> str:
    if isinstance(source, str):
        return source
    return f"{len(source)} images" if isinstance(source, list | dict) else ""
