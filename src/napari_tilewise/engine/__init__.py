"""The engine: tiles, passes, memory, lazy arrays. It knows no operation by name and no interface."""
