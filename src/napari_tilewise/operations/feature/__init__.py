"""Declarations of `skimage.feature`, by subject; the catalogue names them all."""
