"""Shows what an operation gave: as a layer, with the layer that it measured, or as a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_tilewise._napari.jobs import result_layers, result_numbers
from napari_tilewise._napari.layers import object_table, slicing
from napari_tilewise._napari.layers.viewer_layers import add_result
from napari_tilewise._napari.widgets import docks, wording

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_tilewise._napari.jobs.job import Job, JobOutcome


@dataclass(frozen=True)
class ResultDisplay:
    """Shows the results of a job.

    Parameters
    ----------
    viewer
        The viewer.
    source
        The layer that was processed; None if it is not known.
    note
        What else there is to say about measured objects; may be empty.
    """

    viewer: Viewer
    source: Layer | None
    note: str = ""

    def show(self, job: Job, outcome: JobOutcome) -> tuple[str, Layer | None]:
        """Show a result; return a line that says so, and the new layer if there is one.

        Parameters
        ----------
        job
            The finished job.
        outcome
            One of its results.
        """
        labels = result_layers.measured(job, outcome, self.source, self.viewer)
        if labels is not None:
            return self._show_table(labels), None
        layer = result_layers.layer(job, outcome)
        if layer is None:
            return self._show_numbers(job, outcome), None
        slicing.prepare(layer, self.viewer, is_lazy=outcome.lazy is not None)
        add_result(self.viewer, layer)
        is_table = object_table.of(layer) is not None
        return self._show_table(layer) if is_table else f"Added {layer.name!r}.", layer

    def _show_table(self, layer: Layer) -> str:
        table = object_table.of(layer)
        docks.show_measurements(self.viewer, layer)
        count = 0 if table is None else len(table)
        return f"Measured {wording.count(count, 'objects')} of {layer.name!r}. {self.note}"

    def _show_numbers(self, job: Job, outcome: JobOutcome) -> str:
        line = result_numbers.note(job, outcome, self.source)
        if result_numbers.is_single(outcome):
            return ""  # the panel's table has it
        if self.source is not None:
            docks.show_measurements(self.viewer, self.source)
        return line
