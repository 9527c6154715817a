"""Global numbers that were gathered over whole images, and pipelines whose passes are done."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari_tilewise.pipeline.bind import Pipeline

MOST_PIPELINES = 8
"""How many pipelines with finished passes are kept."""
MOST_NUMBERS = 256
"""How many results of reductions are kept."""


class Gathered:
    """What is known of whole images; used by the worker and by the thread that gathers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: OrderedDict[Hashable, Any] = OrderedDict()
        self._pipelines: OrderedDict[Hashable, Pipeline] = OrderedDict()

    def numbers(self, prefix: Hashable, *, stores: bool) -> GatheredNumbers:
        """Return the shared reductions over one image.

        Parameters
        ----------
        prefix
            Tells the image apart: a source, or the result of a step.
        stores
            Whether what is computed is of the whole image, and stored.
        """
        return GatheredNumbers(self, prefix, stores=stores)

    def number(self, key: Hashable) -> list[Any]:
        """Return a number in a list of its own; an empty list if it was not gathered."""
        with self._lock:
            # Plans may change what they receive.
            return [copy.deepcopy(self._numbers[key])] if key in self._numbers else []

    def add_number(self, key: Hashable, value: Any) -> None:
        """Store a number; the oldest are dropped."""
        with self._lock:
            self._numbers[key] = copy.deepcopy(value)
            while len(self._numbers) > MOST_NUMBERS:
                self._numbers.popitem(last=False)

    def pipeline(self, key: Hashable) -> Pipeline | None:
        """Return a pipeline whose passes are done; None if there is none."""
        with self._lock:
            if key in self._pipelines:
                self._pipelines.move_to_end(key)
            return self._pipelines.get(key)

    def add_pipeline(self, key: Hashable, pipeline: Pipeline) -> None:
        """Store a pipeline whose passes are done; the ones used least recently are dropped."""
        with self._lock:
            self._pipelines[key] = pipeline
            while len(self._pipelines) > MOST_PIPELINES:
                self._pipelines.popitem(last=False)

    def forget(self) -> None:
        """Forget everything, as when pixels have changed."""
        with self._lock:
            self._numbers.clear()
            self._pipelines.clear()


class GatheredNumbers:
    """The shared reductions over one image, as a pass runner asks for them.

    Parameters
    ----------
    gathered
        Where they are stored.
    prefix
        The image.
    stores
        Whether what is computed is of the whole image, and stored.
    """

    def __init__(self, gathered: Gathered, prefix: Hashable, *, stores: bool) -> None:
        self._gathered, self._prefix, self._stores = gathered, prefix, stores

    def get(self, name: Hashable, number: int, compute: Callable[[], Any]) -> Any:
        """Return what was gathered over the whole image, or else compute it.

        Parameters
        ----------
        name
            The plane, and the name of the reduction.
        number
            Which pass of the operation it is.
        compute
            Computes it, over the image that stands for the whole one.
        """
        key = (self._prefix, name)
        stored = self._gathered.number(key)
        if stored:
            return stored[0]
        value = compute()
        if self._stores:
            self._gathered.add_number(key, value)
        return value
