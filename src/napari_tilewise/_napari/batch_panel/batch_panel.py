"""The Batch panel: one operation, recipe or function on many images, each a row of a table.

The items are listed before anything runs. Listing, running and opening happen in threads; the
table takes in their outcomes ten times a second, however many items there are.
"""

from __future__ import annotations

from itertools import filterfalse
from operator import attrgetter
from typing import TYPE_CHECKING

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
from napari_tilewise._napari.batch_panel.item_listing import LatestRunner, Listing, is_below
from napari_tilewise._napari.batch_panel.item_opener import ItemOpener, ItemResult
from napari_tilewise._napari.batch_panel.item_table import ItemTableModel, view_of
from napari_tilewise._napari.batch_panel.output_page import OutputPage
from napari_tilewise._napari.batch_panel.page_widgets import scrolled
from napari_tilewise._napari.batch_panel.source_page import SourcePage
from napari_tilewise._napari.batch_panel.task_page import TaskPage
from napari_tilewise._napari.jobs.pyramid_offer import PyramidOffer
from napari_tilewise._napari.jobs.running import Runner
from napari_tilewise._napari.widgets.panel_base import RUN_KEY, STOP_KEY, Panel
from napari_tilewise._napari.widgets.small_widgets import progress_bar, text_label
from napari_tilewise.batches.batch import REPORT
from napari_tilewise.batches.tasks import DONE, FAILED, SKIPPED
from napari_tilewise.errors import Cancelled, TilewiseError
from napari_tilewise.operations import OPERATIONS
from napari_tilewise.operations.spec.operation import Output

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from napari_tilewise._napari.layers.layer_record import Record
    from napari_tilewise.batches import Item, Report
    from napari_tilewise.types import Value

DELAY = 300
"""Milliseconds after the last change until images are listed: not at every typed letter."""
IMAGES = frozenset(kind for kind in Output if kind.is_image)
NUMBERS = "The numbers are in the table. For a report of them, write the results to a folder."
NO_SOURCE = "Choose a folder, layers or a plate: the images are listed here before anything runs."


