"""Progress for people: bars on a terminal and in a notebook, a line every few seconds elsewhere."""

from __future__ import annotations

from napari_tilewise.progress.listening import listening

__all__ = ["listening"]
