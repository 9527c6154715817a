"""Reading ``.npy``: the file is mapped into memory; it holds pixels and nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_tilewise.errors import SourceUnreadable
from napari_tilewise.io.image import Image, bare
from napari_tilewise.io.readers.checked_arrays import (
    DECODE_ERRORS,
    CheckedArray,
    CheckedMap,
    read_error,
)

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".npy",)
"""Suffixes of files of this format."""
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
        data = _open_mapped(str(path), name)
    except DECODE_ERRORS as exc:
        if "Python objects" in str(exc):
            raise SourceUnreadable(
                f"{name!r} holds Python objects, which are not read, as reading them runs code; "
                "expected numbers: save the array with a data type of numbers."
            ) from exc
        raise read_error(exc, name) from exc
    return bare(data, name, "npy")


def _open_mapped(path: str, name: str) -> CheckedArray:
    pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    reopen = partial(_open_mapped, path, name)
    return CheckedArray(CheckedMap(pixels), name, reopen=reopen, files=[path])