class BatchPanel(Panel):
    """Runs batches.

    Parameters
    ----------
    napari_viewer
        The viewer whose layers can be items, and which gets the results.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "batch")
        self.source = SourcePage(self.viewer)
        self.task = TaskPage(self.viewer)
        self.output = OutputPage()
        self.table = ItemTableModel(self)
        self.lister, self.runner = LatestRunner(self), Runner(self)
        self.opener = ItemOpener(self.viewer, self)
        self.pyramids = PyramidOffer(self.viewer, self)
        self.listing: Listing | None = None
        self.last_run: BatchRun | None = None
        """The batch that runs, or ran last."""
        self.values: dict[int, Value] = {}
        """The results in memory, by the item's number."""
        self._pace = Pace()
        self._is_stale = False
        """Whether the source changed while a batch runs."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._build()
        self._lay_out()
        self._connect()
        self.say(NO_SOURCE)
        self.source.tick_selected()
        self.enable()

    @classmethod
    def prepare(cls) -> None:
        """Import the operation of the first form, and with it what every form needs."""
        super().prepare()
        _ = next(iter(OPERATIONS.values())).parameters

    # ------------------------------------------------------------------ widgets

    def _build(self) -> None:
        self.pages = QTabWidget()
        for page, title in (
            (self.source, "1  Images"), (self.task, "2  Task"), (self.output, "3  Output"),
        ):  # fmt: skip
            self.pages.addTab(scrolled(page), title)
        self.view = view_of(self.table)
        self.view.setToolTip("Double-click an item to open it and its result as layers")
        self.summary, self.bar = text_label(), progress_bar()
        self.retry, self.cancel, self.run_all = map(QPushButton, ("Retry failed", "Cancel", "Run"))
        self.act_on({RUN_KEY: self.run_all.click, STOP_KEY: self.cancel.click})
        self.run_all.setToolTip(f"Run the task on the ticked images ({RUN_KEY})")
        self.retry.setToolTip("Run the failed items again, with the current task and output")
        self.cancel.setToolTip(f"Start no more items, and abandon those that run ({STOP_KEY})")

    def _lay_out(self) -> None:
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.pages)
        splitter.addWidget(self.view)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.retry)
        buttons.addStretch()
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.run_all)
        layout = QVBoxLayout(self)
        layout.addWidget(splitter, 1)
        for widget in (self.summary, self.message, self.bar):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.source.changed.connect(self._relist)
        self.source.changed.connect(self._offer_pyramids)
        self.pyramids.said.connect(self.say)
        self.pyramids.failed.connect(self.complain)
        self.pyramids.computer.replaced.connect(
            lambda layer: self.source.tick(*self.source.ticked, layer)
        )
        self.output.changed.connect(self._output_changed)
        self._timer.timeout.connect(self.list_items)
        self.lister.finished.connect(self._show_listed)
        self.lister.failed.connect(self._listing_failed)
        self.runner.progressed.connect(self._show_progress)
        self.runner.finished.connect(self._finished)
        self.runner.failed.connect(self._failed)
        self.opener.said.connect(self.say)
        self.opener.failed.connect(self.complain)
        self.run_all.clicked.connect(lambda: self.run())
        self.retry.clicked.connect(self.run_failed)
        self.cancel.clicked.connect(self.stop)
        self.view.doubleClicked.connect(self._double_clicked)
        self.view.clicked.connect(self._clicked)
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            emitter.connect(self.task.refresh)
        self.destroyed.connect(self._disconnect)

    def _disconnect(self) -> None:
        events = self.viewer.layers.events
        for emitter in (events.inserted, events.removed):
            emitter.disconnect(self.task.refresh)
        self.source.disconnect_viewer()

    def _offer_pyramids(self) -> None:
        for layer in self.source.ticked:
            self.pyramids.fit(layer)

    def recolour(self) -> None:
        """Give texts the colours of the present theme."""
        super().recolour()
        self.task.recipe.show_steps()

    def enable(self) -> None:
        """Enable the widgets that can be used now."""
        running = self.runner.is_running
        ready = bool(self.table.items) and not running and not self.is_listing
        with self.focus_inside():
            for page in (self.source, self.output):  # the next task may be prepared meanwhile
                page.setEnabled(not running)
            self.run_all.setEnabled(ready)
            self.retry.setEnabled(ready and self.table.counts[FAILED] > 0)
            self.cancel.setEnabled(running)
        self.summary.setText(str(self.table) if self.table.items else "")

    # ------------------------------------------------------------------ listing

    @property
    def is_listing(self) -> bool:
        """Whether items are being listed, or will be soon."""
        return self.lister.is_running or self._timer.isActive()

    def _relist(self) -> None:
        """List the items once nothing has changed for a while and no batch runs."""
        self._is_stale = self.runner.is_running
        if not self._is_stale:
            self._timer.start()
            self.enable()

    def _output_changed(self) -> None:
        """List again if results of earlier batches may be among the images."""
        before = "" if self.listing is None else self.listing.folder
        after, source = self.output.path, self.source.folder.path
        if source and before != after and any(is_below(p, source) for p in (before, after) if p):
            self._relist()

    def list_items(self) -> None:
        """List the chosen items, in the background."""
        try:
            listing = self.source.listing(self.output.path)
        except TilewiseError as error:
            self.lister.drop()
            self._listing_failed(error)
            return
        if listing is None:
            self.lister.drop()
            self._show((), None)
            self.say(NO_SOURCE)
            return
        self.lister.request(listing)
        self.say("Looking for images ...")
        self.enable()

    def _show_listed(self, listing: Listing, items: tuple[Item, ...]) -> None:
        self._show(items, listing)
        self.say("")

    def _listing_failed(self, error: TilewiseError) -> None:
        self._show((), None)
        self.say(str(error))

    def _show(self, items: Sequence[Item], listing: Listing | None) -> None:
        self.listing, self.last_run, self.values = listing, None, {}
        self.table.fill(items)
        fitting = filterfalse(attrgetter("problem"), items)
        self.task.operation.show_intensities(next(fitting, None))
        self.enable()

    # ------------------------------------------------------------------ running

    def run(self, only: Collection[int] | None = None) -> None:
        """Run the task on the items, in the background.

        Parameters
        ----------
        only
            The numbers of the items to run; all by default.
        """
        if self.runner.is_running or self.is_listing or self.listing is None:
            return
        try:
            request, output = self.task.request(), self.output.destination()
        except TilewiseError as error:
            self.complain(str(error))
            return
        self.last_run = BatchRun(request, self.table.items, output, self.listing, only)
        if only is None:
            self.values = {}
        self._pace = Pace()
        # Before the table changes: napari's progress bar paints all changes so far when it appears.
        self.runner.start_work(self.last_run)
        self.table.begin(range(len(self.table.items)) if only is None else only)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        self.enable()
        self.say(f"{self.last_run} ...")

    def run_failed(self) -> None:
        """Run the items that failed once more."""
        self.run(frozenset(self.table.rows_in(FAILED)))

    def stop(self) -> None:
        """Start no more items."""
        self.runner.cancel()
        with self.focus_inside():
            self.cancel.setEnabled(False)
        self.say("Cancelling ...")

    def _show_progress(self, _: str, done: int, items: int) -> None:
        self.setUpdatesEnabled(False)  # painted once, not at every change
        self._take_news()
        self.bar.setRange(0, items)
        self.bar.setValue(done)
        self.summary.setText(str(self.table))
        if self.cancel.isEnabled():
            self.say(self._pace.describe(done, items))
        self.setUpdatesEnabled(True)

    def _take_news(self) -> None:
        if self.last_run is not None:
            self.table.take(self.last_run.news())

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
        run = self.last_run
        if isinstance(error, Cancelled) and run is not None and run.report is not None:
            self._finished(run, run.report)
        else:
            self._ended()
            self.complain(str(error))

    def _ended(self) -> None:
        self._take_news()
        self.table.settle()
        self.bar.hide()
        self.enable()
        if self._is_stale:
            self._relist()

    # ------------------------------------------------------------------ opening

    def _clicked(self, index: QModelIndex) -> None:
        """Show an item's whole message, for which its cell may be too small."""
        if message := self.table.message(index.row()):
            self.say(message)

    def _double_clicked(self, index: QModelIndex) -> None:
        self.open(index.row())

    def open(self, row: int) -> None:
        """Open an item and its result as layers.

        Parameters
        ----------
        row
            The item's row.
        """
        if self.listing is None:
            return
        item, state = self.table.items[row], self.table.state(row)
        report_row = state.row if state.status in (DONE, SKIPPED) else None
        pixels = self.values.get(item.index)
        self.opener.open(ItemResult(self.listing, item, self.last_run, report_row, pixels))

    # ------------------------------------------------------------------ from the Recipe panel

    def receive(self, record: Record) -> None:
        """Choose a recipe and the image that it was made on.

        Parameters
        ----------
        record
            The recipe, its source and its further images.
        """
        if self.runner.is_running:
            self.complain("A batch is running: send the recipe again when it has finished.")
            return
        self.task.set_recipe(record.recipe, record.inputs)
        self.source.choose_origin(record.source)
        self.pages.setCurrentIndex(0)
