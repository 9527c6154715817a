"""`skimage.filters`: smoothing, edges, ridges, thresholds, local thresholds, ranks, frequencies."""

from __future__ import annotations

from napari_tilewise.operations.filters import (
    convolution,
    edges,
    frequency,
    hysteresis,
    local_thresholds,
    rank,
    rank_order,
    ridges,
    smoothing,
    thresholds,
    windowed_histogram,
)

OPERATIONS = (
    *smoothing.OPERATIONS,
    *local_thresholds.OPERATIONS,
    *thresholds.OPERATIONS,
    *hysteresis.OPERATIONS,
    *edges.OPERATIONS,
    *ridges.OPERATIONS,
    *convolution.OPERATIONS,
    *frequency.OPERATIONS,
    *rank_order.OPERATIONS,
    *rank.OPERATIONS,
    *windowed_histogram.OPERATIONS,
)
