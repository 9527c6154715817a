"""An output is made again from its own record, beside itself, and compared with what it is.

The record says what ran on what; what has changed since (source, versions) is said before the run.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.disk import writing
from napari_tilewise.engine.session import Session
from napari_tilewise.errors import (
    DestinationUnwritable,
    InvalidParameter,
    SourceNotFound,
    TilewiseError,
)
from napari_tilewise.io.compare import Difference, compare_images, compare_values
from napari_tilewise.io.readers import hdf5
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.views.cropped import crop_image
from napari_tilewise.io.writers.create import WRITERS
from napari_tilewise.io.writers.formats import SAME_FORMAT
from napari_tilewise.io.writers.values import SUFFIXES as VALUES
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.copying import COPY
from napari_tilewise.provenance import record as provenance
from napari_tilewise.provenance.fingerprint import fingerprint, source_location
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.run import run

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image

_ZARR = ".ome.zarr"


class NotRepeatable(TilewiseError, ValueError):
    """An output's record does not hold all that it takes to make the output again."""


@dataclass(frozen=True)
class Rerun:
    """What came of making an output again."""

    difference: Difference
    """How the new output differs from the old one; its text is the verdict."""
    notes: tuple[str, ...]
    """What is not as it was when the old output was made: a sentence each."""
    path: Path | None
    """Where the new output stands; None where it was only made to be compared."""

    @property
    def identical(self) -> bool:
        """Whether the new output is the old one."""
        return self.difference.identical


def rerun(
    output: str | os.PathLike[str],
    *,
    to: str | os.PathLike[str] | None = None,
    memory: str | float | None = None,
    workers: int | None = None,
    executor: Any = "auto",
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
) -> Rerun:
    """Make an output of `run` again and say whether it is identical.

    Parameters
    ----------
    output
        What `run` wrote: an image of any format, ``.json`` or ``.csv``; also after a conversion.
    to
        Where the new output stays; unless given it is made beside the old one and removed.
    memory, workers, executor, progress, cancel
        As in `run`.

    Raises
    ------
    SourceUnreadable
        When the output carries no record.
    SourceNotFound
        When the output or its source is gone.
    NotRepeatable
        When it was made from an array in memory, or its recipe held an image or a function.
    TilewiseError
        For all that `run` raises.
    """
    return Repetition.of(output).run(
        to=to, memory=memory, workers=workers, executor=executor, progress=progress, cancel=cancel
    )


@dataclass(frozen=True)
class Repetition:
    """An output that can be made again: everything is found, nothing has run."""

    output: str
    """The old output: an absolute path or a URL."""
    recipe: Recipe
    source: Any
    inputs: Mapping[str, Any]
    options: Mapping[str, Any]
    """How it was run, where that changes a result."""
    notes: tuple[str, ...]
    """What is not as it was: a sentence each."""
    converted_from: str | None = None
    """The name of what the output was converted from, which `run` wrote then."""

    @classmethod
    def of(cls, output: str | os.PathLike[str]) -> Self:
        """Return how to make an output again; see `rerun` for what is raised.

        Parameters
        ----------
        output
            What `run` wrote.
        """
        record = provenance.read(output)
        where = source_location(output) or os.fspath(output)
        recipe = _recipe(record, where)
        source, notes = _find(record["source"], "source", where)
        inputs = {}
        for name, told in record["inputs"].items():
            inputs[name], more = _find(told, f"input {name!r}", where)
            notes += more
        notes += _other_versions(record["versions"])
        notes += _other_functions(record.get("functions", {}))
        before = record.get("converted_from", {}).get("location")
        return cls(where, recipe, source, inputs, record["run"], tuple(notes), before)

    def run(self, *, to: str | os.PathLike[str] | None = None, **options: Any) -> Rerun:
        """Make the output again, compare, and remove the new one unless `to` is given.

        Parameters
        ----------
        to
            Where the new output stays.
        **options
            What `run` takes: memory, workers, executor, progress and cancel.
        """
        if self.output.lower().endswith(VALUES):
            suffix = Path(self.output).suffix.lower()
            with _destination(self.output, suffix, to) as destination:
                made = self._make(destination, options)
                difference = compare_values(Path(self.output), made)
        else:
            old = open_image(self.output)
            workers = 1 if options.get("executor") == "serial" else options.get("workers")
            session = Session(workers, Control(options.get("progress"), options.get("cancel")))
            # In its own format: others order axes otherwise, or hold more, or less.
            suffix = SAME_FORMAT.get(old.format, _ZARR)
            with _destination(self.output, suffix, to) as destination:
                make = self._make if self.converted_from is None else self._make_and_convert
                made = make(destination, options, old)
                difference = compare_images(old, open_image(made), session)
        return Rerun(difference, self.notes, None if to is None else made)

    def _make(self, destination: str, options: Mapping[str, Any], old: Image | None = None) -> Path:
        """Make the output again; `old` is it where it is an image."""
        how = {"inputs": self.inputs, **self.options, **options}
        pyramid = old is None or len(old.levels) > 1
        made = run(self.recipe, self.source, destination, pyramid=pyramid, resume=False, **how)
        return made.path

    def _make_and_convert(self, destination: str, options: Mapping[str, Any], old: Image) -> Path:
        """Make what the output was converted from, then convert that: a format may hold less."""
        assert self.converted_from is not None
        with _hidden(Path(destination)) as folder:
            between = str(folder / f"again{_suffix_of(self.converted_from) or _ZARR}")
            image = open_image(self._make(between, options))
            # What a conversion was told, no record says.
            told = replace(image, labels=old.labels, axes=image.axes or self._axes(image, old))
            pyramid = len(old.levels) > 1
            made = run(COPY.name, told, destination, pyramid=pyramid, resume=False, **options)
            return made.path

    def _axes(self, image: Image, old: Image) -> tuple[str, ...]:
        """Return the axes of an image without names: those of the run, in its order, if they fit.

        The old output may have them in another order, or lack those of length one.
        """
        ran = tuple(self.options.get("axes") or open_image(self.source).axes)
        fitting = (
            axes
            for axes in (ran, old.axes)
            if len(axes) == len(image.data.shape) and set(axes) >= set(old.axes)
        )
        return next(fitting, ())


