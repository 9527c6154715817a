"""What a batch adds to the viewer: an item with its result, or all results as one layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tilewise._napari.batch_panel.item_listing import Lister
from napari_tilewise._napari.batch_panel.result_stack import ResultStack, Stacking
from napari_tilewise._napari.jobs.job import complaining
from napari_tilewise._napari.layers import layer_record, slicing
from napari_tilewise._napari.layers.item_layers import OPENED, ItemRows, Look, Opening, Picture
from napari_tilewise._napari.layers.layer_record import Origin, Record
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer

    from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
    from napari_tilewise._napari.batch_panel.batch_run import BatchRun
    from napari_tilewise._napari.batch_panel.item_listing import Listing
    from napari_tilewise.batches import Item
    from napari_tilewise.errors import TilewiseError


class Opener:
    """Adds layers for a Batch panel.

    Parameters
    ----------
    panel
        The panel.
    """

    def __init__(self, panel: BatchPanel) -> None:
        self._panel = panel
        self._viewer = panel.viewer
        self._opening: tuple[Listing, Item, BatchRun | None] | None = None
        self.lister, self.stacker = Lister(panel), Lister(panel)
        self.lister.found.connect(self._found)
        self.stacker.found.connect(self._add_stack)
        for lister in (self.lister, self.stacker):
            lister.failed.connect(self._failed)
        self._run: BatchRun | None = None
        self._stacked: Layer | None = None

    # ------------------------------------------------------------------ items

    def open(
        self,
        listing: Listing,
        item: Item,
        run: BatchRun | None,
        row: Mapping[str, Any],
        value: Any,
    ) -> None:
        """Open an item and its result, in the background.

        Parameters
        ----------
        listing
            What found the item.
        item
            The item.
        run
            The batch that ran, if any.
        row
            The item's row in the report; empty where nothing came of it.
        value
            The result, where it came back.
        """
        folder, output = None if run is None else run.output.folder, row.get("output")
        result = Path(folder, output) if folder and output else value
        origin = listing.origin(item)
        key = item.input if origin is None else f"{item.input} {origin.id} {origin.edits}"
        point = tuple(map(float, self._viewer.dims.point))
        known = self._source(listing, item) if item.parts is None else None
        self._opening = (listing, item, run)
        self.lister.ask(
            Opening(
                item, result, Look(point, self._viewer.dims.ndisplay),
                key=key, result_key=f"{key} {row.get('key')}",
                with_input=known is None and self._shown(key) is None,
                is_labels=_names_objects(run),
            )
        )  # fmt: skip
        self._panel.say(f"Opening {item.stem} ...")

    def _source(self, listing: Listing, item: Item) -> Layer | None:
        origin = listing.origin(item)
        return None if origin is None else origin.find(self._viewer.layers)

    def _shown(self, key: str) -> Layer | None:
        """Return the layer that was opened for something already."""
        same = (layer for layer in self._viewer.layers if layer.metadata.get(OPENED) == key)
        return next(same, None)

    def _found(self, work: Opening, made: tuple[Picture | None, Picture | ItemRows | None]) -> None:
        assert self._opening is not None, "`open` has set it"
        listing, item, run = self._opening
        picture, result = made
        source = self._add(picture) if picture is not None else self._shown(work.key)
        source = source or self._source(listing, item)
        told = [] if source is None else [repr(source.name)]
        if result is not None:
            layer = self._shown(result.key) or self._add(result)
            self._remember(layer, source, run, result)
            told.append(repr(layer.name))
        elif source is not None:
            self._viewer.layers.selection.active = source
        words = f"Opened {' and '.join(told)}." if told else "There is nothing to open."
        is_file = result is None and isinstance(work.result, Path)
        self._panel.say(f"{words} Its result is in {work.result}." if is_file else words)

    def _add(self, made: Picture | ItemRows) -> Layer:
        layer = made.layer()
        if isinstance(made, Picture) and made.is_lazy:
            slicing.in_background(layer, self._viewer)
        self._viewer.add_layer(layer)
        return layer

    def _remember(
        self, layer: Layer, source: Layer | None, run: BatchRun | None, result: Picture | ItemRows
    ) -> None:
        """Write down how a result was made, so that the Recipe panel shows it."""
        if source is None or run is None or run.what.recipe is None:
            return
        is_mask = isinstance(result, Picture) and result.is_mask
        made = Record(run.what.recipe, Origin.of(source), run.what.origins, is_mask=is_mask)
        if layer_record.of(layer) is None:
            layer_record.write(layer, made)

    # ------------------------------------------------------------------ one layer of all

    def stack(self, run: BatchRun, values: Mapping[int, Any]) -> None:
        """Make one layer of all results, in the background.

        Parameters
        ----------
        run
            The batch.
        values
            The results by the items' numbers.
        """
        self._run = run
        told = {**run.what.told, "items": [item.input for item in run.items]}
        self.stacker.ask(Stacking(str(run.what), run.items, values, _names_objects(run), told))

    def _add_stack(self, work: Stacking, made: ResultStack) -> None:
        with complaining(work, self._panel.complain):
            self._show_stack(work, made)

    def _show_stack(self, work: Stacking, made: ResultStack) -> None:
        assert self._run is not None, "`stack` has set it"
        layer = made.layer(self._source(self._run.listing, work.items[0]))
        before = self._stacked if self._run.only is not None else None
        if before is not None and before in self._viewer.layers and _alike(before, layer):
            before.data = layer.data  # with what failed before
        else:
            self._viewer.add_layer(layer)
            self._stacked = before = layer
        missing = len(work.items) - len(work.values)
        blank = f" {missing:,} of {len(work.items):,} items are blank in it." if missing else ""
        self._panel.say(f"{before.name!r} has the results.{blank}")

    def _failed(self, error: TilewiseError) -> None:
        self._panel.complain(str(error))


def _alike(one: Layer, other: Layer) -> bool:
    """Return whether a layer can take the pixels of another one."""
    same = one.data.shape == other.data.shape and one.data.dtype == other.data.dtype
    return type(one) is type(other) and same


def _names_objects(run: BatchRun | None) -> bool:
    """Return whether a batch's results are labels."""
    recipe = None if run is None else run.what.recipe
    return recipe is not None and recipe.output is Output.LABELS
