"""What a child process does whose memory is measured: one run, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari_tilewise as tw
from napari_tilewise.engine.budget import peak_resident, resident

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def run(told: Connection, recipe: Any, source: str, destination: str, options: Any) -> None:
    """Run a recipe and tell what was stated, what was resident at most, and how it began."""
    before = resident()
    result = tw.run(recipe, source, destination, **options)
    told.send((result.peak_memory, peak_resident(), before))
