"""One command per operation, none written by hand: each opens the panel on its operation.

napari resolves a manifest's ``python_name`` by attribute, so a module `__getattr__` makes them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.viewer import Viewer

from napari_tilewise._napari.manifest.write_manifest import (
    BATCH_PANEL,
    PANEL,
    RECIPE_PANEL,
    RUNS_PANEL,
    attribute,
)
from napari_tilewise._napari.widgets.wording import PLUGIN
from napari_tilewise.operations import SCIKIT_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tilewise._napari.batch_panel.batch_panel import BatchPanel
    from napari_tilewise._napari.operations_panel.operations_panel import OperationsPanel
    from napari_tilewise._napari.recipe_panel.recipe_panel import RecipePanel
    from napari_tilewise._napari.runs_panel.runs_panel import RunsPanel

_NAMES = {attribute(name): name for name in SCIKIT_IMAGE}


def open_panel(viewer: Viewer, name: str) -> OperationsPanel:
    """Show the Operations panel with one operation chosen.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    name
        The operation's key.
    """
    found: OperationsPanel = _shown(viewer, PANEL["title"])
    found.choose(name)
    return found


def open_recipe(viewer: Viewer) -> RecipePanel:
    """Show the Recipe panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    found: RecipePanel = _shown(viewer, RECIPE_PANEL["title"])
    return found


def open_batch(viewer: Viewer) -> BatchPanel:
    """Show the Batch panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    found: BatchPanel = _shown(viewer, BATCH_PANEL["title"])
    return found


def open_runs(viewer: Viewer) -> RunsPanel:
    """Show the Runs panel.

    Parameters
    ----------
    viewer
        The viewer whose window holds the panel.
    """
    found: RunsPanel = _shown(viewer, RUNS_PANEL["title"])
    return found


def _shown(viewer: Viewer, title: str) -> Any:
    dock, panel = viewer.window.add_plugin_dock_widget(PLUGIN, title)
    dock.show()
    dock.raise_()
    return getattr(panel, "__wrapped__", panel)


def __getattr__(command: str) -> Callable[[Viewer], None]:
    """Return the command of an operation, such as ``filters_gaussian``."""
    if command not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {command!r}")

    def run(viewer: Viewer) -> None:
        open_panel(viewer, _NAMES[command])

    run.__name__ = run.__qualname__ = command
    run.__doc__ = f"Open the Operations panel on {_NAMES[command]}."
    return run
