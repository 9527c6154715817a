"""scikit-image on images of any size: tile by tile, in parallel, with the whole image's answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_tilewise.batches.batch import batch
    from napari_tilewise.engine.apply import apply
    from napari_tilewise.errors import TilewiseError
    from napari_tilewise.functions import operation
    from napari_tilewise.operations import OPERATIONS
    from napari_tilewise.operations.spec.operation import Operation
    from napari_tilewise.recipe import Recipe
    from napari_tilewise.runs.plan import plan
    from napari_tilewise.runs.run import run

__version__ = "0.1.0"

_HOMES = {
    "OPERATIONS": "operations",
    "Operation": "operations.spec.operation",
    "Recipe": "recipe",
    "TilewiseError": "errors",
    "apply": "engine.apply",
    "batch": "batches",
    "operation": "functions",
    "plan": "runs.plan",
    "run": "runs.run",
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
