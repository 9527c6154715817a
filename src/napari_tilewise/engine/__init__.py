"""Tiles, passes, memory, lazy arrays: the engine knows no operation by name and no interface."""
