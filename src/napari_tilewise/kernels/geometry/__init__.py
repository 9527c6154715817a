"""Kernels that move pixels: images through a map of coordinates."""
