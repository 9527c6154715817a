"""What a batch is to work on, found in a thread: paths and snapshots of layers become items."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.layer_record import Origin
from napari_tilewise.batches import Item, each_item
from napari_tilewise.batches.batch_journal import last_rows, output_paths
from napari_tilewise.errors import Cancelled, InvalidParameter, SourceNotFound, TilewiseError
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari.layers import Layer

    from napari_tilewise._napari.jobs.running import Work
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image

MOST = 1_000_000
"""Items of a batch that the panel lists, at most: many more are a typing error in a window."""


class _Polite:
    """Lets the window's thread have Python's lock sooner, while others do nothing but Python.

    Each of the window's many small steps would else wait 5 ms for it.
    """

    SECONDS = 0.0005

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users, self._before = 0, 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be polite for the time of a context, however many there are."""
        with self._lock:
            if not self._users:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self.SECONDS, self._before))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    sys.setswitchinterval(self._before)


POLITE = _Polite()


@dataclass(frozen=True, eq=False)
class Pictured:
    """A layer as an image of a batch, and where it came from."""

    image: Image
    origin: Origin


@dataclass(frozen=True, eq=False)
class Listing:
    """Finds a batch's items; called in a thread."""

    source: Any
    """See `napari_tilewise.batch`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `each_item` takes."""
    folder: str = ""
    """Where the outputs go, which are no items of the next batch."""
    layers: tuple[Pictured, ...] = ()
    """The layers behind the items, where they are layers."""
    below: str = ""
    """The folder that is searched, which must be there; empty where none is."""

    def __call__(self, progress: Listener, cancel: threading.Event) -> tuple[Item, ...]:
        """Return the items; raises `Cancelled` when `cancel` was set."""
        with POLITE.held():
            return self._items(cancel)

    def _items(self, cancel: threading.Event) -> tuple[Item, ...]:
        if self.below and not os.path.exists(os.path.expanduser(self.below)):
            raise SourceNotFound(f"There is no folder {self.below!r}: choose one that exists.")
        folder = str(local_path(self.folder)) if self.folder else ""
        excluded = output_paths(folder, last_rows(folder).values()) if folder else frozenset()
        found: list[Item] = []
        for item in each_item(self.source, excluded=excluded, **self.options):
            if cancel.is_set():
                raise Cancelled("Cancelled: nothing was listed.")
            if len(found) == MOST:
                raise InvalidParameter(
                    f"There are more than {MOST:,} items: give a larger step of the window, or "
                    "fewer files."
                )
            found.append(item)
        return tuple(found)

    def __str__(self) -> str:
        return "Listing images"

    @property
    def place(self) -> str:
        """Where the items are, in words."""
        return self.source if isinstance(self.source, str) else ", ".join(self.source)

    def origin(self, item: Item) -> Origin | None:
        """Return the layer that an item is, or is a part of.

        Parameters
        ----------
        item
            One of the items found.
        """
        same = (one.origin for one in self.layers if one.image is item.source)
        return next(same, None)


def of_layers(layers: Iterable[Layer], options: Mapping[str, Any], folder: str) -> Listing:
    """Return the listing of layers; reads no pixel.

    Parameters
    ----------
    layers
        The layers.
    options
        What `each_item` takes.
    folder
        Where the outputs go.
    """
    found: dict[str, Pictured] = {}
    for layer in layers:
        taken = snapshot.take(layer)
        image = _image(taken)
        found[_stem(layer.name, found)] = Pictured(image, Origin.of(layer))
    images = {name: one.image for name, one in found.items()}
    return Listing(images, options, folder, tuple(found.values()))


def _image(taken: snapshot.Snapshot) -> Image:
    """Return a layer's pixels with what is known of them; they stand in no file of their own."""
    inner = taken.placement.inner
    samples = [1.0] * (len(taken.shape) - len(inner.scale))
    return replace(
        open_image(taken.finest),
        axes=taken.names or (),
        scale=(*map(float, inner.scale), *samples),
        units=(*(unit_name(str(unit)) for unit in inner.units), *[None] * len(samples)),
        levels=taken.levels,
        level_scales=(),
        level_positions=(),
        labels=taken.is_labels,
        name=taken.name,
        format="array",
    )


def _stem(name: str, taken: Mapping[str, Any]) -> str:
    """Return what a layer's outputs are called after: its name, as a file can be called."""
    word = re.sub(r"[^\w.() -]+", "_", name).strip(" .") or "layer"
    stem, number = word, 1
    while stem in taken:
        number += 1
        stem = f"{word}_{number}"
    return stem


def below(path: str, folder: str) -> bool:
    """Return whether a path lies in a folder, or is it.

    Parameters
    ----------
    path
        A path.
    folder
        A folder.
    """
    inner, outer = os.path.abspath(path), os.path.abspath(folder)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


class Lister(QObject):
    """Does the latest of what it is asked for; earlier ones are dropped.

    Parameters
    ----------
    parent
        The widget whose end ends it.
    """

    found = Signal(object, object)
    """What was asked for, and what came of it."""
    failed = Signal(object)
    """Why nothing came of it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._wanted: Work | None = None
        self._doing: Work | None = None
        self.runner = Runner(parent)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)

    @property
    def is_busy(self) -> bool:
        """Whether something is to come."""
        return self.runner.is_running

    def ask(self, work: Work) -> None:
        """Have something done, in place of what was asked for before.

        Parameters
        ----------
        work
            What to do.
        """
        self._wanted = work
        if self.runner.is_running:
            self.runner.cancel()
        else:
            self._start()

    def drop(self) -> None:
        """Want nothing any more."""
        self._wanted = None
        self.runner.cancel()

    def _start(self) -> None:
        self._doing = self._wanted
        if self._doing is not None:
            self.runner.start_work(self._doing)

    def _finished(self, work: Work, result: Any) -> None:
        if work is self._wanted:
            self.found.emit(work, result)
        else:
            self._start()

    def _failed(self, error: TilewiseError) -> None:
        if self._doing is not self._wanted:
            self._start()
        elif not isinstance(error, Cancelled):
            self.failed.emit(error)
