"""A conversion is a run that changes no pixel: any format in, a pyramid out, in one streaming pass.

It has all that a run has: bounded memory, progress, cancel, resume, an output that appears when it
is complete. The record of how the image was computed is copied too.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tilewise.axes import parse
from napari_tilewise.engine.control import Control
from napari_tilewise.errors import InvalidImage, option
from napari_tilewise.io.readers.locations import home_path
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.stored_record import read_record
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.io.writers.outbox import checked_outbox
from napari_tilewise.operations.copying import COPY
from napari_tilewise.progress import listening
from napari_tilewise.provenance import record
from napari_tilewise.provenance.fingerprint import source_location, taken_once
from napari_tilewise.provenance.source_guard import SourceGuard
from napari_tilewise.recipe import Recipe, conversion_to
from napari_tilewise.runs.planner import make_plan
from napari_tilewise.runs.request import Resources, RunRequest
from napari_tilewise.runs.resume import unfinished_layout
from napari_tilewise.runs.run_job import RunJob

if TYPE_CHECKING:
    import threading

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image
    from napari_tilewise.io.plain_data import MetadataDict
    from napari_tilewise.runs.run_result import RunResult
    from napari_tilewise.types import AxisNames, MemorySize, PathLike


def convert(
    source: object,
    destination: PathLike,
    *,
    level: int = 0,
    axes: AxisNames | None = None,
    labels: bool | None = None,
    memory: MemorySize | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = True,
    pyramid: bool = True,
    ome_zarr: str = "0.5",
    shards: bool = False,
    dtype: str | None = None,
    progress: Listener | bool | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
) -> RunResult:
    """Convert an image of any size to the format of the destination's suffix.

    Parameters
    ----------
    source
        A path, a URL, or anything with `shape`, `dtype` and slicing.
    destination
        ``NAME.ome.zarr``, ``NAME.ome.tif``, ``.tif`` (ImageJ), ``.npy`` or ``.png``.
    level
        Level of the source's pyramid that becomes the finest of the output; 0 is the finest.
    axes
        Names of the source's axes, such as ``"tcyx"``, for a source that does not name them.
    labels
        Whether the pixels are labels, which are never averaged; by default as the source says.
    memory
        Peak resident memory in bytes, or a text such as ``"2 GiB"``; by default half of what is
        available.
    workers
        Number of threads; by default one per processor.
    overwrite
        Whether an existing destination is replaced, once the new output is complete.
    resume
        Whether to resume an interrupted conversion to this destination.
    pyramid
        Whether to write smaller levels, in formats that have them.
    ome_zarr
        Version of an OME-Zarr: ``"0.5"``, or ``"0.4"`` for older readers.
    shards
        Whether an OME-Zarr has one file for each tile instead of one for each chunk.
    dtype
        Data type of the output: ``"uint8"``, ``"uint16"``, ``"int16"``, ``"float32"``,
        ``"float64"`` or ``"bool"``; intensities are rescaled to its range as scikit-image does, and
        refused where they cannot be. By default the source's.
    progress
        Called with `engine.events.Event` objects; True shows a bar or lines, as in `run`.
    cancel
        Set this event to stop within the time of one tile.
    pause
        Set this event to start no more tiles until it is cleared.

    Returns
    -------
    RunResult
        Path, shape and figures of the run.

    Raises
    ------
    InvalidImage
        When the format cannot hold the image; the message names one that can.
    TilewiseError
        For all other errors; the destination then has no incomplete output.
    """
    started = time.perf_counter()
    with taken_once():
        guard = SourceGuard((source,))
        image = open_image(source, level=level)
        if labels is not None:
            image = replace(image, labels=labels)
        if axes is not None:
            image = replace(image, axes=parse(axes, len(image.data.shape)) or ())
        outbox = checked_outbox(destination)
        path = destination if outbox is None else outbox.path
        output = OutputRequest(path, overwrite, pyramid, ome_zarr, shards)
        request = RunRequest(
            _recipe(image, dtype), image, resources=Resources.of(memory, workers),
            conversion={"level": level, "labels": labels, "axes": axes, "dtype": dtype},
        )  # fmt: skip
        history = record.record(
            request.recipe, record.RunSources(image, axes=axes), output=destination
        )
    if dtype is None:
        history = _with_past(history, image.name, level)
    layout = unfinished_layout(history, output) if resume else None
    with listening(progress) as listener:
        control = Control(listener, cancel, pause)
        run_plan = make_plan(request, control, is_lasting=resume, layout=layout)
        job = RunJob(run_plan, output, history, guard, outbox)
        return job.execute(resume=resume, started=started)


def _recipe(image: Image, dtype: str | None) -> Recipe:
    """Return the recipe of a conversion; labels are never rescaled."""
    if dtype is None:
        return Recipe.of(COPY.name)
    if image.labels:
        raise InvalidImage(
            f"{option('dtype', dtype)}: {image.name!r} holds labels, whose numbers would no longer "
            "be the same; expected an image of intensities: omit it."
        )
    return Recipe.of(conversion_to(dtype))


def _with_past(history: MetadataDict, name: str, level: int) -> MetadataDict:
    """Return the source's own record, if it has one, extended by the conversion.

    A smaller level is not what the source's recipe computed, so it has a record of its own.
    """
    location = source_location(name) if os.path.lexists(home_path(name)) else None
    past = read_record(Path(location)) if location is not None and level == 0 else None
    if not past or "record" not in past:
        return history
    copied = {
        key: value for key, value in past.items() if key not in ("complete", "labels", "windows")
    }
    return {**copied, "converted_from": history["source"]}
