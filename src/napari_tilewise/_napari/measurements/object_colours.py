"""Colours of a labels layer's objects: by a column, and the chosen ones against dim others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, ensure_colormap

from napari_tilewise.errors import InvalidImage

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

COLORMAP = "viridis"
"""Readable for colour-blind people, and in grey."""
MOST_COLOURS = 2**16 - 1
"""The most label ids that napari colours one by one at once."""
DIM = 0.25
"""The opacity of the objects that are not chosen."""
CHOSEN, OTHER, MISSING = (1.0, 0.84, 0.0, 1.0), (0.5, 0.5, 0.5, DIM), (0.5, 0.5, 0.5, 0.6)


class ObjectColours:
    """Colours a layer's objects, and gives the layer its own colours back.

    Parameters
    ----------
    layer
        The labels.
    count
        The largest label id.
    """

    def __init__(self, layer: Labels, count: int) -> None:
        self._layer = layer
        self._count = count
        self._own: Any = None
        self._colours: NDArray[np.float32] | None = None
        self._chosen: NDArray[np.int64] = np.zeros(0, np.int64)

    def colour_by(
        self, labels: NDArray[np.int64], values: NDArray[Any], limits: tuple[float, float]
    ) -> None:
        """Colour objects by their values.

        Parameters
        ----------
        labels
            The objects' ids.
        values
            One number per object; missing ones are grey.
        limits
            The values of the first and the last colour.

        Raises
        ------
        InvalidImage
            If there are more label ids than napari can colour.
        """
        if self._count > MOST_COLOURS:
            raise InvalidImage(
                f"{self._layer.name!r} has label ids up to {self._count:,}: napari colours up to "
                f"{MOST_COLOURS:,} objects one by one. Relabel them one after the other, or filter "
                "them."
            )
        low, high = limits
        scaled = (np.asarray(values, float) - low) / ((high - low) or 1)
        colours = ensure_colormap(COLORMAP).map(np.clip(np.nan_to_num(scaled), 0, 1))
        colours[np.isnan(scaled)] = MISSING
        self._colours = np.zeros((self._count + 1, 4), np.float32)
        self._colours[labels] = colours
        self._apply()

    def colour_own(self) -> None:
        """Give the objects the layer's own colours."""
        self._colours = None
        self._apply()

    def choose(self, labels: NDArray[np.int64]) -> None:
        """Show objects against dim others; none to show all alike.

        Parameters
        ----------
        labels
            The objects' ids.
        """
        if not len(labels) and not len(self._chosen):
            return
        self._chosen = np.unique(labels)
        self._apply()

    def restore(self) -> None:
        """Give the layer the colours it had."""
        self._colours, self._chosen = None, self._chosen[:0]
        self._apply()

    def _apply(self) -> None:
        if self._colours is None and not len(self._chosen):
            if self._own is not None:
                self._layer.colormap, self._own = self._own, None
            return
        if self._own is None:
            self._own = self._layer.colormap
        self._layer.colormap = self._direct() if self._count > MOST_COLOURS else self._cyclic()

    def _cyclic(self) -> CyclicLabelColormap:
        """Return the colours as a cycle that is as long as there are ids."""
        if self._colours is None:
            colours = np.array(self._own.map(np.arange(self._count + 1)), np.float32)
        else:
            colours = self._colours.copy()
        if len(self._chosen):
            opacity = np.full(len(colours), DIM, np.float32)
            opacity[self._chosen] = 1
            colours[:, 3] *= opacity
            if self._colours is None:
                colours[self._chosen] = CHOSEN
        colours[0] = 0
        return CyclicLabelColormap(colors=colours)

    def _direct(self) -> DirectLabelColormap:
        """Return one colour for the chosen objects, and one for all others."""
        chosen: dict[int | None, tuple[float, ...]] = dict.fromkeys(self._chosen.tolist(), CHOSEN)
        return DirectLabelColormap(color_dict={**chosen, None: OTHER, 0: (0, 0, 0, 0)})
