"""The live preview of one panel: requests from its form and the camera, results to the viewer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer

from napari_tilewise._napari.jobs.latest_worker import LatestWorker
from napari_tilewise._napari.jobs.running import LatestProgress
from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.layers.pixel_changes import PixelChanges
from napari_tilewise._napari.layers.snapshot import displayed_axes
from napari_tilewise._napari.preview.bar import PreviewBar
from napari_tilewise._napari.preview.before_after import HeldKey, SplitLine, right_of
from napari_tilewise._napari.preview.full_collections import FullCollections
from napari_tilewise._napari.preview.preview_request import (
    Basis,
    GatherRequest,
    PreviewRequest,
    PreviewResult,
)
from napari_tilewise._napari.preview.previewer import Previewer
from napari_tilewise._napari.preview.shown import ShownPreview
from napari_tilewise._napari.preview.view import PAUSE, view_events, view_of
from napari_tilewise._napari.widgets.plain_words import plain_message
from napari_tilewise._napari.widgets.remembered import recall, remember
from napari_tilewise._napari.widgets.settings import preview_is_on
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_tilewise._napari.preview.preview_source import PreviewSource
    from napari_tilewise._napari.widgets.panel_base import Panel

POLL = 200
"""Milliseconds between two looks at the progress of gathering."""
NESTED = 4
"""Layouts within each other: each tells the one around it when it is laid out itself."""
BESIDE = "The region is outside the view: nothing to preview."
OUTSIDE = "The layer is outside the view, or shown in 3-D: nothing to preview."


class Preview(QObject):
    """Shows what a panel's job would give, in the visible region.

    Parameters
    ----------
    viewer
        The viewer.
    name
        The panel's name, under which it is remembered whether the preview is on.
    offer
        Returns the panel's job and its layer; raises `TilewiseError` if there is none.
    parent
        The panel; the preview goes while it is hidden, and when it ends.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        name: str,
        offer: Callable[[], PreviewSource],
        parent: Panel,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._offer, self._panel = viewer, offer, parent
        self._key = f"{name}/preview"
        self.bar = PreviewBar()
        self.previewer = Previewer()
        self.worker = LatestWorker(self.previewer.compute, parent)
        self.gatherer = LatestWorker(self._gather, parent)
        self.shown = ShownPreview(viewer)
        self.line = SplitLine(viewer)
        self.collections = FullCollections(self)
        self._held = HeldKey(viewer, self.shown.hide)
        self._last: tuple[PreviewSource, PreviewRequest, PreviewResult] | None = None
        self._watched: Layer | None = None
        self._changes: PixelChanges | None = None
        self._gathering: Any = None
        self._is_following = self._is_paused = False
        self._acts = {QEvent.Type.Show: self.resume, QEvent.Type.Hide: self.pause}
        self._progress = LatestProgress()
        self._soon, self._later, self._poll = QTimer(self), QTimer(self), QTimer(self)
        self._turn, self._deleted = QTimer(self), QTimer(self)
        self._build_timers()
        self.worker.ready.connect(self._show)
        self.gatherer.ready.connect(self._gathered)
        self.bar.on.toggled.connect(self._switch)
        self.bar.before.pressed.connect(lambda: self.shown.hide(True))
        self.bar.before.released.connect(lambda: self.shown.hide(False))
        self.bar.splits.toggled.connect(lambda *_: self._show_again())
        self.bar.split.valueChanged.connect(lambda *_: self._show_again())
        parent.destroyed.connect(self.pause)
        parent.installEventFilter(self)
        self.bar.on.setChecked(preview_is_on(recall(self._key, False)))

    def _build_timers(self) -> None:
        for timer, milliseconds in ((self._soon, 0), (self._later, PAUSE)):
            timer.setSingleShot(True)
            timer.setInterval(milliseconds)
            timer.timeout.connect(self._request)
        for timer in (self._turn, self._deleted):
            timer.setSingleShot(True)
        self._deleted.timeout.connect(self._switch_off_deleted)
        self._poll.setInterval(POLL)
        self._poll.timeout.connect(self._say_progress)

    @property
    def is_on(self) -> bool:
        """Whether the preview is on."""
        return bool(self.bar.on.isChecked())

    @property
    def is_still(self) -> bool:
        """Whether nothing is asked for, computed, or about to be shown."""
        timers = (self._soon, self._later, self._turn, self._deleted)
        is_waiting = any(timer.isActive() for timer in timers) or self._gathering is not None
        return not is_waiting and self.worker.is_still

    def refresh(self) -> None:
        """Compute the preview again, as soon as the window's thread is free."""
        if self._is_following:
            self._soon.start()

    def refresh_now(self) -> None:
        """Compute the preview again, at once: the worker begins while the window is repainted.

        A quick result is waited for, so that the window is repainted once for the parameter and its
        result. What follows in the same turn of the window's loop waits until the thread is free.
        """
        if not self._is_following:
            return
        self.collections.postpone()
        if self._turn.isActive():
            self._soon.start()
            return
        self._soon.stop()
        self._turn.start()
        self._request(is_awaited=True)
        settle_layouts()
        if self.worker.wait():
            self._show()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Show the preview with its panel only."""
        act = None if event is None else self._acts.get(event.type())
        if act is not None:
            act()
        return super().eventFilter(watched, event)

    def pause(self) -> None:
        """Remove the preview and stop following the viewer, until `resume`."""
        self._is_paused = True
        self._follow()

    def resume(self) -> None:
        """Show the preview again, if it is on."""
        self._is_paused = False
        self._follow()

    # -- on and off ----------------------------------------------------------------------------

    def _switch(self, is_on: bool) -> None:
        remember(self._key, is_on)
        self.bar.enable()
        self._follow()

    def _follow(self) -> None:
        """Follow the viewer if the preview is on and not paused."""
        follows = self.is_on and not self._is_paused
        if follows == self._is_following:
            return
        self._is_following = follows
        for emitter in view_events(self._viewer):
            (emitter.connect if follows else emitter.disconnect)(self._moved)
        events = self._viewer.layers.events
        for emitter, act in (
            (events.removed, self._layer_removed),
            (events.reordered, self._layers_reordered),
        ):
            (emitter.connect if follows else emitter.disconnect)(act)
        if follows:
            self._held.bind()
            self.refresh()
            return
        self._held.release()
        self.collections.resume()
        self._soon.stop()
        self._later.stop()
        self.clear()
        self.previewer.forget()

    def clear(self) -> None:
        """Remove what is shown, and drop what is computed."""
        self.worker.drop()
        self.gatherer.drop()
        self._gathering = None
        self._poll.stop()
        self._watch(None)
        self._last = None
        self.shown.remove()
        self.line.remove()
        self.bar.note.setText("")

    def _moved(self, event: object = None) -> None:
        self._later.start()

    def _layer_removed(self, event: Any) -> None:
        layer = event.value
        if self._last is not None and layer is self._last[0].layer:
            self.clear()
        elif layer is self.shown.layer and self._last is not None:
            self._deleted.start()

    def _switch_off_deleted(self) -> None:
        """Switch off what the user deleted by itself, not together with its source."""
        if self._last is not None:  # also where a later result has added it again
            self.bar.on.setChecked(False)

    def _layers_reordered(self, event: object) -> None:
        """Lie above what hides it now."""
        if self._last is not None and self.shown.is_shown:
            self.shown.raise_above(self._last[0].layer)

    def _watch(self, layer: Layer | None) -> None:
        """Notice when the pixels of the source change."""
        if layer is self._watched:
            return
        if self._changes is not None:
            self._changes.stop()
        is_image = isinstance(layer, Image | Labels)
        self._changes = PixelChanges(layer, self._changed) if is_image else None
        self._watched = layer

    def _changed(self, event: object = None) -> None:
        self.previewer.forget()
        self.refresh()

    # -- requests and results ------------------------------------------------------------------

    def _request(self, *, is_awaited: bool = False) -> None:
        try:
            source = self._offer()
        except TilewiseError as error:
            self._say(str(error))
            return
        view = view_of(source.layer, self._viewer, without=source.job.source.hidden_axis)
        if view is None:
            self._say(OUTSIDE)
            return
        box = snapshot.visible_in(view.box, source.job.source, source.region)
        if box is None:
            self._say(BESIDE)
            return
        view = replace(view, box=box)
        self._watch(source.layer)
        self.worker.submit(_LayerRequest(source.job, view, source), is_awaited=is_awaited)

    def _show(self) -> None:
        done = self.worker.take()
        if done is None:
            self.worker.acknowledge()
            return
        request, result = done
        if not self._is_following or request.source.layer not in self._viewer.layers:
            self.worker.acknowledge()
            return
        if isinstance(result, TilewiseError):
            self._drop_other(request.source)
            self._say(str(result))
        else:
            self._last = (request.source, request, result)
            self._show_again()
            self._say(self._description)
            self._begin_to_gather(result.gather)
        QTimer.singleShot(0, self.worker.acknowledge)  # once it is painted

    def _drop_other(self, source: PreviewSource) -> None:
        """Remove what is shown of another operation or layer, whose successor has no preview."""
        if self._last is None:
            return
        shown = self._last[0]
        is_other = shown.job.operation is not source.job.operation
        if is_other or shown.layer is not source.layer:
            self._last = None
            self.shown.remove()
            self.line.remove()

    def _show_again(self) -> None:
        """Show the last result, beyond the line if there is one."""
        if self._last is None:
            return
        source, request, result = self._last
        part, box = self.bar.part, request.view.box
        layer_axes = displayed_axes(source.layer, self._viewer)
        hidden = source.job.source.hidden_axis
        axes = [axis - (hidden is not None and axis > hidden) for axis in layer_axes[-2:]]
        if part is None or len(axes) < 2:
            self.line.remove()
        else:
            span = box[axes[1]]
            position = span.start + part * (span.stop - span.start)
            result = right_of(result, position, axes[1])
            self.line.show(source.job.source.placement, box, (axes[0], axes[1]), position)
        self.shown.show(source.job, result, source.layer)

    @property
    def _description(self) -> str:
        """What is shown, in a few sentences."""
        if self._last is None:
            return ""
        source, _, result = self._last
        return " ".join(filter(None, (describe(result), source.remark)))

    def _say(self, text: str) -> None:
        """Say something below the switch, unless the panel says it already."""
        spoken = plain_message(text)
        self.bar.note.setText("" if spoken == self._panel.message.text() else spoken)

    # -- global numbers ------------------------------------------------------------------------

    def _begin_to_gather(self, request: GatherRequest | None) -> None:
        if request is None:
            return
        if self._gathering != request.key:
            self.gatherer.drop()
            self._gathering = request.key
            self._progress = LatestProgress()
            self.gatherer.submit((request, self._progress))
            self._poll.start()
        self._say_progress()

    def _gather(self, work: tuple[GatherRequest, LatestProgress], cancel: threading.Event) -> bool:
        request, progress = work
        self.previewer.gather(request, progress, cancel)
        return True

    def _gathered(self) -> None:
        done = self.gatherer.take()
        self.gatherer.acknowledge()
        self._poll.stop()
        if done is None or not self._is_following:
            return
        if isinstance(done[1], TilewiseError):
            self._say(f"Estimated from what is visible: {done[1]}")
            return
        self._gathering = None
        self.refresh()

    def _say_progress(self) -> None:
        _, done, tiles = self._progress.state
        if self._last is None or self._gathering is None:
            return
        part = f" ({100 * done // tiles} %)" if tiles else ""
        self._say(f"{self._description} Reading the whole image{part} ...")


def settle_layouts() -> None:
    """Lay out now what texts that changed move: done later, the window is painted twice."""
    for _ in range(NESTED):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)


@dataclass(frozen=True, eq=False)
class _LayerRequest(PreviewRequest):
    """A request with the layer that it is for, which the worker does not touch."""

    source: PreviewSource


def describe(result: PreviewResult) -> str:
    """Return what a preview shows, in a sentence or two.

    Parameters
    ----------
    result
        A preview.
    """
    texts = {
        Basis.EXACT: "Exact: as Apply will give it.",
        Basis.OVERVIEW: f"Overview at 1:{result.factor:g}: zoom in for exact pixels.",
        Basis.ESTIMATE: "Estimated from what is visible.",
    }
    return " ".join(filter(None, (texts[result.basis], result.remark)))
