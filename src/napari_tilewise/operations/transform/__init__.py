"""`skimage.transform`: sizes, warps, integrals, projections."""
