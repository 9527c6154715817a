"""Computes all pixels of a lazy layer: into memory if they fit well, else into an OME-Zarr."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, product
from math import prod
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np

from napari_tilewise._napari.jobs.compute import store
from napari_tilewise._napari.jobs.job import Job
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRun, follow
from napari_tilewise._napari.layers import prefetch, snapshot
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise.engine.control import Control
from napari_tilewise.engine.events import PassStarted, TileDone
from napari_tilewise.engine.system.machine import available_memory, processors
from napari_tilewise.errors import Cancelled, InvalidImage
from napari_tilewise.operations.copying import COPY
from napari_tilewise.recipe import Recipe, Step

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from napari.layers import Layer

    from napari_tilewise.engine.events import Listener
    from napari_tilewise.types import ArrayLike

SHARE = 0.25
"""The part of the available memory that a computed layer may take."""
TITLE = "Compute"


def is_lazy(layer: Layer | None) -> bool:
    """Return whether a layer's pixels are not all in memory.

    Parameters
    ----------
    layer
        An image or labels layer, or None.
    """
    return layer is not None and not all(
        isinstance(level, np.ndarray) for level in _levels(layer.data, layer.multiscale)
    )


@dataclass(frozen=True, eq=False)
class LayerPixels:
    """The pixels of a lazy layer, to be computed; called in a worker thread."""

    name: str
    levels: tuple[da.Array, ...]
    copy: Job
    """Writes them to a file."""
    path: Path | None = None
    """The file; None: they are computed into memory."""
    pause: Pause = field(default_factory=Pause)

    @classmethod
    def of(cls, layer: Layer) -> LayerPixels:
        """Return the pixels of a layer as it shows them; none is read.

        Parameters
        ----------
        layer
            An image or labels layer.
        """
        source = snapshot.take(layer, as_result=False)
        recipe = Recipe([Step(COPY.name)])
        job = Job(recipe, source, snapshot.first_box(source), Record(recipe, Origin.of(layer)))
        levels = _levels(layer.data, layer.multiscale)
        return cls(layer.name, tuple(map(_lazy, levels)), job)

    @property
    def nbytes(self) -> int:
        """The size of all levels in memory, in bytes."""
        return sum(prod(level.shape) * level.dtype.itemsize for level in self.levels)

    @property
    def fits(self) -> bool:
        """Whether they fit well in the available memory."""
        return self.nbytes <= SHARE * available_memory()

    def __call__(self, progress: Listener, cancel: threading.Event) -> list[ArrayLike]:
        """Return the levels: in memory, or those of the file."""
        if self.path is None:
            return list(self._in_memory(progress, cancel))
        outcomes = store(self.copy, self.path, progress, cancel)
        if not outcomes:
            raise InvalidImage(
                f"{self.path.name!r} is written, but has no pyramid and is too large to be shown."
            )
        return list(outcomes[0].data)

    def _in_memory(self, progress: Listener, cancel: threading.Event) -> Iterator[np.ndarray]:
        count = sum(level.npartitions for level in self.levels)
        done = 0
        progress(PassStarted(TITLE, count))
        for level in self.levels:
            out = np.empty(level.shape, level.dtype)
            starts = [list(accumulate(lengths, initial=0)) for lengths in level.chunks]

            def fill(
                position: tuple[int, ...],
                level: da.Array = level,
                out: np.ndarray = out,
                starts: list[list[int]] = starts,
            ) -> None:
                if cancel.is_set():
                    raise Cancelled("Cancelled: the layer is as it was.")
                part = (slice(s[p], s[p + 1]) for s, p in zip(starts, position, strict=True))
                out[tuple(part)] = prefetch.block(level, position)

            first, *others = product(*map(range, level.numblocks))
            fill(first)  # passes over the whole image happen once, in the first tile
            with ThreadPoolExecutor(processors()) as pool:
                for _ in pool.map(fill, others):
                    done += 1
                    progress(TileDone(TITLE, done, count))
            done += 1
            progress(TileDone(TITLE, done, count))
            yield out

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the work in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the work.
        listener
            Also receives the work's events.
        """
        return follow(
            str(self), source=self.name, output=self.path,
            control=Control(listener, cancel, self.pause),
        )  # fmt: skip

    def __str__(self) -> str:
        """Return a title."""
        return f"{TITLE} {self.name!r}"


def _levels(data: Any, is_multiscale: bool) -> tuple[Any, ...]:
    return tuple(data) if is_multiscale else (data,)


def _lazy(level: Any) -> da.Array:
    return level if isinstance(level, da.Array) else da.from_array(level, name=False)
