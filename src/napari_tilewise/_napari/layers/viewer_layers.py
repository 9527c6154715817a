"""The viewer's layers that an operation can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Layer

if TYPE_CHECKING:
    from napari.components import ViewerModel

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
