"""The region that limits each image of a batch: a Shapes or Labels layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels, Layer
from qtpy.QtWidgets import QComboBox

from napari_tilewise._napari.layers.regions import PaintedLabels, region_layers, region_of
from napari_tilewise._napari.layers.viewer_layers import layers_for
from napari_tilewise._napari.widgets.elided import elided
from napari_tilewise.errors import InvalidImage, InvalidParameter

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_tilewise._napari.layers.regions import Region

NO_REGION = "no Shapes or Labels layer"
NOTHING_BELOW = (
    "The region lies over no image: open one of the images of the batch, and draw the region over "
    "it."
)


class RegionChoice(QComboBox):
    """Chooses a Shapes or Labels layer, around which each image is cropped to a box.

    Parameters
    ----------
    viewer
        The viewer of the layers.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        elided(self)
        self.fill()

    def fill(self) -> None:
        """Offer the viewer's layers; the chosen one stays chosen."""
        chosen = self.currentData()
        names = {str(layer.unique_id): layer.name for layer in region_layers(self._viewer, None)}
        self.clear()
        for layer_id, name in names.items() or {None: NO_REGION}.items():
            self.addItem(name, layer_id)
        self.setCurrentIndex(max(0, self.findData(chosen)))

    @property
    def layer(self) -> Layer | None:
        """The chosen layer."""
        layers = region_layers(self._viewer, None)
        return next((x for x in layers if str(x.unique_id) == self.currentData()), None)

    def of(self, target: Layer) -> Region:
        """Return the part of a layer that lies in the region's box.

        Parameters
        ----------
        target
            A layer of the viewer.

        Raises
        ------
        InvalidParameter, InvalidImage
            If there is no region, or it lies beside the layer.
        """
        limits = self.layer
        if limits is None:
            raise InvalidParameter("region: draw one in a Shapes layer, or paint it in Labels.")
        if isinstance(limits, Labels) and not PaintedLabels.of(limits, self._viewer).is_quick:
            raise InvalidParameter(
                f"region: {limits.name!r} is too large to look for its labels here: draw the "
                "region as a rectangle in a Shapes layer."
            )
        return region_of(limits, target, self._viewer)

    def box(self) -> tuple[tuple[int, int] | None, ...]:
        """Return the region in pixels of the lowest image that it lies over, along its last axes.

        Results, and opened parts of images, are added above the image that the region was drawn on.

        Raises
        ------
        InvalidParameter, InvalidImage
            If there is no region, or it lies over no image.
        """
        for layer in reversed(layers_for(self._viewer)):
            if layer is self.layer:
                continue
            try:
                region = self.of(layer)
            except InvalidImage:  # beside this layer
                continue
            spans = {axis: (span.start, span.stop) for axis, span in region.items()}
            return tuple(map(spans.get, range(min(spans), layer.ndim)))
        raise InvalidParameter(NOTHING_BELOW)
