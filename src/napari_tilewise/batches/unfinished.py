"""Runs and batches that were begun and are not complete, whichever process began them.

What is known of one stands beside its output, found by way of the register: how far it is, and all
that it was asked for. So any process can go on with what another one left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.batches import batch, batch_journal
from napari_tilewise.batches.request import WHY, given_again
from napari_tilewise.engine.checkpoint import is_held
from napari_tilewise.engine.checkpoint import told as told_by
from napari_tilewise.errors import InvalidParameter, TilewiseError
from napari_tilewise.io.readers import hdf5
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs import registry, resume
from napari_tilewise.runs.convert import convert
from napari_tilewise.runs.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """What can be said of a run that was begun."""

    RUNNING = "running"
    """It is going on, in this or another process."""
    LEFT = "left"
    """It ended before it was complete, and can be gone on with."""
    LOST = "lost"
    """It ended, and cannot be gone on with from here."""


class NotResumable(TilewiseError, ValueError):
    """What a run left does not tell how to go on with it."""


@dataclass(frozen=True)
class Begun:
    """A run or a batch that was begun and is not complete."""

    entry: registry.Entry
    what: str
    """What it does: an operation's name, how many steps, a function."""
    source: str
    """What it reads."""
    state: State
    why: str
    """Why it cannot be gone on with; empty unless it is `State.LOST`."""
    done: int
    """Tiles of the output, or items, that are done."""
    total: int
    """Their number; 0 where it is not known."""
    facts: Mapping[str, Any]
    """All that it tells, in plain data."""

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
        unit = "items" if self.is_batch else "tiles"
        far = f"{self.done} of {self.total} {unit}" if self.total else f"{self.done} {unit}"
        why = f" ({self.why})" if self.why else ""
        return f"{self.state}  {self.destination}  {self.what} of {self.source}, {far}{why}"

    def resume(self, **options: Any) -> Any:
        """Go on with it; return what `run`, `convert` or `batch` does.

        Parameters
        ----------
        **options
            Further arguments: progress, cancel, pause; memory, workers.

        Raises
        ------
        NotResumable
            When it is running, or cannot be gone on with.
        TilewiseError
            For all that they raise.
        """
        if self.state is not State.LEFT:
            why = self.why or "it is running"
            raise NotResumable(
                f"The {self.entry.kind} into {self.entry.destination!r} cannot be gone on with: "
                f"{why}. Begin it anew, or forget it."
            )
        if self.is_batch:
            recipe, source, given = given_again(self.facts["asked"])
            return batch(recipe, source, self.destination, **{**given, **options})
        return _resumed(self.facts, self.destination, options)

    def forget(self) -> None:
        """Remove what it left: unfinished pixels and the notes of what is done.

        Of a batch, what is done stays.

        Raises
        ------
        DestinationBusy
            When it is running.
        """
        if self.is_batch:
            registry.remove(registry.BATCH, self.destination)
        else:
            resume.forget(self.destination)


def begun() -> list[Begun]:
    """Return all runs and batches that were begun and are not complete, the latest first."""
    found = (_look(entry) for entry in registry.entries())
    return [one for one in found if one is not None]


def begun_at(destination: str | os.PathLike[str]) -> Begun:
    """Return what was begun into a destination.

    Parameters
    ----------
    destination
        The output of a run, or the folder of a batch.

    Raises
    ------
    InvalidParameter
        When nothing is.
    """
    place = local_path(destination)
    found = next((one for one in begun() if one.destination == place), None)
    if found is None:
        raise InvalidParameter(
            f"No unfinished run or batch into {str(place)!r} is known; expected one of those that "
            "napari-tilewise runs lists."
        )
    return found


def _look(entry: registry.Entry) -> Begun | None:
    """Return what is known of an entry; None where it is complete."""
    return _batch(entry) if entry.kind == registry.BATCH else _run(entry)


# -- runs ------------------------------------------------------------------------------------------


