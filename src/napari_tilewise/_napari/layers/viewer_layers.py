"""The viewer's layers that an operation can take, and how a result joins them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import object_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel

_arrivals: list[Layer] = []
"""The results that are being added."""
_TYPES: dict[str, type[Layer]] = {"mask": Labels, "labels": Labels, "seeds": Labels}


def layers_for(viewer: ViewerModel, role: str = "") -> list[Layer]:
    """Return the layers that suit a further image, the topmost first.

    Parameters
    ----------
    viewer
        The viewer.
    role
        ``mask``, ``labels`` or ``seeds``: labels layers; other roles: images too.
    """
    types = _TYPES.get(role, Image | Labels)
    return [layer for layer in reversed(viewer.layers) if isinstance(layer, types)]


def add_result(viewer: ViewerModel, layer: Layer) -> None:
    """Add a result; the layers that the user selected stay selected.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        The result's layer.
    """
    selection = viewer.layers.selection
    active, selected = selection.active, set(selection)
    if selected:
        with _arrival(layer):
            viewer.add_layer(layer)
            if active is not None:
                selection.active = active
            else:
                selection.clear()
                selection.update(selected)
    else:
        viewer.add_layer(layer)
    object_table.follow(layer, viewer)


def is_arriving() -> bool:
    """Return whether a result is being added, so that the selection changes for a moment."""
    return bool(_arrivals)


@contextmanager
def _arrival(layer: Layer) -> Iterator[None]:
    _arrivals.append(layer)
    try:
        yield
    finally:
        _arrivals.remove(layer)
