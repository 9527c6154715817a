"""Declarations of `skimage.color`, by subject; the catalogue names them all."""
