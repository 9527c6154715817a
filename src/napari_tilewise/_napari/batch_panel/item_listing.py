"""Lists a batch's items in a thread: paths and snapshots of layers become items."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.layer_record import Origin
from napari_tilewise.batches import Item, each_item
from napari_tilewise.batches.batch_journal import last_rows, output_paths
from napari_tilewise.batches.divide import WHOLE_IMAGES, Division
from napari_tilewise.engine.system.switch_interval import short_turns
from napari_tilewise.errors import (
    Cancelled,
    InvalidImage,
    InvalidParameter,
    SourceNotFound,
    TilewiseError,
)
from napari_tilewise.io.metadata.units import unit_name
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.io.writers.staging import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Set

    from napari.layers import Layer

    from napari_tilewise._napari.jobs.running import Work
    from napari_tilewise._napari.layers.regions import Region
    from napari_tilewise.engine.events import Listener
    from napari_tilewise.io.image import Image

MOST = 1_000_000
"""Most items that the panel lists: more are a typing error in the window or step."""


@dataclass(frozen=True, eq=False)
class LayerImage:
    """A layer as a source of items."""

    image: Image
    origin: Origin


@dataclass(frozen=True, eq=False)
class Listing:
    """Lists a batch's items; called in a thread."""

    source: Any
    """As `napari_tilewise.batch` takes it."""
    division: Division = WHOLE_IMAGES
    """How images are divided."""
    folder: str = ""
    """The folder of the outputs, which are not items of the next batch; may be empty."""
    layers: tuple[LayerImage, ...] = ()
    """The layers, if the items are layers or their parts."""
    required_folder: str = ""
    """The folder that is searched and must exist; may be empty."""
    recursive: bool = True
    """Whether a folder includes the folders below it."""
    divisions: Mapping[str, Division] = field(default_factory=dict)
    """How each image of the source is divided, where they differ."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why an image of the source cannot be divided so."""

    def __call__(self, progress: Listener, cancel: threading.Event) -> tuple[Item, ...]:
        """Return the items; raises `Cancelled` if `cancel` is set."""
        with short_turns():
            return self._items(cancel)

    def _items(self, cancel: threading.Event) -> tuple[Item, ...]:
        required = self.required_folder
        if required and not os.path.exists(os.path.expanduser(required)):
            raise SourceNotFound(f"The folder {required!r} does not exist: choose one that exists.")
        folder = str(local_path(self.folder)) if self.folder else ""
        excluded = output_paths(folder, last_rows(folder).values()) if folder else frozenset()
        items: list[Item] = []
        for item in self._each(excluded):
            if cancel.is_set():
                raise Cancelled("Cancelled: no items were listed.")
            if len(items) == MOST:
                raise InvalidParameter(
                    f"There are more than {MOST:,} items: choose a larger step of the window, or "
                    "fewer files."
                )
            items.append(item)
        return tuple(items)

    def _each(self, excluded: Set[str]) -> Iterator[Item]:
        """Return the items as they are found."""
        if not self.divisions:
            return each_item(
                self.source, self.division, excluded=excluded, recursive=self.recursive
            )
        images = (self._of_image(name) for name in self.divisions)
        items = chain.from_iterable(images)
        return (replace(item, index=number) for number, item in enumerate(items))

    def _of_image(self, name: str) -> Iterator[Item]:
        problem = self.problems.get(name, "")
        for item in each_item({name: self.source[name]}, self.divisions[name]):
            yield replace(item, problem=problem) if problem else item

    def __str__(self) -> str:
        return "Listing images"

    @property
    def label(self) -> str:
        """The source as the Runs panel shows it."""
        return self.source if isinstance(self.source, str) else ", ".join(self.source)

    def origin(self, item: Item) -> Origin | None:
        """Return the layer that an item is, or is a part of; None for a file.

        Parameters
        ----------
        item
            One of the listed items.
        """
        origins = (layer.origin for layer in self.layers if layer.image is item.source)
        return next(origins, None)


