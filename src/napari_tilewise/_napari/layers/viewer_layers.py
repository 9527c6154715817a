"""The viewer's layers that an operation can take, and how a result joins them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.layers import Image, Labels, Layer

from napari_tilewise._napari.layers import object_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel

_arrivals: list[Layer] = []
"""The results that are being added."""
_temporary: WeakSet[Layer] = WeakSet()
"""The layers that show previews."""
COVERING = {"opaque", "translucent", "translucent_no_depth"}
"""How layers are blended that hide what lies below; others add to it."""
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
    return [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, types) and not is_temporary(layer)
    ]


def is_temporary(layer: Layer | None) -> bool:
    """Return whether a layer shows a preview, which no panel works on."""
    return layer in _temporary


def add_temporary(viewer: ViewerModel, layer: Layer, *, above: Layer) -> None:
    """Add a layer that shows a preview; the selection stays.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        The layer.
    above
        The layer to show it above.
    """
    _temporary.add(layer)
    selection = viewer.layers.selection
    active, selected = selection.active, set(selection)
    with _arrival(layer):
        viewer.layers.insert(viewer.layers.index(above) + 1, layer)
        if active is not None:
            selection.active = active
        else:
            selection.clear()
            selection.update(selected)


def topmost_cover(viewer: ViewerModel, layer: Layer, *, by_labels: bool) -> Layer:
    """Return the topmost visible layer that would hide what is shown just above a layer.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        One of its layers, which is returned if nothing hides it.
    by_labels
        Whether labels hide it too, as they do outlines; images show around them.
    """
    types = Image | Labels if by_labels else Image
    above = list(viewer.layers)[viewer.layers.index(layer) + 1 :]
    covers = [
        other
        for other in above
        if isinstance(other, types)
        and other.visible
        and str(other.blending) in COVERING
        and not is_temporary(other)
    ]
    return covers[-1] if covers else layer


def remove_temporary(viewer: ViewerModel, layer: Layer) -> None:
    """Remove a layer that shows a preview; the selection stays.

    Parameters
    ----------
    viewer
        The viewer.
    layer
        The layer.
    """
    with _arrival(layer):
        viewer.layers.selection.discard(layer)
        viewer.layers.remove(layer)


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
