"""Shows a result where the user looks while a run stores all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

from napari_tilewise._napari.jobs import result_layers
from napari_tilewise._napari.jobs.latest_worker import LatestWorker
from napari_tilewise._napari.layers import snapshot
from napari_tilewise._napari.preview.preview_request import PreviewRequest
from napari_tilewise._napari.preview.previewer import Previewer
from napari_tilewise._napari.preview.shown import ShownPreview
from napari_tilewise._napari.preview.view import PAUSE, view_events, view_of
from napari_tilewise.errors import TilewiseError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_tilewise._napari.jobs.job import Job
    from napari_tilewise._napari.preview.preview_source import PreviewSource


class ResultInView(QObject):
    """Shows the visible part of one result, in a layer that goes when the result's layer comes.

    Parameters
    ----------
    viewer
        The viewer.
    parent
        The panel that runs the job; its end stops the computation.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._source: PreviewSource | None = None
        self._previewer = Previewer()
        self.shown = ShownPreview(
            viewer, lambda job, _: f"{result_layers.name_of(job)} (computing)"
        )
        self.worker = LatestWorker(self._previewer.compute, parent)
        self.worker.ready.connect(self._show)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(PAUSE)
        self._soon.timeout.connect(self._request)
        parent.destroyed.connect(self.end)

    def start(self, source: PreviewSource) -> None:
        """Show a result where the user looks, until `end`.

        Parameters
        ----------
        source
            The job that is run, and its layer.
        """
        self.end()
        self._source = source
        for emitter in view_events(self._viewer):
            emitter.connect(self._moved)
        self._request()

    def end(self) -> None:
        """Remove the layer, and follow the viewer no more."""
        if self._source is None:
            return
        self._source = None
        for emitter in view_events(self._viewer):
            emitter.disconnect(self._moved)
        self._soon.stop()
        self.worker.drop()
        self._previewer.forget()
        self.shown.remove()

    def _moved(self, event: object = None) -> None:
        self._soon.start()

    def _request(self) -> None:
        source = self._source
        if source is None or source.layer not in self._viewer.layers:
            self.end()
            return
        placed = source.job.source
        view = view_of(source.layer, self._viewer, without=placed.hidden_axis)
        box = None if view is None else snapshot.visible_in(view.box, placed, source.region)
        if view is not None and box is not None:
            self.worker.submit(_SourceRequest(source.job, replace(view, box=box), source))

    def _show(self) -> None:
        done = self.worker.take()
        is_current = done is not None and done[0].source is self._source
        if done is not None and is_current and not isinstance(done[1], TilewiseError):
            source = done[0].source
            self.shown.show(source.job, done[1], source.layer)
        QTimer.singleShot(0, self.worker.acknowledge)  # once it is painted


@dataclass(frozen=True, eq=False)
class _SourceRequest(PreviewRequest):
    """A request with what it is for, which the worker does not touch."""

    source: PreviewSource


def _title(job: Job, layer: Layer) -> str:
    """Return the layer's name: that of the result, which is not ready."""
    return f"{result_layers.name_of(job)} (computing)"
