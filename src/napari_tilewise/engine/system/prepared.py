"""Results of passes travel: what one process found about a plane, others need not find again.

A runner looks here before it runs a pass. Whoever holds a `Prepared` that came from another process
keeps its results; when nobody does, they are gone.
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari_tilewise.grid import Position

MOST_RETAINED, MOST_BYTES = 64, 2**25
"""Number of images whose statistics a process keeps for later calls, and their bytes."""
OVERHEAD = 512
"""Bytes that a result takes besides: its name, its lock."""
LARGEST_RETAINED = 2**20
"""Bytes of a result from which on their sum is looked at."""

PlaneKey = tuple[str, "Position"]
"""An operation on an image, and the plane's position along the looped axes."""


@dataclass(frozen=True, eq=False)
class Swept:
    """The result of a sweep that is done."""

    count: int
    """How many sweeps changed something."""
    name: str
    """The name of the image that they left, as blocks have it."""
    image: Any
    """That image: its tiles are in memory, or in files of one machine."""

    def is_readable(self) -> bool:
        """Return whether this process can read the image."""
        return self.image is not None and bool(self.image.is_readable())


class Prepared:
    """The results of the passes on one plane, in order, without the last pass.

    Parameters
    ----------
    key
        The plane.
    results
        The results of its passes, those of reductions pickled; fewer than there are passes where
        only those are known.
    """

    def __init__(self, key: PlaneKey, results: tuple[bytes | Swept, ...]) -> None:
        self.key = key
        self.results = results

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the results; the other process has them for its runners."""
        return _received, (self.key, self.results)


_received_results: WeakValueDictionary[PlaneKey, Prepared] = WeakValueDictionary()
_lock = threading.Lock()


def _received(key: PlaneKey, results: tuple[bytes | Swept, ...]) -> Prepared:
    with _lock:
        prepared = _received_results.get(key)
        if prepared is None or len(prepared.results) < len(results):
            prepared = _received_results[key] = Prepared(key, results)
        return prepared


def received(key: PlaneKey) -> tuple[bytes | Swept, ...]:
    """Return the results of passes on a plane that another process sent; none where it did not.

    Parameters
    ----------
    key
        The plane.
    """
    prepared = _received_results.get(key)
    return () if prepared is None else prepared.results


class Statistics(Protocol):
    """Results of passes that several operations on one image need."""

    def get(self, name: Hashable, number: int, compute: Callable[[], Any]) -> Any:
        """Return a result, computed when it is first asked for."""


class SharedStatistics:
    """Results of passes that several operations on one image need, computed once.

    Parameters
    ----------
    key
        Tells it apart, in other processes too.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._lock = threading.Lock()
        self._results: dict[Hashable, _Once] = {}
        self.nbytes = 0
        """Bytes of the results, with what each takes besides."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the key: all copies in a process are one."""
        return _shared_statistics, (self.key,)

    def get(self, name: Hashable, number: int, compute: Callable[[], Any]) -> Any:
        """Return a result, computed when it is first asked for.

        Parameters
        ----------
        name
            What it is of which plane.
        number
            Which pass of the operation that asks computes it.
        compute
            Computes it.
        """
        with self._lock:
            once = self._results.setdefault(name, _Once())
        result, nbytes = once.get(compute)
        with self._lock:
            self.nbytes += nbytes
        if nbytes > LARGEST_RETAINED:
            _forget_beyond_room()
        return result


class _Once:
    """A value that one thread computes, and others wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: list[Any] = []

    def get(self, compute: Callable[[], Any]) -> tuple[Any, int]:
        """Return a copy, as plans may change what they receive, and the bytes that are added."""
        with self._lock:
            nbytes = 0
            if not self._values:
                self._values.append(compute())
                nbytes = len(pickle.dumps(self._values[0])) + OVERHEAD
            return copy.deepcopy(self._values[0]), nbytes


_statistics: WeakValueDictionary[str, SharedStatistics] = WeakValueDictionary()


_retained: OrderedDict[str, SharedStatistics] = OrderedDict()


def _shared_statistics(key: str) -> SharedStatistics:
    with _lock:
        statistics = _statistics.get(key)
        if statistics is None:
            statistics = _statistics[key] = SharedStatistics(key)
        return statistics


def retained_statistics(key: str) -> SharedStatistics:
    """Return where operations on an image share what they compute of it, for later calls too.

    Parameters
    ----------
    key
        Tells apart images, and states of them: equal keys mean equal pixels.
    """
    statistics = _shared_statistics(key)
    with _lock:
        _retained[key] = statistics
        _retained.move_to_end(key)
    _forget_beyond_room()
    return statistics


def _forget_beyond_room() -> None:
    """Keep the last statistics, as far as they are few and small."""
    with _lock:
        while _retained and (
            len(_retained) > MOST_RETAINED
            or sum(statistics.nbytes for statistics in _retained.values()) > MOST_BYTES
        ):
            _retained.popitem(last=False)


def is_child_process() -> bool:
    """Return whether another process started this one, to compute for it."""
    return multiprocessing.parent_process() is not None
