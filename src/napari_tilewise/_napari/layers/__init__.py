"""Layers: what is read from them, and what becomes one."""
