"""Writing ``.npy`` through a memory map; the record goes into a file beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.io.writers.staged_file import StagedFileWriter
from napari_tilewise.io.writers.values import publish_with_record

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.engine.session import Session


class NpyWriter(StagedFileWriter):
    """Writes ``.npy`` in the image's own order of axes; the record stands in a file beside it."""

    format = "a .npy"

    def pour(self, path: Path, session: Session | None) -> None:
        """Write the file through a memory map.

        Parameters
        ----------
        path
            The file.
        session
            Whom to tell of progress, and who may cancel.
        """
        pixels = np.lib.format.open_memmap(path, mode="w+", dtype=self.dtype, shape=self.shape)
        self.fill(pixels, "".join(self.axes), session)
        pixels.flush()

    def _publish(self, poured: Path) -> None:
        publish_with_record(poured, self.path, self.record)
