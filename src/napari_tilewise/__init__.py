"""scikit-image on images of any size: tile by tile, in parallel, with the whole image's answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tilewise.batches.batch import batch
    from napari_tilewise.batches.items import items_of as items
    from napari_tilewise.engine.apply import apply
    from napari_tilewise.errors import TilewiseError
    from napari_tilewise.functions import operation
    from napari_tilewise.io.info import image_info as info
    from napari_tilewise.io.readers.open_image import open_image as open
    from napari_tilewise.operations import OPERATIONS
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runs.convert import convert
    from napari_tilewise.runs.label_table import label_table
    from napari_tilewise.runs.plan import plan
    from napari_tilewise.runs.run import run

__version__ = "0.1.0"

_HOMES = {
    "OPERATIONS": ("operations", "OPERATIONS"),
    "Operation": ("operations.spec.operation", "Operation"),
    "Recipe": ("recipe", "Recipe"),
    "TilewiseError": ("errors", "TilewiseError"),
    "apply": ("pipeline.dispatch", "apply"),
    "batch": ("batches.batch", "batch"),
    "convert": ("runs.convert", "convert"),
    "info": ("io.info", "image_info"),
    "items": ("batches.items", "items_of"),
    "label_table": ("runs.label_table", "label_table"),
    "open": ("io.readers.open_image", "open_image"),
    "operation": ("functions", "operation"),
    "plan": ("runs.plan", "plan"),
    "run": ("runs.run", "run"),
}
"""The module of each public name, and its name there."""

__all__ = [
    "OPERATIONS",
    "Operation",
    "Recipe",
    "TilewiseError",
    "__version__",
    "apply",
    "batch",
    "convert",
    "info",
    "items",
    "label_table",
    "open",
    "operation",
    "plan",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
