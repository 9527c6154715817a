"""Declarations of `skimage.morphology`, by subject; the catalogue names them all."""
