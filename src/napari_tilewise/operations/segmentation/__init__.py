"""Declarations of `skimage.segmentation`, by subject; the catalogue names them all."""
