"""A rerun computes an output again from its own record, next to it, and compares the two.

The record has the recipe and the sources; changes since then (sources, versions) are listed before
the run.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from napari_tilewise.engine.control import Control
from napari_tilewise.engine.session import Session
from napari_tilewise.engine.system.disk import writing
from napari_tilewise.errors import (
    DestinationExists,
    DestinationUnwritable,
    InvalidParameter,
    TilewiseError,
    option,
)
from napari_tilewise.io.compare import Difference, compare_images, compare_values
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.create import WRITERS
from napari_tilewise.io.writers.formats import SAME_FORMAT
from napari_tilewise.io.writers.staging import local_path
from napari_tilewise.io.writers.values import SUFFIXES as VALUES
from napari_tilewise.operations import get_operation
from napari_tilewise.operations.copying import COPY
from napari_tilewise.progress import listening
from napari_tilewise.provenance import record as provenance
from napari_tilewise.provenance.fingerprint import source_location
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.recorded_images import (
    NotRepeatable,
    OutsideFolder,
    checked_entry,
    recorded_images,
    run_options,
)
from napari_tilewise.runs.run import run

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import Metadata
    from napari_tilewise.runs.recorded_images import Announce
    from napari_tilewise.types import MemorySize, PathLike

__all__ = ["NotRepeatable", "OutsideFolder", "Repetition", "Rerun", "rerun"]

_LOG = logging.getLogger(__name__)
_ZARR = ".ome.zarr"


@dataclass(frozen=True)
class Rerun:
    """The comparison of an output with a new one."""

    difference: Difference
    """How the new output differs from the old one; as text, in a sentence."""
    notes: tuple[str, ...]
    """What has changed since the old output was computed: a sentence each."""
    path: Path | str | None
    """Path or URL of the new output; None if it was removed after the comparison."""

    @property
    def identical(self) -> bool:
        """Whether the two outputs are identical."""
        return self.difference.identical


def rerun(
    output: PathLike,
    *,
    to: PathLike | None = None,
    memory: MemorySize | None = None,
    workers: int | None = None,
    executor: object = "auto",
    allow_outside: bool = False,
    progress: Listener | bool | None = None,
    cancel: threading.Event | None = None,
) -> Rerun:
    """Compute an output of `run` again and compare the two.

    A record is data: it names the recipe and the images, and decides about nothing else.

    Parameters
    ----------
    output
        Path of an output of `run` or `convert`: an image of any format, ``.json`` or ``.csv``.
    to
        Path of the new output; by default it is written next to the old one and removed.
    memory, workers, executor, progress, cancel
        See `run`.
    allow_outside
        Whether images may be read from URLs and from outside the output's own folder, which the
        record names; each is logged before.

    Returns
    -------
    Rerun
        The difference, and what has changed since.

    Raises
    ------
    SourceUnreadable
        When the output has no record.
    SourceNotFound
        When the output or its source is gone.
    NotRepeatable
        When it was computed from an array in memory, or its recipe held an image or a function.
    OutsideFolder
        When its record names images outside its own folder, and these are not allowed.
    TilewiseError
        For all that `run` raises.
    """
    options = {"memory": memory, "workers": workers, "executor": executor, "cancel": cancel}
    with listening(progress) as listener:
        repetition = Repetition.of(output, allow_outside=allow_outside)
        return repetition.run(to=to, progress=listener, **options)


@dataclass(frozen=True)
class Repetition:
    """An output that can be computed again: its sources are found, nothing has run."""

    output: str
    """The old output: an absolute path or a URL."""
    recipe: Recipe
    source: object
    inputs: Mapping[str, object]
    options: Metadata
    """Arguments of its run that decide about the result."""
    notes: tuple[str, ...]
    """What has changed since: a sentence each."""
    converted_from: str | None = None
    """Path of the output of `run` that was converted to this one."""

    @classmethod
    def of(
        cls, output: PathLike, *, allow_outside: bool = False, announce: Announce = _LOG.info
    ) -> Self:
        """Return how to compute an output again; see `rerun` for what is raised.

        Parameters
        ----------
        output
            Path of an output of `run` or `convert`.
        allow_outside
            Whether images may be read from URLs and from outside the output's own folder.
        announce
            Takes a sentence for each of these, before anything is read.
        """
        record = provenance.read(output)
        location = source_location(output) or os.fspath(output)
        recipe = _recipe(record, location)
        options, notes = run_options(record, location)
        recorded_source, recorded_inputs = recorded_images(
            record, location, allow_outside=allow_outside, announce=announce
        )
        source, source_notes = recorded_source.open()
        notes += source_notes
        inputs = {}
        for name, image in recorded_inputs.items():
            inputs[name], input_notes = image.open()
            notes += input_notes
        notes += _changed_versions(checked_entry(record, "versions", Mapping, location))
        if "functions" in record:
            notes += _changed_functions(checked_entry(record, "functions", Mapping, location))
        converted_from = None
        if "converted_from" in record:
            entry = checked_entry(record, "converted_from", Mapping, location)
            converted_from = str(entry.get("location"))
        return cls(location, recipe, source, inputs, options, tuple(notes), converted_from)

    def run(self, *, to: PathLike | None = None, **options: Any) -> Rerun:
        """Compute the output again, compare, and remove the new one unless `to` is given.

        Parameters
        ----------
        to
            Path of the new output.
        **options
            Arguments of `run`: memory, workers, executor, progress and cancel.
        """
        if self.output.lower().endswith(VALUES):
            suffix = Path(self.output).suffix.lower()
            with _destination(self.output, suffix, to) as destination:
                path = self._run(destination, options)
                difference = compare_values(Path(self.output), Path(path))
        else:
            old = open_image(self.output)
            workers = 1 if options.get("executor") == "serial" else options.get("workers")
            session = Session(workers, Control(options.get("progress"), options.get("cancel")))
            # In its own format: others order axes otherwise, or hold more, or less.
            suffix = SAME_FORMAT.get(old.format, _ZARR)
            with _destination(self.output, suffix, to) as destination:
                if self.converted_from is None:
                    path = self._run(destination, options, old)
                else:
                    path = self._run_and_convert(destination, options, old)
                difference = compare_images(old, open_image(path), session)
        return Rerun(difference, self.notes, None if to is None else path)

    def _run(self, destination: str, options: Metadata, old: Image | None = None) -> Path | str:
        """Compute the output again; `old` is the old one if it is an image."""
        arguments = {"inputs": self.inputs, **self.options, **options}
        arguments |= {"pyramid": old is None or len(old.levels) > 1}
        arguments |= {"resume": False, "overwrite": False}
        result = run(self.recipe, self.source, destination, **arguments)
        return result.path

    def _run_and_convert(self, destination: str, options: Metadata, old: Image) -> Path | str:
        """Compute the output of `run` again, then convert that: a format may hold less."""
        name = f"again{_suffix_of(self.converted_from or '') or _ZARR}"
        with _temporary_folder(Path(destination)) as folder:
            image = open_image(self._run(str(folder / name), options))
            # No record has the arguments of the conversion.
            source = replace(image, labels=old.labels, axes=image.axes or self._axes(image, old))
            pyramid = len(old.levels) > 1
            result = run(COPY.name, source, destination, pyramid=pyramid, resume=False, **options)
            return result.path

    def _axes(self, image: Image, old: Image) -> tuple[str, ...]:
        """Return the axes of an image without names: those of the run, in its order, if they fit.

        The old output may have them in another order, or lack those of length one.
        """
        axes_of_run = tuple(self.options.get("axes") or open_image(self.source).axes)
        fitting = (
            axes
            for axes in (axes_of_run, old.axes)
            if len(axes) == len(image.data.shape) and set(axes) >= set(old.axes)
        )
        return next(fitting, ())


def _suffix_of(name: str) -> str | None:
    """Return the suffix of a writer that a name ends in; None if there is none."""
    return next((suffix for suffix in WRITERS if name.lower().endswith(suffix)), None)


def _recipe(record: Metadata, output: str) -> Recipe:
    reason = record.get("not_repeatable")
    if reason is None:
        try:
            return Recipe.from_dict(checked_entry(record, "recipe", Mapping, output))
        except NotRepeatable:
            raise
        except TilewiseError as error:  # such as an operation of a user's module, not loaded here
            reason = str(error)
    raise NotRepeatable(f"{output!r} cannot be computed again from its record: {reason}")


def _changed_versions(before: Mapping[str, str]) -> list[str]:
    now = provenance.versions()
    return [
        f"{name} was {before[name]}, now it is {now[name]}."
        for name in now
        if name in before and before[name] != now[name]
    ]


def _changed_functions(before: Mapping[str, str]) -> list[str]:
    return [
        f"The function {name} has been edited since."
        for name, digest in before.items()
        if get_operation(name).adapter.digest != digest
    ]


@contextmanager
def _destination(output: str, suffix: str, to: PathLike | None) -> Iterator[str]:
    """Yield the path of the new output: the one that was given, or a temporary one."""
    if to is not None:
        if not _has_format(os.fspath(to), suffix):
            raise InvalidParameter(
                f"{str(os.fspath(to))!r} cannot be compared with {output!r}: give a destination "
                f"that ends in {suffix!r} too."
            )
        if os.path.lexists(local_path(to)):
            raise DestinationExists(
                f"{str(os.fspath(to))!r} exists, and a record replaces nothing: give another "
                f"destination with {option('to')}."
            )
        yield str(os.fspath(to))
        return
    if "://" in output:
        raise DestinationUnwritable(
            f"Nothing can be written next to {output!r}: give a local destination with "
            f"{option('to')}."
        )
    with _temporary_folder(Path(output)) as folder:
        yield str(folder / f"again{suffix}")


def _has_format(name: str, suffix: str) -> bool:
    """Return whether the name of a destination has the format of a suffix."""
    if suffix in VALUES:
        return name.lower().endswith(suffix)
    own = _suffix_of(name)
    return own is not None and WRITERS[own] is WRITERS[suffix]


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """Create a folder next to a path, and remove it in the end."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.rerun-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