def of_layers(
    layers: Iterable[Layer],
    division: Division,
    folder: str,
    region: Callable[[Layer], Region] | None = None,
) -> Listing:
    """Return the listing of layers; reads no pixel.

    Parameters
    ----------
    layers
        Image and labels layers.
    division
        How images are divided.
    folder
        The folder of the outputs; may be empty.
    region
        Returns the part of a layer that is an item.

    Raises
    ------
    InvalidImage
        If the region lies beside all layers; one that it lies beside is an item that cannot run.
    """
    sources: dict[str, LayerImage] = {}
    divisions: dict[str, Division] = {}
    misfits: dict[str, InvalidImage] = {}
    for layer in layers:
        source = snapshot.take(layer)
        stem = _stem(layer.name, sources)
        sources[stem] = LayerImage(_image(source), Origin.of(layer))
        if region is not None:
            try:
                spans = {source.axis(a): (s.start, s.stop) for a, s in region(layer).items()}
            except InvalidImage as error:
                misfits[stem], divisions[stem] = error, WHOLE_IMAGES
                continue
            divisions[stem] = Division(box=tuple(map(spans.get, range(len(source.shape)))))
    if misfits and len(misfits) == len(sources):
        raise next(iter(misfits.values()))
    images = {name: source.image for name, source in sources.items()}
    problems = {name: str(error) for name, error in misfits.items()}
    return Listing(
        images, division, folder, tuple(sources.values()), divisions=divisions, problems=problems
    )


def _image(source: snapshot.Snapshot) -> Image:
    """Return a layer's pixels with its axes, scale and units."""
    inner = source.placement.inner
    samples = [1.0] * (len(source.shape) - len(inner.scale))
    return replace(
        open_image(source.finest),
        axes=source.names or (),
        scale=(*map(float, inner.scale), *samples),
        units=(*(unit_name(str(unit)) for unit in inner.units), *[None] * len(samples)),
        levels=source.levels,
        level_scales=(),
        level_positions=((*map(float, inner.translate), *[0.0] * len(samples)),),
        labels=source.is_labels,
        name=source.name,
        format="array",
    )


def _stem(name: str, taken: Container[str]) -> str:
    """Return a layer's name as the stem of file names, different from other layers'."""
    base = re.sub(r"[^\w.() -]+", "_", name).strip(" .") or "layer"
    stem, number = base, 1
    while stem in taken:
        number += 1
        stem = f"{base}_{number}"
    return stem


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies in it.

    Parameters
    ----------
    path
        Any path.
    folder
        The path of a folder.
    """
    inner, outer = os.path.abspath(path), os.path.abspath(folder)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


class LatestRunner(QObject):
    """Runs the latest requested work in a thread; earlier requests are dropped.

    Parameters
    ----------
    parent
        Its end stops the work.
    """

    finished = Signal(object, object)
    """The requested work, and what it returned."""
    failed = Signal(object)
    """The error of the requested work."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._requested: Work | None = None
        self._current: Work | None = None
        self.runner = Runner(self)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)

    @property
    def is_running(self) -> bool:
        """Whether a work runs."""
        return self.runner.is_running

    def request(self, work: Work) -> None:
        """Run a work instead of those requested before.

        Parameters
        ----------
        work
            Called in a thread.
        """
        self._requested = work
        if self.runner.is_running:
            self.runner.cancel()
        else:
            self._start()

    def drop(self) -> None:
        """Cancel the requested work."""
        self._requested = None
        self.runner.cancel()

    def _start(self) -> None:
        self._current = self._requested
        if self._current is not None:
            self.runner.start_work(self._current)

    def _finished(self, work: Work, result: object) -> None:
        if work is self._requested:
            self.finished.emit(work, result)
        else:
            self._start()

    def _failed(self, error: TilewiseError) -> None:
        if self._current is not self._requested:
            self._start()
        elif not isinstance(error, Cancelled):
            self.failed.emit(error)
