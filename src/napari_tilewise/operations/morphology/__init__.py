"""`skimage.morphology`: footprints, objects, extrema, skeletons."""
