"""Small images in memory: one call of the function or its kernel, or one tile, in this thread."""
