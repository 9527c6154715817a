"""scikit-image on images of any size: tile by tile, in parallel, with the whole image's answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tilewise.batching.batch import batch
    from napari_tilewise.engine.apply import apply
    from napari_tilewise.errors import TilewiseError
    from napari_tilewise.functions import operation
    from napari_tilewise.operations import OPERATIONS
    from napari_tilewise.operations.model import Operation
    from napari_tilewise.planner import plan
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runner import run

__version__ = "0.1.0"

_HOMES = {
    "OPERATIONS": "operations",
    "Operation": "operations.model",
    "Recipe": "recipe",
    "TilewiseError": "errors",
    "apply": "engine.apply",
    "batch": "batching",
    "operation": "functions",
    "plan": "planner",
    "run": "runner",
}

__all__ = [
    "OPERATIONS",
    "Operation",
    "Recipe",
    "TilewiseError",
    "__version__",
    "apply",
    "batch",
    "operation",
    "plan",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: importing the package stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
