"""Declarations of `skimage.filters`, by subject; the catalogue names them all."""
