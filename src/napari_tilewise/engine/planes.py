"""The planes of an image: an operation runs on each of them with passes of its own.

A plane holds the spatial axes, and the channel axis where there is one; all other axes are looped
over. What passes find on one plane (its threshold, its labels) never leaks into another.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakValueDictionary

from napari_tilewise.engine.pass_runner import PassRunner
from napari_tilewise.engine.plane import Plane
from napari_tilewise.engine.source import pixels_token
from napari_tilewise.engine.system.prepared import retained_statistics
from napari_tilewise.engine.views.plane_view import PlaneView
from napari_tilewise.operations.spec.parameters import OtherImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.engine.session import Session
    from napari_tilewise.engine.source import Source
    from napari_tilewise.engine.system.prepared import SharedStatistics
    from napari_tilewise.grid import Position
    from napari_tilewise.operations.spec.operation import Call


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
    step: int | None = None
    """Its number among the steps of a pipeline, by which a checkpoint and workers know its passes;
    without one they are not noted, and run in this process."""


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
        self._runners: dict[Position, PassRunner] = {}
        self._pixels: str | None = None
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
        """Return what runs the passes on one plane, the same object at every call.

        Parameters
        ----------
        index
            The plane's position along the looped axes.
        """
        with self._lock:
            if index not in self._runners:
                step = self.looped.step
                plane = Plane(
                    self.looped.call,
                    self._part(self.source, index),
                    {name: self._part(image, index, name) for name, image in self.images.items()},
                    self.tile,
                    self.session,
                    None if step is None else (step, index),
                )
                self._runners[index] = PassRunner(plane, (self.key, index), self.statistics)
            return self._runners[index]

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
