"""The panels as napari opens them: by a class each, which imports its panel in a thread."""

from __future__ import annotations

from napari_tilewise._napari.widgets.panel_dock import PanelDock, PanelSource


class OperationsDock(PanelDock):
    """The Operations panel."""

    source = PanelSource("operations_panel.operations_panel", "OperationsPanel", 333)


class RecipeDock(PanelDock):
    """The Recipe panel."""

    source = PanelSource("recipe_panel.recipe_panel", "RecipePanel", 335)


class MeasurementsDock(PanelDock):
    """The Measurements panel."""

    source = PanelSource("measurements.measurements_panel", "MeasurementsPanel", 300)


class BatchDock(PanelDock):
    """The Batch panel."""

    source = PanelSource("batch_panel.batch_panel", "BatchPanel", 420)


class RunsDock(PanelDock):
    """The Runs panel."""

    source = PanelSource("runs_panel.runs_panel", "RunsPanel", 456)
