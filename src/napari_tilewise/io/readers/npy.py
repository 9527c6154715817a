"""NumPy's own file: mapped into memory for reading and writing; it holds pixels, nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers.guarded import DECODE_ERRORS, Guarded, Mapped, read_error
from napari_tilewise.io.writers.staged_file import StagedFileWriter
from napari_tilewise.io.writers.values import publish_with_record

if TYPE_CHECKING:
    from pathlib import Path

    from napari_tilewise.engine.session import Session

MAGIC = b"\x93NUMPY"
"""The first bytes of the file."""


def open_npy(path: Path, name: str) -> Image:
    """Open a ``.npy`` without reading it.

    Parameters
    ----------
    path
        An existing file.
    name
        The source, as the user named it.
    """
    try:
        data = _mapped(str(path), name)
    except DECODE_ERRORS as exc:
        raise read_error(exc, name) from exc
    return bare(data, name, "npy")


def _mapped(path: str, name: str) -> Guarded:
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return Guarded(Mapped(pixels), name, reopen=partial(_mapped, path, name))


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
