"""The Batch panel: one operation, recipe or function over many images, each one a row of a table.

What is worked on is listed before anything runs. Listing, working and opening are done in threads;
the table takes in what came of them ten times a second, however many items there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
)

from napari_tilewise._napari.batch_panel.batch_run import BatchRun, Pace
from napari_tilewise._napari.batch_panel.item_listing import Lister, Listing, below
from napari_tilewise._napari.batch_panel.item_table import ItemTable, view_of
from napari_tilewise._napari.batch_panel.open_items import Opener
from napari_tilewise._napari.batch_panel.output_page import OutputPage
from napari_tilewise._napari.batch_panel.page_widgets import scrolled
from napari_tilewise._napari.batch_panel.source_page import SourcePage
from napari_tilewise._napari.batch_panel.task_page import WhatPage
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.widgets.panel_base import Panel
from napari_tilewise._napari.widgets.small_widgets import bar, text
from napari_tilewise.batches.batch import REPORT
from napari_tilewise.batches.tasks import DONE, FAILED, SKIPPED
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from napari_tilewise._napari.layers.layer_record import Origin
    from napari_tilewise.batches import Item, Report
    from napari_tilewise.recipe import Recipe

PAUSE = 300
"""Milliseconds without a change after which images are listed: nobody wants a list per letter."""
IMAGES = frozenset(kind for kind in Output if kind.is_image)
NUMBERS = "The numbers are in the table. Let results go to a folder to have a report of them."
NOTHING = "Choose a folder, layers or a plate: what is found shows here before anything runs."


class BatchPanel(Panel):
    """Runs batches.

    Parameters
    ----------
    napari_viewer
        The viewer.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "batch")
        self.source, self.what, self.output = (
            SourcePage(self.viewer), WhatPage(self.viewer), OutputPage(),
        )  # fmt: skip
        self.table = ItemTable(self)
        self.lister, self.runner = Lister(self), Runner(self)
        self.opener = Opener(self)
        self.listing: Listing | None = None
        self.last: BatchRun | None = None
        """The batch that ran last, or runs."""
        self.values: dict[int, Any] = {}
        """The results that came back, by the item's number."""
        self._pace = Pace()
        self._is_stale = False
        """Whether other items are meant than those that are listed, as a batch runs."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE)
        self._build()
        self._connect()
        self.say(NOTHING)
        self.source.tick_selected()
        self.enable()

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.pages = QTabWidget()
        for page, title in (
            (self.source, "1  Images"), (self.what, "2  What to do"), (self.output, "3  Output"),
        ):  # fmt: skip
            self.pages.addTab(scrolled(page), title)
        self.view = view_of(self.table)
        self.view.setToolTip("Double-click opens an item and its result as layers")
        self.summary, self.bar = text(), bar()
        self.again, self.cancel, self.run_all = map(
            QPushButton, ("Run failed ones again", "Cancel", "Run")
        )
        self.again.setToolTip("Do only the items that failed, with what is chosen above now")
        self.cancel.setToolTip("Begin no more items; those in work are finished")
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.pages)
        splitter.addWidget(self.view)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.again)
        buttons.addStretch()
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.run_all)
        layout = QVBoxLayout(self)
        layout.addWidget(splitter, 1)
        for one in (self.summary, self.message, self.bar):
            layout.addWidget(one)
        layout.addLayout(buttons)
        self.setMinimumWidth(420)

    def _connect(self) -> None:
        self.source.changed.connect(self._relist)
        self.output.changed.connect(self._output_changed)
        self._timer.timeout.connect(self.list_items)
        self.lister.found.connect(self._found)
        self.lister.failed.connect(self._not_found)
        self.runner.progressed.connect(self._progressed)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)
        self.run_all.clicked.connect(lambda: self.run())
        self.again.clicked.connect(self.run_failed)
        self.cancel.clicked.connect(self.stop)
        self.view.doubleClicked.connect(self._double_clicked)
        self.view.clicked.connect(self._clicked)
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            emitter.connect(self.what.refresh)
        self.destroyed.connect(self._disconnect)

    def _disconnect(self) -> None:
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            emitter.disconnect(self.what.refresh)
        self.source.disconnect_viewer()

    def enable(self) -> None:
        """Enable what can be done now."""
        running = self.runner.is_running
        ready = bool(self.table.items) and not running and not self.is_listing
        for page in (self.source, self.output):  # what is done may be prepared for the next one
            page.setEnabled(not running)
        self.run_all.setEnabled(ready)
        self.again.setEnabled(ready and self.table.counts[FAILED] > 0)
        self.cancel.setEnabled(running)
        self.summary.setText(str(self.table) if self.table.items else "")

    # ------------------------------------------------------------------ listing

    @property
    def is_listing(self) -> bool:
        """Whether other items are about to be shown."""
        return self.lister.is_busy or self._timer.isActive()

    def _relist(self) -> None:
        """List what is meant now, once nothing has changed for a while and nothing runs."""
        self._is_stale = self.runner.is_running
        if not self._is_stale:
            self._timer.start()
            self.enable()

    def _output_changed(self) -> None:
        """List again where results of earlier batches may be among the images."""
        place, listing = self.output.place, self.listing
        known = "" if listing is None else listing.folder
        folder = self.source.folder.path
        if folder and known != place and any(below(one, folder) for one in (place, known) if one):
            self._relist()

    def list_items(self) -> None:
        """Find the items that are meant, in the background."""
        try:
            listing = self.source.listing(self.output.place)
        except TilewiseError as error:
            self.lister.drop()
            self._not_found(error)
            return
        if listing is None:
            self.lister.drop()
            self._show((), None)
            self.say(NOTHING)
            return
        self.lister.ask(listing)
        self.say("Looking for images ...")
        self.enable()

    def _found(self, listing: Listing, items: tuple[Item, ...]) -> None:
        self._show(items, listing)
        self.say("")

    def _not_found(self, error: TilewiseError) -> None:
        self._show((), None)
        self.say(str(error))

    def _show(self, items: Sequence[Item], listing: Listing | None) -> None:
        self.listing, self.last, self.values = listing, None, {}
        self.table.fill(items)
        self.enable()

    # ------------------------------------------------------------------ running

    def run(self, only: Collection[int] | None = None) -> None:
        """Do what is chosen, in the background.

        Parameters
        ----------
        only
            The rows to do; all unless given.
        """
        if self.runner.is_running or self.is_listing or self.listing is None:
            return
        try:
            what, output = self.what.what(), self.output.output()
        except TilewiseError as error:
            self.complain(str(error))
            return
        self.last = BatchRun(what, self.table.items, output, self.listing, only)
        if only is None:
            self.values = {}
        self._pace = Pace()
        # First, as napari paints what has changed so far; a bar paints itself where it is visible.
        self.runner.start_work(self.last)
        self.table.begin(range(len(self.table.items)) if only is None else only)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        self.enable()
        self.say(f"{self.last} ...")

    def run_failed(self) -> None:
        """Do only the items that failed."""
        self.run(frozenset(self.table.rows_in(FAILED)))

    def stop(self) -> None:
        """Begin no more items."""
        self.runner.cancel()
        self.cancel.setEnabled(False)
        self.say("Cancelling: the items in work are finished first ...")

    def _progressed(self, _: str, done: int, items: int) -> None:
        self.setUpdatesEnabled(False)  # painted once, not once for each that changes
        self._take_in()
        self.bar.setRange(0, items)
        self.bar.setValue(done)
        self.summary.setText(str(self.table))
        if self.cancel.isEnabled():
            self.say(self._pace.words(done, items))
        self.setUpdatesEnabled(True)

    def _take_in(self) -> None:
        if self.last is not None:
            self.table.take(self.last.news())

    def _finished(self, run: BatchRun, report: Report) -> None:
        self._ended()
        cancelled = f"Cancelled: {self.table}. " if report.cancelled else ""
        if report.folder is not None:
            self.say(f"{cancelled}Report: {report.folder / REPORT}")
            return
        for item, row, value in zip(run.items, report.items, report.results, strict=True):
            if row.get("kind") in IMAGES:
                self.values[item.index] = value
        if self.values:
            self.opener.stack(run, self.values)
        else:
            self.say(f"{cancelled}{NUMBERS if self.table.counts[DONE] else ''}")

    def _failed(self, error: TilewiseError) -> None:
        run = self.last
        if isinstance(error, Cancelled) and run is not None and run.report is not None:
            self._finished(run, run.report)
        else:
            self._ended()
            self.complain(str(error))

    def _ended(self) -> None:
        self._take_in()
        self.table.settle()
        self.bar.hide()
        self.enable()
        if self._is_stale:
            self._relist()

    # ------------------------------------------------------------------ opening

    def _clicked(self, index: QModelIndex) -> None:
        """Show the whole message of an item, which its cell may have no room for."""
        if said := self.table.message(index.row()):
            self.say(said)

    def _double_clicked(self, index: QModelIndex) -> None:
        self.open(index.row())

    def open(self, row: int) -> None:
        """Show an item and its result as layers.

        Parameters
        ----------
        row
            The item's row.
        """
        if self.listing is None:
            return
        item, line = self.table.items[row], self.table.line(row)
        made = line.row if line.state in (DONE, SKIPPED) else {}
        self.opener.open(self.listing, item, self.last, made, self.values.get(item.index))

    # ------------------------------------------------------------------ from elsewhere

    def take(self, recipe: Recipe, origins: Mapping[str, Origin], source: Origin) -> None:
        """Choose a recipe, and what it was made on; it is for the user to choose more.

        Parameters
        ----------
        recipe
            The recipe.
        origins
            The layers behind its inputs.
        source
            The layer that it starts from.
        """
        if self.runner.is_running:
            self.complain("A batch is running: send the recipe again when it is done.")
            return
        self.what.take_recipe(recipe, origins)
        self.source.choose_origin(source)
        self.pages.setCurrentIndex(0)
