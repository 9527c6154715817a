"""Declarations of `skimage.transform`, by subject; the catalogue names them all."""