def _suffix_of(name: str) -> str | None:
    """Return which suffix of a writer a name ends in; None where it ends in none."""
    return next((known for known in WRITERS if name.lower().endswith(known)), None)


def _recipe(record: Mapping[str, Any], where: str) -> Recipe:
    why = record.get("not_repeatable")
    if why is None:
        try:
            return Recipe.from_dict(record["recipe"])
        except TilewiseError as error:  # such as an operation of a user's module, not loaded here
            why = str(error)
    raise NotRepeatable(f"{where!r} cannot be made again from its record: {why}")


def _find(told: Mapping[str, Any], what: str, where: str) -> tuple[Any, list[str]]:
    """Return one of an output's images, and what is not as it was: its place, its contents."""
    if "part_of" in told:
        whole, notes = _find(told["part_of"], what, where)
        image = open_image(whole)
        parts = [tuple(part) if isinstance(part, list) else part for part in told["part"]]
        return crop_image(image, parts, image.name, None), notes
    if told["kind"] == "array":
        raise NotRepeatable(
            f"{where!r} cannot be made again from its record: its {what} was an array in memory "
            f"({told['type']} of shape {tuple(told['shape'])}), which no record holds. Save the "
            "array to a file and run the recipe on that."
        )
    location, found = told["location"], told["location"]
    if told["kind"] != "url":
        found = _nearest(told, what, where)
    notes = [] if found == location else [f"The {what} {location!r} was found at {found!r}."]
    before = told["fingerprint"]
    if before is not None and before != (now := fingerprint(found)):
        notes.append(f"The {what} {found!r} has changed: its fingerprint was {before}, is {now}.")
    level = told.get("level", 0)
    return (open_image(found, level=level) if level else found), notes


def _nearest(told: Mapping[str, Any], what: str, where: str) -> str:
    """Return where a source stands now: where it stood, or after a move together with the output.

    Of several the one that has not changed.
    """
    location, folder = str(told["location"]), os.path.dirname(where)
    ways = [told.get("from_output"), os.path.basename(location)] if "://" not in where else []
    moved = [os.path.normpath(os.path.join(folder, way)) for way in ways if way]
    places = list(dict.fromkeys([location, *moved]))
    there = [path for path in places if os.path.exists(hdf5.split(path)[0])]
    if not there:
        others = f"; looked at {', '.join(map(repr, places[1:]))} too" if places[1:] else ""
        raise SourceNotFound(
            f"The {what} of {where!r} is gone: there is nothing at {location!r}{others}. Put it "
            "back, or beside the output."
        )
    if len(there) == 1:
        return there[0]
    return next((path for path in there if fingerprint(path) == told["fingerprint"]), there[0])


def _other_versions(before: Mapping[str, str]) -> list[str]:
    now = provenance.versions()
    return [
        f"{name} was {before[name]}, now it is {now[name]}."
        for name in now
        if name in before and before[name] != now[name]
    ]


def _other_functions(before: Mapping[str, str]) -> list[str]:
    return [
        f"The function {name} has been edited since."
        for name, digest in before.items()
        if get_operation(name).adapter.digest != digest
    ]


@contextmanager
def _destination(output: str, suffix: str, to: str | os.PathLike[str] | None) -> Iterator[str]:
    """Give a place for the new output: the one that is wanted, or one that is gone in the end."""
    if to is not None:
        if not _is_alike(os.fspath(to), suffix):
            raise InvalidParameter(
                f"{str(os.fspath(to))!r} cannot be compared with {output!r}: give a destination "
                f"that ends in {suffix!r} too."
            )
        yield str(os.fspath(to))
        return
    if "://" in output:
        raise DestinationUnwritable(
            f"Beside {output!r} nothing can be written: give a local destination with to= (in the "
            "shell: --to)."
        )
    with _hidden(Path(output)) as folder:
        yield str(folder / f"again{suffix}")


def _is_alike(name: str, suffix: str) -> bool:
    """Return whether a destination is of the format that a suffix gives."""
    if suffix in VALUES:
        return name.lower().endswith(suffix)
    known = _suffix_of(name)
    return known is not None and WRITERS[known] is WRITERS[suffix]


@contextmanager
def _hidden(path: Path) -> Iterator[Path]:
    """Give a new folder beside a path, which is gone in the end."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.rerun-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
