"""`skimage.filters`: smoothing, edges, ridges, thresholds, local thresholds, ranks, frequencies."""
