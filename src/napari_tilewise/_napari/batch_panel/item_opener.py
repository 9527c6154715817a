"""Adds a batch's layers to the viewer: an item with its result, or all results as one layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_tilewise._napari.batch_panel.item_listing import LatestRunner
from napari_tilewise._napari.batch_panel.result_stack import ResultStack, StackResults
from napari_tilewise._napari.jobs.job import reporting_errors
from napari_tilewise._napari.layers import layer_record, slicing
from napari_tilewise._napari.layers.item_layers import (
    OPENED,
    ImageLayerData,
    OpenItem,
    PointsLayerData,
    ViewState,
)
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.batch_panel.batch_run import BatchRun
    from napari_tilewise._napari.batch_panel.item_listing import Listing
    from napari_tilewise.batches import Item
    from napari_tilewise.errors import TilewiseError


@dataclass(frozen=True, eq=False)
class ItemResult:
    """An item of a listing and its result, to be opened."""

    listing: Listing
    item: Item
    run: BatchRun | None = None
    """The last batch; None before one ran."""
    row: Mapping[str, object] | None = None
    """The item's row in the report; None if the item has no result."""
    pixels: np.ndarray | None = None
    """The result, if it is in memory."""

    @property
    def origin(self) -> Origin | None:
        """The layer that the item is, or is a part of."""
        return self.listing.origin(self.item)

    @property
    def path(self) -> Path | None:
        """The result's file."""
        folder = None if self.run is None else self.run.output.folder
        output = (self.row or {}).get("output")
        return Path(folder, str(output)) if folder and output else None


class ItemOpener(QObject):
    """Opens items and results in the background, and adds them as layers.

    Parameters
    ----------
    viewer
        The viewer that gets the layers.
    parent
        Its end stops the work.
    """

    said = Signal(str)
    """A line to show in the panel."""
    failed = Signal(str)
    """A problem, in one sentence."""

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._opening: ItemResult | None = None
        self._run: BatchRun | None = None
        self._stack: Layer | None = None
        self.item_runner, self.stack_runner = LatestRunner(self), LatestRunner(self)
        self.item_runner.finished.connect(self._show_item)
        self.stack_runner.finished.connect(self._add_stack)
        for runner in (self.item_runner, self.stack_runner):
            runner.failed.connect(self._report)

    def _report(self, error: TilewiseError) -> None:
        self.failed.emit(str(error))

    # ------------------------------------------------------------------ items

    def open(self, opening: ItemResult) -> None:
        """Open an item and its result.

        Parameters
        ----------
        opening
            The item.
        """
        item, origin = opening.item, opening.origin
        key = item.input if origin is None else f"{item.input} {origin.id} {origin.edits}"
        result_key = f"{key} {(opening.row or {}).get('key')}"
        source = self._source(opening) if item.parts is None else None
        point = tuple(map(float, self._viewer.dims.point))
        self._opening = opening
        self.item_runner.request(
            OpenItem(
                item,
                opening.pixels if opening.path is None else opening.path,
                ViewState(point, self._viewer.dims.ndisplay),
                key=key,
                result_key=result_key,
                with_input=source is None and self._layer_of(key) is None,
                is_labels=_gives_labels(opening.run),
            )
        )
        self.said.emit(f"Opening {item.stem} ...")

    def _source(self, opening: ItemResult) -> Layer | None:
        origin = opening.origin
        return None if origin is None else origin.find(self._viewer.layers)

    def _layer_of(self, key: str) -> Layer | None:
        """Return the layer that was opened for a key before."""
        layers = (layer for layer in self._viewer.layers if layer.metadata.get(OPENED) == key)
        return next(layers, None)

    def _show_item(
        self,
        work: OpenItem,
        layers: tuple[ImageLayerData | None, ImageLayerData | PointsLayerData | None],
    ) -> None:
        opening = self._opening
        if opening is None:
            return
        image, result = layers
        source = self._add(image) if image is not None else self._layer_of(work.key)
        source = source or self._source(opening)
        names = [] if source is None else [repr(source.name)]
        if result is not None:
            layer = self._layer_of(result.key) or self._add(result)
            self._record(layer, source, opening.run, result)
            names.append(repr(layer.name))
        elif source is not None:
            self._viewer.layers.selection.active = source
        line = f"Opened {' and '.join(names)}." if names else "There is nothing to open."
        if result is None and isinstance(work.result, Path):
            line = f"{line} Its result is in {work.result}."
        self.said.emit(line)

    def _add(self, data: ImageLayerData | PointsLayerData) -> Layer:
        layer = data.layer()
        is_lazy = isinstance(data, ImageLayerData) and data.is_lazy
        slicing.prepare(layer, self._viewer, is_lazy=is_lazy)
        self._viewer.add_layer(layer)
        return layer

    def _record(
        self,
        layer: Layer,
        source: Layer | None,
        run: BatchRun | None,
        result: ImageLayerData | PointsLayerData,
    ) -> None:
        """Store the recipe with a result's layer, so that the Recipe panel shows it."""
        if source is None or run is None or run.request.recipe is None:
            return
        is_mask = isinstance(result, ImageLayerData) and result.is_mask
        record = Record(run.request.recipe, Origin.of(source), run.request.origins, is_mask=is_mask)
        if layer_record.of(layer) is None:
            layer_record.write(layer, record)

    # ------------------------------------------------------------------ all results as one layer

    def stack(self, run: BatchRun, values: Mapping[int, np.ndarray]) -> None:
        """Make one layer of all results.

        Parameters
        ----------
        run
            The finished batch.
        values
            The results by the items' numbers.
        """
        self._run = run
        provenance = {**run.request.provenance, "items": [item.input for item in run.items]}
        self.stack_runner.request(
            StackResults(str(run.request), run.items, values, _gives_labels(run), provenance)
        )

    def _add_stack(self, work: StackResults, stack: ResultStack) -> None:
        run = self._run
        if run is not None:
            with reporting_errors(work, self.failed.emit):
                self._show_stack(run, work, stack)

    def _show_stack(self, run: BatchRun, work: StackResults, stack: ResultStack) -> None:
        origin = run.listing.origin(work.items[0])
        layer = stack.layer(None if origin is None else origin.find(self._viewer.layers))
        before = self._stack if run.only is not None else None
        if before is not None and before in self._viewer.layers and _can_take(before, layer):
            before.data = layer.data  # the items that failed before are in it now
            layer = before
        else:
            add_result(self._viewer, layer)
            self._stack = layer
        missing = len(work.items) - len(work.values)
        blank = f" {missing:,} of {len(work.items):,} items are blank in it." if missing else ""
        self.said.emit(f"The results are in {layer.name!r}.{blank}")


def _can_take(layer: Layer, other: Layer) -> bool:
    """Return whether a layer can take the pixels of another one."""
    same_pixels = layer.data.shape == other.data.shape and layer.data.dtype == other.data.dtype
    return type(layer) is type(other) and same_pixels


def _gives_labels(run: BatchRun | None) -> bool:
    """Return whether a batch's results are labels."""
    recipe = None if run is None else run.request.recipe
    return recipe is not None and recipe.output is Output.LABELS
