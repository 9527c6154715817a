"""Declarations of `skimage.restoration`, by subject; the catalogue names them all."""
