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
    """Writes ``.npy`` in the image's own order of axes; the record is in a file beside it."""

    format = "a .npy"

    def check_format(self, axes: tuple[str, ...]) -> None:
        """Accept every image.

        Parameters
        ----------
        axes
            Any axes: the file does not name them.
        """

    def write_file(self, path: Path, session: Session | None) -> None:
        """Write the file through a memory map.

        Parameters
        ----------
        path
            The file.
        session
            Gets the events, and may pause or cancel.
        """
        pixels = np.lib.format.open_memmap(path, mode="w+", dtype=self.dtype, shape=self.shape)
        self.fill(pixels, "".join(self.axes), session)
        if self.zarr.is_on_disk:  # a small file is on the disk when the system has the time
            pixels.flush()

    def publish(self, file: Path) -> None:
        """Give the file and its record their final names.

        Parameters
        ----------
        file
            The file, in the staging folder.
        """
        publish_with_record(file, self.path, self.record)
