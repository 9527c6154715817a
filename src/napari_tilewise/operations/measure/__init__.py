"""Declarations of `skimage.measure`, by subject; the catalogue names them all."""
