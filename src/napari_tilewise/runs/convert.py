"""Converting is a run that changes no pixel: any format in, a pyramid out, in one streaming pass.

It has all that a run has: bounded memory, progress, cancel, resuming, an output that appears when
it is complete. A record of how the image was made goes along.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise.axes import parse
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.stored_record import read_record
from napari_tilewise.io.writers.create import OutputRequest
from napari_tilewise.operations.copying import COPY
from napari_tilewise.provenance import record
from napari_tilewise.provenance.fingerprint import source_location
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.plan import plan
from napari_tilewise.runs.resume import layout_left
from napari_tilewise.runs.run import RunResult, carry_out

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from napari_tilewise.engine.events import Listener


def convert(
    source: Any,
    destination: str | os.PathLike[str],
    *,
    level: int = 0,
    axes: str | Sequence[str] | None = None,
    labels: bool | None = None,
    memory: str | float | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = True,
    pyramid: bool = True,
    ome_zarr: str = "0.5",
    shards: bool = False,
    progress: Listener | None = None,
    cancel: threading.Event | None = None,
    pause: threading.Event | None = None,
) -> RunResult:
    """Convert an image of any size to the format of the destination's suffix.

    Parameters
    ----------
    source
        What `open_image` takes: a path, a URL, or an array.
    destination
        ``NAME.ome.zarr``, ``NAME.ome.tif``, ``.tif`` (ImageJ), ``.npy`` or ``.png``.
    level
        Which level of the source's pyramid is the finest of the output; 0 is the finest there is.
    axes
        Names of the source's axes, where it does not know them itself, such as ``"tcyx"``.
    labels
        Whether the values are names of objects, never to be averaged; what the source says unless
        given.
    memory
        Most resident memory in bytes, or a text such as ``"2 GiB"``; half of what is available
        unless given.
    workers
        Threads; as many as processors unless given.
    overwrite
        Whether an existing destination is replaced, once the new one is complete.
    resume
        Whether to go on with a conversion that was killed, cancelled or failed.
    pyramid
        Whether to write smaller levels, where the format has such.
    ome_zarr
        Version of an OME-Zarr: ``"0.5"``, or ``"0.4"`` for older readers.
    shards
        Whether an OME-Zarr has one file for each tile instead of one for each chunk.
    progress
        Called with `engine.events.Event` objects.
    cancel
        Set this event to stop within one tile's time.
    pause
        Set this event to take no more tiles until it is cleared.

    Raises
    ------
    InvalidImage
        When the format cannot hold the image; names one that can.
    TilewiseError
        For anything else; nothing is left under the destination's name.
    """
    started = time.perf_counter()
    image = open_image(source, level=level)
    if labels is not None:
        image = replace(image, labels=labels)
    if axes is not None:
        image = replace(image, axes=parse(axes, len(image.data.shape)) or ())
    target = OutputRequest(destination, overwrite, pyramid, ome_zarr, shards)
    recipe = Recipe.of(COPY.name)
    history = record.record(recipe, record.RunSources(image, axes=axes), output=destination)
    history = _with_past(history, image.name, level)
    made = plan(
        recipe, image, memory=memory, workers=workers, progress=progress, cancel=cancel,
        pause=pause, resume=resume, like=layout_left(history, target) if resume else None,
    )  # fmt: skip
    conversion = {"level": level, "labels": labels, "axes": axes}
    request = replace(made.request, asked={**made.request.asked, "convert": conversion})
    made = replace(made, request=request)
    return carry_out(made, (source,), target, history, resume=resume, started=started)


def _with_past(history: dict[str, Any], name: str, level: int) -> dict[str, Any]:
    """Return the record of the source's own making, where it has one, and that it was converted.

    A smaller level is not what the recipe gave, so it has a record of its own.
    """
    where = source_location(name) if os.path.lexists(os.path.expanduser(name)) else None
    past = read_record(Path(where)) if where is not None and level == 0 else None
    if not past or "record" not in past:
        return history
    kept = {key: value for key, value in past.items() if key not in ("complete", "labels")}
    return {**kept, "converted_from": history["source"]}
