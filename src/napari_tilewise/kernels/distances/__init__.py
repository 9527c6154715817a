"""Distances to the nearest of many pixels, in whole numbers: how far, and what grows so far."""
