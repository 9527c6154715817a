"""A job is a recipe on a snapshot of a layer; an outcome is what came of it, ready for napari."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tilewise import axes as _axes
from napari_tilewise._napari.jobs.session_runs import Followed, Pause, follow
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    import dask.array as da

    from napari_tilewise._napari.layers.layer_record import Record
    from napari_tilewise._napari.layers.snapshot import Box, Snapshot
    from napari_tilewise._napari.layers.snapshot_cache import Remembered
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.operations.spec.operation import Operation, Output
    from napari_tilewise.recipe import Recipe, Step


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """A recipe on one layer, with all that it takes."""

    recipe: Recipe
    """What to do; a single step where one operation is applied."""
    source: Snapshot
    box: Box
    """The part of the layer that is shown."""
    record: Record
    """What the result will remember: it may begin earlier than this job does."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Arrays for the recipe's inputs."""
    roots: Mapping[str, Any] = field(default_factory=dict)
    """The arrays that the record's recipe begins with, by the names it has for them, for its
    provenance; those whose layers are still open."""
    part: int | None = None
    """The only one of several results that is wanted; None: all of them."""
    memo: Remembered | None = None
    """Results of steps from earlier jobs on the same source."""
    pause: Pause = field(default_factory=Pause)
    """Set while the job is paused."""

    @property
    def last(self) -> Step:
        """The step that gives the result."""
        return self.recipe.steps[self.recipe.running[-1]]

    @property
    def operation(self) -> Operation:
        """The operation that gives the result."""
        return self.last.op

    @property
    def output(self) -> Output:
        """What comes out (of a threshold: the mask)."""
        return self.recipe.output

    @property
    def spatial(self) -> str | None:
        """The axes to run over where a step does not say: space, where it is known."""
        names = self.source.names
        if names is None:
            return None
        return "".join(axis for axis in names if _axes.kind(axis) == "space") or None

    def follow(self, cancel: threading.Event, listener: Listener | None) -> Followed:
        """Show the job in the Runs panel.

        Parameters
        ----------
        cancel
            What stops it.
        listener
            Who else is told of its events.
        """
        return follow(
            str(self), source=self.source.name, cancel=cancel, pause=self.pause, listener=listener
        )

    def __str__(self) -> str:
        """Return what is done, for progress and questions."""
        steps = len(self.recipe.running)
        what = self.operation.title if steps == 1 else f"{steps} steps to {self.operation.title}"
        return f"{what} on {self.source.name!r}"


def as_error(work: object, error: Exception) -> TilewiseError:
    """Return any failure as an error of one sentence: the window must go on.

    Parameters
    ----------
    work
        What failed; its text says what it is.
    error
        What was raised.
    """
    if isinstance(error, TilewiseError):
        return error
    log.debug("%s failed", work, exc_info=error)
    text = next(iter(str(error).splitlines()), "")
    return TilewiseError(f"{work} failed: {type(error).__name__}: {text}")


@contextmanager
def complaining(work: object, complain: Callable[[str], None]) -> Iterator[None]:
    """Tell in a sentence of whatever goes wrong while results are shown.

    Parameters
    ----------
    work
        What they are the results of.
    complain
        Shows the sentence.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what napari raises is not ours to choose
        complain(str(as_error(work, error)))


@dataclass(frozen=True)
class LayerFrame:
    """The image that the last step worked on, by which points and tables find their place."""

    axes: tuple[int | None, ...]
    """The source's axis behind each of its axes; None where there is none."""
    shape: tuple[int, ...]
    over: tuple[int, ...]
    """Those of its axes that the last step ran over."""
    channel: int | None = None
    """The axis that the last step took as channels."""


@dataclass(frozen=True, eq=False)
class JobOutcome:
    """A result, ready to become a layer."""

    output: Output
    data: Any
    """An array; a list of levels where `is_multiscale`; points; a dict of columns; a number."""
    number: int | None = None
    """Which of several results of one run it is."""
    axes: tuple[int | None, ...] = ()
    """The source's axis behind each axis of the result; None where it is the RGB samples."""
    is_multiscale: bool = False
    is_rgb: bool = False
    is_labels: bool = False
    """Whether the pixels are names of objects, or a mask."""
    is_mask: bool = False
    """Whether they are booleans, shown as 0 and 1."""
    channels_first: bool = False
    """Whether channels that the recipe gives last come first here."""
    values: tuple[float, float] | None = None
    """The range of the values that are in memory anyway."""
    lazy: da.Array | None = None
    """The lazy array behind the data."""
    origins: tuple[int | None, ...] = ()
    """The source's axis behind each axis of the lazy array, before it was arranged."""
    box: Box | None = None
    """The shown part of the source for which the lazy result is in memory."""
    frame: LayerFrame | None = None
    """Where it is no pixels: what it was measured on."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What else it came by: versions, and what its images were like."""
    measured: JobOutcome | None = None
    """Of a table: the labels that it tells of, where they are not the source's."""

    @property
    def finest(self) -> Any:
        """The result at full resolution."""
        return self.data[0] if self.is_multiscale else self.data
