"""Declarations of `skimage.exposure`, by subject; the catalogue names them all."""
