"""A run streams a recipe over an image into a file: planned, checkpointed, resumable."""
