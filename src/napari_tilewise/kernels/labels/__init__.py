"""Labels of objects as SciPy numbers them, the holes of masks, and boundaries between labels."""
