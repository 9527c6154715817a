"""The pixel size by which a run measures, for exported scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tilewise.axes import parse, spatial_indices
from napari_tilewise.engine.result_axes import ResultAxis, result_axes
from napari_tilewise.io.readers.open_image import open_image
from napari_tilewise.operations.spec.pixel_positions import UNMOVED
from napari_tilewise.pipeline.bind import named_spatial
from napari_tilewise.pipeline.pixel_sizes import spacing_along, stated_sizes
from napari_tilewise.recipe import Recipe
from napari_tilewise.runs.plan import plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_tilewise.types import AxisNames, Parameters, PathLike, SpatialAxes


def pixel_size(
    source: PathLike,
    *steps: tuple[str, Parameters],
    axes: AxisNames | None = None,
    spatial: SpatialAxes | None = None,
) -> tuple[float, ...] | None:
    """Return the size of a pixel along the axes that objects are measured over; None for pixels.

    Parameters
    ----------
    source
        A path or a URL of an image.
    *steps
        Steps that move its pixels before they are measured, such as
        ``("transform.rescale", {"scale": 0.5})``.
    axes
        Names of the image's axes; its own unless given.
    spatial
        The axes to measure over; z, y and x of an image that names them unless given.
    """
    image = open_image(source)
    names = parse(axes, len(image.data.shape)) or image.axes or None
    moved: Sequence[ResultAxis] = [ResultAxis(i, UNMOVED) for i in range(len(image.data.shape))]
    if steps:
        last = plan(Recipe(list(steps)), source, axes=axes, spatial=spatial).last
        moved, letters = result_axes(last), last.names
    else:
        letters = names
    if spatial is None:
        spatial = named_spatial(letters, len(moved))
    over = spatial_indices(letters, spatial, len(moved))
    sizes = spacing_along([moved[axis] for axis in over], stated_sizes(image.named(names)))
    return None if sizes is None else sizes[0]
