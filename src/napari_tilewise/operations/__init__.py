"""Declarations: what each scikit-image function is and how it tiles; NumPy in, NumPy out.

`OPERATIONS` is explicit and ordered: one tuple of declarations per scikit-image module.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_tilewise.errors import UnknownOperation, did_you_mean
from napari_tilewise.operations import (
    chan_vese,
    color,
    color_spaces,
    contrast,
    convolution,
    cropping,
    deconvolution,
    dtypes,
    edges,
    exposure,
    feature,
    filters,
    flood,
    frequency,
    hysteresis,
    inpainting,
    intensity_histogram,
    invariant,
    label2rgb,
    level_sets,
    local_thresholds,
    matching,
    measure,
    morphology,
    noise,
    rank,
    rank_order,
    relabel,
    restoration,
    ridges,
    segmentation,
    superpixels,
    thresholds,
    transform,
    util,
    watershed,
    wavelets,
    windowed_histogram,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_tilewise.operations.model import Operation

GROUPS = (
    filters.OPERATIONS,
    exposure.OPERATIONS,
    matching.OPERATIONS,
    intensity_histogram.OPERATIONS,
    contrast.OPERATIONS,
    local_thresholds.OPERATIONS,
    thresholds.OPERATIONS,
    rank.OPERATIONS,
    rank_order.OPERATIONS,
    windowed_histogram.OPERATIONS,
    ridges.OPERATIONS,
    edges.OPERATIONS,
    convolution.OPERATIONS,
    frequency.OPERATIONS,
    hysteresis.OPERATIONS,
    morphology.OPERATIONS,
    measure.OPERATIONS,
    segmentation.OPERATIONS,
    flood.SEGMENTATION,
    watershed.OPERATIONS,
    relabel.OPERATIONS,
    superpixels.OPERATIONS,
    level_sets.OPERATIONS,
    chan_vese.OPERATIONS,
    restoration.OPERATIONS,
    invariant.OPERATIONS,
    inpainting.OPERATIONS,
    deconvolution.OPERATIONS,
    wavelets.OPERATIONS,
    feature.OPERATIONS,
    transform.OPERATIONS,
    color.OPERATIONS,
    color_spaces.OPERATIONS,
    label2rgb.OPERATIONS,
    util.OPERATIONS,
    dtypes.OPERATIONS,
    cropping.OPERATIONS,
    noise.OPERATIONS,
)

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {op.name: op for group in GROUPS for op in group}
)


def get_operation(name: str) -> Operation:
    """Return the operation of this key, or raise `UnknownOperation` with the nearest ones."""
    try:
        return OPERATIONS[name]
    except (KeyError, TypeError):
        hint = did_you_mean(str(name), OPERATIONS)
        raise UnknownOperation(
            f"There is no operation {name!r}.{hint} "
            "napari_tilewise.OPERATIONS (or 'napari-tilewise list') names them all."
        ) from None
