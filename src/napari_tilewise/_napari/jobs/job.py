"""A job is a recipe on a snapshot of a layer; an outcome is its result, ready for napari."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_tilewise import axes as _axes
from napari_tilewise._napari.jobs.session_runs import Pause, SessionRun, follow
from napari_tilewise._napari.layers.layer_file import channels_in
from napari_tilewise.engine.control import Control
from napari_tilewise.errors import TilewiseError
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    import dask.array as da

    from napari_tilewise._napari.layers.layer_record import Record
    from napari_tilewise._napari.layers.snapshot import Box, Snapshot
    from napari_tilewise._napari.layers.snapshot_cache import StepMemo
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.engine.result_axes import ResultAxis
    from napari_tilewise.operations.spec.measuring.calibration import MeasuredLengths
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Recipe, Step
    from napari_tilewise.types import ArrayLike, TileLengths

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Job:
    """A recipe on one layer, with all arrays that it reads."""

    recipe: Recipe
    """A single step if one operation is applied."""
    source: Snapshot
    box: Box
    """The part of the layer that the viewer shows."""
    record: Record
    """The record of the result; its recipe may start from an earlier image than this job."""
    inputs: Mapping[str, ArrayLike] = field(default_factory=dict)
    """Arrays for the recipe's inputs."""
    roots: Mapping[str, ArrayLike] = field(default_factory=dict)
    """The arrays that the record's recipe starts from, by their names in it, for its provenance;
    only those whose layers are open."""
    part: int | None = None
    """The index of the only requested result; None for all."""
    memo: StepMemo | None = None
    """Results of steps from earlier jobs on the same source."""
    pause: Pause = field(default_factory=Pause)
    """Set while the job is paused."""
    tiles: TileLengths = "auto"
    """Tile lengths in pixels, of results that are not streamed to disk."""

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
        """The kind of result (a mask for a threshold)."""
        return self.recipe.output

    @property
    def spatial(self) -> str | None:
        """The axes of steps without their own: the spatial ones, if the axes have names."""
        names = self.source.names
        if names is None:
            return None
        return "".join(axis for axis in names if _axes.kind(axis) == "space") or None

    @property
    def axes(self) -> _axes.AxisSelection:
        """The axes of the source, for a table with the names of channels that its file has.

        It opens files then: for a worker.
        """
        names = self.source.names
        channels = self.source.samples
        if self.output is Output.TABLE and names is not None and "c" in names:
            paths = dict.fromkeys((self.source.path, self.record.source.path))
            named = (channels_in(path, names, self.source.shape) for path in paths if path)
            channels = next(filter(None, named), channels)
        return _axes.AxisSelection(names, self.spatial, channels, self.source.sizes)

    def follow(self, cancel: threading.Event, listener: Listener | None) -> SessionRun:
        """List the job in the Runs panel.

        Parameters
        ----------
        cancel
            Set to stop the job.
        listener
            Also receives the job's events.
        """
        return follow(
            str(self), source=self.source.name, control=Control(listener, cancel, self.pause)
        )

    def __str__(self) -> str:
        """Return the operation and the layer as a title."""
        steps = len(self.recipe.running)
        title = self.operation.title if steps == 1 else f"{steps} steps to {self.operation.title}"
        return f"{title} on {self.source.name!r}"


def as_error(work: object, error: Exception) -> TilewiseError:
    """Return any exception as an error of one sentence.

    Parameters
    ----------
    work
        The failed work; its text is its title.
    error
        The exception.
    """
    if isinstance(error, TilewiseError):
        return error
    log.debug("%s failed", work, exc_info=error)
    text = next(iter(str(error).splitlines()), "")
    return TilewiseError(f"{work} failed: {type(error).__name__}: {text}")


@contextmanager
def reporting_errors(work: object, report: Callable[[str], None]) -> Iterator[None]:
    """Report any exception in a context as one sentence.

    Parameters
    ----------
    work
        The work whose results are shown; its text is its title.
    report
        Called with the sentence.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - napari may raise anything
        report(str(as_error(work, error)))


@dataclass(frozen=True)
class LayerFrame:
    """The axes of the image that the last step processed: points and tables are placed by them."""

    axes: tuple[ResultAxis, ...]
    """The axes with respect to the source's layer."""
    shape: tuple[int, ...]
    over: tuple[int, ...]
    """The axes that the last step ran over."""
    channel: int | None = None
    """The axis that the last step took as channels."""


@dataclass(frozen=True, eq=False)
class JobOutcome:
    """A result, ready to become a layer."""

    output: Output
    data: Any
    """An array; a list of levels where `is_multiscale`; points; a dict of columns; a number."""
    number: int | None = None
    """The index among several results of one run."""
    axes: tuple[ResultAxis, ...] = ()
    """The axes of the result with respect to the source's layer; RGB samples are a new one."""
    is_multiscale: bool = False
    is_rgb: bool = False
    is_labels: bool = False
    """Whether the pixels are labels or a mask."""
    is_mask: bool = False
    """Whether the pixels are booleans, shown as 0 and 1."""
    channels_first: bool = False
    """Whether the recipe's last axis, channels, comes first here."""
    inserted: int | None = None
    """The axis of length one in place of the source's that the recipe's result lacks."""
    values: tuple[float, float] | None = None
    """The range of the values that are in memory."""
    lazy: da.Array | None = None
    """The lazy array behind the data."""
    result_axes: tuple[ResultAxis, ...] = ()
    """The axes of the lazy array with respect to the source's, before channels were moved."""
    box: Box | None = None
    """The part of the source for which the lazy result is in memory."""
    frame: LayerFrame | None = None
    """The measured image, if the result is not an image."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, and descriptions of the images."""
    scalars: Mapping[str, Any] = field(default_factory=dict)
    """The numbers that the steps found on their way, such as thresholds, by name."""
    spacing: tuple[float, ...] = ()
    """The pixel size along the spatial axes by which a table is measured; empty: it has none."""
    unit: str | None = None
    """Its unit's symbol; None for pixels, or an unknown unit."""
    lengths: MeasuredLengths | None = None
    """What numbers that count pixels are in the layer's unit, by its symbol; None if none do."""
    planes: tuple[tuple[str, int], ...] = ()
    """Names and lengths of the axes along whose positions numbers have a value each."""
    measured: JobOutcome | None = None
    """For a table: the measured labels, if they are not the source."""

    @property
    def finest(self) -> Any:
        """The result at full resolution."""
        return self.data[0] if self.is_multiscale else self.data