def _run(entry: registry.Entry) -> Begun | None:
    destination = Path(entry.destination)
    left = told_by(resume.account_folder(destination))
    is_alive = entry.is_alive
    if left is None:
        if is_alive:
            return _made(entry, State.RUNNING)
        if destination.exists():  # it was killed between its last two steps
            registry.remove(entry.kind, destination)
            return None
        return _made(entry, State.LOST, f"what it left beside {destination.name!r} is gone")
    facts = left.facts
    known = {
        "what": _steps(facts), "source": _named(_source(facts)), "facts": facts,
        "done": left.done.get("tiles", 0), "total": facts.get("tiles", 0),
    }  # fmt: skip
    if is_alive is None:
        is_alive = is_held(resume.account_folder(destination))
    if is_alive:
        return _made(entry, State.RUNNING, **known)
    why = _trouble(facts)
    return _made(entry, State.LOST if why else State.LEFT, why, **known)


def _made(entry: registry.Entry, state: State, why: str = "", **known: Any) -> Begun:
    unknown = {"what": entry.kind, "source": "", "facts": {}, "done": 0, "total": 0}
    return Begun(entry, state=state, why=why, **{**unknown, **known})


def _source(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is told of what a run reads: what was converted has its own past."""
    history = facts["history"]
    source: Mapping[str, Any] = history.get("converted_from", history["source"])
    return source


def _named(told: Mapping[str, Any]) -> str:
    return str(told.get("location") or told.get("name") or f"an array of {told.get('shape')}")


def _steps(facts: Mapping[str, Any]) -> str:
    if "convert" in facts.get("asked", {}):
        return "conversion"
    steps = [step["operation"] for step in facts["history"]["recipe"]["steps"]]
    return str(steps[-1]) if len(steps) == 1 else f"{len(steps)} steps to {steps[-1]}"


def _trouble(facts: Mapping[str, Any]) -> str:
    """Return why a run cannot be gone on with; empty where it can."""
    history = facts["history"]
    if "asked" not in facts:
        return "another release of napari-tilewise began it"
    if why := history.get("not_repeatable"):
        return f"its recipe cannot be written down: {why}"
    images = {"source": _source(facts)}
    images |= {f"input {name!r}": told for name, told in history["inputs"].items()}
    for name, told in images.items():
        if told["kind"] == "array":
            return f"its {name} was in memory, where only its own process found it"
        place = told["location"]
        if told["kind"] != "url" and not os.path.exists(hdf5.split(place)[0]):
            return f"its {name} {place!r} is gone"
    return ""


def _resumed(facts: Mapping[str, Any], destination: Path, options: Mapping[str, Any]) -> Any:
    asked = dict(facts["asked"])
    conversion = asked.pop("convert", None)
    how = {**asked, **options}
    history, told = facts["history"], _source(facts)
    if conversion is not None:
        how.pop("executor", None)
        return convert(told["location"], destination, **conversion, **how)
    inputs = {name: _located(image) for name, image in history["inputs"].items()}
    known = facts["image"]
    source = replace(
        _located(told), axes=tuple(known["axes"]), scale=tuple(known["scale"]),
        units=tuple(known["units"]), labels=known["labels"],
    )  # fmt: skip
    recipe = Recipe.from_dict(history["recipe"])
    return run(recipe, source, destination, inputs=inputs, **history["run"], **how)


def _located(told: Mapping[str, Any]) -> Any:
    """Return an image that a record tells of, opened where it stands."""
    return open_image(told["location"], level=told.get("level", 0))


# -- batches ---------------------------------------------------------------------------------------


def _batch(entry: registry.Entry) -> Begun:
    found = batch_journal.latest_batch(entry.destination)
    # Whether a batch on another machine is alive cannot be told: nobody else goes on with it.
    is_alive = entry.is_alive is not False
    if found is None:
        state = State.RUNNING if is_alive else State.LOST
        return _made(entry, state, "" if is_alive else "its journal is gone")
    head, done = found
    asked = head.get("asked", {WHY: "another release of napari-tilewise began it"})
    known = {
        "what": _work(head), "source": _words(asked.get("source", "")), "facts": head,
        "done": done, "total": head.get("items", 0),
    }  # fmt: skip
    if is_alive:
        return _made(entry, State.RUNNING, **known)
    why = asked.get(WHY, "")
    return _made(entry, State.LOST if why else State.LEFT, why, **known)


def _work(head: Mapping[str, Any]) -> str:
    return str(head["function"]) if "function" in head else _steps({"history": head})


def _words(source: Any) -> str:
    return source if isinstance(source, str) else f"{len(source)} images"
