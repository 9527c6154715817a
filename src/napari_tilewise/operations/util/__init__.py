"""Declarations of `skimage.util`, by subject; the catalogue names them all."""
