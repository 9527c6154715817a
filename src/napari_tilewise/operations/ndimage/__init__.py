"""`scipy.ndimage`, tile by tile, and what images of any size need of NumPy beside it."""
