"""One command per operation, which opens the Operations panel on it; none is written by hand.

napari resolves a manifest's ``python_name`` by attribute, so a module `__getattr__` makes them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from napari.viewer import Viewer

from napari_tilewise._napari.manifest.command_names import attribute
from napari_tilewise._napari.widgets import docks
from napari_tilewise._napari.widgets.panel_titles import PanelTitle
from napari_tilewise.operations import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
    from napari_tilewise._napari.measurements.measurements_panel import MeasurementsPanel
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
    from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
    from napari_tilewise._napari.runs_panel.runs_panel import RunsPanel

_KEYS = {attribute(name): name for name in BUILT_IN}


def open_panel(viewer: Viewer, name: str) -> OperationsPanel:
    """Show the Operations panel with an operation chosen.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    name
        The operation's key, such as ``"filters.gaussian"``.
    """
    panel = cast("OperationsPanel", docks.open_panel(viewer, PanelTitle.OPERATIONS))
    panel.choose(name)
    return panel


def open_recipe(viewer: Viewer) -> RecipePanel:
    """Show the Recipe panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    return cast("RecipePanel", docks.open_panel(viewer, PanelTitle.RECIPE))


def open_measurements(viewer: Viewer) -> MeasurementsPanel:
    """Show the Measurements panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    return cast("MeasurementsPanel", docks.open_panel(viewer, PanelTitle.MEASUREMENTS))


def open_batch(viewer: Viewer) -> BatchPanel:
    """Show the Batch panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    return cast("BatchPanel", docks.open_panel(viewer, PanelTitle.BATCH))


def open_runs(viewer: Viewer) -> RunsPanel:
    """Show the Runs panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    return cast("RunsPanel", docks.open_panel(viewer, PanelTitle.RUNS))


def compute_layer(viewer: Viewer) -> None:
    """Compute all pixels of the selected lazy layer, in the Operations panel.

    Parameters
    ----------
    viewer
        The viewer whose selected layer is computed.
    """
    docks.with_panel(viewer, PanelTitle.OPERATIONS, lambda panel: panel.compute_layer())


def __getattr__(command: str) -> Callable[[Viewer], None]:
    """Return the command of an operation, such as ``filters_gaussian``."""
    if command not in _KEYS:
        raise AttributeError(f"module {__name__!r} has no attribute {command!r}")

    def run(viewer: Viewer) -> None:
        docks.with_panel(viewer, PanelTitle.OPERATIONS, lambda panel: panel.choose(_KEYS[command]))

    run.__name__ = run.__qualname__ = command
    run.__doc__ = f"Open the Operations panel on {_KEYS[command]}."
    return run
