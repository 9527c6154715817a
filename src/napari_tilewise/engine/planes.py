"""The planes of an image: an operation runs on each of them with passes of its own.

A plane holds the spatial axes, and the channel axis where there is one; all other axes are looped
over. What passes find on one plane (its threshold, its labels) never leaks into another.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4
from weakref import WeakValueDictionary

from napari_tilewise.engine.passes.pass_runner import PassRunner, portable
from napari_tilewise.engine.passes.results_file import ResultsFile
from napari_tilewise.engine.plane import Plane
from napari_tilewise.engine.source import pixels_token
from napari_tilewise.engine.stored.stored_image import IN_MEMORY
from napari_tilewise.engine.system.prepared import Prepared, Swept, retained_statistics
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_tilewise.engine.passes.pass_runner import PassResult
    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.engine.system.prepared import SharedStatistics
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Call


MOST_RUNNERS = 128
"""Planes whose runners stay as they are; of more, only the results of their passes are kept."""

_planes: WeakValueDictionary[str, Planes] = WeakValueDictionary()
_copying = threading.Lock()


@dataclass(frozen=True, eq=False)
class LoopedCall:
    """An operation bound to the planes of an image."""

    call: Call
    """The operation bound to one plane's shape and dtype."""
    loops: tuple[int, ...]
    """The axes of the image that are looped over."""
    names: tuple[str, ...] | None = None
    """Names of the image's axes."""
    channels: tuple[str, ...] = ()
    """Names of the channels along the axis ``c``; empty where they are not known."""
    dropped: tuple[int, ...] = ()
    """Those of one pixel among them that the function drops: they are no axes of its result."""
    step: int | None = None
    """Its number among the steps of a pipeline, by which a checkpoint and workers know its passes;
    without one they are not noted, and run in this process."""


class Outline(NamedTuple):
    """What stays of a runner that is done, so that another one need not do its passes."""

    results: tuple[PassResult, ...] = ()
    """The results of its passes; None for those that the checkpoint has."""
    scalar: Any = None
    """The number that they tell."""


NO_OUTLINE = Outline()


class Planes:
    """The passes of an operation on each plane of an image.

    Parameters
    ----------
    looped
        The operation, and the axes that it loops over.
    source
        The whole image.
    images
        Further images by parameter name; each of the whole image's shape, or of one plane's.
    tile
        Tile lengths of the passes along the spatial axes, in pixels.
    session
        Workers, memory and control of the passes.
    key
        The same for all copies of these planes, in whatever process; a new one unless given.
    """

    def __init__(
        self,
        looped: LoopedCall,
        source: Source,
        images: Mapping[str, Source],
        tile: tuple[int, ...],
        session: Session,
        key: str | None = None,
    ) -> None:
        self.key = key or uuid4().hex
        self.looped = looped
        self.source = source
        self.images = images
        self.tile = tile
        self.session = session
        self._lock = threading.Lock()
        self._runners: OrderedDict[Position, PassRunner] = OrderedDict()
        self._outlines: dict[Position, Outline] = {}
        self._file = ResultsFile()
        self._pixels: str | None = None
        self._keeps_results = False
        _planes[self.key] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments: all copies in a process are one, with the same passes."""
        images = dict(self.images)
        return _copy, (self.looped, self.source, images, self.tile, self.session, self.key)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths of the looped axes."""
        return tuple(self.source.shape[axis] for axis in self.looped.loops)

    @property
    def is_any(self) -> bool:
        """Whether there is a plane at all."""
        return all(self.lengths)

    def indices(self) -> itertools.product[tuple[int, ...]]:
        """Return the positions along the looped axes, in order."""
        return itertools.product(*map(range, self.lengths))

    def runner(self, index: Position) -> PassRunner:
        """Return what runs the passes on one plane: the same object until they are done.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        with self._lock:
            runner = self._runners.get(index)
            if runner is None:
                earlier = self._outlines.get(index, NO_OUTLINE).results
                plane, file = self._plane(index), self._file if self.looped.loops else None
                runner = PassRunner(plane, (self.key, index), self.statistics, earlier, file)
                if self._keeps_results:
                    runner.keep_results()
                self._runners[index] = runner
                retired = list(self._retire())
            else:
                retired = []
            self._runners.move_to_end(index)
        for done, outline in retired:  # reading them goes on meanwhile
            for result in outline.results:
                if isinstance(result, Swept) and result.image is not None:
                    result.image.move_to_disk(done.plane.folder_of(result.name))
        return runner

    def keep_results(self) -> None:
        """Keep the results of passes that are not done yet for other processes."""
        with self._lock:
            self._keeps_results = True
            runners = list(self._runners.values())
        for runner in runners:
            runner.keep_results()

    def prepared(self, index: Position) -> Prepared | None:
        """Return the results of the passes on a plane, where they are done and may be sent.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        with self._lock:
            runner, outline = self._runners.get(index), self._outlines.get(index, NO_OUTLINE)
        results = outline.results if runner is None else runner.outline
        if not results or None in results:
            return None
        return Prepared((self.key, index), portable(results))

    def scalar(self, index: Position) -> Any:
        """Return the number that the passes on a plane tell; None where there is none.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        with self._lock:
            outline = self._outlines.get(index)
        if outline is not None and outline.scalar is not None:
            return outline.scalar
        return getattr(self.runner(index).final(), "scalar", None)

    def _retire(self) -> Iterator[tuple[PassRunner, Outline]]:
        """Replace the runners that were not used for long by the results of their passes."""
        nbytes = sum(runner.nbytes for runner in self._runners.values())
        for index in list(itertools.islice(self._runners, len(self._runners) - 1)):
            if len(self._runners) <= MOST_RUNNERS and nbytes <= self._room:
                return
            runner = self._runners[index]
            results = runner.outline
            if results is None:
                continue
            nbytes -= runner.nbytes
            del self._runners[index]
            outline = Outline(results, getattr(runner.final(), "scalar", None))
            if any(part is not None for part in (*results, outline.scalar)):
                self._outlines[index] = outline
            yield runner, outline

    @property
    def _room(self) -> int:
        """Bytes that the results of passes may take in memory: a part of the plan's tables."""
        tables = self.session.tables
        return IN_MEMORY if tables is None else min(IN_MEMORY, tables // 4)

    def _plane(self, index: Position) -> Plane:
        step = self.looped.step
        return Plane(
            self.looped.call,
            self._part(self.source, index),
            {name: self._part(image, index, name) for name, image in self.images.items()},
            self.tile,
            self.session,
            None if step is None else (step, index),
        )

    def statistics(self) -> SharedStatistics | None:
        """Return what was computed of the same pixels; None where nothing tells that they are."""
        with self._lock:
            if self._pixels is None:
                self._pixels = pixels_token(self.source) or ""
        if not self._pixels:
            return None
        call = self.looped.call
        return retained_statistics(f"{self._pixels}-{self.looped.loops}-{call.channel_axis}")

    def _part(self, source: Source, index: Position, name: str | None = None) -> Source:
        whole = self.source.shape
        if not self.looped.loops or source.shape[: len(whole)] != whole:
            return source  # of one plane: the same for all of them
        specs = self.looped.call.operation.specs
        if name is not None and isinstance(specs[name], OtherImage):
            return source
        return PlaneView(source, self.looped.loops, index)


def _copy(looped: LoopedCall, source: Source, *arguments: Any) -> Planes:
    with _copying:
        planes = _planes.get(arguments[-1])
        return Planes(looped, source, *arguments) if planes is None else planes
